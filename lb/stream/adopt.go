package stream

import (
	"sync"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
)

// The receiving end of a handover (handover.go).

// Adopt makes connections of parcels from an earlier generation and tells
// which were taken: their descriptors belong to the engine then, the others
// still to the caller. Nothing is read or written before start is called,
// which the caller must do exactly once. Not from a loop.
func (e *Engine) Adopt(parcels []*Parcel) (taken []bool, start func()) {
	taken = make([]bool, len(parcels))
	starts := make([]func(), len(parcels))
	shards := make([]*Shard, len(parcels))
	var done sync.WaitGroup
	for i, p := range parcels {
		sh := e.Shards[int(e.adopted.Add(1))%len(e.Shards)]
		shards[i] = sh
		done.Add(1)
		if !sh.Loop.Post(func() { starts[i] = sh.adopt(p); done.Done() }) {
			done.Done()
		}
	}
	done.Wait()
	for i := range starts {
		taken[i] = starts[i] != nil
	}
	return taken, func() {
		for i, f := range starts {
			if f != nil {
				shards[i].Loop.Post(f)
			}
		}
	}
}

// adopt makes a connection of p, which rests until the function given is
// called; nil when it was refused.
func (sh *Shard) adopt(p *Parcel) (start func()) {
	if sh.draining {
		return nil
	}
	for _, fd := range p.FDs {
		// Whoever shares the socket may have made it a blocking one, and a read that waits would be the end of this loop.
		if unix.SetNonblock(fd, true) != nil {
			return nil
		}
	}
	defer p.clear()
	secure := p.Kind == SecureClientParcel || p.Kind == SecureTunnelParcel || p.Kind == SecureServerParcel || p.Kind == MuxParcel && p.TLS != nil
	if secure != (p.TLS != nil || p.BackTLS != nil) || !p.TLS.Valid() || !p.BackTLS.Valid() {
		return nil
	}
	switch p.Kind {
	case ClientParcel, SecureClientParcel:
		if n := len(p.FDs); n == 1 || n == 2 {
			return sh.adoptClient(p)
		}
	case TunnelParcel, SecureTunnelParcel:
		if len(p.FDs) == 2 && p.Tunnel != nil {
			return sh.adoptTunnel(p)
		}
	case MuxParcel:
		if p.Mux != nil && len(p.FDs) == 1+len(p.Mux.tunnels()) {
			return sh.adoptMux(p)
		}
	case ServerParcel, SecureServerParcel:
		if len(p.FDs) == 1 {
			return sh.adoptServer(p)
		}
	case FreshParcel:
		if len(p.FDs) == 1 {
			return sh.adoptFresh(p)
		}
	}
	return nil
}

// listenerOf finds where a client belongs: the same bind line, or, when that
// is gone, another one of the same frontend; under TLS one that would take the
// client as it is.
func (e *Engine) listenerOf(p *Parcel) *Listener {
	for _, fe := range e.Frontends {
		if fe.Proxy.Name != p.Frontend {
			continue
		}
		var other *Listener
		for _, ln := range fe.Listeners {
			switch fits := (ln.TLS != nil) == (p.TLS != nil) && (p.TLS == nil || ln.TLS.takes(p) && fe.details(&p.TLS.Info)); {
			case ln.Name == p.Listener && fits:
				return ln
			case ln.Name == p.Listener && p.TLS != nil && ln.TLS != nil:
				return nil // it demands something else now
			case fits:
				other = ln
			}
		}
		return other
	}
	return nil
}

// serverOf finds a parcel's server, if it still has the same address and is
// spoken to in the same way.
func (e *Engine) serverOf(p *Parcel) (*Backend, int) {
	for _, be := range e.Backends {
		if be.Proxy.Name != p.Backend {
			continue
		}
		for i, s := range be.Servers {
			if s.Name == p.Server && be.reached(s, s.Addr().String()) == p.Address && be.speaks(s, p) {
				return be, i
			}
		}
	}
	return nil, 0
}

// adoptSession makes a session of a parcel's client.
func (sh *Shard) adoptSession(ln *Listener, p *Parcel) *session {
	sh.eng.admit(ln.Frontend)
	ln.count(&sh.eng.TLSConns, 1)
	s := sh.takeSession(ln, p.FDs[0])
	if p.TLS != nil {
		s.Resume(p.TLS)
		ln.TLS.name(s.Info())
	}
	s.peer, s.accepted, s.requests = p.Peer, p.Accepted, p.Requests
	s.proxied = p.Proxied
	if p.Upgraded && !s.http {
		s.http, s.upgraded = true, &upgrade{}
	}
	if p.Local.IsValid() {
		s.local = localAddr{addr: p.Local, known: true}
	}
	s.since = sh.loopMs(p.Since)
	s.act = sh.loopMs(p.Active)
	if p.Waiting > 0 {
		s.waiting = max(sh.loopMs(p.Waiting), 1)
	}
	if p.Began >= 0 {
		s.began = sh.loopMs(p.Began)
	}
	if p.Vars != nil {
		s.vars = *p.Vars
	}
	sh.adoptTracks(&s.track, p.Tracks)
	if len(p.Suspended) > 0 {
		s.suspended = newTracks(sh, p.Suspended)
	}
	s.state = movingAway
	return s
}

// newTracks is what another process tracked for a request.
func newTracks(sh *Shard, list []Tracked) *sample.Tracks {
	t := new(sample.Tracks)
	sh.adoptTracks(t, list)
	return t
}

// arrived sets an adopted session in motion, in the state it is to have.
func (s *session) arrived(st state) {
	s.state = st
	s.watch()
	s.run()
}

func (sh *Shard) adoptClient(p *Parcel) (start func()) {
	ln := sh.eng.listenerOf(p)
	if ln == nil || len(p.In) > sh.Loop.Buffers.Size() || p.Upgraded && !ln.Frontend.mayUpgrade() {
		return nil
	}
	s := sh.adoptSession(ln, p)
	if len(p.In) > 0 {
		s.in = sh.Loop.Buffers.Get()
		s.in.W = copy(s.in.Data[:], p.In)
	}
	if len(p.FDs) == 2 {
		sh.adoptOwn(s, p)
	}
	if !s.http {
		s.lookUntil = s.sh.Loop.Now() // the rules are asked when it arrives
		return func() { s.arrived(inspecting) }
	}
	return func() { s.arrived(reading) }
}

// adoptOwn gives an adopted client the server connection that is its own,
// unless the configuration has the server no more.
func (sh *Shard) adoptOwn(s *session, p *Parcel) {
	be, i := sh.eng.serverOf(p)
	if be == nil || be.ConnMode != KeepAlive {
		loop.CloseRaw(p.FDs[1])
		return
	}
	c := sh.takeConn(be, be.Servers[i], p.FDs[1], true)
	c.resume(p.BackTLS)
	sh.Loop.Early(c.FD(), true)
	c.uses = 1
	c.private, s.own = p.Private, c
	sh.pools[c.srv.Index].own(c, s)
}

func (sh *Shard) adoptTunnel(p *Parcel) (start func()) {
	ln := sh.eng.listenerOf(p)
	if ln == nil || !sh.takesTunnel(p) {
		return nil
	}
	s := sh.adoptSession(ln, p)
	s.goesOn(p, p.FDs[1])
	return func() {
		s.t.flightAway(false)
		s.arrived(exchanging)
	}
}

// takesTunnel reports whether there is a tunnel's server, and room for what is in it.
func (sh *Shard) takesTunnel(p *Parcel) bool {
	be, _ := sh.eng.serverOf(p)
	return be != nil && len(p.Tunnel.ToServer) <= sh.Loop.Buffers.Size() && len(p.Tunnel.ToClient) <= sh.Loop.Buffers.Size()
}

// goesOn makes the exchange of a tunnel, over the socket of its server.
func (s *session) goesOn(p *Parcel, fd int) {
	sh, ts := s.sh, p.Tunnel
	be, i := sh.eng.serverOf(p)
	t := sh.newTxn(s)
	s.t = t
	t.rec = ts.Record
	s.describeTLS(&t.rec)
	t.unlogged = t.rec.Asap // its line has been written
	t.rec.Frontend, t.rec.Backend, t.rec.Server = s.fe.Proxy.Name, be.Proxy.Name, be.Servers[i].Name
	t.be, t.entered, t.srv = be, true, be.Servers[i]
	be.Enter()
	be.Admit(t.srv)
	t.c = sh.takeConn(be, t.srv, fd, true)
	t.c.resume(p.BackTLS)
	if p.BackTLS != nil && p.BackTLS.Detail != nil {
		t.rec.BackTLS.Detail = p.BackTLS.Detail
	}
	t.c.t, t.c.uses = t, 1
	sh.pools[t.srv.Index].begin()
	t.c.HalfClosed(ts.ServerEOF, ts.ServerShut)
	s.HalfClosed(ts.ClientEOF, ts.ClientShut)
	t.phase = phaseForward
	t.reqKind, t.resKind = http1.Tunnel, http1.Tunnel
	t.reqSent, t.reqDone = true, ts.ClientEOF
	t.resHeadDone, t.resBegun, t.resDone = true, true, ts.ServerEOF
	t.unread = true
	t.srvAct = sh.loopMs(ts.Active)
	sh.adoptTracks(&t.track, ts.Tracks)
	t.recordFlight()
	t.flightPhase('D')
	t.flightAway(true) // until it starts: the sender goes on with it, and logs it, should this process be killed before it has answered
	if ts.HeadAt > 0 {
		t.headAt = sh.loopMs(ts.HeadAt)
	}
	if len(ts.ToServer) > 0 {
		t.relay = sh.Loop.Buffers.Get()
		t.relay.W = copy(t.relay.Data[:], ts.ToServer)
		t.src, t.ready = t.relay, t.relay.W
	}
	if len(ts.ToClient) > 0 {
		t.res = sh.Loop.Buffers.Get()
		t.res.W = copy(t.res.Data[:], ts.ToClient)
		t.resReady = t.res.W
	}
}

// adoptServer takes an idle server connection, and closes it if there are as
// many already as the earlier generation needed at once. The exchanges that
// still run there leave theirs later, when this one has opened others long
// ago: without the limit each of many reloads in a row would add to the heap.
func (sh *Shard) adoptServer(p *Parcel) (start func()) {
	be, i := sh.eng.serverOf(p)
	if be == nil || be.Reuse == ReuseNever || be.ConnMode != KeepAlive {
		return nil
	}
	state := p.BackTLS
	p.BackTLS = nil // it is not cleared before it is used
	return func() {
		defer state.Clear()
		srv := be.Servers[i]
		pool := &sh.pools[srv.Index]
		pool.need = max(pool.need, p.Need)
		if pool.used+pool.idle() >= pool.need {
			loop.CloseRaw(p.FDs[0])
			return
		}
		c := sh.takeConn(be, srv, p.FDs[0], true)
		c.resume(state)
		c.uses = 1 // it has served before
		sh.Loop.Early(c.FD(), true)
		pool.push(c)
	}
}
