package stream

import (
	"slices"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/h2client"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/wire"
)

// HTTP/2 to servers. A link is one connection to a server, whose streams carry
// the exchanges of many clients at once. To its exchange a stream is a
// serverConn like any other, that speaks HTTP/1.1 (lb/h2client): rules, retries,
// timeouts and counters are the same for both.
//
//  1. dial looks for a link with room that http-reuse allows for this exchange
//     (join), and then for an idle connection of HTTP/1.
//  2. A new connection becomes a link when the server is spoken to in HTTP/2 (proto
//     h2), or TLS has agreed on it (multiplex).
//  3. When an exchange ends, its stream does. An idle link is closed when it was
//     not needed for a while, and at once when there are as many connections as
//     were needed (idlePool) or the process leaves.

// ServerHTTP2 is how a server is spoken to in HTTP/2. Immutable.
type ServerHTTP2 struct {
	Agreed    bool // if TLS has agreed on it; else in any case
	WebSocket bool // WebSockets too (RFC 8441); else they have connections of HTTP/1.1
}

// link is one HTTP/2 connection to a server. Owned by the loop.
type link struct {
	*h2client.Conn
	c     *serverConn // its socket; nil once that is closed
	sh    *Shard
	dirty bool     // in Shard.touched
	owner *session // whose alone it is; nil: any client's
	lone  bool     // it had an owner who has left: nobody's
	done  uint32   // answers that were complete
	calm  bool     // it was idle at the last purge already
	as    counting // in its pool
}

// counting is what a link is counted as.
type counting int8

const (
	asUsed    counting = iota // also while it has no stream, if it is one client's own
	asIdle                    // also by what bounds the server's use
	asNothing                 // it leaves
)

// linking is a shard's links.
type linking struct {
	links    [][]*link // by backend.Server.Index; nil when no server speaks HTTP/2
	touched  []*link   // to be flushed at the end of the turn
	ownLinks map[*session][]*link
	linkHead http1.Head // scratch
}

// prepareLinks makes room for links to all servers, if there can be any.
func (sh *Shard) prepareLinks() {
	any := sh.links != nil
	for _, be := range sh.eng.Backends {
		any = any || len(be.HTTP2) > 0
	}
	if more := len(sh.eng.Servers) - len(sh.links); any && more > 0 {
		sh.links = append(sh.links, make([][]*link, more)...)
	}
}

// closeLinks closes idle links to a server; others take no more requests.
func (sh *Shard) closeLinks(s *backend.Server) {
	if sh.links == nil {
		return
	}
	for _, l := range slices.Clone(sh.links[s.Index]) {
		l.lone = true
		l.Leave()
		l.flush()
	}
}

// base is the connection that has the socket.
func (c *serverConn) base() *serverConn {
	if c.stream != nil && c.link.c != nil {
		return c.link.c
	}
	return c
}

// Wake implements h2client.User.
func (c *serverConn) Wake() {
	if c.t != nil && c.t.s.state != movingAway {
		c.t.s.run()
	}
}

// mayHTTP2 reports whether the exchange can go over HTTP/2: a request to switch
// protocols may have to go over HTTP/1.1.
func (t *txn) mayHTTP2() bool {
	how := t.be.HTTP2[t.srv]
	return how != nil && (!t.upgrade || how.WebSocket)
}

// speaksHTTP2 reports whether the new connection does.
func (t *txn) speaksHTTP2() bool {
	if !t.mayHTTP2() {
		return false
	}
	i := t.c.Info()
	return !t.be.HTTP2[t.srv].Agreed || i != nil && i.ALPN == "h2"
}

// join goes on over a link, if there is one for this exchange.
func (t *txn) join(now int64) bool {
	sh := t.s.sh
	if len(sh.links[t.srv.Index]) == 0 || t.rec.Retries > 0 || !t.mayHTTP2() {
		return false
	}
	list := &sh.links[t.srv.Index]
	for i := 0; i < len(*list); i++ {
		l := (*list)[i]
		if !l.takes(t) {
			continue
		}
		if l.Streams() == 0 { // its end may lie there
			l.Pump()
			if l.c == nil {
				i-- // it is gone from the list
				continue
			}
			if !l.takes(t) {
				continue
			}
		}
		t.attach(l)
		sh.Server[t.srv.Index].Reuses++
		t.established(now)
		return true
	}
	return false
}

// takes reports whether the exchange may go over the link. As in HAProxy, one
// that is busy and has served others is as good as a new one; of those that are
// idle http-reuse says who may have them (idlePool.take).
func (l *link) takes(t *txn) bool {
	switch {
	case l.c == nil || !l.Available() || !l.c.current() || l.c.sni != t.sni || l.lone || l.how().spent(l.c.uses):
		return false
	case l.owner != nil:
		return l.owner == t.s.outer() && t.same(l.c)
	case t.auth || t.be.private(t.srv) || t.be.Reuse == ReuseNever:
		return false
	}
	first, busy := t.s.requests == 1, l.Streams() > 0
	switch {
	case !first || t.be.Reuse == ReuseAlways:
		return true
	case busy:
		return l.done > 0
	}
	return t.be.Reuse == ReuseAggressive && l.done > 1
}

// attach makes a stream of l the exchange's connection.
func (t *txn) attach(l *link) {
	sh, base := t.s.sh, l.c
	c := sh.freeConns
	if c == nil {
		c = new(serverConn)
	} else {
		sh.freeConns = c.next
	}
	base.uses++
	sh.Back[base.be.Index].H2.Streams++
	l.count(asUsed)
	*c = serverConn{sh: sh, srv: t.srv, be: t.be, t: t, uses: base.uses, at: base.at, made: base.made, sni: base.sni, open: true, link: l}
	c.stream = l.Open(c)
	c.stream.NoLength, c.stream.Target = t.s.stream != nil, t.askedAs
	c.stream.Target.KeyMade = t.s.stream != nil && t.s.stream.madeKey
	c.Conn = wire.OpenStream(sh.Loop, c.stream)
	t.c = c
}

// multiplex makes a link of the exchange's new connection, and goes on over a
// stream of it.
func (t *txn) multiplex() {
	sh, base := t.s.sh, t.c
	l := &link{c: base, sh: sh}
	if t.auth || t.be.private(t.srv) || t.be.Reuse == ReuseNever {
		sh.own(l, t.s.outer())
	}
	base.t, base.link, base.uses = nil, l, 0
	count := &sh.Back[base.be.Index].H2
	count.Conns++
	l.Conn = h2client.New(h2client.Options{
		Wire: &base.Conn, Loop: sh.Loop, Host: l, Head: &sh.linkHead, Count: count, Again: base,
	})
	sh.links[t.srv.Index] = append(sh.links[t.srv.Index], l)
	t.attach(l)
}

// own makes the link one client's.
func (sh *Shard) own(l *link, s *session) {
	l.owner = s
	if sh.ownLinks == nil {
		sh.ownLinks = map[*session][]*link{}
	}
	sh.ownLinks[s] = append(sh.ownLinks[s], l)
}

// disown ends the links of a client that has left.
func (sh *Shard) disown(s *session) {
	for _, l := range sh.ownLinks[s] {
		l.owner, l.lone = nil, true
		l.Leave()
		l.Touch(l.Conn)
	}
	delete(sh.ownLinks, s)
}

// leaveLink ends the exchange's stream.
func (t *txn) leaveLink(c *serverConn) {
	l := c.link
	switch {
	case c.stream.Ended():
		l.done++
	case t.rec.Term[0] == 's': // it has said nothing: perhaps it is gone
		l.Doubt()
	}
	if c.private && l.owner == nil && !l.lone { // the server knows this client by its connection
		t.s.sh.own(l, t.s.outer())
	}
	c.close()
	if l.c == nil {
		return
	}
	how, rests := l.how(), l.Streams() == 0 && l.owner == nil
	switch {
	case how.spent(l.c.uses), rests && (how.full() || l.pool().plenty()):
		l.Leave()
		l.Touch(l.Conn)
		if l.Streams() == 0 {
			l.count(asNothing) // it is closed at the end of this turn
		}
	case rests:
		l.count(asIdle)
	}
}

// unsettled gives up a link whose server has not sent its SETTINGS in time for the exchange that made it: no other may wait for them. It is closed at the
// end of this turn, see dropLink.
func (l *link) unsettled() {
	switch {
	case l.c == nil || l.Over():
	case l.Streams() > 0: // of exchanges that have joined: they have their own time
		l.Doubt()
	default:
		l.Leave()
		l.Touch(l.Conn)
		l.count(asNothing)
	}
}

// how is what bounds the link's use.
func (l *link) how() *Pooling {
	if l.c == nil {
		return nil
	}
	return l.c.be.Pooling[l.c.srv]
}

// pool is the one that the link is counted in, while it has a socket.
func (l *link) pool() *idlePool { return &l.sh.pools[l.c.srv.Index] }

// count counts the link as something else.
func (l *link) count(as counting) {
	p, from := l.pool(), l.as
	l.as = as
	switch {
	case from == as:
		return
	case from == asUsed:
		p.end()
	case from == asIdle:
		p.rested--
		l.how().rests(-1)
	}
	switch as {
	case asUsed:
		p.begin()
	case asIdle:
		p.rested++
		l.how().rests(1)
	}
}

// dropLink has an idle link to a server close at the end of this turn, and not at once: what asks for its descriptor may have been woken by the very
// link, whose last stream has just ended.
func (sh *Shard) dropLink(server int) {
	for _, l := range sh.links[server] {
		if l.as == asIdle {
			l.Leave()
			l.Touch(l.Conn)
			l.count(asNothing)
			return
		}
	}
}

// Touch implements h2client.Host.
func (l *link) Touch(*h2client.Conn) {
	if !l.dirty {
		l.dirty = true
		l.sh.touched = append(l.sh.touched, l)
	}
}

// TakeOut implements h2client.Host.
func (l *link) TakeOut() (b []byte) {
	sh := l.sh
	if n := len(sh.muxOuts); n > 0 {
		b, sh.muxOuts[n-1] = sh.muxOuts[n-1], nil
		sh.muxOuts = sh.muxOuts[:n-1]
	}
	return b
}

// PutOut implements h2client.Host.
func (l *link) PutOut(b []byte) {
	if sh := l.sh; cap(b) <= 2*maxOutFrames && len(sh.muxOuts) < keptOuts {
		sh.muxOuts = append(sh.muxOuts, b[:0])
	}
}

// Hold implements h2client.Host.
func (l *link) Hold(n int) { l.sh.eng.hold(n) }

// Room implements h2client.Host.
func (l *link) Room(n int, quarters int64) int { return l.sh.eng.room(n, quarters) }

// Ended implements h2client.Host.
func (l *link) Ended(*h2client.Conn) {
	sh, base := l.sh, l.c
	if base == nil {
		return
	}
	l.count(asNothing)
	l.c = nil
	list := &sh.links[base.srv.Index]
	*list = slices.DeleteFunc(*list, func(other *link) bool { return other == l })
	if l.owner != nil {
		sh.ownLinks[l.owner] = slices.DeleteFunc(sh.ownLinks[l.owner], func(other *link) bool { return other == l })
	}
	base.CloseNotify()
	base.close()
}

// flushFrames sends what this turn wrote over HTTP/2, to clients and to
// servers; the end of one may write to the other.
func (sh *Shard) flushFrames() {
	for len(sh.muxes) > 0 || len(sh.touched) > 0 {
		for i := 0; i < len(sh.touched); i++ {
			l := sh.touched[i]
			sh.touched[i] = nil
			l.dirty = false
			l.flush()
		}
		sh.touched = sh.touched[:0]
		sh.flushMuxes()
	}
}

// flush sends what is there, and closes the link when nothing more will come.
func (l *link) flush() {
	if l.c == nil {
		return
	}
	l.Flush()
	if l.c == nil || l.Streams() > 0 {
		return
	}
	if l.sh.draining && !l.Leaving() {
		l.Leave()
		l.Flush()
	}
	if l.c != nil && l.Leaving() {
		l.Lose("")
	}
}

// purgeLinks closes links that were idle for a while, and those that have not
// answered a PING since the last time.
func (sh *Shard) purgeLinks() {
	for _, list := range sh.links {
		for _, l := range slices.Clone(list) {
			switch {
			case l.c == nil:
			case l.Doubted() && l.calm:
				l.Lose("the server does not answer a PING")
			case l.Streams() == 0 && l.calm:
				l.Leave()
				l.Touch(l.Conn)
			default:
				l.calm = l.Streams() == 0 || l.Doubted()
			}
		}
	}
}

// leaveLinks ends idle links politely; others end with their last stream.
func (sh *Shard) leaveLinks() {
	for _, list := range sh.links {
		for _, l := range list {
			l.Touch(l.Conn)
		}
	}
}

var (
	_ h2client.User = (*serverConn)(nil)
	_ h2client.Host = (*link)(nil)
)
