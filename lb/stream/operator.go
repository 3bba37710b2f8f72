package stream

import (
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"
)

// What operators ask of the engine on the stats socket.

// SessionInfo is one client connection, or one stream of an HTTP/2 connection,
// as `show sess` shows it. Its fields are those of
// control.Session, to which assemble converts it: the compiler holds them equal.
type SessionInfo struct {
	ID       uint64 // of this process, until the session ends
	Loop     int
	FD       int // -1: a stream, which has its connection's
	Peer     netip.AddrPort
	Unix     bool
	TLS      bool
	Frontend string
	Listener string
	Backend  string // "" before one was chosen
	Server   string // "" before one was chosen
	ServerFD int    // -1 none
	State    string // what it waits for
	Accepted time.Time
	Requests uint32
	Expires  time.Duration // of the present wait; negative never
	URI      string        // of the request under way
	In, Out  uint64        // bytes of the exchange under way
	Queued   bool
	Retries  int
}

// Sessions lists the client connections of all loops.
func (e *Engine) Sessions() []SessionInfo {
	var all []SessionInfo
	for i, sh := range e.Shards {
		sh.Loop.Call(func() {
			for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
				all = append(all, s.info(i))
			}
		})
	}
	return all
}

// id names the session. Sessions are pooled and never freed, so it may come
// again, as HAProxy's does.
func (s *session) id() uint64 { return uint64(uintptr(unsafe.Pointer(s))) }

var stateNames = [...]string{
	closed: "closed", handshaking: "handshake", reading: "request", inspecting: "inspect", exchanging: "exchange",
	multiplexing: "streams", lingering: "linger", movingAway: "moving",
}

var phaseNames = [...]string{
	phaseRoute: "route", phaseBody: "body", phaseForm: "form", phaseWait: "rules", phaseTarpit: "tarpit", phaseQueue: "queue", phaseRetry: "retry",
	phaseConnect: "connect", phaseForward: "forward", phaseReply: "reply", phaseDiscard: "discard",
}

func (s *session) info(loop int) SessionInfo {
	i := SessionInfo{
		ID: s.id(), Loop: loop, FD: s.FD(), Peer: s.peer, Unix: s.ln != nil && s.ln.Unix, TLS: s.ln != nil && s.ln.TLS != nil,
		Frontend: s.fe.Proxy.Name, State: stateNames[s.state], Accepted: s.accepted, Requests: s.requests, ServerFD: -1, Expires: -1,
	}
	if s.stream != nil {
		i.FD = -1
	}
	if s.ln != nil {
		i.Listener = s.ln.Name
	}
	if s.state == reading && s.in == nil && s.requests > 0 {
		i.State = "idle"
	}
	if d := s.deadline(); d != noDeadline {
		i.Expires = max(time.Duration(d-s.sh.Loop.Now())*time.Millisecond, 0)
	}
	t := s.t
	if s.state != exchanging || t == nil {
		return i
	}
	i.State, i.Retries = phaseNames[t.phase], int(t.rec.Retries)
	i.URI, i.In, i.Out, i.Queued = string(t.rec.URI), t.rec.Received, t.rec.Sent, t.queued != nil
	if t.be != nil {
		i.Backend = t.be.Proxy.Name
	}
	if t.srv != nil {
		i.Server = t.srv.Name
	}
	if t.c != nil {
		i.ServerFD = t.c.base().FD()
	}
	return i
}

// ShutSession ends a client connection; its request under way is logged with
// the termination state K. False when there is none of that number.
func (e *Engine) ShutSession(id uint64) bool {
	found := false
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			for s := sh.sessions.head.next; s != &sh.sessions.head && !found; s = s.next {
				if s.id() == id {
					found = true
					s.shutByOperator()
					return
				}
			}
		})
		if found {
			return true
		}
	}
	return false
}

func (s *session) shutByOperator() {
	switch s.state {
	case exchanging:
		s.cut('K')
	case multiplexing:
		s.mux.lost()
	case handshaking, movingAway: // who works on it ends it in a moment
	default:
		s.close()
	}
}

// cut ends the exchange under way from outside of run: what is left of the
// session has its time from now on. A client that waits for a server's answer is
// answered with 502.
func (s *session) cut(who byte) {
	t := s.t
	switch where := t.phaseLetter(); {
	case !s.http:
		t.abort(who, '-')
	case where == 'H':
		t.countServer(func(c *ServerCounters) { c.ErrResp++ })
		t.fail(who, where, 502)
		s.run()
		return
	default:
		t.abort(who, where)
	}
	if s.state == lingering {
		s.run()
	}
}

// SetMaxConn changes how many client connections the whole worker takes.
func (e *Engine) SetMaxConn(n int) {
	atomic.StoreInt32(&e.MaxConn, int32(n))
	e.roomAgain()
}

// SetFrontendMaxConn changes how many client connections a frontend takes.
func (e *Engine) SetFrontendMaxConn(fe *Frontend, n int) {
	atomic.StoreInt32(&fe.MaxConn, int32(n))
	e.roomAgain()
}

// roomAgain lets shards accept again that could not.
func (e *Engine) roomAgain() {
	e.crowded.Store(false)
	for _, sh := range e.Shards {
		sh.Loop.Post(sh.listen)
	}
}

// Limit is how many client connections the whole worker takes.
func (e *Engine) Limit() int { return int(atomic.LoadInt32(&e.MaxConn)) }

// Limit is how many client connections the frontend takes.
func (fe *Frontend) Limit() int { return int(atomic.LoadInt32(&fe.MaxConn)) }

// LoopInfo is what one loop looks after.
type LoopInfo struct {
	Sessions, IdleServerConns int
}

// LoopInfos asks every loop.
func (e *Engine) LoopInfos() []LoopInfo {
	all := make([]LoopInfo, len(e.Shards))
	for i, sh := range e.Shards {
		sh.Loop.Call(func() {
			all[i].Sessions = sh.sessions.len
			for k := range sh.pools {
				all[i].IdleServerConns += sh.pools[k].idle()
			}
		})
	}
	return all
}

// ShutFrontend closes a frontend until the next reload: whoever connects is refused. False when it is shut already.
func (e *Engine) ShutFrontend(fe *Frontend) bool {
	if !fe.shut.CompareAndSwap(false, true) {
		return false
	}
	_ = e.PauseFrontend(fe, true) // only to go on can fail
	return true
}

// Shut reports whether the frontend was closed for good.
func (fe *Frontend) Shut() bool { return fe.shut.Load() }
