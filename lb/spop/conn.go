package spop

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// conn is one connection to an agent. One goroutine reads it; whoever asks
// writes.
type conn struct {
	net.Conn
	agent    *Agent
	released func()
	maxFrame int
	waiting  int // how many questions it may have at once

	write sync.Mutex // held while a frame is written

	mu sync.Mutex
	// mu guards the fields below.
	open map[uint64]*question // by their stream-id
	next uint64
	over int // why it is; OK: it is not
}

// question is one that waits for its ACK.
type question struct {
	id   uint64
	done chan answer // holds one
}

type answer struct {
	actions []Action
	code    int
}

// connect makes a connection, HELLOs included.
func (a *Agent) connect(ctx context.Context) (*conn, int) {
	raw, released, err := a.Dial(ctx)
	if err != nil {
		if ctx.Err() != nil || statusOf(err) == statusTimeout {
			return nil, TimedOut
		}
		return nil, failed + statusIO
	}
	c := &conn{Conn: raw, agent: a, released: released, open: map[uint64]*question{}}
	whole, _ := ctx.Deadline()
	limit := whole
	if h := time.Now().Add(a.Hello); a.Hello > 0 && h.Before(whole) {
		limit = h
	}
	c.SetDeadline(limit)
	r := bufio.NewReader(raw)
	if code := c.greet(r); code != OK {
		c.Close()
		c.released()
		if code == failed+statusTimeout && limit.Equal(whole) {
			code = TimedOut
		}
		return nil, code
	}
	c.SetDeadline(time.Time{})
	go c.read(r)
	return c, OK
}

// greet says HELLO and reads the agent's.
func (c *conn) greet(r *bufio.Reader) int {
	text := func(b []byte, name, value string) []byte {
		return AppendArg(b, name, Value{Kind: String, Bytes: []byte(value)})
	}
	b := begin(nil, hello, 0, 0)
	b = text(b, "supported-versions", "2.0")
	b = AppendArg(b, "max-frame-size", Value{Kind: Uint32, Int: int64(c.agent.maxFrame())})
	capabilities := "pipelining"
	if c.agent.Alone {
		capabilities = ""
	}
	b = text(b, "capabilities", capabilities)
	b = text(b, "engine-id", c.agent.EngineID)
	if _, err := c.Write(end(b)); err != nil {
		return failed + statusOf(err)
	}
	f, err := readFrame(r, c.agent.maxFrame())
	if err != nil {
		return failed + statusOf(err)
	}
	list, err := parseList(f.payload)
	switch {
	case err != nil:
		return failed + statusInvalid
	case f.kind == agentDisconnect:
		return failed + int(list["status-code"].Int)
	case f.kind != agentHello:
		return failed + statusInvalid
	}
	if status := judgeHello(list, c.agent.maxFrame()); status != statusNone {
		return failed + status
	}
	c.maxFrame = int(list["max-frame-size"].Int)
	c.waiting = 1
	for _, word := range strings.Split(string(list["capabilities"].Bytes), ",") {
		if strings.TrimSpace(word) == "pipelining" {
			c.waiting = c.agent.maxWaiting()
		}
	}
	return OK
}

func statusOf(err error) int {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return statusTimeout
	}
	if errors.Is(err, errFrame) {
		return statusInvalid
	}
	return statusIO
}

// readFrame reads one frame of at most max bytes.
func readFrame(r *bufio.Reader, most int) (frame, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 7 || int64(n) > int64(most) {
		return frame{}, errFrame
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return frame{}, err
	}
	return parseFrame(b)
}

// read takes what the agent says until the connection is over.
func (c *conn) read(r *bufio.Reader) {
	defer c.released()
	for {
		if c.agent.Idle > 0 {
			c.SetReadDeadline(time.Now().Add(c.agent.Idle))
		}
		f, err := readFrame(r, c.maxFrame)
		code := OK
		switch {
		case err != nil:
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() && c.busy() {
				continue // no byte of a frame came: it waits for answers, which have times of their own
			}
			code = failed + statusOf(err)
		case f.kind == agentDisconnect:
			list, _ := parseList(f.payload)
			code = failed + int(list["status-code"].Int)
		case f.kind == ack:
			c.answered(f)
		default:
			code = failed + statusInvalid
		}
		if code != OK {
			c.end(code)
			return
		}
	}
}

func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) > 0
}

// answered gives an ACK to the question that it answers; nobody may wait any
// more.
func (c *conn) answered(f frame) {
	c.mu.Lock()
	q := c.open[f.stream]
	delete(c.open, f.stream)
	c.mu.Unlock()
	if q == nil {
		return
	}
	actions, err := parseActions(f.payload)
	switch {
	case f.flags&flagAbort != 0:
		q.done <- answer{code: BadFailure}
	case err != nil:
		q.done <- answer{code: failed + statusInvalid}
	default:
		q.done <- answer{actions: actions}
	}
}

// end closes the connection and gives all questions a code.
func (c *conn) end(code int) {
	c.agent.forget(c)
	c.mu.Lock()
	c.over = code
	list := c.open
	c.open = map[uint64]*question{}
	c.mu.Unlock()
	c.Close()
	for _, q := range list {
		q.done <- answer{code: code}
	}
}

// reserve takes a place for a question; nil when there is none.
func (c *conn) reserve() *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != OK || len(c.open) >= c.waiting {
		return nil
	}
	c.next++
	q := &question{id: c.next, done: make(chan answer, 1)}
	c.open[q.id] = q
	return q
}

// ask sends a question and waits for its answer.
func (c *conn) ask(ctx context.Context, q *question, messages []byte) ([]Action, int) {
	b := begin(nil, notify, q.id, 1)
	b = end(append(b, messages...))
	if len(b)-4 > c.maxFrame {
		c.give(q)
		return nil, TooBig
	}
	c.write.Lock()
	limit, _ := ctx.Deadline()
	c.SetWriteDeadline(limit)
	_, err := c.Write(b)
	c.write.Unlock()
	if err != nil {
		c.end(failed + statusOf(err))
	}
	select {
	case a := <-q.done:
		return a.actions, a.code
	case <-ctx.Done():
		c.give(q)
		return nil, TimedOut
	}
}

// give takes a question back.
func (c *conn) give(q *question) {
	c.mu.Lock()
	delete(c.open, q.id)
	c.mu.Unlock()
}
