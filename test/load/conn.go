package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"strconv"
	"time"

	"lbsyslogd/test/backend"
)

// conn sends requests one after the other, or a few at a time. Owned by its goroutine.
type conn struct {
	load *Load
	nc   net.Conn // nil when the next request needs a new one
	sent int      // requests on nc

	dialled  time.Time // when nc was begun
	deadline time.Time // what nc's is set to
	behind   bool      // see Request.Behind
	numbers  []int     // of the requests that are sent together
	out      []byte    // these requests
	path     []byte
	body     []byte   // what is posted
	wants    [][]byte // the bodies the answers must have
	in       response
}

func newConn(l *Load) *conn {
	c := &conn{load: l, wants: make([][]byte, l.opt.Pipeline)}
	for i := range l.opt.BodySize {
		c.body = append(c.body, backend.Pattern(i))
	}
	return c
}

func (c *conn) run(ctx context.Context) {
	defer c.close()
	for {
		c.numbers = c.numbers[:0]
		for len(c.numbers) < c.load.opt.Pipeline {
			n, ok := c.load.draw(ctx)
			if !ok {
				break
			}
			c.numbers = append(c.numbers, n)
		}
		if len(c.numbers) == 0 {
			return
		}
		start := time.Now()
		err := c.send(start)
		for i, n := range c.numbers {
			c.behind = i > 0 && (broken(err) || c.in.close)
			switch {
			case broken(err):
			case i > 0 && c.in.close:
				err = ErrLast
			default:
				err = c.in.read(c.nc, c.wants[i])
			}
			c.done(n, err, start)
		}
		if err != nil || c.in.close || c.last() {
			c.close() // after an error, what state it is in nobody knows
		}
	}
}

// broken reports whether no other answer can come after err: a wrong one is whole.
func broken(err error) bool {
	return err != nil && !errors.Is(err, errBadStatus) && !errors.Is(err, errWrongBody)
}

// done notes what became of request n.
func (c *conn) done(n int, err error, start time.Time) {
	end := time.Now()
	o := c.load.tally.add(n, err, end.Sub(start))
	if c.load.opt.Each == nil {
		return
	}
	r := Request{Number: n, Outcome: o, Status: c.in.status, Err: err, Behind: c.behind, Dialled: c.dialled, Begun: start, Ended: end}
	c.load.opt.Each(r)
}

// send sends the requests of c.numbers.
func (c *conn) send(now time.Time) error {
	c.in.status = 0 // should no answer come
	if c.nc == nil {
		c.dialled = now
		if err := c.dial(); err != nil {
			return err
		}
	}
	opt := &c.load.opt
	// Moving the deadline costs most of a microsecond; a quarter of the timeout is accurate enough.
	if d := now.Add(opt.Timeout); d.Sub(c.deadline) > opt.Timeout/4 {
		if err := c.nc.SetDeadline(d); err != nil {
			return err
		}
		c.deadline = d
	}
	c.sent += len(c.numbers)
	c.out = c.out[:0]
	for i, n := range c.numbers {
		c.wants[i] = c.compose(c.wants[i][:0], n, c.last() && i == len(c.numbers)-1)
	}
	_, err := c.nc.Write(c.out)
	return err
}

// last reports whether the connection has carried as many requests as it may.
func (c *conn) last() bool { return c.load.opt.PerConn > 0 && c.sent >= c.load.opt.PerConn }

func (c *conn) dial() error {
	nc, err := net.DialTimeout("tcp", c.load.opt.Addr, c.load.opt.Timeout)
	if err != nil {
		return err
	}
	if c.load.opt.TLS != nil {
		t := tls.Client(nc, c.load.opt.TLS)
		t.SetDeadline(time.Now().Add(c.load.opt.Timeout))
		if err := t.Handshake(); err != nil {
			nc.Close()
			return fmt.Errorf("TLS handshake: %w", err)
		}
		nc = t
	}
	c.load.tally.conns.Add(1)
	c.nc, c.sent, c.deadline = nc, 0, time.Time{}
	c.in.reset()
	return nil
}

func (c *conn) close() {
	if c.nc != nil {
		c.nc.Close()
		c.nc = nil
	}
}

// compose appends request n to c.out, and the body its answer must have to want.
func (c *conn) compose(want []byte, n int, last bool) []byte {
	opt := &c.load.opt
	c.path = append(append(append(c.path[:0], "/r/"...), opt.Run...), '/')
	c.path = strconv.AppendInt(c.path, int64(n), 10)
	post := opt.PostEach > 0 && n%opt.PostEach == 0

	b := c.out
	if post {
		b = append(b, "POST "...)
	} else {
		b = append(b, "GET "...)
	}
	b = append(append(b, c.path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, opt.Addr...), "\r\nUser-Agent: load\r\n"...)
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	if !post {
		c.out = append(b, "\r\n"...)
		return backend.AppendSmall(want, string(c.path), 0, 0)
	}
	// The number is part of the body, so that no two bodies have the same sum.
	copy(c.body, strconv.AppendInt(c.path[len(c.path):], int64(n), 10))
	if opt.Chunked {
		c.out = appendChunks(append(b, "Transfer-Encoding: chunked\r\n\r\n"...), c.body)
	} else {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(c.body)), 10)
		c.out = append(append(b, "\r\n\r\n"...), c.body...)
	}
	return backend.AppendSmall(want, string(c.path), crc32.ChecksumIEEE(c.body), int64(len(c.body)))
}

// appendChunks appends body in chunks of odd sizes.
func appendChunks(b, body []byte) []byte {
	for size := 1; len(body) > 0; size = size*3 + 1 {
		n := min(size, len(body))
		b = strconv.AppendInt(b, int64(n), 16)
		b = append(append(append(b, "\r\n"...), body[:n]...), "\r\n"...)
		body = body[n:]
	}
	return append(b, "0\r\n\r\n"...)
}
