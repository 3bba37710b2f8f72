package stream

import (
	"math/rand/v2"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/lb/wire"
)

// Shard is one loop's share of the engine. Everything in it is owned by the
// loop.
type Shard struct {
	Loop *loop.Loop
	eng  *Engine

	Front  []FrontCounters  // by Frontend.Index
	Back   []ServerCounters // by Backend.Index
	Server []ServerCounters // by backend.Server.Index

	senders []*syslog.Sender // by Frontend.Logs
	pools   []idlePool       // by backend.Server.Index

	scratch
	flightLog
	sharer sharer
	muxing
	linking
	spares

	counter   uint32 // numbers exchanges, in steps of the number of shards
	stickBase int64  // what the clock of stick tables is ahead of the loop's, ms

	acceptors []*acceptor
	paused    bool
	draining  bool
	mover     *mover // while connections move to the next generation

	names     serverNames
	sessions  sessionList
	pieces    []piece                // put off, see piece.go
	halfHeads map[*session][]byte    // half heads, see halfhead.go
	lookups   map[*session][]*lookup // names that content rules ask for, see resolve.go; nil until one does
	late      []lateEntry
	lateTick  loop.Timer
	trim      loop.Timer
	turns     *wire.Turns // of handshakes; nil: they are computed on goroutines
}

// scratch is for the current request or response.
type scratch struct {
	req     http1.Head
	res     http1.Head
	ctx     sample.Ctx
	sessRec sample.Record // of a rule about a session alone
	headBuf []byte
	kept    http1.Head // of a response that a cache is given
	keptBuf []byte
	packBuf []byte // what was compressed last
	nameBuf []byte
	logBuf  []byte
	wideIn  []byte // what moveWide has read
	sa      unix.RawSockaddrAny
}

// flightLog is the shard's part of what outlives the process (flights.go).
type flightLog struct {
	flights     []flight // slots in that memory
	freeFlights []int32
	landed      []landing // ended, and their lines have not left
	unqueued    []*flight // of what a parcel is made of, until that has them
	unsent      []int     // scratch of keepUnsent
	known       []int     // too
}

// muxing is what HTTP/2 connections share (mux.go).
type muxing struct {
	muxes   []*mux   // with frames to send at the end of the turn
	muxOuts [][]byte // empty, for muxes that will have some
	muxHead http1.Head

	endedStreams []*muxStream // in this turn: something on the stack may still look at them
	spareStreams []*muxStream
}

// spares are structs to be used again.
type spares struct {
	freeSessions *session
	freeTxns     *txn
	freeConns    *serverConn
}

// lateEntry is a client connection that was not registered with epoll when it
// was accepted: most requests are answered sooner than it would be worth it.
type lateEntry struct {
	s   *session
	gen uint32
}

// lateDelay is how many milliseconds a client connection may go unwatched
// while its request runs; then its abort must be noticed.
const lateDelay = 10

func newShard(e *Engine, l *loop.Loop) (*Shard, error) {
	sh := &Shard{
		Loop: l,
		eng:  e,

		stickBase: stick.Now() - l.Now(),

		Front:     make([]FrontCounters, len(e.Frontends)),
		Back:      make([]ServerCounters, len(e.Backends)),
		Server:    make([]ServerCounters, len(e.Servers)),
		pools:     make([]idlePool, len(e.Servers)),
		halfHeads: map[*session][]byte{},

		paused: e.Hold,
	}
	l.Buffers.SetSize(e.Limits.head() + loop.BufferSize - DefaultHead) // a head, and what rules make of it
	l.Sealed.SetSize(wire.SealedSize(l.Buffers.Size()))
	l.Wide.SetSize(wire.WideSize(l.Buffers.Size()))
	for _, head := range [...]*http1.Head{&sh.req, &sh.res, &sh.muxHead, &sh.linkHead} {
		head.MaxFields = e.Limits.Fields
	}
	sh.prepareLinks()
	for _, targets := range e.Targets {
		s, err := syslog.NewSender(targets...)
		if err != nil {
			return nil, err
		}
		sh.senders = append(sh.senders, s)
	}
	sh.sessions.init()
	for _, fe := range e.Frontends {
		for _, ln := range fe.Listeners {
			sh.acceptors = append(sh.acceptors, &acceptor{sh: sh, ln: ln})
		}
	}
	sh.lateTick.OnExpire = expireFunc(sh.registerLate)
	sh.trim.OnExpire = expireFunc(sh.trimMemory)
	l.Arm(&sh.trim, trimInterval.Milliseconds())
	l.AfterEvents(sh.passPieces)
	l.AtTurnEnd(sh.sendFresh)
	l.AtTurnEnd(sh.flushFrames) // which may log
	l.AtTurnEnd(sh.flushLogs)
	return sh, nil
}

// expireFunc lets a function be a timer's target.
type expireFunc func()

// Expire implements loop.Expirer.
func (f expireFunc) Expire() { f() }

// flushLogs sends what this turn logged. A sender that could not send all
// wants to be called again soon, though nothing else may happen.
func (sh *Shard) flushLogs() {
	behind := false
	for i, s := range sh.senders {
		s.Flush()
		switch {
		case s.Pending():
			behind = true
			if !sh.lateTick.Armed() {
				sh.Loop.Arm(&sh.lateTick, 1)
			}
		case len(sh.landed) > 0:
			sh.freeLanded(i)
		}
	}
	if behind {
		sh.keepUnsent()
	}
}

// lastWait bounds how long an ending worker waits for its log's receiver.
const lastWait = 2 * time.Second

// lastLogs sends what is still to be logged, after the loop has ended. What has been
// logged is in flight no more: a master that is not this process's parent cannot
// know how it ended, and has the next worker log whatever it finds.
func (sh *Shard) lastLogs() {
	until := time.Now().Add(lastWait)
	for _, s := range sh.senders {
		for s.Flush(); s.Pending() && time.Now().Before(until); s.Flush() {
			time.Sleep(time.Millisecond)
		}
	}
	sh.keepUnsent()
	for _, s := range sh.senders {
		s.Close()
	}
}

func (sh *Shard) registerLate() {
	for i, e := range sh.late {
		if e.s.gen == e.gen && e.s.state == exchanging {
			e.s.watch()
		}
		sh.late[i].s = nil
	}
	sh.late = sh.late[:0]
}

func (sh *Shard) trimMemory() {
	sh.Loop.Buffers.Trim()
	sh.Loop.Sealed.Trim()
	sh.Loop.Wide.Trim()
	sh.Loop.Pipes.Trim()
	sh.muxOuts, sh.spareStreams, sh.wideIn = nil, nil, nil
	sh.eng.giveBackMemory()
	for i := range sh.pools {
		sh.pools[i].purge()
	}
	sh.purgeLinks()
	sh.Loop.Arm(&sh.trim, trimInterval.Milliseconds())
}

// acceptor is one listener as one shard watches it.
type acceptor struct {
	sh      *Shard
	ln      *Listener
	on      bool
	retry   loop.Timer
	refused bool // the last accept ran out of descriptors
}

// maxAccept is how many connections one turn takes from one listener.
const maxAccept = 64

// listen watches every listener that is not watched.
func (sh *Shard) listen() {
	if sh.draining || sh.paused {
		return
	}
	for _, a := range sh.acceptors {
		a.start()
	}
}

func (sh *Shard) unlisten() {
	for _, a := range sh.acceptors {
		a.stop()
	}
}

func (a *acceptor) start() {
	if a.on || a.sh.draining || a.sh.paused || a.ln.Frontend.Paused() {
		return
	}
	if err := a.sh.Loop.AddListener(a.ln.FD, a); err != nil {
		a.sh.eng.Report("listener " + a.ln.Name + ": " + err.Error())
		return
	}
	a.on = true
}

func (a *acceptor) stop() {
	if a.on {
		a.sh.Loop.Forget(a.ln.FD)
		a.on = false
	}
}

// Ready implements loop.Handler.
func (a *acceptor) Ready(loop.Events) { a.accept() }

// accept takes what has come, as far as there is room; true when there may be
// more.
func (a *acceptor) accept() (more bool) {
	sh, fe := a.sh, a.ln.Frontend
	for range maxAccept {
		if wait := a.tooFast(); wait > 0 {
			a.rest(wait)
			return false
		}
		if !a.enter() {
			// Room is made by leave, which resumes; one that was made just
			// now, before crowded was set, is found by asking again.
			sh.eng.crowded.Store(true)
			if !a.enter() {
				a.stop()
				return false
			}
		}
		fd, errno := loop.Accept(a.ln.FD, &sh.sa)
		if errno != 0 {
			a.ln.count(&sh.eng.TLSConns, -1)
			sh.eng.leave(fe)
			a.failed(errno)
			return false
		}
		a.refused = false
		a.begun()
		if sh.keepFresh(a.ln, fd) {
			continue
		}
		sh.newSession(a.ln, fd)
	}
	return true
}

// failed handles an accept that gave no connection. Out of descriptors the
// listener rests a moment: it would be reported ready again and again.
func (a *acceptor) failed(errno syscall.Errno) {
	switch errno {
	case syscall.EAGAIN, syscall.EINTR, syscall.EPROTO, syscall.EPERM:
		return
	}
	if !a.refused {
		a.refused = true
		a.sh.eng.Report("listener " + a.ln.Name + ": accept: " + errno.Error() +
			"; raise LimitNOFILE or lower maxconn")
	}
	a.rest(100)
}

// rest stops the listener for some ms.
func (a *acceptor) rest(ms int64) {
	a.stop()
	a.retry.OnExpire = expireFunc(a.start)
	a.sh.Loop.Arm(&a.retry, ms)
}

// lastTake is what a draining shard takes from an accept queue whose length it
// cannot know.
const lastTake = 4096

// lastAccept takes what waits in the queue now: if nobody else serves it any
// more it must be empty when it is closed, and if others do it never is.
func (a *acceptor) lastAccept() {
	left := lastTake
	// Of a socket that listens this is the length of its accept queue.
	if info, err := unix.GetsockoptTCPInfo(a.ln.FD, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		left = int(info.Unacked)
	}
	for ; a.on && left > 0 && a.accept(); left -= maxAccept {
	}
}

// drain stops accepting; idle connections stay until their next request,
// which is answered with Connection: close, or until their time is up.
func (sh *Shard) drain() {
	for _, a := range sh.acceptors {
		a.lastAccept()
	}
	sh.unlisten()
	sh.draining = true
	sh.leaveLinks()
	for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
		if s.state == multiplexing && s.closing() {
			s.mux.leaveWithin(sh.eng.Leaving.Spread.Milliseconds())
		}
	}
	if l := sh.eng.Leaving; l.CloseIdle || l.Spread > 0 {
		sh.sendAway(l.Spread.Milliseconds())
	}
	for _, a := range sh.acceptors {
		sh.Loop.Disarm(&a.retry)
	}
}

// sendAway closes idle clients that do not move, some time within spread ms.
func (sh *Shard) sendAway(spread int64) {
	for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
		if s.state == reading && s.closing() {
			s.leaveAt = sh.Loop.Now() + 1
			if spread > 0 {
				s.leaveAt += rand.Int64N(spread)
			}
			s.rearm()
		}
	}
}
