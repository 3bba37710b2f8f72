package stream

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/h2client"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/socks4"
	"lbsyslogd/lb/wire"
)

// serverConn is one connection to a server: in use by t, or idle in its
// shard's pool. Owned by the loop.
type serverConn struct {
	wire.Conn
	sh      *Shard
	srv     *backend.Server
	be      *Backend
	t       *txn // nil while idle
	uses    uint32
	local   localAddr
	to      netip.AddrPort // where it goes, if that is not the same for all clients
	socks   *socks         // the proxy has not answered yet
	hello   string         // the PROXY header that it begins with
	from    netip.AddrPort // the address that usesrc gave it
	said    bool           // which has been sent
	at      *backend.Addr  // the server's address when it was made
	owner   *session       // idle, but kept for this client alone
	private bool           // it was authenticated: no other client may ever have it
	sni     string         // the name that TLS asked for
	made    *ServerTLS     // how the server was spoken to when it was made
	open    bool
	leaving bool // packed for another process

	link   *link            // of HTTP/2: what it carries, or what its stream belongs to (link.go)
	stream *h2client.Stream // if it is a stream

	next, prev *serverConn // in idlePool; next also in Shard.freeConns
}

// Ready implements loop.Handler.
func (c *serverConn) Ready(ev loop.Events) {
	c.Note(ev)
	switch {
	case c.link != nil:
		c.Flush()
		c.link.Pump()
	case c.t != nil:
		s := c.t.s
		switch {
		case s.state == movingAway:
		case c.t.flows && bytesAlone(ev) && c.sh.mover == nil:
			c.sh.putOff(s, false)
		default:
			c.Flush()
			s.run()
		}
	case c.leaving: // another process has it by now
	case ev&(loop.In|loop.RdHup|loop.Hup|loop.Err) != 0 && !c.Absorb():
		// Bytes or the end on an idle connection: it is of no use any more.
		c.drop()
	}
}

// saidMore reports that a server has sent something after its answer that was read together with it: over TLS most likely its goodbye, of which no event will tell.
func (c *serverConn) saidMore() bool {
	return c.Kind() == wire.Secure && c.MayRead() && !c.Absorb()
}

// bye ends a connection on which nothing is cut short, and says so over TLS: a server that hears nothing has to take it for an attack [RFC 8446 6.1], and OpenSSL
// forgets its session.
func (c *serverConn) bye() {
	c.CloseNotify()
	c.close()
}

// drop closes an idle connection, wherever it is kept.
func (c *serverConn) drop() {
	if c.owner != nil {
		c.owner.own = nil
	} else {
		c.sh.pools[c.srv.Index].remove(c)
	}
	c.bye()
}

// close closes the connection and frees c.
func (c *serverConn) close() {
	if !c.open {
		return
	}
	sh := c.sh
	c.Close()
	sh.pools[c.srv.Index].own(c, nil)
	switch {
	case c.stream != nil:
		c.stream.Close()
	case c.t != nil: // a link has been counted (Ended)
		sh.pools[c.srv.Index].end()
	}
	*c = serverConn{next: sh.freeConns}
	sh.freeConns = c
}

// dial gets a connection to t.srv: an idle one, or a new one.
func (t *txn) dial() {
	s, now := t.s, t.s.sh.Loop.Now()
	t.tryAt, t.srvAct = now, now
	t.phase = phaseConnect
	t.sni = t.sniFor(t.be.TLS[t.srv])
	if s.http && (s.sh.links != nil && t.join(now) || t.reuse(now)) {
		return
	}
	switch errno := t.open(); errno {
	case 0, syscall.EINPROGRESS:
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		t.exhausted()
	default:
		t.connectError(errno)
	}
}

// exhaustedRest is how long, in ms, a request waits for what the machine has not got for its connection.
const exhaustedRest = 50

// exhausted handles that this process, or the machine, has no descriptor or no memory for a connection. It is not the server's failure and costs
// no retry: the request waits, up to timeout connect, and no client is accepted meanwhile, or new ones would take every descriptor that comes free.
func (t *txn) exhausted() {
	sh := t.s.sh
	if now := sh.Loop.Now(); now >= after(t.dialAt, t.be.Timeouts.Connect) {
		t.fail('R', 'C', 503)
		return
	}
	for _, a := range sh.acceptors {
		a.rest(2 * exhaustedRest)
	}
	t.rest(exhaustedRest)
}

// rest waits some ms before t dials again.
func (t *txn) rest(ms int64) {
	t.phase = phaseRetry
	t.againAt = t.s.sh.Loop.Now() + ms
	t.s.watch() // its abort must be noticed
	t.s.rearm()
}

// open makes a new connection to t.srv.
func (t *txn) open() syscall.Errno {
	sh := t.s.sh
	to, known := t.destination()
	if !known {
		return syscall.EADDRNOTAVAIL
	}
	var via *socks
	next := to
	how := t.be.Outbound[t.srv]
	if how != nil && how.SOCKS4 != nil {
		request, ok := socks4.Request(to.IP)
		if !ok {
			return syscall.EAFNOSUPPORT
		}
		via, next = &socks{request: request}, how.SOCKS4
	}
	sa, size := next.Raw()
	family := next.Family()
	fd, errno := how.socket(family)
	if (errno == syscall.EMFILE || errno == syscall.ENFILE) && sh.dropIdle() {
		fd, errno = how.socket(family)
	}
	if errno != 0 {
		sh.eng.Report("no socket for a connection to a server: " + errno.Error() + "; raise LimitNOFILE or lower maxconn")
		return errno
	}
	if family != unix.AF_UNIX {
		loop.SetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if how != nil {
		if errno := how.setOptions(t, fd, family); errno != 0 {
			loop.CloseRaw(fd)
			return errno
		}
	}
	errno = loop.Connect(fd, sa, size)
	if errno != 0 && errno != syscall.EINPROGRESS {
		loop.CloseRaw(fd)
		return errno
	}
	c := sh.takeConn(t.be, t.srv, fd, false)
	c.t, c.uses, c.sni, c.socks = t, 1, t.sni, via
	if t.be.private(t.srv) {
		c.to, c.private, c.hello = to.IP, true, t.hello()
		if how := t.be.Outbound[t.srv]; how != nil {
			c.from = t.foreign(how)
		}
	}
	t.c, t.fresh = c, true
	sh.pools[t.srv.Index].begin()
	sh.Server[t.srv.Index].Connects++
	return 0
}

// takeConn takes a connection from the pool, for an open socket that is
// connected or is being connected.
func (sh *Shard) takeConn(be *Backend, srv *backend.Server, fd int, connected bool) *serverConn {
	c := sh.freeConns
	if c == nil {
		c = new(serverConn)
	} else {
		sh.freeConns = c.next
	}
	*c = serverConn{Conn: wire.Open(sh.Loop, c, fd, connected), sh: sh, srv: srv, be: be, open: true, at: srv.Addr(), made: be.TLS[srv]}
	if err := c.Watch(); err != nil {
		sh.eng.Report(err.Error())
	}
	return c
}

// connected tries to send over a connection that is being made: a local
// server has taken it already.
func (t *txn) connected() step {
	c := t.c
	if c == nil {
		return waits
	}
	switch errno := c.Connected(); errno {
	case 0:
	case syscall.EINPROGRESS:
		return waits
	default:
		t.connectError(errno)
		return left
	}
	if st := t.askProxy(); st != onward {
		return st
	}
	if st := t.greeted(); st != onward {
		return st
	}
	if how := t.be.TLS[t.srv]; how != nil && c.Kind() == wire.Plain {
		if st := t.probe(); st != onward {
			return st
		}
		return t.shake(how)
	}
	if t.s.http {
		if t.s.sh.links != nil && c.stream == nil && t.speaksHTTP2() {
			if st := t.probe(); st != onward {
				return st
			}
			t.multiplex()
		}
		return t.sendHead()
	}
	if st := t.probe(); st != onward {
		return st
	}
	t.established(t.s.sh.Loop.Now())
	return onward
}

// probe asks whether the connection stands, when there is nothing to send.
func (t *txn) probe() step {
	switch errno := t.c.Probe(); errno {
	case 0:
	case syscall.EINPROGRESS:
		return waits
	default:
		t.connectError(errno)
		return left
	}
	return onward
}

// established notes the time of the connection.
func (t *txn) established(now int64) {
	t.phase = phaseForward
	if t.s.http && t.c.stream == nil {
		n := &t.s.sh.Back[t.be.Index].H1
		n.Streams++
		if t.fresh {
			n.Conns++
		}
	}
	if t.fresh {
		t.fresh = false
		t.srv.Watch.Connected()
	}
	t.c.private = t.c.private || t.auth
	t.describeBackTLS()
	t.sentAt, t.srvAct = now, now
	t.rec.Tc = int32(now - t.dialAt)
	t.rec.Answered, t.rec.ServerHTTP2 = true, t.c.stream != nil
	t.rec.Vars.EndRequest()
	if t.tunnel() {
		t.flightPhase('D')
		t.beginLooking(now)
	} else {
		t.flightPhase('H')
	}
	if t.s.fe.Needs&sample.NeedsBackAddr != 0 {
		base := t.c.base()
		t.rec.BackAddr = base.local.of(t.s.sh, base.FD())
	}
	if !t.s.http {
		t.logEarly()
	}
}

// maxRetryDelay bounds how many milliseconds pass before the same server is
// tried again: timeout connect, but HAProxy's one second at most.
const maxRetryDelay = 1000

// retryDelay is how many milliseconds pass before a server is tried again that
// has failed as who says (Term[0]). One that took too long has been waited for.
func retryDelay(who byte, timeout int64) int64 {
	switch {
	case who == 's':
		return 0
	case timeout > 0:
		return min(timeout, maxRetryDelay)
	}
	return maxRetryDelay
}

// connectError handles an attempt that ended with errno.
func (t *txn) connectError(errno syscall.Errno) {
	who := byte('S')
	if errno == syscall.ETIMEDOUT {
		who = 's'
	}
	t.connectFailed(who)
}

// connectFailed handles an attempt that was refused ('S') or took too long
// ('s'): try another server at once, the same one in a moment, or give up.
func (t *txn) connectFailed(who byte) {
	sh := t.s.sh
	if t.c != nil {
		l := t.c.link
		t.c.close()
		t.c = nil
		if l != nil {
			l.unsettled()
		}
	}
	t.rec.Tc = -1
	t.srv.Watch.ConnectFailed()
	if t.retriesLeft() <= 0 || t.be.RetryOn.NoConnFailure {
		sh.Server[t.srv.Index].ErrConn++
		sh.Back[t.be.Index].ErrConn++
		t.fail(who, 'C', 503)
		return
	}
	t.rec.Retries++
	if t.mayRedispatch() {
		t.toAnother()
		return
	}
	t.retried()
	t.rest(retryDelay(who, t.be.Timeouts.Connect))
}

// maxRetries is how often an attempt at a server may be made again: set-retries,
// or the backend's retries.
func (t *txn) maxRetries() int {
	if n := t.rec.MaxRetries; n > 0 {
		return n - 1
	}
	return t.be.Retries
}

func (t *txn) retriesLeft() int { return t.maxRetries() - int(t.rec.Retries) }

// mayRedispatch: option redispatch N lets every N-th retry (or, counted from
// the end, the last one) go to another server; a client bound to a server by
// its cookie only then loses it. Whoever was sent to this server by no cookie and no
// hash goes to another at once.
func (t *txn) mayRedispatch() bool {
	n := t.be.Redispatch
	if t.srv.Unnamed { // there is nothing else
		return false
	}
	byTurn := !t.be.Algo.Hashes()
	switch {
	case n != 0 && !t.bound && byTurn && t.be.Stats().Active > 1:
		return true
	case n > 0:
		return int(t.rec.Retries)%n == 0
	case n < 0:
		every := t.maxRetries() + 1 + n
		return every > 0 && int(t.rec.Retries)%every == 0
	}
	return false
}

// toAnother gives the place on this server back and asks for one elsewhere.
func (t *txn) toAnother() {
	failed := t.srv
	t.srv, t.bound = nil, false
	if t.rec.Term[2] == 'V' { // the cookie's server counts as down from here
		t.rec.Term[2] = 'D'
	}
	t.avoid = failed
	t.left = failed
	t.be.Release(failed)
	t.balance()
}

// arrived counts what toAnother came to: a redispatch, or one more attempt at
// the server that it left, where there is no other.
func (t *txn) arrived() {
	sh, left := t.s.sh, t.left
	t.left = nil
	if left == t.srv {
		sh.Server[left.Index].Retries++
		sh.Back[t.be.Index].Retries++
		return
	}
	t.rec.Redispatched = true
	sh.Server[left.Index].Redispatches++
	sh.Back[t.be.Index].Redispatches++
}

// retried counts one more attempt at the same server, which is one more session
// there.
func (t *txn) retried() {
	sh := t.s.sh
	n := &sh.Server[t.srv.Index]
	n.Retries++
	n.session(sh.Loop.Now())
	sh.Back[t.be.Index].Retries++
}

// serverFailed handles the loss of a connection before any of the response
// was there.
func (t *txn) serverFailed() {
	declined := t.c.stream != nil && t.c.stream.Declined() // by its settings, which are an answer
	if t.phase == phaseConnect && !declined {
		t.connectError(t.c.SocketError())
		return
	}
	if declined {
		t.rec.Tc = int32(t.s.sh.Loop.Now() - t.dialAt)
	}
	if declined || !t.sendAgain() && !(t.be.RetryOn.Empty && t.replay()) {
		if c := t.c; c.stream != nil && c.stream.Reason() != "" {
			t.badAnswer(bad{reason: c.stream.Reason()})
		}
		t.countServer(func(n *ServerCounters) { n.ErrResp++ })
		t.srv.Watch.Failed(backend.ServerClose)
		t.fail('S', 'H', 502)
	}
}

// sendAgain sends the request over a new connection, if it can be sent twice
// and its connection had served before: then the server most likely closed it
// just as it was taken up, or what came over it was left over from the answer
// before. One that the server has not looked at, as HTTP/2 can tell, is sent
// again in any case.
func (t *txn) sendAgain() bool {
	c := t.c
	unseen := c.stream != nil && c.stream.Unprocessed()
	if t.retriesLeft() <= 0 || t.gone || !unseen && (c.uses < 2 || t.reqSent && !t.askedFor.idempotent()) {
		return false
	}
	sh := t.s.sh
	if t.res != nil {
		sh.Loop.Buffers.Put(t.res)
		t.res = nil
	}
	c.close()
	t.c = nil
	t.rec.Retries++
	t.retried()
	t.rewind()
	t.dial()
	return true
}
