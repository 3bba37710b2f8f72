package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Level is what a socket's clients may do.
type Level uint8

// Levels, each with the rights of those before it.
const (
	User     Level = iota // look at figures
	Operator              // look at everything, clear maxima
	Admin                 // change anything
)

// ParseLevel reads the word after `level` on a stats socket line.
func ParseLevel(s string) (Level, error) {
	for l := User; l <= Admin; l++ {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("level %q is not known; it is user, operator or admin", s)
}

func (l Level) String() string { return [...]string{"user", "operator", "admin"}[l] }

// Server answers on one stats socket. Its fields are set before Serve and not
// changed after.
type Server struct {
	// Listener is closed by Serve. One made of a descriptor leaves the socket
	// itself to whoever else holds it.
	Listener net.Listener
	Runtime  Runtime
	Level    Level
	// ExposeFD lets _getsocks take the listening sockets (expose-fd listeners).
	ExposeFD bool
	// Timeout ends a connection that is silent for so long (stats timeout);
	// 10s when 0.
	Timeout time.Duration
	// MaxConn is how many connections are served at once (stats maxconn); 10
	// when 0. More wait in the accept queue.
	MaxConn int
	Version string // for `show version`
	// Sockets are all the stats sockets, for `show cli sockets`.
	Sockets []Socket
}

// Socket is one line of `show cli sockets`.
type Socket struct {
	Address string // "unix@/run/lb/admin.sock"
	Level   Level
}

// maxLine bounds a line of commands, as HAProxy's buffer does.
const maxLine = 16 << 10

// Serve accepts connections until ctx ends, and returns when the last of them
// is done: those that wait at a prompt end at once, others have their command
// answered first.
func (s *Server) Serve(ctx context.Context) error {
	l := s.Listener
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	limit := s.MaxConn
	if limit <= 0 {
		limit = 10
	}
	places := make(chan struct{}, limit)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		switch {
		case err == nil: // one that came just before the end is answered too
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on stats socket %s: %w", l.Addr(), err)
		default:
			// Out of descriptors, or the client is gone already. The next try
			// may do better, but not at once.
			<-places
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		sessions.Go(func() {
			defer func() { <-places }()
			defer conn.Close()
			c := &session{Server: s, conn: conn, level: s.Level, timeout: s.Timeout}
			if c.timeout <= 0 {
				c.timeout = 10 * time.Second
			}
			c.serve(ctx)
		})
	}
}

// session is one connection. Owned by its goroutine.
type session struct {
	*Server
	conn    net.Conn
	level   Level // may be lowered by the client
	timeout time.Duration
	prompt  bool // interactive
	done    bool // `quit`, or the connection was given to something else
	out     []byte
}

// serve reads lines and answers them. Without a prompt that ends after the
// lines that came together with the first.
func (c *session) serve(ctx context.Context) {
	in := bufio.NewReaderSize(c.conn, maxLine)
	for {
		c.conn.SetReadDeadline(time.Now().Add(c.timeout))
		stop := func() bool { return false }
		if c.prompt {
			// The end of ctx wakes a session that waits at its prompt. One that
			// is about to say its only line is let finish.
			stop = context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Unix(1, 0)) })
		}
		line, err := in.ReadSlice('\n')
		stop()
		if err != nil {
			return // what has no line end may be cut short: better not done
		}
		for _, words := range split(string(line)) {
			c.run(words)
			if c.done {
				break
			}
		}
		if !c.flush() || c.done || !c.prompt && in.Buffered() == 0 {
			return
		}
	}
}

// run one command and end its answer.
func (c *session) run(words []string) {
	c.execute(words)
	if c.done {
		return
	}
	c.out = append(c.out, '\n')
	if c.prompt {
		c.out = append(c.out, "> "...)
	}
}

// flush sends what was answered.
func (c *session) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err == nil
}

// say answers with a line.
func (c *session) say(line string) {
	c.out = append(c.out, line...)
	c.out = append(c.out, '\n')
}
