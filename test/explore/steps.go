package explore

import (
	"fmt"
	"slices"
)

var names = [workers]string{"old", "fresh", "newest"}

// Names of steps are made once: most steps lead to states that are known.
var (
	obeys    [len(kinds)]string
	receives [len(kinds)][links]string
	ends     = [clients]string{"the exchange of client 0 ends", "the exchange of client 1 ends"}
	moves    = [clients]string{"moves client 0", "moves client 1"}
	closes   = [clients]string{"closes client 0", "closes client 1"}
	hears    [workers]string
)

func init() {
	for k, kind := range kinds {
		obeys[k] = "obey: " + kind
		for l, from := range [links]string{"old", "fresh", "the one before newest"} {
			receives[k][l] = fmt.Sprintf("takeOver receives %s from %s", kind, from)
		}
	}
	for i, name := range names {
		hears[i] = "hears that " + name + " was killed"
	}
}

// next gives each state that one step leads to, and whose step it is. The state is valid until yield returns.
func (w world) next(s *state, yield func(who, step string, s *state)) {
	if s.wrong != 0 {
		return
	}
	n := new(state)
	do := func(who, step string, f func(*state)) {
		*n = *s
		f(n)
		yield(who, step, n)
	}
	for i := range workers {
		if p := &s.p[i]; p.alive {
			w.worker(s, i, p, func(step string, f func(*state)) { do(names[i], step, f) })
			if s.kills < w.most {
				do(names[i], "is killed", func(s *state) { s.kill(i) })
			}
		}
	}
	for l := range int8(links) {
		w.link(s, l, do)
	}
	w.masters(s, func(step string, f func(*state)) { do("the master", step, f) })
	for c := range int8(clients) {
		for i := range workers {
			if s.p[i].alive && s.p[i].at[c] == serving && s.busy[c] {
				do(names[i], ends[c], func(s *state) { s.finish(i, c) })
			}
		}
	}
}

// finish ends an exchange, with its log line.
func (s *state) finish(i worker, c int8) {
	p := &s.p[i]
	s.busy[c], p.flight[c] = false, noFlight
	s.lines[c]++
	p.own++
	s.all++
	if c == tunnel {
		p.at[c], s.gone[c] = away, true
	}
}

// kill ends a worker at once.
func (s *state) kill(i worker) {
	p := &s.p[i]
	p.alive = false
	s.kills++
	s.died[i], s.unheard[i] = true, true
	said := [clients]bool{} // it has taken them, and said so
	for l := range int8(links) {
		k := &s.l[l]
		if k.ends[1] == i && k.hold == 2 && k.got.c == 1 {
			said[k.got.a], s.dumb[k.got.a] = true, true
		}
	}
	for l := range int8(links) {
		k := &s.l[l]
		for end := range 2 {
			if k.ends[end] == i {
				if end == 1 {
					k.hold, k.got = 0, message{}
				}
				s.close(l, end)
			}
		}
	}
	for p.orders.n > 0 {
		s.drop(p.orders.take())
	}
	for c := range int8(clients) {
		if !s.come[c] || s.gone[c] {
			continue
		}
		had := p.at[c] != away
		for l := range int8(links) { // its word is on the way to who sent it
			for m := range s.l[l].q[1].n {
				said[c] = said[c] || had && s.l[l].busy == c && s.l[l].q[1].m[m].a == 1
			}
		}
		p.at[c] = away
		if s.holders(c) == 0 || had && said[c] || s.orphan(i, c) {
			s.cut[c] = true
		}
	}
}

// orphan reports whether nothing is left of a connection but what worker i, which is dead, had sent: a receiver that drains refuses it.
func (s *state) orphan(i worker, c int8) bool {
	return s.holders(c) == 1 && slices.ContainsFunc(s.l[:], func(k link) bool {
		return k.busy == c && k.ends[0] == nobody && k.ends[1] != i && k.hold == 0 && k.q[0].n > 0
	})
}

// exit ends a worker that has nothing left.
func (s *state) exit(i worker) {
	p := &s.p[i]
	for c := range p.flight {
		if p.flight[c] == inFlight {
			s.wrong = endsInFlight
		}
	}
	p.alive = false
	for l := range int8(links) {
		for end := range 2 {
			if s.l[l].ends[end] == i {
				s.close(l, end)
			}
		}
	}
	for p.orders.n > 0 {
		s.drop(p.orders.take())
	}
}

// keepPeers is succession's.
func (p *process) keepPeers() {
	for l := range p.before {
		if b := &p.before[l]; b.at == living && b.peer {
			b.peer, b.sent = false, b.sent || b.summed
		}
	}
}

// part is succession's.
func (s *state) part(p *process) {
	for l := range p.before {
		p.before[l].peer = false
	}
	if p.next >= 0 {
		s.l[p.next].over = true
		p.next = -1
	}
}

// disown is succession's.
func (s *state) disown(p *process) {
	p.shares, p.onTrial = -1, false
	p.keepPeers()
	s.part(p)
}

// drain is succession.Leave up to passOn, or an engine's Drain.
func (s *state) drain(i worker) {
	p := &s.p[i]
	if p.leaving > 0 {
		return
	}
	if p.next < 0 || !s.listens(p.next) {
		p.next, p.leaving, p.accepting, p.shares = -1, 2, false, -1
		return
	}
	p.leaving = 1
	for l := range p.before { // settleTrial
		if b := &p.before[l]; b.at == living && b.peer {
			b.at = peers
		}
	}
}

// worker gives what a worker can do by itself.
func (w world) worker(s *state, i worker, p *process, do func(string, func(*state))) {
	if p.orders.n > 0 {
		do(obeys[p.orders.m[0].kind], func(s *state) { w.obey(s, i, s.p[i].orders.take()) })
	}
	if p.accepting && !s.come[late] {
		do("accept", func(s *state) {
			p := &s.p[i]
			s.come[late], s.busy[late] = true, true
			if p.shares >= 0 {
				p.at[late], p.acceptedFor = accepted, p.shares
			} else {
				s.serve(i, late)
			}
		})
	}
	if p.at[late] == accepted && s.l[p.acceptedFor].busy < 0 {
		do("sendFresh", func(s *state) {
			p := &s.p[i]
			if !s.send(p.acceptedFor, message{kind: move, a: late, b: 1}) {
				p.shares = -1
				s.stay(i, late)
				return
			}
			s.l[p.acceptedFor].busy, s.l[p.acceptedFor].as = late, accepted
		})
	}
	trial := p.next >= 0 && p.leaving == 0 && !s.l[p.next].over && (p.onTrial || p.trial)
	if trial && s.l[p.next].ends[1] != nobody && p.counted() != s.l[p.next].sum && s.l[p.next].q[0].n < 4 {
		do("sendTrialCounts", func(s *state) { s.sendCounts(&s.p[i]) })
	}
	switch p.leaving {
	case 1:
		w.leave(s, i, p, do)
	case 2:
		w.drained(s, i, p, do)
	}
}

func (s *state) sendCounts(p *process) {
	s.l[p.next].sum = p.counted()
	s.send(p.next, message{kind: counts, a: p.counted()})
}

// leave is what passOn does, and the beginning of an engine's Handover.
func (w world) leave(s *state, i worker, p *process, do func(string, func(*state))) {
	for l := range int8(links) {
		if p.before[l].at != living {
			continue
		}
		if s.l[l].hold == 0 { // takeOver reads up to a message's end
			do("passOn", func(s *state) {
				p := &s.p[i]
				b := &p.before[l]
				b.at = passed
				if w.fault == countsPassedTwice {
					b.at = ended
					p.kept += b.sum
				}
				sent := int8(0)
				if b.sent {
					sent = 1
				}
				if s.send(p.next, message{introduce, l, b.sum, sent}) {
					s.l[l].ends[1] = inMail
				} else {
					s.close(l, 1)
				}
			})
		}
		return
	}
	do("Handover", func(s *state) {
		p := &s.p[i]
		p.leaving, p.accepting, p.shares = 2, false, -1
	})
	// catchUp gives up on a receiver that is stuck; what was sent before may be on its way.
	if k := &s.l[p.next]; k.busy >= 0 && k.hold == 0 && k.q[1].n == 0 && k.ends[1] != nobody && k.q[0].n > 0 && p.at[k.busy] == accepted {
		do("giveUp", func(s *state) {
			p := &s.p[i]
			l := p.next
			c := s.l[l].busy
			s.close(l, 0)
			s.l[l].busy = -1
			p.stuck, s.gaveUp = true, true
			if w.fault == servesWhatIsStuck {
				s.stay(i, c)
			} else {
				p.at[c] = away
			}
		})
	}
}

// drained is what goes on in an engine that leaves.
func (w world) drained(s *state, i worker, p *process, do func(string, func(*state))) {
	to := p.next
	if p.stuck {
		to = -1
	}
	for c := range int8(clients) {
		switch {
		case p.at[c] != serving:
		case to >= 0 && !p.fixed[c] && (c == tunnel || !s.busy[c]):
			if s.l[to].busy < 0 {
				do(moves[c], func(s *state) {
					p := &s.p[i]
					if !s.send(to, message{kind: move, a: c}) {
						p.stuck = true
						return
					}
					s.l[to].busy, s.l[to].as = c, packed
					p.at[c] = packed
					if w.fault == readsOnAfterPacking {
						p.at[c] = serving
					}
					if p.flight[c] == inFlight {
						p.flight[c] = handedOver
					}
				})
			}
		case !s.busy[c]:
			do(closes[c], func(s *state) {
				s.p[i].at[c], s.gone[c] = away, true
			})
		}
	}
	if to >= 0 && !p.told {
		do("sendCounts", func(s *state) {
			s.p[i].told = true
			s.sendCounts(&s.p[i])
		})
	}
	busy := false // takeOver sets in motion what it took
	for l := range s.l {
		busy = busy || s.l[l].ends[1] == i && s.l[l].hold > 0
	}
	if p.empty() && !busy && (to < 0 || p.told) {
		do("SendLast, and ends", func(s *state) {
			if p := &s.p[i]; to >= 0 && w.fault != forgetsTheLastCounts {
				s.sendCounts(p)
			}
			s.exit(i)
		})
	}
}

// obey is lb/worker's.
func (w world) obey(s *state, i worker, m message) {
	p := &s.p[i]
	switch m.kind {
	case successor:
		switch {
		case p.next < 0:
		case p.onTrial && w.fault == closesUnderTheTrial:
			l := p.next
			s.close(l, 0)
			if c := s.l[l].busy; c >= 0 {
				s.l[l].busy = -1
				s.stay(i, c)
			}
			p.shares, p.onTrial = -1, false
			p.keepPeers()
		case p.onTrial && w.fault == keepsTheTrial:
			p.shares = -1
		case p.onTrial:
			s.disown(p)
		default:
			p.keepPeers()
			s.close(p.next, 0)
		}
		p.next = m.a
		s.l[m.a].ends[0] = i
	case partner:
		s.l[m.a].ends[1] = i
		p.before[m.a] = before{at: living, peer: true}
	case share:
		if p.leaving == 0 && p.next >= 0 && s.listens(p.next) {
			p.onTrial, p.shares = true, p.next
		}
	case unshare:
		if p.leaving == 0 {
			s.disown(p)
		}
	case promote:
		if p.trial && p.leaving == 0 {
			p.trial, p.accepting = false, true
			if p.next >= 0 && w.fault != promotesUnsaid {
				s.send(p.next, message{kind: promoted})
			}
			s.part(p)
		}
	case drain:
		s.drain(i)
	case adopt:
		if p.trial {
			s.drain(i)
		}
		p.introduced = true
	case masterGone:
		if p.trial {
			s.drain(i)
		}
	}
}

// link gives what can happen at the two ends of a link.
func (w world) link(s *state, l int8, do func(who, step string, f func(*state))) {
	k := &s.l[l]
	if i := k.ends[0]; i >= 0 && s.p[i].alive {
		if k.q[1].n > 0 {
			do(names[i], "hears what was taken", func(s *state) { s.answered(i, l, s.l[l].q[1].take().a == 1) })
		} else if k.ends[1] == nobody && k.busy >= 0 {
			do(names[i], "its receiver is gone", func(s *state) {
				s.answered(i, l, false)
				if s.p[i].next == l {
					s.p[i].stuck = s.p[i].leaving == 2
				}
				s.p[i].shares = -1
			})
		}
	}
	i := k.ends[1]
	if i < 0 || !s.p[i].alive {
		return
	}
	if at := s.p[i].before[l].at; at != living && at != peers {
		return
	}
	switch {
	case k.hold == 1:
		do(names[i], "says what it took", func(s *state) {
			k := &s.l[l]
			k.hold = 2
			if k.ends[0] != nobody && w.fault != refusesSilently {
				k.q[1].put(message{kind: taken, a: k.got.c})
			}
		})
	case k.hold == 2:
		do(names[i], "begins", func(s *state) {
			k := &s.l[l]
			if k.got.c == 1 && s.p[i].at[k.got.a] == adopted {
				s.serve(i, k.got.a)
			}
			k.hold, k.got = 0, message{}
		})
	case k.q[0].n > 0:
		do(names[i], receives[k.q[0].m[0].kind][l], func(s *state) { w.takeOver(s, i, l, s.l[l].q[0].take()) })
	case k.ends[0] == nobody:
		do(names[i], "the one before is gone", func(s *state) {
			p := &s.p[i]
			b := &p.before[l]
			switch {
			case b.at == living && b.peer && b.heir:
				b.at = passed
			case b.at == living:
				p.kept += b.sum
				b.at = ended
			default:
				b.at = ended
			}
			s.close(l, 1)
		})
	}
}

// answered takes the receiver's word for what was sent.
func (s *state) answered(i worker, l int8, ok bool) {
	c := s.l[l].busy
	if c < 0 {
		return
	}
	s.l[l].busy = -1
	p := &s.p[i]
	if p.at[c] != s.l[l].as {
		return // it is back already, as another descriptor
	}
	if !ok {
		s.stay(i, c)
		return
	}
	p.at[c], p.flight[c] = away, noFlight
}

// takeOver is succession's, for one message.
func (w world) takeOver(s *state, i worker, l int8, m message) {
	p := &s.p[i]
	b := &p.before[l]
	switch m.kind {
	case counts:
		b.sum, b.summed, b.sent = m.a, true, b.sent || !b.peer
	case move:
		k := &s.l[l]
		k.hold, k.got = 1, m
		if p.leaving == 2 { // the engine drains, and takes nothing
			s.cut[m.a] = s.cut[m.a] || k.ends[0] == nobody // nor can anybody else
			return
		}
		k.got.c = 1
		s.cut[m.a] = false
		p.at[m.a] = adopted
		if s.busy[m.a] && m.b == 0 {
			p.flight[m.a] = handedOver
			if w.fault == flightsAtOnce {
				p.flight[m.a] = inFlight
			}
		}
		if w.fault == startsUnsaid {
			s.serve(i, m.a)
		}
	case promoted:
		b.heir = true
	case introduce:
		p.before[m.a] = before{at: living, sum: m.b, summed: true, sent: m.c == 1}
		s.l[m.a].ends[1] = i
	}
}
