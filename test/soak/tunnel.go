package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/load"
)

// tunnelOptions say how clients of tunnels behave.
type tunnelOptions struct {
	conns   int
	upgrade bool // ask an HTTP frontend to switch protocols
	secure  bool
}

// tunnel is one session.
type tunnel struct {
	backend.Numbers
	r      *bufio.Reader
	status int
}

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
		err = t.Talk(stop, 95*time.Millisecond)
		cancel()
	}
	if t.Conn != nil {
		t.Conn.Close()
	}
	if t.Ended.IsZero() {
		t.Ended = time.Now()
	}
	a := asked{known: true, outcome: load.Classify(err), status: int16(t.status), bytes: t.In, dialled: begun, begun: begun, ended: t.Ended.Sub(s.epoch)}
	if errors.Is(err, backend.ErrEcho) {
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
	t.Conn = nc.(backend.HalfConn)
	nc.SetDeadline(time.Now().Add(2 * time.Minute))
	if opt.secure {
		t.Conn = tls.Client(nc, &tls.Config{RootCAs: s.trust(), ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	}
	t.r = bufio.NewReader(&t.Numbers)
	t.Reader = t.r
	if !opt.upgrade {
		return nil
	}
	if _, err := fmt.Fprintf(t.Conn, "GET /upgrade/r/%s/%d HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
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
