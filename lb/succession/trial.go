package succession

import (
	"time"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
)

// A new worker on trial (a canary) serves a share of the new connections alongside
// the old one, until the master has judged it. The two are tied twice: as at every
// reload, and by a connection in the opposite direction, as if the old worker came
// after the new one too:
//
//	old worker, serving                    new worker, on trial
//	move: fresh connections             ->
//	                                    <- taken
//	tables, busy, counts                -> <- busy, counts          now and then
//
//	                                    <- promoted
//	promoted: the old worker drains, as at every reload
//	taken back: the new worker drains, and the old one gets what it has
//
// Each counts the other's figures with its own, and sends only its own: neither
// `show stat` goes backwards, whichever of the two answers.

// trialEvery is how often the two send each other what they have counted.
const trialEvery = 500 * time.Millisecond

// Share has the worker on trial get of in 10,000 of the new connections.
func (g *Generation) Share(of int) {
	s := g.next
	if s == nil || !s.alive() {
		return
	}
	g.onTrial = true
	g.Engine.Share(of, s.carry)
	g.work.Go(func() { g.sendTrialCounts(s) })
	if len(g.Tables) > 0 {
		g.work.Go(func() { g.keepSendingTables(s) })
	}
}

// Disown ends a trial that has failed: the worker on trial gets nothing more, and
// is not who takes over. It leaves by itself.
func (g *Generation) Disown() {
	g.Engine.Share(0, nil)
	g.onTrial = false
	g.before.keepPeers()
	g.part()
}

// part ends a trial: next is nobody's successor. Its connection stays open until it
// ends, as a batch may be under way.
func (g *Generation) part() {
	g.before.setPeers(false)
	g.before.follow(nil)
	if g.next == nil {
		return
	}
	g.disowned, g.next = g.next, nil
	g.sending.Lock()
	defer g.sending.Unlock()
	g.disowned.over = true
	g.counting.Lock()
	defer g.counting.Unlock()
	g.sent = nil
}

// Partner meets the worker on trial, which takes the trial's end for its own: link
// brings what it has counted, and its connections if it is taken back.
func (g *Generation) Partner(link *handoff.Conn) {
	p := g.before.join(link, true)
	if err := link.Send(message{Kind: kindAsk, Version: Version, Policy: policyOr(g.Policy), Back: true}, nil, sendWait); err != nil {
		g.Warn("meet the worker on trial: " + err.Error())
	}
	g.work.Go(func() { g.takeOver(p) })
}

// Try begins a trial here: back is the connection over which this worker gives
// everything back if it is taken back. The former worker is followed already.
func (g *Generation) Try(back *handoff.Conn) {
	g.before.setPeers(true)
	g.Successor(back)
	s := g.next
	g.work.Go(func() { g.sendTrialCounts(s) })
}

// Promote ends the trial: this worker serves alone, and the one before leaves. It
// hears that from here, too: should this worker be gone before it is told to leave,
// what was counted here is not its own.
func (g *Generation) Promote() {
	if g.next != nil {
		if err := g.next.send(message{Kind: kindPromoted}, nil); err != nil && !isGone(err) {
			g.Warn("tell the worker before of the promotion: " + err.Error())
		}
	}
	g.part()
}

// settleTrial is called when this worker leaves in the middle of a trial, or at its
// end: what the other one counts is its own.
func (g *Generation) settleTrial(s *successor) {
	g.before.dropPeers()
	if !g.onTrial {
		return
	}
	// What operators have changed since the trial began.
	if err := g.sendChanges(s); err != nil {
		g.Warn("send what was changed at run time to the next worker: " + err.Error())
	}
	if err := g.sendState(s); err != nil {
		g.Warn("send the servers' state to the next worker: " + err.Error())
	}
}

// sendTrialCounts sends what was counted here, until one of the two ends or this
// one leaves, which sends the rest.
func (g *Generation) sendTrialCounts(s *successor) {
	tick := time.NewTicker(trialEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if g.sendOwn(s) != nil {
				return
			}
		case <-s.gone:
			return
		case <-g.Serving.Done():
			return
		}
	}
}

// sendOwn sends what has changed of the counts since it was sent.
func (g *Generation) sendOwn(s *successor) error {
	g.sending.Lock()
	defer g.sending.Unlock()
	if s.over || g.Serving.Err() != nil {
		return errGone
	}
	g.counting.Lock()
	if g.sent == nil {
		g.sent = map[rowKey]rowCounts{}
	}
	var rows []rowCounts
	info := g.Count(func(r *stats.Row) {
		c := countsOf(r)
		c.Downtime = 0
		rows = g.addUnsent(rows, &c)
	})
	total := totalsOf(&info)
	g.before.addTotals(total)
	g.counting.Unlock()
	return s.sendRows(message{Kind: kindCounts, Rows: rows, Total: total}, nil)
}

// addUnsent adds a row with what was counted before it, unless it was sent as it is.
// counting is held.
func (g *Generation) addUnsent(rows []rowCounts, c *rowCounts) []rowCounts {
	g.before.addRow(c)
	k, known := c.key(), *c
	known.Latency = stats.Latency{} // grows only with the rest
	if g.sent[k] == known || c.isZero() {
		return rows
	}
	g.sent[k] = known
	return append(rows, *c)
}

// setPeers makes the workers that are before this one its partners in a trial, or no
// longer.
func (f *predecessors) setPeers(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.living {
		p.peer = on
		f.sumAll(p)
	}
}

// keepPeers makes the partners workers that are before this one, which has shown what
// they have counted up to now with its own: it need not wait for more.
func (f *predecessors) keepPeers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.living {
		if p.peer {
			p.peer, p.sent = false, p.sent || p.summed
			f.sumAll(p)
		}
	}
}

// dropPeers forgets the partners: they are not to be passed on, and what they
// counted is not to be sent.
func (f *predecessors) dropPeers() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < len(f.living); i++ {
		p := f.living[i]
		if !p.peer {
			continue
		}
		f.living = append(f.living[:i:i], f.living[i+1:]...)
		f.sumAll(p)
		f.peers = append(f.peers, p)
		i--
	}
}
