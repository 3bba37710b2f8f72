package stream

import (
	"math/rand/v2"
	"slices"

	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/wire"
)

// HTTP/2 (RFC 9113). A connection is a session whose mux reads frames; each of
// its streams is a session of its own (muxstream.go), which reads a request in
// HTTP/1.1 and writes a response in HTTP/1.1 as any other does. So rules, logs,
// counters, retries and timeouts are the same for both.
//
//  1. A session becomes a mux when TLS has agreed on h2, or a plain client
//     sends HTTP/2's preface.
//  2. pump reads frames; a complete field block makes a stream's session, which
//     runs at once; DATA goes to its stream.
//  3. What streams write becomes frames in out, which leaves at the end of the
//     turn in one write. A stream that is out of window, or finds out full,
//     waits in line.
//  4. When the process leaves, the connection moves to the next one
//     (muxmove.go). Where it cannot, GOAWAY is sent twice (section 6.8): first for
//     every stream there could be, then, when the client has surely read that,
//     with the last one that came. Then the streams end, and the connection.

const (
	maxStreams     = 100       // at once, of a connection
	minWindow      = 4 << 10   // bytes of a request body that may wait for its server in any case
	waitWindow     = 16 << 10  // while the budget has room for it (budget.go)
	streamWindow   = 64 << 10  // of a body that was begun to be read, the same
	wideWindow     = 256 << 10 // the same, of a few
	maxWide        = 4         // bodies of a connection at once that have it
	maxBlock       = 32 << 10  // of a field block, as it is sent
	maxOutFrames   = 64 << 10  // frames that may wait for the client before streams wait
	goAwayPatience = 1000      // ms: for the answer to the ping after the first GOAWAY
	keptOuts       = 64        // unused outs that a shard keeps
)

// connWindow is never what a body waits for: one whose server takes it would
// otherwise wait for those that fill it up, and they perhaps for its place on
// the server. A client has it with its first DATA after it knows that streams begin with minWindow,
// which its acknowledgement of our SETTINGS says; until then all of its bodies
// share the connection's default.
const connWindow = maxStreams*streamWindow + maxWide*(wideWindow-streamWindow)

// mux is one HTTP/2 connection. Owned by the loop.
type mux struct {
	s       *session
	dec     *http2.Decoder
	enc     *http2.Encoder
	streams streamList
	past    past
	lastID  uint32 // the highest stream that the client began

	begun     bool   // the preface was read
	acked     bool   // the client knows our SETTINGS
	widened   bool   // and has connWindow
	overdraft int    // bytes, see muxStream.overdraws
	rest      []byte // of a frame that is not complete, while no buffer is held
	frame     http2.Reader
	peer      http2.Peer

	out     []byte // nil while nothing is to be sent
	sent    int64  // bytes of frames that left out so far
	dirty   bool   // in Shard.muxes
	held    bool   // not read from, because out is full
	dead    bool
	waiting []*muxStream // for window or for room in out; all of them open
	fed     []*muxStream // with new bytes of their requests, in the present turn

	send http2.SendWindow
	recv http2.RecvWindow
	wide int // streams with a wide window

	parked int // bytes of requests that wait in queues (budget.go)

	leaving leaveStep
	leftAt  int64 // ms: first GOAWAY

	hold

	moved  int64 // bytes of bodies, both ways
	datas  int64 // DATA frames that they came in
	idles  http2.Allowance
	resets http2.Allowance
}

// leaveStep is how far a connection's end has come.
type leaveStep uint8

const (
	staying   leaveStep = iota
	announced           // first GOAWAY
	decided             // second: no stream above lastID
	over                // an error, or the client's GOAWAY: nothing new
)

// past remembers streams that ended a short while ago.
type past struct {
	ended ring // by both sides
	cut   ring // we ended it before the client did: frames may be on their way
}

// ring is the last numbers of its kind.
type ring struct {
	ids  [128]uint32
	next int
}

func (r *ring) add(id uint32) {
	r.ids[r.next] = id
	r.next = (r.next + 1) % len(r.ids)
}

// list is what add was called with, oldest first.
func (r *ring) list() (ids []uint32) {
	for i := range r.ids {
		if id := r.ids[(r.next+i)%len(r.ids)]; id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

func (r *ring) has(id uint32) bool { return slices.Contains(r.ids[:], id) }

// startMux makes s an HTTP/2 connection.
func (s *session) startMux() {
	m := &mux{
		s: s, dec: http2.NewDecoder(), enc: http2.NewEncoder(),
		peer: http2.NewPeer(), send: http2.DefaultWindow, recv: http2.RecvWindow{Left: http2.DefaultWindow}, overdraft: http2.DefaultWindow,
	}
	m.limit()
	s.becomes(m)
	m.count().Conns++
	s.state = multiplexing
	s.began, s.scanned = -1, 0
	s.forgetRaw()
	m.touch()
	settings := [...]http2.Setting{
		{ID: http2.MaxConcurrentStreams, Value: maxStreams},
		{ID: http2.InitialWindowSize, Value: minWindow},
		{ID: http2.MaxHeaderListSize, Value: uint32(s.sh.eng.Limits.head())},
		{ID: http2.EnableConnect, Value: 1},
	}
	n := len(settings)
	if m.dec.Connect = !s.sh.eng.Limits.NoTunnels; !m.dec.Connect {
		n--
	}
	m.out = http2.AppendSettings(m.out, settings[:n]...)
	if s.closing() {
		s.fixed = true
		m.leave()
	}
	s.watch()
}

// becomes makes s the session of an HTTP/2 connection.
func (s *session) becomes(m *mux) {
	s.mux = m
	m.frame.Count = (*http2.Frames)(&m.count().Frames)
	s.sh.Front[s.fe.Index].Open.H2Conns++
}

// count is what the frontend counts of HTTP/2.
func (m *mux) count() *stats.HTTP2 { return &m.s.sh.Front[m.s.fe.Index].H2 }

// goAway tells the client which stream is the last that is looked at.
func (m *mux) goAway(last uint32, code http2.Code, text string) {
	m.count().GoAways++
	m.touch()
	m.out = http2.AppendGoAway(m.out, last, code, text)
}

// sendReset ends a stream of the client's.
func (m *mux) sendReset(id uint32, code http2.Code) {
	m.count().Resets++
	m.touch()
	m.out = http2.AppendRST(m.out, id, code)
}

// limit has the connection read heads as large as the engine takes them.
func (m *mux) limit() {
	head := m.s.sh.eng.Limits.head()
	m.dec.SetMax(head)
	m.frame.MaxBlock = max(maxBlock, 2*head)
}

// touch prepares out for being appended to, and has it flushed at the end of
// the turn.
func (m *mux) touch() {
	sh := m.s.sh
	if n := len(sh.muxOuts); m.out == nil && n > 0 {
		m.out, sh.muxOuts[n-1] = sh.muxOuts[n-1], nil
		sh.muxOuts = sh.muxOuts[:n-1]
	}
	if !m.dirty {
		m.dirty = true
		sh.muxes = append(sh.muxes, m)
	}
}

// putOut gives out back when nothing is in it: an idle connection holds none.
func (m *mux) putOut() {
	if sh := m.s.sh; cap(m.out) <= 2*maxOutFrames && len(sh.muxOuts) < keptOuts {
		sh.muxOuts = append(sh.muxOuts, m.out[:0])
	}
	m.out = nil
}

// flushMuxes sends what this turn wrote.
func (sh *Shard) flushMuxes() {
	for i := 0; i < len(sh.muxes); i++ { // ending one may touch another
		m := sh.muxes[i]
		sh.muxes[i] = nil
		m.dirty = false
		if !m.dead && m.s.state == multiplexing {
			m.flush()
		}
	}
	sh.muxes = sh.muxes[:0]
	sh.recycleStreams()
}

// flush sends out, and goes on with what waits for that.
func (m *mux) flush() {
	s := m.s
	if !m.write() {
		m.lost()
		return
	}
	switch {
	case m.finished() && len(m.out) == 0 && !s.Pending():
		m.dead = true
		s.closeGently(true)
		if s.state == closed { // and free for another client
			return
		}
	case len(m.out) < maxOutFrames && (m.held || m.hasReady()):
		s.sh.Loop.Again(s)
	}
	s.rearm()
	if mv := s.sh.mover; mv != nil {
		mv.consider(s)
	}
}

// write gives out to the connection; false when that is gone.
func (m *mux) write() bool {
	s := m.s
	for len(m.out) > 0 {
		n, st := s.writeRaw(m.out)
		switch st {
		case wire.Again:
			return true
		case wire.Error:
			return false
		}
		m.sent += int64(n)
		m.out = append(m.out[:0], m.out[n:]...)
	}
	if m.out != nil {
		m.putOut()
	}
	return true
}

// finished reports whether nothing more is to be done but to close.
func (m *mux) finished() bool { return m.leaving >= decided && len(m.streams) == 0 }

// pump reads frames.
func (m *mux) pump() step {
	s := m.s
	if len(m.out) > 0 || m.finished() {
		m.touch()
	}
	for range maxTurns {
		if s.in != nil {
			e := m.frames()
			m.feed()
			if e != nil {
				m.fail(e)
				return onward
			}
		}
		m.resume()
		if m.held = len(m.out) >= maxOutFrames; m.held { // a client that does not read is not read from
			return waits
		}
		if s.in == nil {
			s.in = s.sh.Loop.Buffers.Get()
			s.in.W = copy(s.in.Data[:], m.rest)
			m.rest = m.rest[:0]
		}
		if len(s.in.Space()) == 0 || s.in.R > len(s.in.Data)/2 {
			s.in.Compact()
		}
		n, st := s.readRaw(s.in.Space())
		switch st {
		case wire.Again:
			if m.rest = append(m.rest[:0], s.in.Bytes()...); len(m.rest) == 0 {
				m.rest = nil
			}
			s.putIn()
			return waits
		case wire.EOF, wire.Error:
			if !m.begun {
				m.logFault("the client left before the end of HTTP/2's preface")
			}
			s.CloseNotify()
			m.lost()
			return onward
		}
		s.in.W += n
	}
	s.sh.Loop.Again(s)
	return waits
}

// wait puts st in line for window, or for room in out.
func (m *mux) wait(st *muxStream) {
	if !st.waiting {
		st.waiting = true
		m.waiting = append(m.waiting, st)
	}
}

// unwait takes st out of the line.
func (m *mux) unwait(st *muxStream) {
	if st.waiting {
		st.waiting = false
		m.waiting = slices.DeleteFunc(m.waiting, func(other *muxStream) bool { return other == st })
	}
}

// feed runs the streams that DATA came for, once each however many frames it
// was.
func (m *mux) feed() {
	for i, st := range m.fed {
		m.fed[i] = nil
		if st.fed = false; !st.closed && !st.held {
			st.s.run()
		}
	}
	m.fed = m.fed[:0]
}

// hasReady reports whether a stream in line could go on.
func (m *mux) hasReady() bool {
	if m.send <= 0 {
		return false
	}
	for _, st := range m.waiting {
		if st.window > 0 {
			return true
		}
	}
	return false
}

// resume lets streams in line go on, each for one frame's worth before the next
// has its turn.
func (m *mux) resume() {
	for n := len(m.waiting); n > 0 && len(m.out) < maxOutFrames && m.send > 0; n-- {
		st := m.waiting[0]
		m.unwait(st)
		if st.window <= 0 {
			m.wait(st)
		} else {
			st.s.run()
		}
	}
}

// fail ends the connection for an error of the client's.
func (m *mux) fail(e *http2.Error) {
	m.count().ConnErrors++
	m.goAway(m.lastID, e.Code, e.Text)
	m.leaving = over
	sh, fe := m.s.sh, m.s.fe
	sh.Front[fe.Index].ErrReq++
	sh.eng.keepBad(&fe.bad, &BadMessage{Time: sh.Loop.Time(), Client: m.s.peer, Frontend: fe.Name, HTTP2: true}, bad{reason: e.Text})
	if len(m.streams) == 0 {
		m.logFault(e.Text)
	}
	m.dropAll()
	m.write()
	m.s.closeGently(true)
}

// logFault writes the line of a connection that a fault ends while no stream is open whose line would show it.
func (m *mux) logFault(fault string) {
	s, sh := m.s, m.s.sh
	t := sh.newTxn(s)
	r := &t.rec
	r.BadReq, r.Fault = true, fault
	r.Frontend, r.Backend, r.Server = s.fe.Name, s.fe.Name, NoServer
	r.Term, r.Status = [4]byte{'P', 'R', '-', '-'}, 0
	r.Received = uint64(s.in.W) // what was read last; 0 makes it a line that option dontlognull drops
	t.times(sh.Loop.Now())
	sh.log(t)
	sh.freeTxn(t)
}

// lost ends a connection whose client is gone.
func (m *mux) lost() {
	m.leaving = over
	m.dropAll()
	m.s.close()
}

// dropAll ends all streams as aborted by the client.
func (m *mux) dropAll() {
	m.dead = true // nothing more is written
	for _, st := range m.ordered() {
		if !st.closed {
			st.reset = true
			st.drop()
		}
	}
}

// leave begins the connection's polite end.
func (m *mux) leave() {
	if m.leaving != staying {
		return
	}
	m.leaving, m.leftAt = announced, m.s.sh.Loop.Now()
	m.goAway(http2.MaxWindow, http2.NoError, "")
	m.out = http2.AppendPing(m.out, 0, lastPing)
}

// leaveWithin is leave at some moment within spread ms.
func (m *mux) leaveWithin(spread int64) {
	if spread == 0 {
		m.leave()
	} else if m.s.leaveAt == 0 {
		m.s.leaveAt = m.s.sh.Loop.Now() + 1 + rand.Int64N(spread)
	}
	m.s.rearm()
}

// decide says which stream is the last one.
func (m *mux) decide() {
	m.leaving = decided
	m.goAway(m.lastID, http2.NoError, "")
}

// unsent reports whether the client has not been given all: of TLS, too.
func (m *mux) unsent() bool { return len(m.out) > 0 || m.s.Pending() }

// deadline is when the connection itself has waited long enough; its streams
// have deadlines of their own.
func (m *mux) deadline() int64 {
	s := m.s
	to := &s.fe.Timeouts
	switch {
	case m.holding:
		return m.holdUntil
	case m.leaving == announced:
		return m.leftAt + goAwayPatience
	case s.leaveAt > 0 && m.leaving == staying:
		return s.leaveAt
	case len(m.streams) > 0 && len(m.out) == 0:
		return noDeadline
	case m.leaving >= decided || m.unsent(): // the client takes nothing
		return after(max(s.act, s.since), to.Client)
	case s.requests > 0 && to.KeepAlive > 0:
		return s.since + to.KeepAlive
	case to.Request > 0 && s.requests == 0:
		return s.since + to.Request
	}
	return after(max(s.since, s.act), to.Client)
}

// timeout ends the wait whose deadline has passed.
func (m *mux) timeout() {
	switch {
	case m.holding:
		m.remain()
	case m.leaving == announced:
		m.decide()
	case m.s.leaveAt > 0 && m.leaving == staying:
		m.leave()
	case m.unsent():
		m.lost()
	default:
		m.goAway(m.lastID, http2.NoError, "")
		m.leaving = over
		m.dropAll()
		m.write()
		m.s.closeGently(false)
	}
}
