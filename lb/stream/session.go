package stream

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/wire"
)

// state is where a session stands.
type state uint8

const (
	closed       state = iota
	handshaking        // a goroutine does the TLS handshake
	reading            // waiting for a request head, or for the rest of one
	inspecting         // in mode tcp: rules look into what the client sends
	exchanging         // session.t is at work
	announcing         // a PROXY header is awaited (preface.go)
	multiplexing       // session.mux is at work: HTTP/2
	lingering          // our end is sent; what still comes is thrown away
	movingAway         // packed for another process, or just come from one: nobody reads it here
)

// session is one client connection. Idle, it holds no buffer and no txn; with
// half a head, no buffer either (halfhead.go).
// Owned by the shard's loop. What each piece of a tunnel needs (piece.go) stands first, here and in txn, in few cache lines.
type session struct {
	wire.Conn
	t      *txn // while exchanging
	sh     *Shard
	act    int64  // ms: last progress on the client side
	gen    uint32 // changes when the struct is reused
	state  state
	before state // while movingAway: what to go back to
	fixed  bool  // stays in this process until it ends
	silent bool  // silent-drop: it is closed without a word
	spoken
	fe     *Frontend
	ln     *Listener
	in     *loop.Buffer // bytes from the client that no exchange has taken yet
	mux    *mux         // while multiplexing
	stream *muxStream   // what it has in place of a socket, if it is one of a connection's
	own    *serverConn  // kept for this client alone (http-reuse never)
	timer  loop.Timer

	peer      netip.AddrPort
	local     localAddr
	accepted  time.Time
	since     int64 // ms: when the present wait began (accept, or the end of the last exchange)
	began     int64 // ms: first byte of the current head; -1 before it
	waiting   int64 // ms: an earlier process had the current request wait for a server since; 0 none did
	lookUntil int64 // ms: when rules that look into content must decide
	leaveAt   int64 // ms: when it is closed if it is idle then, or has not ended its handshake; 0 never
	hsTime    int32 // ms: TLS handshake
	scanned   int32 // bytes of in known not to end a head
	requests  uint32
	expect    sample.Preface  // what the connection begins with
	proxied   *sample.Proxied // what a PROXY header said; nil: none came

	vars      sample.Vars    // of scope sess
	track     sample.Tracks  // entries of stick tables that it is counted in
	suspended *sample.Tracks // those of an exchange whose request is to be read again

	next, prev *session // in Shard.sessions
}

// sessionList links all sessions of a shard.
type sessionList struct {
	head session
	len  int
}

func (l *sessionList) init() { l.head.next, l.head.prev = &l.head, &l.head }

func (l *sessionList) push(s *session) {
	s.prev, s.next = l.head.prev, &l.head
	s.prev.next, l.head.prev = s, s
	l.len++
}

func (l *sessionList) remove(s *session) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
	l.len--
}

// newSession begins a session on an accepted descriptor; sh.sa holds the
// peer's address. The request is likely there already, so it is read at once.
func (sh *Shard) newSession(ln *Listener, fd int) { sh.greet(ln, fd, sh.peerOf(ln)) }

// peerOf is the address of the client that was just accepted.
func (sh *Shard) peerOf(ln *Listener) (peer netip.AddrPort) {
	if !ln.Unix {
		peer = backend.FromRaw(&sh.sa)
	}
	return peer
}

// greet begins a session of which nothing has been read.
func (sh *Shard) greet(ln *Listener, fd int, peer netip.AddrPort) {
	s := sh.takeSession(ln, fd)
	s.peer = peer
	sh.Front[s.fe.Index].accepted(sh.Loop.Now())
	s.fe.Paces.Sessions.count()
	switch {
	case !s.permit():
		return
	case s.expect != sample.NoPreface:
		s.announce()
		return
	}
	s.begin()
}

// begin goes on with the client's own bytes.
func (s *session) begin() {
	switch {
	case s.ln.TLS != nil:
		s.handshake()
		return
	case !s.opened():
		return
	case !s.http:
		s.state = inspecting
	default:
		s.sh.Front[s.fe.Index].H1.Conns++
	}
	s.run()
}

// takeSession takes a session from the pool, for a client of ln.
func (sh *Shard) takeSession(ln *Listener, fd int) *session {
	s := sh.freeSessions
	if s != nil {
		sh.freeSessions = s.next
	} else {
		s = new(session)
	}
	gen := s.gen
	*s = session{
		sh: sh, fe: ln.Frontend, ln: ln, gen: gen,
		accepted: sh.Loop.Time(), since: sh.Loop.Now(), act: sh.Loop.Now(), began: -1,
		state: reading, spoken: spoken{http: ln.Frontend.HTTP}, expect: ln.Preface,
	}
	s.Conn = wire.Open(sh.Loop, s, fd, true)
	s.timer.OnExpire = s
	sh.sessions.push(s)
	return s
}

// Ready implements loop.Handler.
func (s *session) Ready(ev loop.Events) {
	s.Note(ev)
	if s.state == exchanging && s.t.flows && bytesAlone(ev) && s.sh.mover == nil {
		s.sh.putOff(s, true)
		return
	}
	s.goOn()
}

// goOn does what events are for.
func (s *session) goOn() {
	switch s.state {
	case handshaking, movingAway:
	case announcing:
		s.readPreface()
	default:
		s.Flush()
		s.run()
	}
}

// run goes as far as the session can go without waiting.
func (s *session) run() {
	for next := onward; next == onward; {
		switch s.state {
		case reading:
			next = s.readRequest()
		case inspecting:
			next = s.inspect()
		case exchanging:
			next = s.t.pump()
		case multiplexing:
			next = s.mux.pump()
		case lingering:
			next = s.linger()
		default:
			return
		}
	}
	if s.state != closed {
		s.rearm()
		if s.state == exchanging && s.t.tunnel() {
			s.t.flows = s.t.flowing()
		}
		if m := s.sh.mover; m != nil {
			m.consider(s)
		}
	}
}

// watch has readiness reported.
func (s *session) watch() {
	if err := s.Watch(); err != nil {
		s.sh.eng.Report(err.Error())
	}
}

// read reads from the client and counts.
func (s *session) read(b []byte) (n int, st wire.Status) {
	n, st = s.readRaw(b)
	if st == wire.OK {
		s.took(n)
	}
	return n, st
}

// took counts bytes that the client has sent.
func (s *session) took(n int) {
	c := &s.sh.Front[s.fe.Index]
	c.BytesIn += uint64(n)
	if s.http && s.stream == nil {
		c.H1.In += uint64(n)
	}
}

// readRaw reads what is not counted: of HTTP/2, where the streams count.
func (s *session) readRaw(b []byte) (n int, st wire.Status) {
	n, st = s.Read(b)
	s.hasRead(st)
	return n, st
}

// hasRead notes what became of a read.
func (s *session) hasRead(st wire.Status) {
	switch st {
	case wire.OK:
		s.act = s.sh.Loop.Now()
	case wire.Again:
		s.watch()
	}
}

// write writes to the client and counts.
func (s *session) write(b []byte) (n int, st wire.Status) {
	n, st = s.writeRaw(b)
	if st == wire.OK {
		s.gave(n)
	}
	return n, st
}

// writeWide is write of a wide piece.
func (s *session) writeWide(b []byte) (n int, st wire.Status) {
	n, st = s.WriteWide(b)
	s.wrote(n, len(b), st)
	if st == wire.OK {
		s.gave(n)
	}
	return n, st
}

// gave counts bytes that the client was given.
func (s *session) gave(n int) {
	c := &s.sh.Front[s.fe.Index]
	c.BytesOut += uint64(n)
	if s.http && s.stream == nil {
		c.H1.Out += uint64(n)
	}
}

// writeRaw writes what is not counted.
func (s *session) writeRaw(b []byte) (n int, st wire.Status) {
	n, st = s.Write(b)
	s.wrote(n, len(b), st)
	return n, st
}

// wrote notes what became of a write of some bytes.
func (s *session) wrote(n, of int, st wire.Status) {
	switch st {
	case wire.OK:
		s.act = s.sh.Loop.Now()
		if n < of || s.Pending() {
			s.watch()
		}
	case wire.Again:
		s.watch()
	}
}

// fillPipe has a pipe take up to most bytes from the client, and counts.
func (s *session) fillPipe(p *loop.Pipe, most int) (n int, st wire.Status) {
	n, st = s.FillPipe(p, most)
	switch st {
	case wire.OK:
		s.act = s.sh.Loop.Now()
		s.took(n)
		if s.http {
			s.sh.Front[s.fe.Index].H1.SplicedIn += uint64(n)
		}
	case wire.Again:
		s.watch()
	}
	return n, st
}

// drain sends what the client takes of a pipe, and counts.
func (s *session) drain(p *loop.Pipe) (n int, st wire.Status) {
	n, st = s.DrainPipe(p)
	switch st {
	case wire.OK:
		s.act = s.sh.Loop.Now()
		s.gave(n)
		if s.http {
			s.sh.Front[s.fe.Index].H1.SplicedOut += uint64(n)
		}
		if p.Len() > 0 {
			s.watch()
		}
	case wire.Again:
		s.watch()
	}
	return n, st
}

// outer is the session that has the socket: of a stream of HTTP/2 that of its
// connection.
func (s *session) outer() *session {
	if s.stream != nil {
		return s.stream.m.s
	}
	return s
}

// tracks is what the connection is counted in.
func (s *session) tracks() *sample.Tracks {
	return &s.outer().track
}

// variables are those of scope sess: all streams of a connection share them.
func (s *session) variables() *sample.Vars {
	return &s.outer().vars
}

// TCP implements sample.Socket.
func (s *session) TCP() (f sample.TCPFacts, ok bool) {
	if s.ln != nil && s.ln.Unix {
		return f, false
	}
	info, err := unix.GetsockoptTCPInfo(s.outer().FD(), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return f, false
	}
	return sample.TCPFacts{
		RTT: info.Rtt, RTTVar: info.Rttvar, Unacked: info.Unacked, Sacked: info.Sacked, Lost: info.Lost,
		Retrans: info.Retrans, Fackets: info.Fackets, Reordering: info.Reordering,
	}, true
}

// Ends implements sample.Socket.
func (s *session) Ends() (peer, local netip.AddrPort) {
	s = s.outer()
	if s.proxied == nil {
		return s.peer, s.local.of(s.sh, s.FD())
	}
	if loop.PeerName(s.FD(), &s.sh.sa) == 0 {
		peer = backend.FromRaw(&s.sh.sa)
	}
	if loop.SockName(s.FD(), &s.sh.sa) == 0 {
		local = backend.FromRaw(&s.sh.sa)
	}
	return peer, local
}

// SetTOS implements sample.Socket.
func (s *session) SetTOS(tos int) {
	fd := s.outer().FD()
	if s.peer.Addr().Is6() && !s.peer.Addr().Is4In6() {
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, tos)
		return
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, tos)
}

// SetMark implements sample.Socket. It takes CAP_NET_ADMIN, as with HAProxy.
func (s *session) SetMark(mark int) {
	unix.SetsockoptInt(s.outer().FD(), unix.SOL_SOCKET, unix.SO_MARK, mark)
}

// Silence implements sample.Socket. A socket under repair is closed without a
// packet, which takes CAP_NET_ADMIN; without it the reset does not get further
// than the next router.
func (s *session) Silence() {
	o := s.outer()
	o.silent = true
	fd := o.FD()
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	if unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) == nil {
		return
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 1)
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// putIn gives the input buffer back when nothing is in it.
func (s *session) putIn() {
	if s.in != nil {
		s.sh.Loop.Buffers.Put(s.in)
		s.in = nil
	}
}

// closeGently ends the session. When the client may still be sending, our end
// goes first and the rest is read and thrown away: closing on unread bytes
// would reset the connection, and the client might never see the answer.
func (s *session) closeGently(unread bool) {
	if s.silent {
		s.close()
		return
	}
	s.CloseNotify()
	if s.Kind() == wire.Streamed || s.Broken() || (!unread || s.EOF()) && !s.Pending() {
		s.close()
		return
	}
	s.Shutdown()
	s.state = lingering
	s.act = s.sh.Loop.Now()
	s.since = s.act
}

// lingerTime bounds how long a closing session waits for the client's end, ms.
const lingerTime = 2000

func (s *session) linger() step {
	if s.Pending() {
		if s.Broken() {
			s.close()
		}
		return waits
	}
	b := s.sh.Loop.Buffers.Get()
	defer s.sh.Loop.Buffers.Put(b)
	for range 8 {
		switch s.Discard(b.Data[:]) {
		case wire.Again:
			s.watch()
			return waits
		case wire.EOF, wire.Error:
			s.close()
			return waits
		}
	}
	s.sh.Loop.Again(s)
	return waits
}

// close ends the session at once and frees it.
func (s *session) close() {
	sh := s.sh
	if s.own != nil {
		s.own.bye()
		s.own = nil
	}
	if sh.ownLinks != nil {
		sh.disown(s)
	}
	s.putIn()
	s.dropHalf()
	s.dropLookups()
	s.track.Release(sh.stickNow())
	if s.suspended != nil {
		s.suspended.Release(sh.stickNow())
		s.suspended = nil
	}
	sh.Loop.Disarm(&s.timer)
	s.state = closed
	s.gen++
	sh.sessions.remove(s)
	if s.mux != nil {
		sh.Front[s.fe.Index].Open.H2Conns--
	}
	if s.stream != nil {
		s.stream.close()
	} else {
		s.Close()
		s.ln.count(&sh.eng.TLSConns, -1)
		sh.eng.leave(s.fe)
	}
	s.Conn, s.t, s.mux, s.stream = wire.Conn{}, nil, nil, nil
	s.next = sh.freeSessions
	sh.freeSessions = s
}

// rearm sets the timer when the session's next deadline comes before what it
// is set to; a later deadline is found when the timer expires, so the common
// request does not touch the wheel.
func (s *session) rearm() {
	d := s.deadline()
	if d == noDeadline || s.timer.Armed() && s.timer.At() <= d {
		return
	}
	s.sh.Loop.ArmAt(&s.timer, d)
}

const noDeadline = int64(1) << 62

// after is a deadline ms after from; a timeout of 0 never comes.
func after(from, ms int64) int64 {
	if ms == 0 {
		return noDeadline
	}
	return from + ms
}

// deadline is when the session's present wait is over.
func (s *session) deadline() int64 {
	to := &s.fe.Timeouts
	switch s.state {
	case reading:
		return s.readDeadline()
	case inspecting:
		return min(s.lookUntil, after(s.act, to.Client))
	case exchanging:
		return s.t.deadline()
	case multiplexing:
		return s.mux.deadline()
	case lingering:
		return s.since + lingerTime
	case announcing:
		return s.leaveAt
	case handshaking:
		if !s.Waiting() { // the handshake's goroutine has the time itself
			return noDeadline
		}
		return s.leaveAt
	}
	return after(s.act, to.Client)
}

// Expire implements loop.Expirer.
func (s *session) Expire() {
	if d := s.deadline(); d > s.sh.Loop.Now() {
		if d != noDeadline {
			s.sh.Loop.ArmAt(&s.timer, d)
		}
		return
	}
	switch s.state {
	case reading:
		s.readTimeout()
	case inspecting:
		if s.sh.Loop.Now() < s.lookUntil {
			s.leaveInspection('c')
		} // else run asks the rules for the last time
	case exchanging:
		s.t.timeout()
	case multiplexing:
		s.mux.timeout()
	case lingering:
		s.close()
		return
	case handshaking:
		s.ExpireHandshake()
	case announcing:
		s.unannounced(prefaceTimeout)
		return
	}
	if s.state != closed {
		s.run()
	}
}
