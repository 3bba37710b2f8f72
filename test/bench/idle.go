package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// idleCase is a row about connections that do nothing.
type idleCase struct {
	name, what string
	tls, http2 bool
	most       float64 // bytes
}

var idleCases = []idleCase{
	{name: "idle", what: "memory of an idle connection"},
	{name: "idle-tls", what: "memory of an idle TLS connection", tls: true, most: 3000},
	{name: "idle-h2", what: "memory of an idle HTTP/2 connection", tls: true, http2: true},
}

const (
	idleConns = 10_000
	settling  = 6 * time.Second // what a process frees soon after is not what connections cost
)

// idle measures by how much a subject grows for each connection that is open, has had one request and does nothing more.
func (b *bench) idle(ctx context.Context, i idleCase) ([]row, error) {
	conns := b.crowd(idleConns)
	r := row{Name: i.name, What: fmt.Sprintf("%s, of %d", i.what, conns), Unit: "bytes", Most: i.most}
	err := b.alone(ctx, benchCase{name: i.name, size: 200, tls: i.tls, client: byTest, conns: conns}, func(s *subject) error {
		grown, err := i.weigh(ctx, s, conns)
		r.Figures = append(r.Figures, figure{Label: s.label, Rounds: []float64{grown}})
		return err
	})
	r.compare()
	return []row{r}, err
}

// alone starts the subjects of a case that has no load, and calls f for each.
func (b *bench) alone(ctx context.Context, c benchCase, f func(*subject) error) (err error) {
	subjects, stop, err := b.start(ctx, c)
	defer func() { err = errors.Join(err, stop()) }()
	for _, s := range subjects {
		if err != nil {
			return err
		}
		if err = f(s); err != nil {
			err = fmt.Errorf("%s: %w", s.label, err)
		}
	}
	return err
}

func (i idleCase) weigh(ctx context.Context, s *subject, n int) (float64, error) {
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	connect := func(n int) error {
		for range n {
			conn, err := dial(ctx, s.addr.String(), i.tls, i.http2, true)
			if err != nil {
				return err
			}
			open = append(open, conn)
			if i.http2 {
				err = exchangeHTTP2(conn)
			} else {
				err = exchange(conn)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := connect(100); err != nil { // what a process needs once
		return 0, err
	}
	if err := sleep(ctx, settling); err != nil {
		return 0, err
	}
	before, err := s.memory()
	if err != nil {
		return 0, err
	}
	if err := connect(n - 100); err != nil {
		return 0, err
	}
	if err := sleep(ctx, settling); err != nil {
		return 0, err
	}
	after, err := s.memory()
	return float64(after-before) / float64(n-100), err
}

// dial opens a connection, with TLS 1.3 if secure says so; nodelay is TCP_NODELAY.
func dial(ctx context.Context, addr string, secure, http2, nodelay bool) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).SetNoDelay(nodelay); err != nil {
		return nil, err
	}
	if !secure {
		return conn, nil
	}
	config := trusting()
	if http2 {
		config.NextProtos = []string{"h2"}
	}
	t := tls.Client(conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

// exchange sends a request and reads the answer, which must be smaller than a read.
func exchange(conn net.Conn) error {
	if _, err := conn.Write([]byte("GET /200 HTTP/1.1\r\nHost: www.example.org\r\n\r\n")); err != nil {
		return err
	}
	buf := make([]byte, 4<<10)
	n, err := conn.Read(buf)
	if err == nil && contentLength(buf[:n]) < 0 {
		err = fmt.Errorf("%w: %q", errAnswer, buf[:n])
	}
	return err
}

// exchangeHTTP2 does the same on a new connection, which then stays open.
func exchangeHTTP2(conn net.Conn) error {
	var head bytes.Buffer
	fields := hpack.NewEncoder(&head)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "www.example.org"}, {Name: ":path", Value: "/200"}} {
		if err := fields.WriteField(f); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		return err
	}
	framer := http2.NewFramer(conn, conn)
	if err := errors.Join(framer.WriteSettings(), framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true})); err != nil {
		return err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.DataFrame:
			if f.StreamEnded() {
				return nil
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			err = fmt.Errorf("%w: %v", errAnswer, f)
		}
		if err != nil {
			return err
		}
	}
}

// nagle measures by how many ms a new TLS connection of a client with Nagle's algorithm on takes longer than one with TCP_NODELAY, up to its first answer:
// the difference of the medians.
func (b *bench) nagle(ctx context.Context) ([]row, error) {
	r := row{Name: "nagle", What: "what Nagle's algorithm adds to a new TLS connection", Unit: "ms", Most: 5}
	err := b.alone(ctx, benchCase{name: r.Name, size: 200, tls: true, client: byTest}, func(s *subject) error {
		var took [2][]float64
		for range 200 {
			for i, nodelay := range []bool{true, false} {
				begin := time.Now()
				conn, err := dial(ctx, s.addr.String(), true, false, nodelay)
				if err != nil {
					return err
				}
				err = exchange(conn)
				took[i] = append(took[i], time.Since(begin).Seconds()*1000)
				conn.Close()
				if err != nil {
					return err
				}
			}
		}
		r.Figures = append(r.Figures, figure{Label: s.label, Rounds: []float64{median(took[1]) - median(took[0])}})
		return nil
	})
	r.compare()
	return []row{r}, err
}
