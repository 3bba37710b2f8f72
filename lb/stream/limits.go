package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/wire"
)

// Rate bounds how many connections begin within a second. Safe for all shards.
type Rate struct {
	limit atomic.Int64 // 0: none

	mu sync.Mutex
	// mu guards the fields below.
	second time.Time // when the present period began
	now    int       // in it
	before int       // in the one before
}

// Rates bound what begins within a second in all frontends. None is nil in an
// engine whose limits may change while it runs.
type Rates struct{ Conns, Sessions, TLS *Rate }

// NewRates makes them of their limits; 0 is none.
func NewRates(conns, sessions, tls int) Rates {
	all := Rates{new(Rate), new(Rate), new(Rate)}
	all.Conns.SetLimit(conns)
	all.Sessions.SetLimit(sessions)
	all.TLS.SetLimit(tls)
	return all
}

// NewRate makes a Rate; a limit of 0 gives nil, which bounds nothing.
func NewRate(limit int) *Rate {
	if limit <= 0 {
		return nil
	}
	r := new(Rate)
	r.limit.Store(int64(limit))
	return r
}

// on reports whether there is a limit.
func (r *Rate) on() bool { return r != nil && r.limit.Load() > 0 }

// Limit is what may begin in a second; 0: any number.
func (r *Rate) Limit() int {
	if r == nil {
		return 0
	}
	return int(r.limit.Load())
}

// SetLimit changes it.
func (r *Rate) SetLimit(n int) { r.limit.Store(int64(n)) }

// wait gives how many ms pass until one more may begin; 0 means now. Like
// HAProxy's counters it counts the last second as the present period and the
// part of the one before that is less than a second ago.
func (r *Rate) wait(now time.Time) int64 {
	if !r.on() {
		return 0
	}
	limit := r.limit.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	left := time.Second - now.Sub(r.second)
	if float64(r.now)+float64(r.before)*left.Seconds() < float64(limit) {
		return 0
	}
	return max(1, min(1000/limit, left.Milliseconds()))
}

// count counts one that begins.
func (r *Rate) count(now time.Time) {
	if !r.on() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	r.now++
}

func (r *Rate) turn(now time.Time) {
	switch d := now.Sub(r.second); {
	case d >= 2*time.Second:
		r.second, r.now, r.before = now, 0, 0
	case d >= time.Second:
		r.second, r.now, r.before = r.second.Add(time.Second), 0, r.now
	}
}

// tooFast gives how many ms the listener has to rest, because enough
// connections have begun of late; 0 for none.
func (a *acceptor) tooFast() int64 {
	e, fe := a.sh.eng, a.ln.Frontend
	if fe.Rate == nil && !e.Rates.Conns.on() && !e.Rates.Sessions.on() && (a.ln.TLS == nil || !e.Rates.TLS.on()) {
		return 0
	}
	now := time.Now()
	ms := max(fe.Rate.wait(now), e.Rates.Conns.wait(now), e.Rates.Sessions.wait(now))
	if a.ln.TLS != nil {
		ms = max(ms, e.Rates.TLS.wait(now))
	}
	return ms
}

// begun counts a connection that was accepted.
func (a *acceptor) begun() {
	e, fe := a.sh.eng, a.ln.Frontend
	if fe.Rate == nil && !e.Rates.Conns.on() && !e.Rates.Sessions.on() && !e.Rates.TLS.on() {
		return
	}
	now := time.Now()
	fe.Rate.count(now)
	e.Rates.Conns.count(now)
	e.Rates.Sessions.count(now)
	if a.ln.TLS != nil {
		e.Rates.TLS.count(now)
	}
}

// tlsLoad is what TLS may take of the worker.
type tlsLoad struct {
	TLSConns TLSConns
	gate     *wire.Gate // of handshakes
}

// TLSConns counts the clients' connections over TLS, of all listeners. Beyond
// Max the listeners with TLS accept nothing: clients wait in the accept queue.
type TLSConns struct {
	Max int32 // 0: no limit
	cur atomic.Int32
}

// Now is how many there are.
func (t *TLSConns) Now() int { return int(t.cur.Load()) }

// enter is Engine.enter within the limits of the listener and of TLS, too.
func (a *acceptor) enter() bool {
	ln, t := a.ln, &a.sh.eng.TLSConns
	n := ln.count(t, 1)
	if most := ln.MaxConn; most > 0 && n > most || ln.TLS != nil && t.Max > 0 && t.cur.Load() > t.Max || !a.sh.eng.enter(ln.Frontend) {
		ln.count(t, -1)
		return false
	}
	return true
}

// count counts connections of the listener that came, or that went.
func (ln *Listener) count(t *TLSConns, n int32) int32 {
	if ln.TLS != nil {
		t.cur.Add(n)
	}
	return ln.cur.Add(n)
}
