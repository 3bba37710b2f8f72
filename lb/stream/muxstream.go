package stream

import (
	"strconv"

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
	head     []byte // unread
	body     []byte // unread
	trailers []byte
	fed      bool  // in mux.fed
	held     bool  // its session does not run yet, see muxmove.go
	wide     bool  // the client was given wideWindow
	left     int64 // of a content-length; -1: there is none
	granted  int   // its window in all: credit, consumed and body; counted as held
	credit   int   // what the client may still send of it
	consumed int   // read, and not given back yet
	early    bool  // begun before the client knew our SETTINGS
	chunked  bool
	ended    bool // the client has sent all
	read0    bool // the last chunk was read

	// The response.
	headSent bool
	after    []byte // its trailers, as lines
	window   int64
	waiting  bool
	last     int64 // where in the connection's frames its last one begins; -1: nowhere

	complete bool       // the session says that all of the response was written
	code     http2.Code // why not
	reset    bool       // the client knows
	closed   bool
}

// open makes the session of a new stream and runs it.
func (m *mux) open(id uint32, r http2.Request, end bool) {
	outer := m.s
	sh := outer.sh
	st := &muxStream{
		m: m, id: id, left: r.Length, chunked: r.Chunked, ended: end, window: m.firstWindow, credit: minWindow, last: -1,
		head: append([]byte(nil), r.Head...), code: http2.InternalError,
	}
	m.streams[id] = st
	if !end {
		st.granted = minWindow
		sh.eng.hold(minWindow)
	}
	switch {
	case !m.acked:
		st.credit, st.early = http2.DefaultWindow, true
	case !end && !m.holding && st.grow(waitWindow, 2):
		st.update()
	}
	s := m.session(st)
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
	st.s = s
	s.Conn = wire.OpenStream(s.sh.Loop, st)
	s.stream, s.fixed = st, true
	s.peer = m.s.peer
	return s
}

// data takes the content of a DATA frame.
func (st *muxStream) data(data []byte, h http2.Header) *http2.Error {
	end := h.Flags&http2.EndStream != 0
	switch {
	case st.ended:
		st.m.giveBack(len(data))
		return st.abort(http2.StreamClosed)
	case h.Length > st.credit && !st.overdraws(h.Length):
		st.m.giveBack(len(data))
		return st.abort(http2.FlowControlError)
	case st.left >= 0 && (int64(len(data)) > st.left || end && int64(len(data)) < st.left):
		st.m.giveBack(len(data))
		return st.abort(http2.ProtocolError) // not what content-length says (section 8.1.1)
	}
	st.credit -= h.Length
	st.consumed += h.Length - len(data)
	if st.left >= 0 {
		st.left -= int64(len(data))
	}
	st.keep(data)
	if end {
		st.finish()
	}
	st.feed()
	return nil
}

// overdraws lets a stream that was begun before the client knew our SETTINGS
// have more than its window once it does: a client may have taken room for DATA
// that it writes after its acknowledgement. All that can be under way so is what
// the connection's window was then.
func (st *muxStream) overdraws(n int) bool {
	more := n - max(st.credit, 0)
	if !st.early || more > st.m.overdraft {
		return false
	}
	st.m.overdraft -= more
	return true
}

// keep appends to the body, in memory of about the size that it can need.
func (st *muxStream) keep(data []byte) {
	if need := len(st.body) + len(data); need > cap(st.body) {
		grown := make([]byte, len(st.body), max(need, min(2*cap(st.body), st.granted)))
		copy(grown, st.body)
		st.body = grown
	}
	st.body = append(st.body, data...)
}

// finish notes that the client has sent all, and needs no window any more.
func (st *muxStream) finish() {
	st.ended = true
	st.m.s.sh.eng.hold(len(st.body) - st.granted)
	st.granted = len(st.body)
}

// grow widens the window up to a size, as far as the body can need it and the
// budget has room, of which this may use some quarters. The client hears of it by
// the next update.
func (st *muxStream) grow(to int, quarters int64) (grown bool) {
	more := to - st.granted
	if st.left >= 0 {
		more = int(min(int64(more), st.left-int64(st.credit+st.consumed)))
	}
	n := st.m.s.sh.eng.room(more, quarters)
	st.granted += n
	st.consumed += n
	return n > 0
}

// update gives the client what was read of its window, and what that grew by.
func (st *muxStream) update() {
	st.m.touch()
	st.m.out = http2.AppendWindowUpdate(st.m.out, st.id, st.consumed)
	st.credit += st.consumed
	st.consumed = 0
}

// end takes the client's end, after trailers.
func (st *muxStream) end() *http2.Error {
	if st.left > 0 {
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
	return len(st.head) > 0 || len(st.body) > 0 || st.chunked && st.ended && !st.read0 || st.s.Broken()
}

// chunkRoom is what the framing of a chunk takes at most.
const chunkRoom = 16

// Read implements wire.Stream: it is the request in HTTP/1.1.
func (st *muxStream) Read(b []byte) (n int, status wire.Status) {
	if st.s.Broken() {
		return 0, wire.Error
	}
	n = copy(b, st.head)
	if st.head = st.head[n:]; len(st.head) > 0 {
		return n, wire.OK
	}
	st.head = nil
	took := 0
	switch {
	case !st.chunked:
		took = copy(b[n:], st.body)
		n += took
	case len(st.body) > 0 && len(b)-n > chunkRoom:
		took = min(len(st.body), len(b)-n-chunkRoom)
		c := strconv.AppendInt(b[:n], int64(took), 16)
		c = append(c, "\r\n"...)
		c = append(c, st.body[:took]...)
		n = len(append(c, "\r\n"...))
	}
	st.took(took)
	if st.chunked && st.ended && len(st.body) == 0 && !st.read0 && len(b)-n >= len("0\r\n\r\n")+len(st.trailers) {
		c := append(b[:n], "0\r\n"...)
		c = append(c, st.trailers...)
		n = len(append(c, "\r\n"...))
		st.read0 = true
	}
	if n == 0 {
		return 0, wire.Again
	}
	return n, wire.OK
}

// took gives the windows of n body bytes back.
func (st *muxStream) took(n int) {
	if n == 0 {
		return
	}
	if st.body = st.body[n:]; len(st.body) == 0 {
		st.body = nil
	}
	m := st.m
	m.giveBack(n)
	if st.ended {
		st.granted -= n
		m.s.sh.eng.hold(-n)
		return
	}
	st.consumed += n
	switch {
	case st.wide:
	case m.wide < maxWide && st.grow(wideWindow, 4):
		st.wide = true
		m.wide++
	case st.granted < streamWindow:
		st.grow(streamWindow, 4)
	}
	if st.consumed >= min(st.granted, streamWindow)/4 {
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
		if err != nil || h.Status() == 101 {
			return 0, wire.Error
		}
		m.touch()
		st.mark()
		m.out = http2.AppendBlock(m.out, st.id, 0, m.enc.Response(h), m.maxFrame)
		st.headSent = h.Status() >= 200
		n = length
	}
	for n < len(b) {
		part := min(int64(len(b)-n), int64(m.maxFrame), st.window, m.sendWindow)
		if part <= 0 || len(m.out) >= maxOutFrames {
			m.wait(st)
			break
		}
		m.touch()
		st.mark()
		m.out = http2.AppendHeader(m.out, http2.Header{Length: int(part), Type: http2.Data, Stream: st.id})
		m.out = append(m.out, b[n:n+int(part)]...)
		st.window -= part
		m.sendWindow -= part
		m.moved += part
		m.datas++
		n += int(part)
	}
	if n == 0 {
		return 0, wire.Again
	}
	return n, wire.OK
}

// mark notes where the stream's last frame begins.
func (st *muxStream) mark() { st.last = st.m.sent + int64(len(st.m.out)) }

// close ends the stream after its session.
func (st *muxStream) close() {
	m := st.m
	st.closed = true
	delete(m.streams, st.id)
	m.s.sh.eng.hold(-st.granted)
	st.granted = 0
	m.unwait(st)
	if st.wide {
		m.wide--
	}
	if !st.reset && (!st.ended || !st.complete) {
		m.past.cut.add(st.id)
	} else {
		m.past.ended.add(st.id)
	}
	m.s.since = m.s.sh.Loop.Now()
	if m.dead {
		return
	}
	m.giveBack(len(st.body))
	st.body = nil
	m.touch()
	switch {
	case st.reset:
	case !st.complete:
		m.out = http2.AppendRST(m.out, st.id, st.code)
	default:
		st.endStream()
		if !st.ended { // nobody reads the rest of the request (section 8.1)
			m.out = http2.AppendRST(m.out, st.id, http2.NoError)
		}
	}
}

// endStream says that the response is complete: in its last frame, if that has
// not left yet.
func (st *muxStream) endStream() {
	m := st.m
	if block := m.enc.Trailers(st.after); block != nil {
		m.out = http2.AppendBlock(m.out, st.id, http2.EndStream, block, m.maxFrame)
		return
	}
	if at := st.last - m.sent; st.last >= 0 && at >= 0 {
		m.out[at+4] |= byte(http2.EndStream)
		return
	}
	m.out = http2.AppendHeader(m.out, http2.Header{Type: http2.Data, Flags: http2.EndStream, Stream: st.id})
}

// whole reports whether the exchange's response was written to its end.
func (t *txn) whole() bool {
	return t.resHeadDone && t.resDone && t.resReady == 0 && t.resHead == nil && len(t.page) == 0 && t.resKind != http1.Tunnel
}
