package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/test/load"
)

// tunnelOptions say how clients of tunnels behave.
type tunnelOptions struct {
	conns   int
	upgrade bool // ask an HTTP frontend to switch protocols
	secure  bool
}

// halfConn is a connection one side of which can be closed.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

// tunnel is one session: numbered words go to an echo and have to come back in order.
type tunnel struct {
	c        halfConn
	r        *bufio.Reader
	in       int64 // bytes that came, all of them
	sent     uint64
	received uint64
	status   int
	closing  atomic.Bool // the client has said all it has to say
	ended    time.Time   // when the last byte had come, if the tunnel was open
}

var errEcho = errors.New("the echo is wrong")

// tunnelled is a client whose sessions are one request each.
func tunnelled(opt tunnelOptions) client {
	return client{run: func(s *site, ctx context.Context, r *run, rate int) {
		draw := &numbers{rate: rate, begun: time.Now()}
		var all sync.WaitGroup
		for range opt.conns {
			all.Go(func() {
				for {
					n, ok := draw.draw(ctx)
					if !ok {
						return
					}
					s.session(ctx, r, n, opt)
				}
			})
		}
		all.Wait()
	}}
}

// session is one tunnel from its beginning to its end, and its entry in the client's book.
func (s *site) session(ctx context.Context, r *run, n int, opt tunnelOptions) {
	begun := time.Since(s.epoch)
	var t tunnel
	err := t.open(s, r, n, opt)
	if err == nil {
		life := time.Duration(rand.ExpFloat64() * float64(3*time.Second))
		stop, cancel := context.WithTimeout(ctx, life)
		err = t.talk(stop)
		cancel()
	}
	if t.c != nil {
		t.c.Close()
	}
	if t.ended.IsZero() {
		t.ended = time.Now()
	}
	a := asked{known: true, outcome: load.Classify(err), status: int16(t.status), bytes: t.in, dialled: begun, begun: begun, ended: t.ended.Sub(s.epoch)}
	if errors.Is(err, errEcho) {
		a.outcome = load.WrongBody
	}
	if err != nil {
		a.err = err.Error()
	}
	r.put(n, a)
}

func (t *tunnel) open(s *site, r *run, n int, opt tunnelOptions) error {
	addr := s.tcp
	dialer := net.Dialer{Timeout: patience}
	switch {
	case opt.upgrade && opt.secure:
		addr = s.https
	case opt.upgrade:
		addr = s.http
	default: // there is no request to have the number: the client's address has it
		dialer.LocalAddr = &net.TCPAddr{IP: sessionAddress(r.round, n)}
	}
	nc, err := dialer.Dial("tcp", addr)
	if err != nil {
		return err
	}
	t.c = nc.(halfConn)
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	if opt.secure {
		t.c = tls.Client(nc, &tls.Config{RootCAs: s.trust(), ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	}
	t.r = bufio.NewReader(counter{t})
	if !opt.upgrade {
		return nil
	}
	if _, err := fmt.Fprintf(t.c, "GET /upgrade/r/%s/%d HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"%s: %s\r\n\r\n", r.name, n, runHeader, r.name); err != nil {
		return err
	}
	answer, err := http.ReadResponse(t.r, nil)
	if err != nil {
		return err
	}
	if t.status = answer.StatusCode; t.status != http.StatusSwitchingProtocols {
		return load.StatusError(t.status)
	}
	return nil
}

// counter counts what a tunnel's client receives.
type counter struct{ t *tunnel }

func (c counter) Read(b []byte) (int, error) {
	n, err := c.t.c.Read(b)
	c.t.in += int64(n)
	return n, err
}

// talk sends words until ctx ends, and reads until the echo has ended.
func (t *tunnel) talk(ctx context.Context) error {
	sent := make(chan error, 1)
	go func() { sent <- t.send(ctx) }()
	err := t.receive()
	t.ended = time.Now()
	if err == nil && !t.closing.Load() {
		err = fmt.Errorf("%w: after %d words", io.ErrUnexpectedEOF, t.received)
	}
	if err != nil {
		t.c.Close() // or the sender would go on
	}
	if werr := <-sent; err == nil {
		err = werr
	}
	if err == nil && t.received != t.sent {
		err = fmt.Errorf("%w: %d words came back of %d", io.ErrUnexpectedEOF, t.received, t.sent)
	}
	return err
}

// send sends numbered words, cut anywhere, until ctx ends.
func (t *tunnel) send(ctx context.Context) error {
	tick := time.NewTicker(time.Duration(20+rand.IntN(150)) * time.Millisecond)
	defer tick.Stop()
	var buf []byte
	for {
		buf = buf[:0]
		for range 1 + rand.IntN(300) {
			buf = binary.BigEndian.AppendUint64(buf, t.sent)
			t.sent++
		}
		cut := rand.IntN(len(buf))
		for _, part := range [][]byte{buf[:cut], buf[cut:]} {
			if _, err := t.c.Write(part); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.closing.Store(true)
			return t.c.CloseWrite()
		}
	}
}

// receive reads numbered words up to the end.
func (t *tunnel) receive() error {
	var word [8]byte
	for {
		_, err := io.ReadFull(t.r, word[:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d words: %w", t.received, err)
		}
		if n := binary.BigEndian.Uint64(word[:]); n != t.received {
			return fmt.Errorf("%w: word %d came in place of %d", errEcho, n, t.received)
		}
		t.received++
	}
}

// sessionAddress is the client's address of session n.
func sessionAddress(round, n int) net.IP {
	return net.IPv4(127, byte(100+round%100), byte(n>>8), byte(n))
}

// sessionOf is the number in a client's address, or -1.
func sessionOf(round int, ip net.IP) int {
	ip = ip.To4()
	if ip == nil || ip[0] != 127 || ip[1] != byte(100+round%100) {
		return -1
	}
	return int(ip[2])<<8 | int(ip[3])
}
