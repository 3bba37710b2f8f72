package stream

import (
	"bytes"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/sample"
)

// A place on a server: which one the algorithm names, and the queue for it.

// balance reserves a place on a server, or queues for one.
func (t *txn) balance() {
	if srv := t.srv; srv != nil { // bound by its cookie, or stuck
		t.srv = nil
		if (t.be.Persist || t.forced) && t.be.TakeDown(srv) {
			t.srv = srv
			t.assigned()
			return
		}
		switch t.be.Take(srv) {
		case backend.Picked:
			t.srv = srv
			t.assigned()
			return
		case backend.Full:
			t.enqueue(srv)
			return
		}
		t.bound = false
	} else if t.toOwn() {
		return
	}
	srv, got := t.pick()
	switch got {
	case backend.Picked:
		t.srv = srv
		t.assigned()
	case backend.Full:
		t.enqueue(srv) // nil but for the hashes, which name one server
	default:
		t.s.sh.Back[t.be.Index].ErrConn++
		t.nobody()
	}
}

// nobody ends an exchange for which there is no server.
func (t *txn) nobody() {
	if t.s.http {
		t.rec.Term[0], t.rec.Term[1] = 'S', 'C'
		t.replyError(503)
		return
	}
	// A page would be taken for the server's bytes.
	if t.rec.Received == 0 { // whoever has sent something is no port probe (option dontlognull)
		t.rec.Received = uint64(t.s.waitingBytes())
	}
	t.abort('S', 'C')
}

// waitingBytes is how much a client has sent that nobody has read.
func (s *session) waitingBytes() int {
	n, err := unix.IoctlGetInt(s.FD(), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// hashKey hashes what the backend's algorithm goes by.
func (t *txn) hashKey(x *sample.Ctx) {
	t.keyed = false
	if k := t.be.HashKey; k != nil {
		if key := k.Key(x); key != nil {
			t.keyHash, t.keyed = t.be.HashBytes(key), true
		}
	}
}

func (t *txn) pick() (*backend.Server, backend.Outcome) {
	if t.be.Algo == backend.Key && !t.keyed {
		return t.be.PickAny(t.avoid)
	}
	return t.be.Pick(t.hash(), t.avoid)
}

// hash places the request for the algorithms that hash.
func (t *txn) hash() uint32 {
	switch t.be.Algo {
	case backend.Source:
		return t.be.HashAddr(t.rec.Client.Addr())
	case backend.URI:
		return t.keyHash // of what is asked for
	case backend.Key:
		return t.keyHash
	}
	return 0
}

// assigned goes on with a place on t.srv.
func (t *txn) assigned() {
	sh := t.s.sh
	t.rec.Server, t.rec.ServerID = t.srv.Name, t.srv.ID
	t.rec.ServerAddr = t.srv.Addr().IP
	t.rec.Tw = int32(sh.Loop.Now() - t.start)
	sh.Server[t.srv.Index].session(sh.Loop.Now())
	if t.left != nil {
		t.arrived()
	}
	t.be.Paces.Servers[t.srv].count()
	if to, ok := t.be.Redirs[t.srv]; ok && t.elsewhere(to) {
		return
	}
	t.dialAt = sh.Loop.Now()
	t.flightPhase('C')
	t.dial()
}

// elsewhere sends the client to a server's `redir` prefix, if its request can
// be repeated there.
func (t *txn) elsewhere(prefix string) bool {
	if !t.s.http || t.askedFor != methodGet && t.askedFor != methodHead {
		return false
	}
	path := t.askedURI
	if _, rest, absolute := bytes.Cut(path, []byte("://")); absolute && path[0] != '/' {
		path = rest[max(bytes.IndexByte(rest, '/'), 0):]
	}
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	t.rec.Term[0], t.rec.Term[1] = 'L', 'C'
	t.keep = false
	header := "Cache-Control: no-cache\r\nLocation: " + prefix + string(path) + "\r\n"
	t.reply(302, "", []byte(header), nil)
	return true
}

// enqueue waits for a place on srv, or on any server when srv is nil.
func (t *txn) enqueue(srv *backend.Server) {
	s, sh, gen := t.s, t.s.sh, t.gen
	t.phase = phaseQueue
	t.queuedAt = sh.Loop.Now()
	if s.waiting > 0 { // a reload does not lengthen timeout queue
		t.queuedAt = s.waiting
	}
	w := &backend.Waiter{Class: t.rec.PriorityClass, Due: sh.Loop.Time().UnixMilli() + int64(t.rec.PriorityOffset)}
	w.Wake = func() {
		sh.Loop.Post(func() {
			if t.gen == gen && t.queued == w {
				t.grantedPlace()
				s.run()
			}
		})
	}
	t.queued = w
	t.be.Enqueue(w, srv)
	t.rec.SrvQueue, t.rec.BeQueue = 0, 1 // the first in line is 1, as with HAProxy
	if srv != nil {
		t.rec.SrvQueue, t.rec.BeQueue = 1, 0
	}
	s.watch() // its abort must be noticed
	t.parkQueued()
}

// grantedPlace takes the place this exchange was granted.
func (t *txn) grantedPlace() {
	srv := t.be.Granted(t.queued)
	if srv == nil {
		return
	}
	t.stood()
	t.queued = nil
	t.unparkQueued()
	t.srv = srv
	t.assigned()
}

// stood notes where in the queue the exchange was.
func (t *txn) stood() {
	place := int32(t.queued.Place())
	if t.rec.SrvQueue > 0 {
		t.rec.SrvQueue = place
	} else {
		t.rec.BeQueue = place
	}
}

// leaveQueue gives up waiting; a place granted meanwhile is given back.
func (t *txn) leaveQueue() {
	if t.queued == nil {
		return
	}
	if srv := t.be.LineOf(t.queued); srv != nil { // the log has the server that it waited for, as HAProxy's
		t.rec.Server, t.rec.ServerID, t.rec.SrvConn = srv.Name, srv.ID, srv.Load()
	}
	if srv := t.be.Cancel(t.queued); srv != nil {
		t.be.Release(srv)
	}
	t.stood()
	t.queued = nil
	t.unparkQueued()
	t.rec.Tw = int32(t.s.sh.Loop.Now() - t.start)
}
