package spop

import (
	"context"
	"net"
	"sync"
	"time"
)

// Codes of failures, as HAProxy's option set-on-error shows them; what an agent
// said itself, or would have been told, is 256 more than its status.
const (
	OK         = 0
	TimedOut   = 1
	TooBig     = 3
	BadFailure = 255
	failed     = 256
)

// Agent is what one engine asks: servers that understand the same messages. Set
// the fields before the first Ask. Safe for all goroutines.
type Agent struct {
	EngineID   string        // names this process to agents that take part in async exchanges
	MaxFrame   int           // bytes of a frame; 0 is 16,380
	MaxWaiting int           // questions on one connection at once; 0 is 20
	Alone      bool          // one question at a time on a connection: no pipelining
	Hello      time.Duration // how long an agent may take for its HELLO; 0: as long as the question has
	Idle       time.Duration // how long a connection may carry nothing; 0: any time
	Processing time.Duration // how long a question may take; 0 is DefaultProcessing

	// Dial connects to one of the servers; released is called once when the
	// connection is over.
	Dial func(ctx context.Context) (c net.Conn, released func(), err error)

	mu sync.Mutex
	// mu guards the fields below.
	conns  []*conn
	closed bool
}

// DefaultProcessing is Agent.Processing when that is 0: whoever asks waits.
const DefaultProcessing = 10 * time.Second

const defaultFrame = 16380

// Ask sends messages (AppendMessage) and waits for what the agent makes of them.
// The code is OK, or why there is no answer.
func (a *Agent) Ask(messages []byte) ([]Action, int) {
	wait := a.Processing
	if wait <= 0 {
		wait = DefaultProcessing
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	c, q, code := a.place(ctx)
	if code != OK {
		return nil, code
	}
	return c.ask(ctx, q, messages)
}

// place finds a connection with room for one more question, or makes one.
func (a *Agent) place(ctx context.Context) (*conn, *question, int) {
	a.mu.Lock()
	for _, c := range a.conns {
		if q := c.reserve(); q != nil {
			a.mu.Unlock()
			return c, q, OK
		}
	}
	a.mu.Unlock()
	c, code := a.connect(ctx)
	if code != OK {
		return nil, nil, code
	}
	q := c.reserve()
	if q == nil {
		return nil, nil, failed + statusIO
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		c.Close()
		return nil, nil, failed + statusIO
	}
	a.conns = append(a.conns, c)
	return c, q, OK
}

// forget takes a connection out that is over.
func (a *Agent) forget(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, one := range a.conns {
		if one == c {
			a.conns = append(a.conns[:i:i], a.conns[i+1:]...)
			return
		}
	}
}

// Close ends all connections, and each question that waits.
func (a *Agent) Close() {
	a.mu.Lock()
	list := a.conns
	a.closed = true
	a.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

func (a *Agent) maxWaiting() int {
	switch {
	case a.Alone:
		return 1
	case a.MaxWaiting > 0:
		return a.MaxWaiting
	}
	return 20
}

func (a *Agent) maxFrame() int {
	if a.MaxFrame > 0 {
		return a.MaxFrame
	}
	return defaultFrame
}
