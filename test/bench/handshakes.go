package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// handshakes opens TLS connections one after the other, as many at once as the case says, and closes each. With resumed, each resumes the session of the first
// and sends one request (a session's ticket comes with the answer).
type handshakes struct {
	c    benchCase
	addr string
	done atomic.Int64
	gate gate
}

// trusting takes any certificate, and offers the key exchange that all subjects know: the post-quantum one, which Go would offer first, only some do.
func trusting() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}
}

// session is the cache of one session, which may be used again and again.
type session struct {
	state atomic.Pointer[tls.ClientSessionState]
}

func (s *session) Get(string) (*tls.ClientSessionState, bool) {
	state := s.state.Load()
	return state, state != nil
}

func (s *session) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.state.Store(state)
	}
}

func startHandshakes(c benchCase, addr string, core int) *handshakes {
	h := &handshakes{c: c, addr: addr}
	h.gate.start(c.conns, func() error {
		release, err := pinned(core)
		if err != nil {
			return err
		}
		defer release()
		config := trusting()
		if c.resumed {
			config.ClientSessionCache = new(session)
		}
		for n := 0; h.gate.pass(); n++ {
			if err := h.one(config, n); err != nil {
				return err
			}
			h.done.Add(1)
		}
		return nil
	})
	return h
}

func (h *handshakes) one(config *tls.Config, n int) error {
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	conn := tls.Client(raw, config)
	if err := conn.Handshake(); err != nil || !h.c.resumed {
		return errors.Join(err, conn.Close())
	}
	if n > 0 && !conn.ConnectionState().DidResume {
		return errors.New("the server does not resume the session")
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\n\r\n", h.c.path()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

func (h *handshakes) resume() error                        { return h.gate.resume() }
func (h *handshakes) pause() error                         { return h.gate.pause() }
func (h *handshakes) stop() error                          { return h.gate.end() }
func (h *handshakes) count(context.Context) (int64, error) { return h.done.Load(), nil }
