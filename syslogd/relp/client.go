package relp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// A Client is the sending end of a session. It belongs to one goroutine at a time.
type Client struct {
	conn   net.Conn
	parser Parser
	in     []byte // what has arrived and is not used, in buffer
	buffer []byte
	out    []byte
	next   int // number of the next command

	answer int // number of the next response
}

const (
	// Window is how many messages a Client sends before it waits for responses: as many may come twice when a session breaks.
	Window = 1024
	// responseTime is how long a server may leave everything unanswered that was sent.
	responseTime = time.Minute
	// closeTime is the same for the end of a session.
	closeTime = 2 * time.Second
	// flushSize is how many bytes of frames go out in one write.
	flushSize = 64 << 10
	// mostOffers bounds the response to "open", and those to messages.
	mostOffers = 16 << 10
)

// A Refusal is a response other than OK.
type Refusal struct {
	Index  int // of the message in Send
	Code   int
	Reason string
}

// ErrServerClosed is why a session has ended that the server wanted to end.
var ErrServerClosed = errors.New("the server has ended the session")

// Open opens a session on a connection, which belongs to the Client from then on: after an error it is closed.
func Open(ctx context.Context, conn net.Conn, software string) (*Client, error) {
	c := &Client{conn: conn, parser: Parser{Keep: mostOffers, Most: mostOffers}, next: 1, answer: 1, buffer: make([]byte, mostOffers+MaxHeader+1)}
	if err := c.open(ctx, software); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) open(ctx context.Context, software string) error {
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Now()) })()
	offers := Offers{Version: 0, Software: software, Commands: []string{"syslog"}} // librelp closes the session when it is offered more than it knows
	c.command("open", offers.Append(nil))
	if err := c.flush(); err != nil {
		return err
	}
	code, reason, data, _, err := c.response(true)
	if err != nil {
		return fmt.Errorf("open a RELP session: %w", err)
	}
	if code != OK {
		return fmt.Errorf("the peer refuses a RELP session: %d %s", code, reason)
	}
	theirs, err := ParseOffers(data)
	if err != nil {
		return fmt.Errorf("open a RELP session: %w", err)
	}
	if !theirs.Has("syslog") {
		return errors.New("the peer takes no syslog messages over RELP")
	}
	return nil
}

// Send sends messages and returns when each has a response, or none will come: taken is how many from the first on have theirs, and refused says which
// of these were not OK. After an error the session is over.
func (c *Client) Send(ctx context.Context, messages [][]byte) (taken int, refused []Refusal, err error) {
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Now()) })()
	sent := 0
	for taken < len(messages) {
		for sent < len(messages) && sent-taken < Window && len(c.out) < flushSize {
			c.command("syslog", messages[sent])
			sent++
		}
		if ctx.Err() != nil {
			return taken, refused, ctx.Err()
		}
		if err := c.flush(); err != nil {
			return taken, refused, err
		}
		for must := true; taken < sent; must = false {
			code, reason, _, ok, err := c.response(must)
			if err != nil {
				return taken, refused, err
			}
			if !ok {
				break
			}
			if code != OK {
				refused = append(refused, Refusal{taken, code, string(reason)})
			}
			taken++
		}
	}
	return taken, refused, nil
}

// Close ends the session, and waits a moment for the server to agree.
func (c *Client) Close(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Now()) })()
	c.out = c.out[:0]
	c.command("close")
	c.conn.SetDeadline(time.Now().Add(closeTime))
	if _, err := c.conn.Write(c.out); err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(c.conn, mostOffers)) // its response and its end
	}
	return c.conn.Close()
}

// Abandon ends the connection.
func (c *Client) Abandon() { c.conn.Close() }

// command adds a frame to what goes out.
func (c *Client) command(name string, data ...[]byte) {
	c.out = AppendFrame(c.out, c.next, name, data...)
	c.next = NextNumber(c.next)
}

// flush sends what goes out.
func (c *Client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	c.conn.SetDeadline(time.Now().Add(responseTime))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// response is the next response; ok is false when there is none yet and it need not wait. reason and data are valid until the next call.
func (c *Client) response(wait bool) (code int, reason, data []byte, ok bool, err error) {
	for {
		f, n, whole, err := c.parser.Next(c.in)
		if err != nil {
			return 0, nil, nil, false, err
		}
		c.in = c.in[n:]
		switch {
		case whole && f.Is("serverclose"):
			return 0, nil, nil, false, ErrServerClosed
		case whole && f.Number == 0: // another hint
			continue
		case whole && (f.Number != c.answer || !f.Is("rsp")):
			return 0, nil, nil, false, fmt.Errorf("%.32s %d where the response to %d comes next", f.Command, f.Number, c.answer)
		case whole:
			c.answer = NextNumber(c.answer)
			code, reason, data, err := ParseResponse(f.Data)
			return code, reason, data, err == nil, err
		case n > 0:
			continue
		case !wait:
			return 0, nil, nil, false, nil
		}
		kept := copy(c.buffer, c.in)
		n, err = c.conn.Read(c.buffer[kept:])
		c.in = c.buffer[:kept+n]
		if n == 0 && err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, nil, false, err
		}
	}
}

// Idle says whether the server has said something since the last response, which is the end of the session or no RELP. It does not wait.
func (c *Client) Idle() error {
	c.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // one in the past would not even look
	_, _, _, ok, err := c.response(true)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	if ok {
		err = errors.New("a response to nothing")
	}
	return err
}
