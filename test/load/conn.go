package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"net"
	"strconv"
	"time"

	"lbsyslogd/test/backend"
)

// conn sends requests one after the other. Owned by its goroutine.
type conn struct {
	load *Load
	nc   net.Conn // nil when the next request needs a new one
	sent int      // requests on nc

	deadline time.Time // what nc's is set to
	out      []byte    // the request
	path     []byte
	body     []byte // what is posted
	want     []byte // the body the answer must have
	in       response
}

func newConn(l *Load) *conn {
	c := &conn{load: l}
	for i := range l.opt.BodySize {
		c.body = append(c.body, backend.Pattern(i))
	}
	return c
}

func (c *conn) run(ctx context.Context) {
	defer c.close()
	for {
		n, ok := c.load.draw(ctx)
		if !ok {
			return
		}
		start := time.Now()
		err := c.request(n, start)
		if err != nil {
			c.close() // what state it is in nobody knows
		}
		c.load.tally.add(n, err, time.Since(start))
	}
}

// request sends request n and reads its answer.
func (c *conn) request(n int, now time.Time) error {
	if c.nc == nil {
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
	c.sent++
	last := opt.PerConn > 0 && c.sent >= opt.PerConn
	c.compose(n, last)
	if _, err := c.nc.Write(c.out); err != nil {
		return err
	}
	if err := c.in.read(c.nc, c.want); err != nil {
		return err
	}
	if last || c.in.close {
		c.close()
	}
	return nil
}

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

// compose builds request n and the body its answer must have.
func (c *conn) compose(n int, last bool) {
	opt := &c.load.opt
	c.path = append(append(append(c.path[:0], "/r/"...), opt.Run...), '/')
	c.path = strconv.AppendInt(c.path, int64(n), 10)
	post := opt.PostEach > 0 && n%opt.PostEach == 0

	b := c.out[:0]
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
	c.want = c.want[:0]
	if post {
		// The number is part of the body, so that no two bodies have the same sum.
		copy(c.body, strconv.AppendInt(c.want, int64(n), 10))
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(c.body)), 10)
		b = append(append(b, "\r\n\r\n"...), c.body...)
		c.want = backend.AppendSmall(c.want, string(c.path), crc32.ChecksumIEEE(c.body), int64(len(c.body)))
	} else {
		b = append(b, "\r\n"...)
		c.want = backend.AppendSmall(c.want, string(c.path), 0, 0)
	}
	c.out = b
}
