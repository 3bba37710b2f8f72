package stream

import (
	"slices"

	"lbsyslogd/lb/http2"
)

// How an HTTP/2 connection moves to the next generation:
//
//  1. It can when nothing of it runs here: no stream is open, or those that are
//     have requests that no rule has seen, or that wait for a server, or are
//     tunnels (RFC 8441), whose servers' sockets go along.
//  2. While others run, the requests that come meanwhile are held: their frames
//     are read, because windows, field blocks and the ends of the open streams
//     lie between them, but their exchanges do not begin. When the last open
//     stream ends, the connection goes, and what was held with it.
//  3. Nothing is held longer than until each open stream is a second old. A
//     download of minutes is not waited for: then the requests run here, and
//     GOAWAY sends the client's next ones to the next process.

// defaultPatience is that of Leaving, ms.
const defaultPatience = 1000

// maxHeldBytes bounds what the requests that a connection holds may take, so
// that they fit into one message to the next process.
const maxHeldBytes = 64 << 10

// muxTerms are what our SETTINGS and windows promise to clients. A process of
// another build may promise something else, and does not take the connection.
var muxTerms = [...]int{maxStreams, minWindow, waitWindow, streamWindow, wideWindow, connWindow, http2.MinMaxFrame}

// MuxState is what an HTTP/2 connection has besides its socket.
type MuxState struct {
	Terms     []int         `json:"terms"`
	Begun     bool          `json:"begun,omitempty"`
	Settled   bool          `json:"settled,omitempty"`
	Acked     bool          `json:"acked,omitempty"`
	Widened   bool          `json:"widened,omitempty"`
	Connect   bool          `json:"connect,omitempty"` // the client was offered tunnels
	Overdraft int           `json:"overdraft,omitempty"`
	LastID    uint32        `json:"last"`
	Ended     []uint32      `json:"ended,omitempty"` // oldest first
	Cut       []uint32      `json:"cut,omitempty"`
	Out       []byte        `json:"out,omitempty"`   // frames, unsent
	Block     []byte        `json:"block,omitempty"` // of a field block that continues
	BlockOf   *http2.Header `json:"block_of,omitempty"`

	SendWindow  int64 `json:"send"`
	FirstWindow int64 `json:"first"`
	RecvWindow  int   `json:"recv"`
	Consumed    int   `json:"consumed,omitempty"`
	MaxFrame    int   `json:"frame"`

	Decoder []byte `json:"decoder"` // a field block, see http2.Decoder.AppendTable
	Encoder uint32 `json:"encoder"` // the size of its table

	Idles  int64 `json:"idles,omitempty"` // spent of the allowances
	Resets int64 `json:"resets,omitempty"`

	Streams []StreamState `json:"streams,omitempty"` // by their numbers
}

// StreamState is a request that goes along: nothing was said to its client yet,
// unless it is a tunnel's.
type StreamState struct {
	ID       uint32 `json:"id"`
	In       []byte `json:"in,omitempty"` // of its request in HTTP/1.1: what was read, and what not
	Head     []byte `json:"head,omitempty"`
	Body     []byte `json:"body,omitempty"`
	Trailers []byte `json:"trailers,omitempty"`
	Window   int64  `json:"window"`
	Left     int64  `json:"left"`
	Granted  int    `json:"granted,omitempty"`
	Credit   int    `json:"credit"`
	Consumed int    `json:"consumed,omitempty"`
	Wide     bool   `json:"wide,omitempty"`
	Early    bool   `json:"early,omitempty"`
	Chunked  bool   `json:"chunked,omitempty"`
	Ended    bool   `json:"ended,omitempty"`
	Read0    bool   `json:"read0,omitempty"`
	Asks     bool   `json:"asks,omitempty"` // for a tunnel, which nobody has agreed to

	Tunnel  *Parcel `json:"tunnel,omitempty"`   // its server's side. The descriptor is among those of the connection.
	EndSent bool    `json:"end_sent,omitempty"` // of the tunnel

	Since     int64     `json:"since"`             // as Parcel has them
	Began     int64     `json:"began"`             //
	Active    int64     `json:"active"`            //
	Waiting   int64     `json:"waiting,omitempty"` //
	Requests  uint32    `json:"requests,omitempty"`
	Suspended []Tracked `json:"suspended,omitempty"`
}

// tunnels are those that go along, by the numbers of their streams.
func (m *MuxState) tunnels() (all []*Parcel) {
	if m == nil {
		return nil
	}
	for i := range m.Streams {
		if p := m.Streams[i].Tunnel; p != nil && p.Tunnel != nil {
			all = append(all, p)
		}
	}
	return all
}

// size is about what m takes when it is encoded, in bytes.
func (m *MuxState) size() int {
	if m == nil {
		return 0
	}
	n := 500 + (len(m.Out)+len(m.Block)+len(m.Decoder))*4/3 + 8*(len(m.Ended)+len(m.Cut))
	for i := range m.Streams {
		st := &m.Streams[i]
		n += 350 + (len(st.In)+len(st.Head)+len(st.Body)+len(st.Trailers))*4/3 + packedSize(st.Suspended)
	}
	return n
}

// still reports whether st's exchange has not begun, waits for a server, or is a
// tunnel.
func (st *muxStream) still() bool {
	switch {
	case st.held:
		return true
	case st.tunnel == tunnel:
		return st.portable() && st.s.state == exchanging && st.s.t.movableTunnel()
	}
	return !st.headSent && st.s.movable()
}

// portable reports whether st is a tunnel that can go on in another process.
func (st *muxStream) portable() bool {
	return st.tunnel == tunnel && st.s.t != nil && st.s.t.c != nil && st.s.t.c.Movable()
}

// movable reports whether the connection stands at a boundary.
func (m *mux) movable() bool {
	if m.dead || m.leaving != staying || m.dirty || len(m.fed) > 0 {
		return false
	}
	for _, st := range m.streams {
		if !st.still() {
			return false
		}
	}
	return true
}

// hold is a connection's wait for its streams to end.
type hold struct {
	holding   bool  // requests that come wait
	holdUntil int64 // ms
	heldBytes int
}

// finishFirst has requests that come wait until the open ones have ended, or sends the
// client away when that would take long.
func (m *mux) finishFirst() {
	if m.holding || m.leaving != staying {
		return
	}
	sh := m.s.sh
	patience := sh.eng.Leaving.patience()
	m.holdUntil = sh.Loop.Now() + patience
	for _, st := range m.streams {
		if !st.still() && !st.portable() && st.s.t != nil {
			m.holdUntil = min(m.holdUntil, st.s.t.start+patience)
		}
	}
	if m.holdUntil <= sh.Loop.Now() {
		m.remain()
		return
	}
	m.holding = true
	m.s.rearm()
}

// holds has st wait, if requests wait now.
func (m *mux) holds(st *muxStream) bool {
	if !m.holding {
		return false
	}
	st.held = true
	m.heldBytes += len(st.in.Head)
	return true
}

// remain has the connection stay in this process until its polite end.
func (m *mux) remain() {
	m.s.fixed = true
	m.release()
	m.leaveWithin(m.s.sh.eng.Leaving.Spread.Milliseconds())
}

// stay goes on with a connection that the next process did not take.
func (m *mux) stay() {
	for _, st := range m.streams {
		st.held = true // what was taken back is read again
	}
	m.remain()
}

// releaseMuxes has all connections stay, because nobody takes them any more.
func (sh *Shard) releaseMuxes() {
	var all []*mux
	for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
		if s.state == multiplexing && !s.fixed {
			all = append(all, s.mux)
		}
	}
	for _, m := range all {
		m.remain()
	}
}

// release begins what was held.
func (m *mux) release() {
	m.holding, m.heldBytes = false, 0
	for _, st := range m.ordered() {
		st.begin()
	}
}

// begin has a stream that was held go on.
func (st *muxStream) begin() {
	if !st.held || st.closed {
		return
	}
	st.held = false
	if s := st.s; s.state == movingAway { // a tunnel that has moved, or was about to
		s.t.flightAway(false)
		s.state = exchanging
		s.t.c.Retry()
	}
	st.s.run()
}

// ordered is all streams by their numbers, in memory of its own: they may end
// meanwhile.
func (m *mux) ordered() []*muxStream {
	return slices.Clone(m.streams)
}

// muxParcel packs an HTTP/2 connection.
func (s *session) muxParcel() Parcel {
	m := s.mux
	p := s.parcel()
	p.Kind = MuxParcel
	if s.in == nil {
		p.In = slices.Clone(m.rest)
	}
	now := s.sh.Loop.Now()
	p.Mux = &MuxState{
		Terms: muxTerms[:], Begun: m.begun, Settled: m.frame.Settled, Acked: m.acked, Widened: m.widened, Overdraft: m.overdraft, LastID: m.lastID,
		Connect: m.dec.Connect, Ended: m.past.ended.list(), Cut: m.past.cut.list(), Out: slices.Clone(m.out),
		SendWindow: int64(m.send), FirstWindow: m.peer.FirstWindow, RecvWindow: m.recv.Left, Consumed: m.recv.Consumed, MaxFrame: m.peer.MaxFrame,
		Decoder: m.dec.AppendTable(nil), Encoder: m.enc.TableSize(),
		Idles: m.idles.Left(idleTerms, now, m.moved+http2.WorthOfData*m.datas), Resets: m.resets.Left(resetTerms, now, m.moved),
	}
	if of := m.frame.BlockOf; of.Stream != 0 {
		p.Mux.Block, p.Mux.BlockOf = slices.Clone(m.frame.Block), &of
	}
	for _, st := range m.ordered() {
		p.Mux.Streams = append(p.Mux.Streams, st.pack(&p))
	}
	return p
}

// pack packs a request, and takes it back to where it was read from if it was in
// a queue. The descriptor of a tunnel goes to the connection's parcel.
func (st *muxStream) pack(of *Parcel) StreamState {
	s := st.s
	sh := s.sh
	var through *Parcel
	switch {
	case st.portable():
		through = new(Parcel)
		s.t.packTunnel(through)
		through.secureBack(s.t.c)
		of.FDs = append(of.FDs, through.FDs...)
		s.state, st.held = movingAway, true
	case s.state == exchanging:
		s.unqueue()
	}
	sh.Loop.Disarm(&s.timer)
	in := &st.in
	state := StreamState{
		ID: st.id, Head: slices.Clone(in.Head), Body: in.Body, Trailers: in.Trailers, Window: int64(st.window), Left: in.Length,
		Granted: in.Granted, Credit: in.Window.Left, Consumed: in.Window.Consumed,
		Wide: in.Wide, Early: st.early, Chunked: in.Chunked, Ended: in.Ended, Read0: in.ReadEnd,
		Asks: in.Withheld, Tunnel: through, EndSent: st.endSent,
		Since: sh.wallMs(s.since), Began: -1, Active: sh.wallMs(s.act), Requests: s.requests, Suspended: pack(s.suspended),
	}
	state.In = slices.Clone(s.half())
	if s.in != nil {
		state.In = slices.Clone(s.in.Bytes())
	}
	if s.began >= 0 {
		state.Began = sh.wallMs(s.began)
	}
	if s.waiting > 0 {
		state.Waiting = sh.wallMs(s.waiting)
	}
	return state
}

// unpack goes on with what was packed and does not fit into a message.
func (m *mux) unpack() {
	for _, st := range m.ordered() {
		if s := st.s; !st.closed && (s.state == movingAway || !st.held && s.state == reading && s.waiting > 0) {
			st.held = true
			st.begin()
		}
	}
}

// forget lets go of the streams of a connection that lives on in another process.
func (m *mux) forget() {
	m.dead = true // nothing is written any more
	for _, st := range m.ordered() {
		s := st.s
		s.forgetExchange()
		s.track.Forget()
		if s.suspended != nil {
			s.suspended.Forget()
		}
		s.close()
	}
	if m.out != nil {
		m.putOut()
	}
}

// valid reports whether adoptMux can go on with the state, with buffers of some
// size.
func (m *MuxState) valid(buffer int) bool {
	switch {
	case !slices.Equal(m.Terms, muxTerms[:]), len(m.Streams) > maxStreams, len(m.Block) > maxBlock,
		len(m.Ended) > len(ring{}.ids), len(m.Cut) > len(ring{}.ids),
		m.MaxFrame < 1 || m.MaxFrame > http2.MinMaxFrame, m.RecvWindow < 0, m.Consumed < 0,
		m.SendWindow > http2.MaxWindow, m.FirstWindow < 0 || m.FirstWindow > http2.MaxWindow:
		return false
	}
	last := uint32(0)
	for i := range m.Streams {
		st := &m.Streams[i]
		if st.ID%2 == 0 || st.ID <= last || st.ID > m.LastID || st.Granted < 0 || len(st.In) > buffer {
			return false
		}
		last = st.ID
	}
	return http2.NewDecoder().RestoreTable(m.Decoder) == nil
}

// takesMux reports whether the listener would speak HTTP/2 with a parcel's client.
func (ln *Listener) takesMux(p *Parcel) bool {
	switch {
	case !ln.Frontend.HTTP && !(p.Upgraded && ln.Frontend.mayUpgrade()):
		return false
	case p.TLS != nil && p.TLS.ALPN == "h2":
		return slices.Contains(ln.TLS.allows(p.TLS.SNI).NextProtos, "h2")
	}
	return !ln.Frontend.NoH2Upgrade
}

// adoptMux takes an HTTP/2 connection.
func (sh *Shard) adoptMux(p *Parcel) (start func()) {
	ln := sh.eng.listenerOf(p)
	if ln == nil || !ln.takesMux(p) || len(p.In) > sh.Loop.Buffers.Size() || !p.Mux.valid(sh.Loop.Buffers.Size()) {
		return nil
	}
	for _, tunnel := range p.Mux.tunnels() {
		if !tunnel.BackTLS.Valid() || !sh.takesTunnel(tunnel) {
			return nil
		}
	}
	s := sh.adoptSession(ln, p)
	a := p.Mux
	now := sh.Loop.Now()
	m := &mux{
		s: s, dec: http2.NewDecoder(), enc: http2.NewEncoder(), lastID: a.LastID,
		begun: a.Begun, acked: a.Acked, overdraft: a.Overdraft, peer: http2.NewPeer(), frame: http2.Reader{Settled: a.Settled},
		send: http2.SendWindow(a.SendWindow), recv: http2.RecvWindow{Left: a.RecvWindow, Consumed: a.Consumed},
		idles: http2.Allowance{Spent: a.Idles, At: now}, resets: http2.Allowance{Spent: a.Resets, At: now},
	}
	m.widened = a.Widened || a.RecvWindow > http2.DefaultWindow // releases before this one widen with the acknowledgement
	m.limit()
	m.peer.FirstWindow, m.peer.MaxFrame = a.FirstWindow, a.MaxFrame
	_ = m.dec.RestoreTable(a.Decoder) // valid has tried
	m.enc.Renew(a.Encoder)
	for _, id := range a.Ended {
		m.past.ended.add(id)
	}
	for _, id := range a.Cut {
		m.past.cut.add(id)
	}
	m.dec.Connect = a.Connect
	if a.BlockOf != nil {
		m.frame.Block, m.frame.BlockOf = a.Block, *a.BlockOf
	}
	s.becomes(m)
	if len(p.In) > 0 {
		s.in = sh.Loop.Buffers.Get()
		s.in.W = copy(s.in.Data[:], p.In)
	}
	servers := p.FDs[1:]
	for i := range a.Streams {
		st := m.adopt(&a.Streams[i])
		if through := a.Streams[i].Tunnel; through != nil {
			st.goesOn(through, servers[0])
			servers = servers[1:]
		}
	}
	return func() { m.arrived(a.Out) }
}

// adopt makes a stream of its state; it is held until the connection has arrived.
func (m *mux) adopt(a *StreamState) *muxStream {
	outer, sh := m.s, m.s.sh
	st := &muxStream{
		m: m, id: a.ID, window: http2.SendWindow(a.Window), early: a.Early, last: -1, code: http2.InternalError, held: true,
		in: http2.Incoming{
			Head: a.Head, Body: a.Body, Trailers: a.Trailers, Length: a.Left,
			Granted: a.Granted, Window: http2.RecvWindow{Left: a.Credit, Consumed: a.Consumed},
			Wide: a.Wide, Chunked: a.Chunked, Ended: a.Ended, ReadEnd: a.Read0,
		},
	}
	m.streams.add(st)
	sh.eng.hold(a.Granted)
	if a.Wide {
		m.wide++
	}
	s := m.session(st)
	s.accepted, s.requests = outer.accepted, a.Requests
	s.since, s.act = sh.loopMs(a.Since), sh.loopMs(a.Active)
	if a.Began >= 0 {
		s.began = sh.loopMs(a.Began)
	}
	if a.Waiting > 0 {
		s.waiting = max(sh.loopMs(a.Waiting), 1)
	}
	if len(a.Suspended) > 0 {
		s.suspended = newTracks(sh, a.Suspended)
	}
	if len(a.In) > 0 {
		s.in = sh.Loop.Buffers.Get()
		s.in.W = copy(s.in.Data[:], a.In)
	}
	if a.Asks {
		st.tunnel, st.in.Withheld = asked, true
	}
	st.endSent = a.EndSent
	return st
}

// goesOn makes st the client's side of a tunnel, over the socket of its server.
func (st *muxStream) goesOn(p *Parcel, fd int) {
	st.headSent, st.tunnel, st.code = true, tunnel, http2.Cancel
	st.s.state = movingAway
	st.s.goesOn(p, fd)
}

// arrived sets an adopted connection in motion, with frames that its client has
// not been given.
func (m *mux) arrived(out []byte) {
	s := m.s
	m.touch()
	m.out = append(m.out, out...)
	s.watch()
	s.state = multiplexing
	switch mv := s.sh.mover; {
	case mv != nil && !mv.dead && s.whole(): // on it goes, to the process after this one
		m.finishFirst()
	case s.sh.draining:
		m.remain()
	default:
		m.release()
	}
	s.run()
}
