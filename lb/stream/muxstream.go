package stream

import (
	"cmp"
	"slices"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// muxStream is one stream of an HTTP/2 connection: what a session has in place
// of a socket. Reading gives the request in HTTP/1.1, writing takes the response
// in HTTP/1.1 without chunks. Owned by the loop.
type muxStream struct {
	m  *mux
	id uint32
	s  *session

	// The request.
	in      http2.Incoming // Granted is counted as held
	head    []byte         // what in.Head lies in
	fed     bool           // in mux.fed
	held    bool           // its session does not run yet, see muxmove.go
	madeKey bool           // the key of its WebSocket is ours: servers of HTTP/2 do not get it
	early   bool           // begun before the client knew our SETTINGS

	// The response.
	headSent bool
	after    []byte // its trailers, as lines
	window   http2.SendWindow
	waiting  bool
	last     int64 // where in the connection's frames its last one begins; -1: nowhere
	tunnel   tunnelling
	endSent  bool // of a tunnel, whose client may go on

	complete bool       // the session says that all of the response was written
	code     http2.Code // why not
	reset    bool       // the client knows
	closed   bool
}

// tunnelling is how far a stream has become a tunnel for a WebSocket (RFC 8441).
type tunnelling uint8

const (
	noTunnel tunnelling = iota
	asked               // nobody has agreed: what the client sends is withheld
	tunnel
)

// streamList is the streams of a connection by their numbers.
type streamList []*muxStream

// add adds one whose number is higher than all others'.
func (l *streamList) add(st *muxStream) { *l = append(*l, st) }

func (l *streamList) remove(st *muxStream) {
	if i := slices.Index(*l, st); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
}

// get finds a stream; nil if it is not there.
func (l streamList) get(id uint32) *muxStream {
	i, found := slices.BinarySearchFunc(l, id, func(st *muxStream, id uint32) int { return cmp.Compare(st.id, id) })
	if !found {
		return nil
	}
	return l[i]
}

const (
	keptStreams = 256     // unused ones that a shard keeps
	keptHead    = 2 << 10 // bytes that one keeps for the next one's head
)

// takeStream gives an empty stream.
func (sh *Shard) takeStream() *muxStream {
	n := len(sh.spareStreams)
	if n == 0 {
		return new(muxStream)
	}
	st := sh.spareStreams[n-1]
	sh.spareStreams[n-1] = nil
	sh.spareStreams = sh.spareStreams[:n-1]
	return st
}

// recycleStreams keeps streams that ended in this turn for others.
func (sh *Shard) recycleStreams() {
	for i, st := range sh.endedStreams {
		sh.endedStreams[i] = nil
		if len(sh.spareStreams) >= keptStreams || cap(st.head) > keptHead {
			continue
		}
		head := st.head[:0]
		*st = muxStream{}
		st.head = head
		sh.spareStreams = append(sh.spareStreams, st)
	}
	sh.endedStreams = sh.endedStreams[:0]
}

// open makes the session of a new stream and runs it.
func (m *mux) open(id uint32, r http2.Request, end bool) {
	outer := m.s
	sh := outer.sh
	st := sh.takeStream()
	st.head = append(st.head, r.Head...)
	st.m, st.id, st.window, st.last, st.code = m, id, http2.SendWindow(m.peer.FirstWindow), -1, http2.InternalError
	st.in.Head, st.in.Length, st.in.Chunked, st.in.Ended = st.head, r.Length, r.Chunked, end
	st.in.Window.Left = minWindow
	if r.WebSocket {
		st.tunnel, st.in.Withheld, st.madeKey = asked, true, r.KeyMade
	}
	m.streams.add(st)
	if !end {
		st.in.Granted = minWindow
		sh.eng.hold(minWindow)
	}
	if !m.acked {
		st.in.Window.Left, st.early = http2.DefaultWindow, true
	}
	s := m.session(st)
	m.count().Streams++
	s.accepted = outer.accepted
	s.requests = outer.requests
	if outer.requests == 0 { // the handshake is this one's
		s.since, s.hsTime = outer.since, outer.hsTime
	}
	outer.requests++
	outer.act = sh.Loop.Now()
	switch {
	case r.Fault != "":
		st.code = http2.ProtocolError
		m.count().StreamErrors++
		sh.Front[s.fe.Index].ErrReq++
		s.badRequestLog(400, 'P', r.Fault)
	case r.TooLarge:
		s.in = sh.Loop.Buffers.Get()
		s.badRequest(errHeadTooLarge, 0)
		s.run()
	case m.holds(st):
		if m.heldBytes > maxHeldBytes {
			m.remain()
		}
	default:
		s.run()
	}
}

// session makes the session of a stream.
func (m *mux) session(st *muxStream) *session {
	s := m.s.sh.takeSession(m.s.ln, -1)
	s.sh.Front[s.fe.Index].Open.H2Streams++
	st.s = s
	s.Conn = wire.OpenStream(s.sh.Loop, st)
	s.stream, s.fixed = st, true
	s.peer = m.s.peer
	if m.s.upgraded != nil {
		s.http, s.upgraded = true, &upgrade{}
	}
	return s
}

// data takes the content of a DATA frame.
func (st *muxStream) data(f *http2.Frame) *http2.Error {
	in, n := &st.in, len(f.Payload)
	switch {
	case in.Ended:
		st.m.giveBack(n)
		return st.abort(http2.StreamClosed)
	case f.Length > in.Window.Left && !st.overdraws(f.Length) && !st.lends(f.Length):
		st.m.giveBack(n)
		return st.abort(http2.FlowControlError)
	case in.Length >= 0 && (int64(n) > in.Length || f.End() && int64(n) < in.Length):
		st.m.giveBack(n)
		return st.abort(http2.ProtocolError) // not what content-length says (section 8.1.1)
	}
	in.Take(f.Payload, f.Length)
	switch {
	case f.End():
		st.finish()
	case in.Granted == minWindow && !st.early && !st.m.holding && st.grow(waitWindow, 2):
		// The first frame of several. A body in one frame, or one whose client waits
		// for an answer first (a WebSocket), needs no more than every stream has.
		st.update()
	}
	st.feed()
	return nil
}

// overdraws lets a stream that was begun before the client knew our SETTINGS
// have more than its window once it does: a client may have taken room for DATA
// that it writes after its acknowledgement. All that can be under way so is what
// the connection's window was then.
func (st *muxStream) overdraws(n int) bool {
	more := n - max(st.in.Window.Left, 0)
	if !st.early || more > st.m.overdraft {
		return false
	}
	st.m.overdraft -= more
	return true
}

// lends has a client send more than its window, within what every stream would have without our SETTINGS and as far as the budget has room: HAProxy
// counts no windows, and there are clients that look at them as little.
func (st *muxStream) lends(n int) bool {
	more := n - st.in.Window.Left
	if st.in.Window.Left < 0 || st.in.Granted+more > streamWindow || st.m.s.sh.eng.room(more, 4) == 0 {
		return false
	}
	st.in.Lend(more)
	return true
}

// finish notes that the client has sent all, and needs no window any more.
func (st *muxStream) finish() {
	st.m.s.sh.eng.hold(st.in.End())
}

// grow widens the window up to a size, as far as the body can need it and the
// budget has room, of which this may use some quarters. The client hears of it by
// the next update.
func (st *muxStream) grow(to int, quarters int64) (grown bool) {
	n := st.m.s.sh.eng.room(st.in.Wants(to), quarters)
	st.in.Grow(n)
	return n > 0
}

// update gives the client what was read of its window, and what that grew by.
func (st *muxStream) update() {
	st.m.touch()
	st.m.out = http2.AppendWindowUpdate(st.m.out, st.id, st.in.Window.Give())
}

// end takes the client's end, after trailers.
func (st *muxStream) end() *http2.Error {
	if st.in.Length > 0 {
		return st.abort(http2.ProtocolError)
	}
	st.finish()
	st.feed()
	return nil
}

// feed has the session run when the current frames have been read.
func (st *muxStream) feed() {
	if !st.fed {
		st.fed = true
		st.m.fed = append(st.m.fed, st)
	}
}

// abort ends the stream for an error of the client's.
func (st *muxStream) abort(code http2.Code) *http2.Error {
	st.m.count().StreamErrors++
	st.code = code
	st.drop()
	return st.m.takenBack()
}

// drop ends the stream's session as one whose client is gone.
func (st *muxStream) drop() {
	if st.begin(); st.closed {
		return
	}
	st.s.Break()
	st.s.run()
	if !st.closed { // it had no exchange yet
		st.s.close()
	}
}

// Readable implements wire.Stream: whether Read has something to give.
func (st *muxStream) Readable() bool {
	return st.in.Readable() || st.s.Broken() || st.tunnel == tunnel && st.in.Ended
}

// Read implements wire.Stream: it is the request in HTTP/1.1.
func (st *muxStream) Read(b []byte) (n int, status wire.Status) {
	if st.s.Broken() {
		return 0, wire.Error
	}
	n, body := st.in.Read(b)
	if body > 0 {
		st.took(body)
	}
	switch {
	case n > 0:
		return n, wire.OK
	case st.tunnel == tunnel && st.in.Ended:
		return 0, wire.EOF
	}
	return 0, wire.Again
}

// took gives the windows of n body bytes back.
func (st *muxStream) took(n int) {
	m := st.m
	m.giveBack(n)
	if st.in.Ended {
		m.s.sh.eng.hold(-n)
		return
	}
	switch {
	case st.in.Wide:
	case m.wide < maxWide && st.grow(wideWindow, 4):
		st.in.Wide = true
		m.wide++
	case st.in.Granted < streamWindow:
		st.grow(streamWindow, 4)
	}
	if st.in.Due(streamWindow) {
		st.update()
	}
}

// Write implements wire.Stream: it takes the response in HTTP/1.1, its head in one piece.
func (st *muxStream) Write(b []byte) (n int, status wire.Status) {
	m := st.m
	if st.s.Broken() || m.dead {
		return 0, wire.Error
	}
	if !st.headSent {
		h := &m.s.sh.muxHead
		length, err := h.ParseResponse(b)
		if err != nil || h.Status() == 101 && st.tunnel != asked {
			return 0, wire.Error
		}
		m.touch()
		st.mark()
		m.out = http2.AppendBlock(m.out, st.id, 0, m.enc.Response(h), m.peer.MaxFrame)
		if st.headSent = h.Status() >= 200; h.Status() == 101 {
			st.opened()
		}
		n = length
	}
	for n < len(b) {
		part := min(int64(len(b)-n), int64(m.peer.MaxFrame), int64(st.window), int64(m.send))
		if part <= 0 || len(m.out) >= maxOutFrames {
			m.wait(st)
			break
		}
		m.touch()
		st.mark()
		m.out = http2.AppendHeader(m.out, http2.Header{Length: int(part), Type: http2.Data, Stream: st.id})
		m.out = append(m.out, b[n:n+int(part)]...)
		st.window -= http2.SendWindow(part)
		m.send -= http2.SendWindow(part)
		m.moved += part
		m.datas++
		n += int(part)
	}
	if n == 0 {
		return 0, wire.Again
	}
	return n, wire.OK
}

// opened makes a tunnel of a stream.
func (st *muxStream) opened() {
	st.headSent, st.tunnel, st.code = true, tunnel, http2.Cancel
	if st.in.Withheld = false; st.Readable() {
		st.m.s.sh.Loop.Again(st.s)
	}
}

// End says to the client of a tunnel that nothing more comes; it may go on.
func (st *muxStream) End() {
	if st.tunnel == tunnel && !st.endSent && !st.m.dead {
		st.endSent = true
		st.m.touch()
		st.endStream()
	}
}

// mark notes where the stream's last frame begins.
func (st *muxStream) mark() { st.last = st.m.sent + int64(len(st.m.out)) }

// close ends the stream after its session.
func (st *muxStream) close() {
	m := st.m
	st.closed = true
	m.s.sh.Front[m.s.fe.Index].Open.H2Streams--
	m.streams.remove(st)
	m.s.sh.endedStreams = append(m.s.sh.endedStreams, st)
	m.s.sh.eng.hold(-st.in.Granted)
	st.in.Granted = 0
	m.unwait(st)
	if st.in.Wide {
		m.wide--
	}
	if !st.reset && (!st.in.Ended || !st.complete) {
		m.past.cut.add(st.id)
	} else {
		m.past.ended.add(st.id)
	}
	m.s.since = m.s.sh.Loop.Now()
	if m.dead {
		return
	}
	m.giveBack(len(st.in.Body))
	st.in.Body = nil
	m.touch()
	switch {
	case st.reset:
	case !st.complete:
		m.sendReset(st.id, st.code)
	default:
		if !st.endSent {
			st.endStream()
		}
		if !st.in.Ended { // nobody reads the rest of the request (section 8.1)
			m.sendReset(st.id, http2.NoError)
		}
	}
}

// endStream says that the response is complete: in its last frame, if that has
// not left yet.
func (st *muxStream) endStream() {
	m := st.m
	at := int64(-1)
	if st.last >= 0 {
		at = st.last - m.sent
	}
	m.out = http2.AppendEnd(m.out, st.id, at, m.enc.Trailers(st.after), m.peer.MaxFrame)
}

// whole reports whether the exchange's response was written to its end, which a tunnel
// has if nobody has broken it off.
func (t *txn) whole() bool {
	return t.resHeadDone && t.resDone && t.resReady == 0 && t.resHead == nil && len(t.page) == 0 && (t.resKind != http1.Tunnel || t.rec.Term[0] == '-')
}
