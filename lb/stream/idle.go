package stream

import (
	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/http1"
)

// Idle connections to servers, and who may have them next.
//
// A connection is kept when its exchange left nothing on it: both messages are
// complete, and the request was before its answer. One that was answered early
// is not, as nobody knows whether its server reads the rest of that request as
// the next one. It goes to the shard's pool for the server, for any client that
// http-reuse allows; with http-reuse never, and once it was authenticated
// (NTLM, Negotiate), it stays with its client. What came over it while it was
// idle is no answer to anybody. The loop handles that first of all that one wait
// has reported (loop.Early). A request that is sent again, should the server end the
// connection at this very moment, relies on it: what comes between the wait and the
// request, within one turn, may be taken for its answer, as in HAProxy. Before any
// other request the connection itself is asked (quiet).

// idlePool holds one shard's idle connections to one server, the last used
// first. Each is registered with epoll, so its end is noticed. It keeps no
// more than were needed at once of late: a client that opens a connection for
// every request must not leave an idle one for each. Links (link.go) are counted
// here, and kept in linking.links.
type idlePool struct {
	head, tail *serverConn
	len        int
	fresh      int // of len: have served one request
	owned      int // kept for one client each, not in the list
	rested     int // links without a stream that are no client's own
	used       int // connections with an exchange on them, and other links
	need       int // most of them at once, of late

	shut bool // its server is in maintenance: none is kept
}

// idle is how many idle connections there are.
func (p *idlePool) idle() int { return p.len + p.rested }

// plenty reports whether a connection whose last exchange has just ended, and which is still counted as used, is one more than was needed of late.
func (p *idlePool) plenty() bool { return p.used-1+p.idle() >= p.need }

// begin and end count a connection in use.
func (p *idlePool) begin() {
	p.used++
	p.need = max(p.need, p.used)
}

func (p *idlePool) end() { p.used-- }

// dropIdle gives descriptors back: those of pipes that nobody uses, else that of an idle connection of the largest pool, of those of HTTP/1 the one that was not
// used for the longest time. It reports whether a descriptor is free now; one of HTTP/2 is at the end of this turn.
func (sh *Shard) dropIdle() bool {
	if sh.Loop.Pipes.Drop() {
		return true
	}
	most := -1
	for i := range sh.pools {
		if n := sh.pools[i].idle(); n > 0 && (most < 0 || n > sh.pools[most].idle()) {
			most = i
		}
	}
	if most < 0 {
		return false
	}
	if last := sh.pools[most].tail; last != nil {
		last.drop()
		return true
	}
	sh.dropLink(most)
	return false
}

func (p *idlePool) push(c *serverConn) {
	c.prev, c.next = nil, p.head
	if p.head != nil {
		p.head.prev = c
	} else {
		p.tail = c
	}
	p.head = c
	p.len++
	p.fresh += fresh(c)
	c.be.Pooling[c.srv].rests(1)
}

func (p *idlePool) remove(c *serverConn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		p.tail = c.prev
	}
	c.next, c.prev = nil, nil
	p.len--
	p.fresh -= fresh(c)
	c.be.Pooling[c.srv].rests(-1)
}

// fresh is 1 for a connection that has served one request.
func fresh(c *serverConn) int {
	if c.uses < 2 {
		return 1
	}
	return 0
}

// own gives the connection to a client, nil: to nobody.
func (p *idlePool) own(c *serverConn, s *session) {
	switch {
	case c.owner == nil && s != nil:
		p.owned++
	case c.owner != nil && s == nil:
		p.owned--
	}
	c.owner = s
}

// take gives an idle connection that the policy allows for this use and that
// has the name, for the first request of a client or a later one (HAProxy configuration manual,
// http-reuse): nobody has told a client whose first request fails that there
// was a connection at all, so that it would not send it again.
func (p *idlePool) take(policy Reuse, first bool, sni string) *serverConn {
	c := p.head
	switch {
	case policy == ReuseNever || policy == ReuseSafe && first:
		return nil
	}
	proven := policy == ReuseAggressive && first // it has survived a second request
	for c != nil && (c.sni != sni || proven && c.uses < 2) {
		c = c.next
	}
	if c != nil {
		p.remove(c)
	}
	return c
}

// purge closes what is not needed any more, and lets the need fade.
func (p *idlePool) purge() {
	for p.len > 0 && p.used+p.idle() > p.need {
		last := p.tail
		p.remove(last)
		last.bye()
	}
	p.need = (p.need + p.used) / 2
}

// reuse goes on over an idle connection, if there is one for this exchange.
func (t *txn) reuse(now int64) bool {
	s := t.s
	if holder := s.client(); holder.own != nil {
		own := holder.own
		fits := own.srv == t.srv && own.sni == t.sni && t.same(own)
		if fits || s.stream == nil || !own.current() { // another stream may still want it
			holder.own = nil
			if fits && own.current() && t.quiet(own) {
				t.use(own, now)
				return true
			}
			own.bye()
		}
	}
	if t.rec.Retries > 0 || t.be.private(t.srv) {
		return false
	}
	for {
		c := s.sh.pools[t.srv.Index].take(t.be.Reuse, s.requests == 1, t.sni)
		if c == nil {
			return false
		}
		if c.current() && t.quiet(c) {
			t.use(c, now)
			return true
		}
		c.bye()
	}
}

// quiet reports whether nothing has come over an idle connection, not even its end. To ask the socket is a call for each request, which
// those do without that can be sent again.
func (t *txn) quiet(c *serverConn) bool {
	if c.Still() && t.reqDone && !t.gone && t.askedFor.idempotent() && t.retriesLeft() > 0 && c.sh.Loop.Informed(c.FD()) {
		return true
	}
	return c.Quiet()
}

// current reports whether the connection goes where its server is by now, and is
// what its server is to be spoken to with: a name that is resolved anew may have
// moved it, and an operator may have replaced authorities.
func (c *serverConn) current() bool { return c.at == c.srv.Addr() && c.made == c.be.TLS[c.srv] }

// use goes on over a connection that is open.
func (t *txn) use(c *serverConn, now int64) {
	pool := &t.s.sh.pools[c.srv.Index]
	pool.own(c, nil)
	t.s.sh.Loop.Early(c.FD(), false)
	c.Rest()
	c.t, t.c = t, c
	c.uses++
	pool.begin()
	t.s.sh.Server[t.srv.Index].Reuses++
	t.established(now)
}

// keepIdle keeps an idle server connection: for everyone, or for this client
// alone.
func (t *txn) keepIdle(c *serverConn) {
	s := t.s
	pool := &s.sh.pools[c.srv.Index]
	own, keep := t.be.Reuse == ReuseNever || c.private || c.srv.Unnamed, t.keep
	holder := s.client()
	if s.stream != nil && c.private {
		keep = !s.stream.m.dead && c.wins(holder.own)
	}
	how := c.be.Pooling[c.srv]
	if pool.shut || how.spent(c.uses) || !own && how.full() || own && !keep || !own && pool.plenty() || !c.current() {
		c.bye()
		return
	}
	pool.end()
	s.sh.Loop.Early(c.FD(), true)
	c.t = nil
	if own {
		if holder.own != nil {
			holder.own.bye()
		}
		holder.own = c
		pool.own(c, holder)
		return
	}
	pool.push(c)
}

// wins reports whether c is the one to be kept, where streams of one client have used
// several that know it: the one that was used more has its credentials.
func (c *serverConn) wins(other *serverConn) bool { return other == nil || c.uses > other.uses }

// client is the session of the client's connection: for a stream of HTTP/2 the one
// that all its streams share.
func (s *session) client() *session {
	if s.stream != nil {
		return s.stream.m.s
	}
	return s
}

// Schemes that authenticate the connection instead of the request (RFC 4559
// section 6): whatever comes over it later is done in the client's name.
var connectionAuth = [...]string{"ntlm", "negotiate"}

// authenticates reports whether a field of that name has such a scheme: the
// credentials of a request, or a challenge among those of an answer.
func authenticates(h *http1.Head, name string) bool {
	for i := h.Find(name, 0); i >= 0; i = h.Find(name, i+1) {
		for challenge := range http1.List(h.Value(i)) {
			for _, scheme := range connectionAuth {
				n := len(scheme)
				if len(challenge) >= n && http1.EqualFold(challenge[:n], scheme) && (len(challenge) == n || challenge[n] == ' ') {
					return true
				}
			}
		}
	}
	return false
}

// challenged makes the connection its client's own if the server authenticates
// connections.
func (t *txn) challenged(h *http1.Head) {
	switch h.Status() {
	case 401:
		t.c.private = t.c.private || authenticates(h, "www-authenticate")
	case 407:
		t.c.private = t.c.private || authenticates(h, "proxy-authenticate")
	}
}

// toOwn goes back to the server that knows the client by its connection, if
// nothing else has chosen one and it has room.
func (t *txn) toOwn() bool {
	own := t.s.client().own
	if own == nil || !own.private || own.be != t.be || t.avoid != nil || t.be.TakeKept(own.srv) != backend.Picked {
		return false
	}
	t.srv = own.srv
	t.assigned()
	return true
}
