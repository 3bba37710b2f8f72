package stream

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/rule"
)

// How connections move to the next generation:
//
//  1. Handover makes every shard look at its sessions. One that stands at a
//     boundary (idle, in the middle of a head, queued, a tunnel) is packed into
//     a Parcel; from then on nobody reads from it here, because two readers of
//     one socket would tear its stream.
//  2. Parcels leave in small batches, one at a time per shard. Idle sessions
//     are packed only when their batch is next, so that a request that comes
//     meanwhile is served at once.
//  3. The receiver's Adopt makes sessions of them and says which it took; it
//     starts them only when it has said so. One that is killed before has read
//     nothing, and the sender can go on with all of the batch.
//  4. What was taken is closed here without a word to the peer: the other
//     process holds the same socket. What was refused is served on here, and
//     ends politely.
//  5. A session that is busy is looked at again whenever it has moved on.

// Kind says what a Parcel holds.
type Kind string

// Kinds of parcels, with their descriptors.
const (
	ClientParcel Kind = "client" // a client between or at the beginning of a request
	TunnelParcel Kind = "tunnel" // a client and its server
	ServerParcel Kind = "server" // an idle server connection
)

// Parcel is one connection, or the pair of a tunnel, on its way to another
// process. Names tell where it belongs; the receiver refuses what its
// configuration does not have.
type Parcel struct {
	Kind Kind  `json:"kind"`
	FDs  []int `json:"-"`

	Frontend string `json:"frontend,omitempty"`
	Listener string `json:"listener,omitempty"`
	Backend  string `json:"backend,omitempty"`
	Server   string `json:"server,omitempty"`
	Address  string `json:"address,omitempty"` // the server's

	Peer     netip.AddrPort `json:"peer"`
	Accepted time.Time      `json:"accepted"`
	Since    int64          `json:"since"`             // wall clock, ms: the wait for the request began
	Began    int64          `json:"began"`             // wall clock, ms: its first byte; -1 before it
	Active   int64          `json:"active"`            // wall clock, ms: the client's last progress
	Waiting  int64          `json:"waiting,omitempty"` // wall clock, ms: the request at hand waits for a server since; 0 it does not
	Requests uint32         `json:"requests"`
	In       []byte         `json:"in,omitempty"` // received, belongs to no exchange yet

	// What it is counted in: the client, and a request that waits for a server.
	Tracks    []Tracked `json:"tracks,omitempty"`
	Suspended []Tracked `json:"suspended,omitempty"`

	Tunnel *TunnelState `json:"tunnel,omitempty"`
}

// TunnelState is what a tunnel has beside its two sockets.
type TunnelState struct {
	ToServer   []byte      `json:"to_server,omitempty"` // received from the client, unsent
	ToClient   []byte      `json:"to_client,omitempty"` // received from the server, unsent
	ClientEOF  bool        `json:"client_eof,omitempty"`
	ServerEOF  bool        `json:"server_eof,omitempty"`
	ClientShut bool        `json:"client_shut,omitempty"` // our end was sent to the client
	ServerShut bool        `json:"server_shut,omitempty"`
	HeadAt     int64       `json:"head_at"` // wall clock, ms; 0 never
	Active     int64       `json:"active"`  // wall clock, ms: the server's last progress
	Record     rule.Record `json:"record"`
	Tracks     []Tracked   `json:"tracks,omitempty"` // the exchange's, beside the client's
}

// Carrier takes a batch to the receiver and tells which parcels it took, in
// their order. An error means that none was, and that there is no receiver any
// more. It is called from several goroutines, one batch at a time each.
type Carrier func([]*Parcel) (taken []bool, err error)

// BatchFDs is how many descriptors one batch holds at most. The kernel takes
// 253 in a message; fewer are on their way for a shorter time.
const BatchFDs = 64

// batchSize is about how many bytes one batch has, encoded, before it is full.
// Even the largest parcel, a tunnel with two full buffers, then still fits
// into a message beside the rest.
const batchSize = 48 << 10

// size is about what p takes when it is encoded, in bytes.
func (p *Parcel) size() int {
	n := 400 + len(p.In)*4/3
	n += packedSize(p.Tracks) + packedSize(p.Suspended)
	if p.Tunnel != nil {
		n += packedSize(p.Tunnel.Tracks)
		n += 1600 + (len(p.Tunnel.ToServer)+len(p.Tunnel.ToClient)+len(p.Tunnel.Record.URI))*4/3
	}
	return n
}

// mover is a shard's side of a handover. Owned by the loop.
type mover struct {
	sh    *Shard
	carry Carrier
	batch []*moving // packed
	fds   int       // in batch
	size  int       // of batch
	more  bool      // not all sessions were looked at
	busy  bool      // a batch is on its way
	dead  bool      // the receiver is gone: everything stays
}

// moving is a parcel with what it was made of.
type moving struct {
	Parcel
	s *session
	c *serverConn
}

// Handover stops accepting and moves every connection that can be moved to
// the process behind carry; the others end politely, as with Drain.
func (e *Engine) Handover(carry Carrier) {
	for _, sh := range e.Shards {
		sh.Loop.Call(func() {
			sh.mover = &mover{sh: sh, carry: carry}
			sh.Loop.AtTurnEnd(sh.mover.turn)
		})
	}
	e.Drain()
	for _, sh := range e.Shards {
		sh.Loop.Post(sh.mover.begin)
	}
}

// begin looks at all idle server connections and all sessions, in this order:
// when the last client has moved, this process ends.
func (m *mover) begin() {
	m.more = true
	m.turn()
}

// full reports whether the next batch holds all it may.
func (m *mover) full() bool { return m.fds >= BatchFDs || m.size >= batchSize }

// consider packs s if it stands at a boundary. One that gets there must be
// packed at once, room or not: a busy client's next request comes soon, and
// the process would never be rid of it.
func (m *mover) consider(s *session) {
	if m.dead || s.fixed || s.tls != nil || s.broken || !s.movable() {
		return
	}
	v := &moving{s: s}
	switch {
	case s.state == reading:
		v.Parcel = s.parcel()
	case s.t.phase == phaseQueue:
		s.unqueue()
		v.Parcel = s.parcel()
	default:
		v.Parcel = s.tunnelParcel()
	}
	s.before, s.state = s.state, movingAway
	m.sh.Loop.Disarm(&s.timer)
	m.add(v)
}

// movable reports whether s stands at a boundary.
func (s *session) movable() bool {
	return s.state == reading || s.state == exchanging && (s.t.phase == phaseQueue && s.fe.HTTP || s.t.movableTunnel())
}

func (m *mover) add(v *moving) {
	m.batch = append(m.batch, v)
	m.fds += len(v.FDs)
	m.size += v.size()
}

// turn sends the next batch, at the end of a turn of the loop.
func (m *mover) turn() {
	if m.busy || m.dead {
		return
	}
	m.takeIdle()
	if m.more {
		m.look()
	}
	if len(m.batch) == 0 {
		return
	}
	send := m.next()
	parcels := make([]*Parcel, len(send))
	for i := range send {
		parcels[i] = &send[i].Parcel
	}
	m.busy = true
	go func() {
		taken, err := m.carry(parcels)
		m.sh.Loop.Post(func() { m.answered(send, taken, err) })
	}()
}

// look packs sessions that were at a boundary all along, as long as there is
// room. Those that were packed before are gone from the list.
func (m *mover) look() {
	for s := m.sh.sessions.head.next; s != &m.sh.sessions.head; s = s.next {
		if m.full() {
			return
		}
		m.consider(s)
	}
	m.more = false
}

// next takes one message's worth out of the batch.
func (m *mover) next() []*moving {
	n, fds, size := 0, 0, 0
	for n < len(m.batch) && fds < BatchFDs && size < batchSize {
		fds += len(m.batch[n].FDs)
		size += m.batch[n].size()
		n++
	}
	send := slices.Clone(m.batch[:n])
	m.batch = slices.Delete(m.batch, 0, n)
	m.fds, m.size = m.fds-fds, m.size-size
	return send
}

// takeIdle packs idle server connections.
func (m *mover) takeIdle() {
	for i := range m.sh.pools {
		for m.sh.pools[i].head != nil && !m.full() {
			c := m.sh.pools[i].head
			m.sh.pools[i].remove(c)
			c.leaving = true
			m.add(&moving{c: c, Parcel: Parcel{
				Kind: ServerParcel, FDs: []int{c.fd}, Began: -1,
				Backend: c.be.Proxy.Name, Server: c.srv.Name, Address: c.srv.Addr.String(),
			}})
		}
	}
}

// answered takes the receiver's word for one batch.
func (m *mover) answered(sent []*moving, taken []bool, err error) {
	m.busy = false
	if err != nil {
		m.dead = true
		m.sh.eng.Report("hand connections over: " + err.Error() + "; they are served here until they end")
		sent = append(sent, m.batch...)
		m.batch = nil
		taken = make([]bool, len(sent))
	}
	for i, v := range sent {
		switch {
		case v.c != nil:
			v.c.forget()
		case taken[i]:
			v.s.forget()
		default:
			v.s.stay()
		}
	}
	m.turn()
}

// closing reports whether s is to be closed after its response, because this
// process leaves and s cannot go along to the next.
func (s *session) closing() bool {
	sh := s.sh
	return sh.draining && (sh.mover == nil || sh.mover.dead || s.fixed || s.tls != nil)
}

// wallMs is a time of the loop's clock as wall clock time, ms.
func (sh *Shard) wallMs(ms int64) int64 { return sh.Loop.Time().UnixMilli() - (sh.Loop.Now() - ms) }

// loopMs is the way back.
func (sh *Shard) loopMs(wall int64) int64 { return sh.Loop.Now() - (sh.Loop.Time().UnixMilli() - wall) }

// parcel packs a session that is between requests.
func (s *session) parcel() Parcel {
	p := Parcel{
		Kind: ClientParcel, FDs: []int{s.fd}, Frontend: s.fe.Proxy.Name, Listener: s.ln.Name, Peer: s.peer,
		Accepted: s.accepted, Since: s.sh.wallMs(s.since), Began: -1, Active: s.sh.wallMs(s.act), Requests: s.requests,
		Tracks: pack(&s.track), Suspended: pack(s.suspended),
	}
	if s.waiting > 0 {
		p.Waiting = s.sh.wallMs(s.waiting)
	}
	if s.began >= 0 {
		p.Began = s.sh.wallMs(s.began)
	}
	p.In = slices.Clone(s.half())
	if s.in != nil {
		p.In = slices.Clone(s.in.Bytes())
	}
	return p
}

// unqueue takes a waiting request back to where it was read from: the
// receiver reads it again.
func (s *session) unqueue() {
	t, sh := s.t, s.sh
	t.leaveQueue()
	if t.entered {
		t.be.Leave()
		sh.Back[t.be.Index].SessTotal--
	}
	sh.Front[s.fe.Index].ReqTotal--
	t.suspend()
	s.requests--
	s.in.R = t.headOff
	s.scanned = 0
	s.waiting = t.start
	s.t, s.state = nil, reading
	sh.freeTxn(t)
}

// movableTunnel reports whether t is a tunnel whose unsent bytes are all in
// its two buffers.
func (t *txn) movableTunnel() bool {
	return t.phase == phaseForward && t.tunnel() && t.resKind == http1.Tunnel && t.resHeadDone &&
		t.resHead == nil && t.head == nil && t.c != nil && !t.c.broken
}

func (s *session) tunnelParcel() Parcel {
	t := s.t
	p := s.parcel()
	p.Kind, p.In = TunnelParcel, nil
	p.FDs = append(p.FDs, t.c.fd)
	p.Backend, p.Server, p.Address = t.be.Proxy.Name, t.srv.Name, t.srv.Addr.String()
	p.Tunnel = &TunnelState{
		ClientEOF: s.eof, ServerEOF: t.c.eof, ClientShut: s.shut, ServerShut: t.c.shut, Record: t.rec,
		Active: s.sh.wallMs(t.srvAct), Tracks: pack(&t.track),
	}
	if t.headAt > 0 {
		p.Tunnel.HeadAt = s.sh.wallMs(t.headAt)
	}
	if t.ready > 0 {
		p.Tunnel.ToServer = slices.Clone(t.src.Data[t.src.R : t.src.R+t.ready])
	}
	if t.resReady > 0 {
		p.Tunnel.ToClient = slices.Clone(t.res.Data[t.res.R : t.res.R+t.resReady])
	}
	return p
}

// stay goes on with a session that the receiver did not take.
func (s *session) stay() {
	s.state, s.fixed = s.before, true
	s.canRead, s.canWrite = true, true
	if s.state == exchanging {
		s.t.c.canRead, s.t.c.canWrite = true, true
	}
	s.watch()
	s.run()
}

// forget lets go of a session that lives on in another process: no shutdown,
// no log line.
func (s *session) forget() {
	sh := s.sh
	if t := s.t; t != nil {
		if t.c != nil {
			t.c.forget()
			t.c = nil
		}
		t.be.Release(t.srv)
		t.be.Leave()
		t.track.Forget()
		sh.freeTxn(t)
		s.t = nil
	}
	s.track.Forget()
	if s.suspended != nil {
		s.suspended.Forget()
	}
	sh.Loop.Forget(s.fd)
	s.close()
}

// forget lets go of a server connection that lives on in another process.
func (c *serverConn) forget() {
	c.sh.Loop.Forget(c.fd)
	c.close()
}

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
	switch p.Kind {
	case ClientParcel:
		if len(p.FDs) == 1 {
			return sh.adoptClient(p)
		}
	case TunnelParcel:
		if len(p.FDs) == 2 && p.Tunnel != nil {
			return sh.adoptTunnel(p)
		}
	case ServerParcel:
		if len(p.FDs) == 1 {
			return sh.adoptServer(p)
		}
	}
	return nil
}

// listenerOf finds where a client belongs: the same bind line, or, when that
// is gone, another plain one of the same frontend.
func (e *Engine) listenerOf(p *Parcel) *Listener {
	for _, fe := range e.Frontends {
		if fe.Proxy.Name != p.Frontend {
			continue
		}
		var other *Listener
		for _, ln := range fe.Listeners {
			if ln.TLS == nil && ln.Name == p.Listener {
				return ln
			}
			if ln.TLS == nil {
				other = ln
			}
		}
		return other
	}
	return nil
}

// serverOf finds a parcel's server, if it still has the same address.
func (e *Engine) serverOf(p *Parcel) (*Backend, int) {
	for _, be := range e.Backends {
		if be.Proxy.Name != p.Backend {
			continue
		}
		for i, s := range be.Servers {
			if s.Name == p.Server && s.Addr.String() == p.Address {
				return be, i
			}
		}
	}
	return nil, 0
}

// adoptSession makes a session of a parcel's client.
func (sh *Shard) adoptSession(ln *Listener, p *Parcel) *session {
	sh.eng.admit(ln.Frontend)
	s := sh.takeSession(ln, p.FDs[0])
	s.peer, s.accepted, s.requests = p.Peer, p.Accepted, p.Requests
	s.since = sh.loopMs(p.Since)
	s.act = sh.loopMs(p.Active)
	if p.Waiting > 0 {
		s.waiting = max(sh.loopMs(p.Waiting), 1)
	}
	if p.Began >= 0 {
		s.began = sh.loopMs(p.Began)
	}
	sh.adoptTracks(&s.track, p.Tracks)
	if len(p.Suspended) > 0 {
		s.suspended = new(rule.Tracks)
		sh.adoptTracks(s.suspended, p.Suspended)
	}
	s.state = movingAway
	return s
}

// arrived sets an adopted session in motion, in the state it is to have.
func (s *session) arrived(st state) {
	s.state = st
	s.watch()
	s.run()
}

func (sh *Shard) adoptClient(p *Parcel) (start func()) {
	ln := sh.eng.listenerOf(p)
	if ln == nil || !ln.Frontend.HTTP || len(p.In) > loop.BufferSize {
		return nil
	}
	s := sh.adoptSession(ln, p)
	if len(p.In) > 0 {
		s.in = sh.Loop.Buffers.Get()
		s.in.W = copy(s.in.Data[:], p.In)
	}
	return func() { s.arrived(reading) }
}

func (sh *Shard) adoptTunnel(p *Parcel) (start func()) {
	ts := p.Tunnel
	ln := sh.eng.listenerOf(p)
	be, i := sh.eng.serverOf(p)
	if ln == nil || be == nil || len(ts.ToServer) > loop.BufferSize || len(ts.ToClient) > loop.BufferSize {
		return nil
	}
	s := sh.adoptSession(ln, p)
	t := sh.newTxn(s)
	s.t = t
	t.rec = ts.Record
	t.rec.Frontend, t.rec.Backend, t.rec.Server = ln.Frontend.Proxy.Name, be.Proxy.Name, be.Servers[i].Name
	t.be, t.entered, t.srv = be, true, be.Servers[i]
	be.Enter()
	be.Admit(t.srv)
	t.c = sh.takeConn(be, t.srv, p.FDs[1])
	t.c.t, t.c.uses = t, 1
	sh.pools[t.srv.Index].begin()
	t.c.eof, t.c.shut, t.c.rdhup = ts.ServerEOF, ts.ServerShut, ts.ServerEOF
	s.eof, s.shut, s.rdhup = ts.ClientEOF, ts.ClientShut, ts.ClientEOF
	t.phase = phaseForward
	t.reqKind, t.resKind = http1.Tunnel, http1.Tunnel
	t.reqSent, t.reqDone = true, ts.ClientEOF
	t.resHeadDone, t.resBegun, t.resDone = true, true, ts.ServerEOF
	t.unread = true
	t.srvAct = sh.loopMs(ts.Active)
	sh.adoptTracks(&t.track, ts.Tracks)
	t.recordFlight()
	t.flightPhase('D')
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
	return func() { s.arrived(exchanging) }
}

func (sh *Shard) adoptServer(p *Parcel) (start func()) {
	be, i := sh.eng.serverOf(p)
	if be == nil || be.Reuse == ReuseNever || be.ConnMode != KeepAlive {
		return nil
	}
	return func() {
		c := sh.takeConn(be, be.Servers[i], p.FDs[0])
		c.uses = 2 // it has served before
		c.canRead = false
		pool := &sh.pools[c.srv.Index]
		pool.need = max(pool.need, pool.used+pool.len+1)
		pool.push(c)
	}
}
