// Package relpout delivers lines to a server that speaks RELP, such as rsyslog's imrelp and syslogd itself.
//
//  1. A session is opened with the first server in the order of a peers.List that takes one (connect),
//  2. each record is a message; as many as the window allows are sent before responses are waited for (relp.Client),
//  3. a response other than 200 is a refusal. Records that were refused while others were taken are delivered once more, by themselves; the Sender
//     finds out whether it is for what they are (Deliver),
//  4. lines that come back from the server are not sent again (syslogd/circle),
//  5. when a session breaks, what has no response is delivered again, over the next session, perhaps to the next server.
package relpout

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"lbsyslogd/syslogd/circle"
	"lbsyslogd/syslogd/clienttls"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/relp"
	"lbsyslogd/syslogd/sink"
)

// Sink is the servers of one output. Its fields are set before the first Deliver.
type Sink struct {
	Peers  *peers.List
	Secure bool            // over TLS
	TLS    clienttls.Files // for that

	session *relp.Client // nil: there is none
	target  peers.Target // of the session
	better  <-chan struct{}
	unwatch context.CancelFunc
	frames  [][]byte
	sent    []int // which records they are
	circle  circle.Circle
	looped  atomic.Uint64
	turning atomic.Bool
	current atomic.Pointer[string] // address of the target, where there are several

	settings map[string]*tls.Config // by the name in the certificate: those of the current server
}

const (
	dialTime = 10 * time.Second
	// maxMessage is how much data librelp takes in a frame, if nobody has changed that.
	maxMessage = 128 << 10
)

// Check says what is wrong with the files for TLS now.
func (s *Sink) Check() error {
	if !s.Secure {
		return nil
	}
	_, err := s.TLS.Config("")
	return err
}

// Current is the server of several that had the last session; it may be called by any goroutine.
func (s *Sink) Current() string {
	if address := s.current.Load(); address != nil {
		return *address
	}
	return ""
}

// Deliver implements sink.Peer.
func (s *Sink) Deliver(ctx context.Context, records []sink.Record) sink.Answer {
	if s.session != nil {
		s.review(ctx)
	}
	if s.session == nil {
		if err := s.connect(ctx); err != nil {
			return sink.Answer{Err: err}
		}
	}
	s.frames, s.sent = s.frames[:0], s.sent[:0]
	now := time.Now()
	for i, r := range records {
		if !s.circle.Back(r.Line, now) {
			s.frames, s.sent = append(s.frames, r.Line[:min(len(r.Line), maxMessage)]), append(s.sent, i)
		}
	}
	s.looped.Store(s.circle.Left())
	s.turning.Store(s.circle.Turning())
	if len(s.sent) == 0 {
		return sink.Answer{Verdict: sink.Taken}
	}
	taken, refused, err := s.session.Send(ctx, s.frames)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.target.Address, err)
		s.hangUp()
		s.Peers.Failed(s.target)
	}
	a := answer(len(s.sent), taken, refused, err)
	if a.Err != nil {
		s.circle.Forget() // what comes again now has not come back
	}
	for k, i := range a.Again {
		a.Again[k] = s.sent[i]
	}
	return a
}

// Looped is how many lines were not sent because they came back, and the error is why; nil: they do not come back now.
func (s *Sink) Looped() (lines uint64, err error) {
	if s.turning.Load() {
		err = circle.Err
	}
	return s.looped.Load(), err
}

// answer is what the responses to the first records mean, of which err has ended the session, if it is not nil.
func answer(records, taken int, refused []relp.Refusal, err error) sink.Answer {
	switch {
	case taken == 0 && sink.HungUp(err): // for what is in the first of them, if it does so each time
		return sink.Answer{Verdict: sink.Faulty, Err: err}
	case taken == 0:
		return sink.Answer{Err: err}
	case taken == len(refused): // not one was accepted; a server may end the session with its refusal
		return sink.Answer{Verdict: sink.Refused, Err: peers.Join(refusal(refused), err)}
	}
	a := sink.Answer{Verdict: sink.Taken, Err: err}
	for _, r := range refused {
		a.Again = append(a.Again, r.Index)
	}
	for i := taken; i < records; i++ {
		a.Again = append(a.Again, i)
	}
	if len(refused) > 0 {
		a.Err = peers.Join(refusal(refused), err)
	}
	return a
}

// refusal is the first of them as an error.
func refusal(refused []relp.Refusal) error {
	return fmt.Errorf("the server answers a message with %d %s", refused[0].Code, refused[0].Reason)
}

// review ends a session that the server has ended, and one with a server that is not the one that is wanted most.
func (s *Sink) review(ctx context.Context) {
	select {
	case <-s.better:
		_ = s.session.Close(ctx) // everything has its response
		s.forget()
		return
	default:
	}
	if err := s.session.Idle(); err != nil {
		s.hangUp() // which is no failure: the next one is opened at once
	}
}

// connect opens a session.
func (s *Sink) connect(ctx context.Context) error {
	targets, err := s.Peers.Order(ctx)
	problems := []error{err}
	for _, t := range targets {
		if s.session, err = s.open(ctx, t); err == nil {
			s.Peers.Works(t)
			s.target = t
			if !s.Peers.Single() {
				s.current.Store(&t.Address)
			}
			watch, cancel := context.WithCancel(context.Background())
			s.unwatch, s.better = cancel, s.Peers.Watch(watch, t)
			return nil
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
		s.Peers.Failed(t)
	}
	return peers.Join(problems...)
}

func (s *Sink) open(ctx context.Context, t peers.Target) (*relp.Client, error) {
	limited, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(limited, "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	if s.Secure {
		if s.settings[t.Name] == nil {
			settings, _ := s.TLS.Config(t.Name) // what is wrong with the files the handshake reports
			s.settings = map[string]*tls.Config{t.Name: settings}
		}
		secure := tls.Client(conn, s.settings[t.Name])
		if err := secure.HandshakeContext(limited); err != nil {
			return nil, errors.Join(fmt.Errorf("TLS with %s: %w", t.Address, err), conn.Close())
		}
		conn = secure
	}
	c, err := relp.Open(limited, conn, "syslogd")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Address, err)
	}
	return c, nil
}

// hangUp ends a session that is broken.
func (s *Sink) hangUp() {
	s.session.Abandon()
	s.forget()
}

func (s *Sink) forget() {
	s.unwatch()
	s.session = nil
}

// Close implements sink.Peer: it ends the session as RELP wants it.
func (s *Sink) Close() error {
	if s.session == nil {
		return nil
	}
	err := s.session.Close(context.Background())
	s.forget()
	return err
}
