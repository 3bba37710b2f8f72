package succession

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// successor is the old worker's end.
type successor struct {
	link  *handoff.Conn
	taken chan []bool
	asked chan struct{} // closed when it has said what it is
	gone  chan struct{}
	mu    sync.Mutex // guards sending, and the wait for an answer

	loadMu  sync.Mutex                 // guards load and aliveAt, and the order in which it is sent. Lock order: before mu.
	load    map[*backend.Server]places // that was sent
	aliveAt time.Time                  // when all of it was for which somebody waits

	standing map[*backend.Server]servercheck.Standing // of the servers whose state was sent; nil before. Generation.changing guards it.

	unsent *os.File // what of the stick tables could not be sent; Generation.tablesMu guards it

	version atomic.Int64           // that it speaks
	policy  atomic.Pointer[string] // what the next worker's configuration says
	moved   atomic.Int64           // client connections that it has taken
	over    bool                   // of a trial that has ended; Generation.sending guards it
	stuck   atomic.Bool            // it was given up
}

// Successor meets the worker that will take over; the connection is the
// generation's from now on.
func (g *Generation) Successor(link *handoff.Conn) {
	switch before := g.next; {
	case before == nil:
	case g.onTrial:
		// The master that would have ended the trial is gone, and the worker on trial gives everything back by itself. The
		// connection stays open: closed under a batch that is on its way, both processes would read from what is in it.
		g.Disown()
	default:
		g.before.keepPeers() // should its trial not have begun
		before.link.Close()
	}
	s := &successor{link: link, taken: make(chan []bool), asked: make(chan struct{}), gone: make(chan struct{}), load: map[*backend.Server]places{}}
	g.before.follow(s)
	g.next = s
	g.work.Go(func() { g.listenTo(s) })
}

// listenTo reads what the next worker says, until it or this one ends.
func (g *Generation) listenTo(s *successor) {
	defer g.endTables(s)
	defer close(s.gone)
	defer g.before.unfollow(s)
	for {
		var l message
		fds, err := s.link.Receive(&l)
		for _, fd := range fds {
			unix.Close(fd)
		}
		if err != nil {
			return
		}
		switch l.Kind {
		case kindAsk:
			s.policy.Store(&l.Policy)
			if s.version.Swap(int64(max(l.Version, 1))) == 0 {
				close(s.asked)
			}
			if l.Back {
				g.work.Go(func() { g.sendLoad(s) })
				continue
			}
			if err := g.beginTables(s); err != nil {
				g.Warn("send the stick tables to the next worker: " + err.Error())
			}
			if err := g.sendChanges(s); err != nil {
				g.Warn("send what was changed at run time to the next worker: " + err.Error())
			}
			if err := g.sendState(s); err != nil {
				g.Warn("send the servers' state to the next worker: " + err.Error())
				return
			}
			g.work.Go(func() { g.sendLoad(s) })
		case kindOthers:
			g.takeOthers(s, l)
		case kindClear:
			// Not here: sending may have to wait for what is read here.
			g.work.Go(func() { g.clearFor(s, l.All) })
		case kindTaken:
			select {
			case s.taken <- l.Taken:
			case <-g.Running.Done():
				return
			}
		}
	}
}

// alive reports whether the next worker still listens.
func (s *successor) alive() bool {
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// giveUp ends the connection to a next worker that does not answer, but may live.
func (s *successor) giveUp() {
	s.stuck.Store(true)
	s.link.Close()
}

func (s *successor) send(l message, fds []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.Send(l, fds, sendWait)
}

// sendState answers the next worker's question.
func (g *Generation) sendState(s *successor) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	servers := g.serverStates(s)
	for len(servers) > messageParts {
		if err := s.send(message{Kind: kindState, Servers: servers[:messageParts], More: true}, nil); err != nil {
			return err
		}
		servers = servers[messageParts:]
	}
	since := make([]backendTimes, 0, len(g.Engine.Backends))
	for _, be := range g.Engine.Backends {
		since = append(since, backendTimes{Backend: be.Proxy.Name, Times: be.Times()})
	}
	for len(since) > messageParts {
		if err := s.send(message{Kind: kindState, Servers: servers, Since: since[:messageParts], More: true}, nil); err != nil {
			return err
		}
		servers, since = nil, since[messageParts:]
	}
	return s.send(message{Kind: kindState, Version: Version, Servers: servers, Since: since, Tickets: g.Tickets.all(), Peers: len(g.Peers) > 0}, nil)
}

// sendLateState sends the state of the servers of which something else was made since sendState: commands that came while the next
// worker began were obeyed here, and checks went on.
func (g *Generation) sendLateState(s *successor) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	if s.standing == nil { // nothing was sent: the next worker has the state already, or what is sent will be new
		return nil
	}
	var late []serverState
	for _, c := range g.Servers.All() {
		st := c.State()
		now := c.Standing(&st)
		before, sent := s.standing[c.Target()]
		if sent && now == before {
			continue
		}
		st.Kept = sent && now.Healthy(before)
		late = append(late, stateOf(c, st, places{}))
	}
	for part := range slices.Chunk(late, messageParts) {
		m := message{Kind: kindState, Servers: part}
		for i := range part {
			if name := part[i].Backend; i == 0 || part[i-1].Backend != name {
				m.Since = append(m.Since, backendTimes{Backend: name, Times: g.Servers.Backend(name).Times()})
			}
		}
		if err := s.send(m, nil); err != nil {
			return err
		}
	}
	return nil
}

func stateOf(c *servercheck.Server, st servercheck.State, n places) serverState {
	srv := c.Target()
	return serverState{Backend: c.Backend(), Server: srv.Name, Address: srv.Addr().String(), Name: c.Name(), Load: n.taken, Awaited: n.awaited, State: st}
}

// serverStates lists the servers, with their load. changing is held.
func (g *Generation) serverStates(s *successor) []serverState {
	s.loadMu.Lock()
	defer s.loadMu.Unlock()
	servers := make([]serverState, 0, len(g.Servers.All()))
	s.standing = make(map[*backend.Server]servercheck.Standing, len(g.Servers.All()))
	for _, c := range g.Servers.All() {
		srv := c.Target()
		n := g.before.loadOf(srv)
		if n != (places{}) {
			s.load[srv] = unsentLoad // an older build does not read it here
		}
		st := c.State()
		s.standing[srv] = c.Standing(&st)
		servers = append(servers, stateOf(c, st, n))
	}
	return servers
}

// sendCounts sends the next worker what has been counted up to now and was not
// sent yet, but for what it gets itself from the workers that were passed on.
func (g *Generation) sendCounts(s *successor) error {
	g.sending.Lock()
	defer g.sending.Unlock()
	return g.sendCountsLocked(s)
}

// sendCountsLocked is sendCounts while sending is held.
func (g *Generation) sendCountsLocked(s *successor) error {
	if g.lastSent {
		return nil
	}
	rows, total := g.unsentCounts()
	return s.sendRows(message{Kind: kindCounts, Rows: rows, Total: total}, nil)
}

// unsentCounts takes what is to be sent; sending is held.
func (g *Generation) unsentCounts() (rows []rowCounts, total *totals) {
	g.counting.Lock()
	defer g.counting.Unlock()
	if g.sent == nil {
		g.sent = map[rowKey]rowCounts{}
	}
	all := counts{rows: map[rowKey]rowCounts{}}
	info := g.Count(func(r *stats.Row) {
		c := countsOf(r)
		c.Downtime = 0 // which goes with the servers' state
		rows = g.addUnsent(rows, &c)
		if g.final == nil {
			c.Downtime += r.Downtime
			if g.before.addPassedRow(&c); !c.isZero() {
				all.rows[c.key()] = c
			}
		}
	})
	total = totalsOf(&info)
	g.before.addTotals(total)
	if g.final == nil {
		all.total = *total
		g.before.addPassedTotals(&all.total)
		g.final = &all
	}
	return rows, total
}

// clearFor clears what was counted here, because an operator cleared the next worker's.
func (g *Generation) clearFor(s *successor, all bool) {
	g.sending.Lock() // counts from before must not follow kindCleared
	defer g.sending.Unlock()
	g.clear(all, s)
	g.counting.Lock()
	g.sent = nil
	g.counting.Unlock()
	err := s.send(message{Kind: kindCleared}, nil)
	if err == nil {
		err = g.sendCountsLocked(s)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		g.Warn("clear the counters for the next worker: " + err.Error())
	}
}

// sendRows sends a message with any number of rows; the last part carries fds.
func (s *successor) sendRows(l message, fds []int) error {
	for len(l.Rows) > messageParts {
		if err := s.send(message{Kind: l.Kind, Rows: l.Rows[:messageParts], More: true}, nil); err != nil {
			return err
		}
		l.Rows = l.Rows[messageParts:]
	}
	return s.send(l, fds)
}

// passOn gives the next worker the connections to the workers before this
// one. What they said and nobody read yet is read by the next.
func (g *Generation) passOn(s *successor) error {
	for p := g.before.first(); p != nil; p = g.before.first() {
		_ = p.link.Interrupt() // fails when p is gone, which ends the receiving too
		<-p.ended
		if err := g.introduceTo(s, p); err != nil {
			return err
		}
	}
	// No longer with what those hold.
	if _, err := g.sendChangedLoad(s); err != nil && !isGone(err) {
		return err
	}
	return nil
}

// introduceTo passes on p, which nobody reads from.
func (g *Generation) introduceTo(s *successor, p *predecessor) error {
	s.loadMu.Lock() // what p holds is part of the load here until the next worker knows it from p
	defer s.loadMu.Unlock()
	_, err := g.sendChangedLoadLocked(s) // what p has given back may have been granted here
	if err != nil {
		return err
	}
	rows, total, ok := g.before.release(p)
	if !ok {
		return nil
	}
	places := g.held(p)
	fd, err := p.link.Dup()
	if err != nil {
		return err
	}
	for err == nil && len(places) > messageParts {
		err = s.send(message{Kind: kindFormer, Busy: places[:messageParts], More: true}, nil)
		places = places[messageParts:]
	}
	if err == nil {
		err = s.sendRows(message{Kind: kindFormer, Rows: rows, Total: total, Busy: places}, []int{fd})
	}
	unix.Close(fd)
	p.link.Close()
	return err
}

// handover leaves as the next worker's configuration wants it: with
// everything that can move, or with nothing.
func (g *Generation) handover(s *successor) {
	policy := policyMove
	if p := s.policy.Load(); p != nil && *p != "" {
		policy = *p
	}
	g.settleTrial(s)
	known := g.Peers.End()
	if err := g.catchUp(s); err != nil {
		g.Warn("send the stick tables to the next worker: " + err.Error())
	}
	if err := g.sendPeers(s, known()); err != nil {
		g.Warn("tell the next worker what peers know: " + err.Error())
	}
	if err := g.passOn(s); err != nil {
		g.Warn("introduce the next worker to the ones before: " + err.Error())
	}
	g.Engine.Leaving.CloseIdle = policy == "close"
	if policy == policyMove {
		g.Engine.Handover(g.carrier(s))
	} else {
		g.Engine.Drain()
	}
	// Beside: whoever asked for the reload waits until this worker has stopped accepting, not for its counts.
	g.work.Go(func() {
		// Closed: the last connection has moved already, and SendLast has sent them.
		if err := g.sendCounts(s); err != nil && !isGone(err) {
			g.Warn("send the counters to the next worker: " + err.Error())
		}
	})
	if len(g.Tables) > 0 {
		g.work.Go(func() { g.keepSendingTables(s) })
	}
}

var (
	errGone   = errors.New("the next worker is gone")
	errStuck  = errors.New("the next worker does not answer")
	errNoRoom = errors.New("the next worker could not receive them, most likely because of its limit of open files (LimitNOFILE, ulimit -n)")
)

// carry is a stream.Carrier. What the next worker would not understand stays.
func (s *successor) carry(parcels []*stream.Parcel) ([]bool, error) {
	m := message{Kind: kindMove}
	var fds, at []int
	for i, p := range parcels {
		needs := p.Needs()
		if int64(needs) > s.version.Load() {
			continue
		}
		m.Needs = max(m.Needs, needs)
		m.Parcels, at = append(m.Parcels, p), append(at, i)
		m.FDs = append(m.FDs, len(p.FDs))
		fds = append(fds, p.FDs...)
	}
	all := make([]bool, len(parcels))
	if len(at) == 0 {
		return all, nil
	}
	taken, err := s.answer(m, fds)
	switch {
	case errors.Is(err, errStuck):
		// It has them in its queue: once it goes on it serves them, so nobody else may. If it never does, they end with it.
		taken = make([]bool, len(at))
		for i := range taken {
			taken[i] = true
		}
	case err != nil:
		return nil, err
	case len(taken) == 0:
		return nil, errNoRoom
	case len(taken) != len(at):
		return nil, fmt.Errorf("%d connections were sent and %d answered for", len(at), len(taken))
	}
	for k, i := range at {
		if all[i] = taken[k]; all[i] && parcels[i].Kind != stream.ServerParcel && parcels[i].Kind != stream.FreshParcel {
			s.moved.Add(1)
		}
	}
	return all, nil
}

// answer sends a message of kind move and gives the answer: all that was sent
// before it is known to the next worker then.
func (s *successor) answer(l message, fds []int) (taken []bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.link.Send(l, fds, sendWait); err != nil {
		return nil, err
	}
	select {
	case taken := <-s.taken:
		return taken, nil
	case <-s.gone:
		if s.stuck.Load() {
			return nil, errStuck
		}
		return nil, errGone
	}
}

// Leave gives everything to the next worker as its configuration wants it.
// False when there is none: then nothing was done.
func (g *Generation) Leave() bool {
	if !g.Succeeded() {
		return false
	}
	wait := time.NewTimer(askWait)
	defer wait.Stop()
	select {
	case <-g.next.asked:
	case <-g.next.gone:
		return false
	case <-wait.C:
	}
	if !g.onTrial {
		if err := g.sendChangesOf(g.next, g.LateChanges); err != nil && !isGone(err) {
			g.Warn("send what was just changed at run time to the next worker: " + err.Error())
		}
		if err := g.sendLateState(g.next); err != nil && !isGone(err) { // after the servers that were just added
			g.Warn("send what has just become of the servers to the next worker: " + err.Error())
		}
	}
	g.handover(g.next)
	return true
}

// Succeeded reports whether there is a next worker that listens.
func (g *Generation) Succeeded() bool { return g.next != nil && g.next.alive() }

// askWait bounds how long a worker that is to leave waits for a next one that it has
// just heard of: until that has said what it is, nothing can go to it but counts.
const askWait = time.Second

// SendLast sends the next worker the last counts, once nothing is left here.
func (g *Generation) SendLast() {
	if g.next == nil || !g.next.alive() {
		return
	}
	g.parting.Do(func() {
		if _, err := g.sendTables(g.next); err != nil && !isGone(err) {
			g.Warn("send the last of the stick tables to the next worker: " + err.Error())
		}
		g.sending.Lock()
		defer g.sending.Unlock()
		if err := g.sendCountsLocked(g.next); err != nil && !isGone(err) {
			g.Warn("send the last counters to the next worker: " + err.Error())
		}
		g.lastSent = true
	})
}

// SendTables sends the next worker what commands have changed of the tables since
// SendLast.
func (g *Generation) SendTables() {
	if g.next == nil || !g.next.alive() {
		return
	}
	if _, err := g.sendTables(g.next); err != nil && !isGone(err) {
		g.Warn("send what commands have changed of the stick tables to the next worker: " + err.Error())
	}
}

// isGone reports whether a message was not sent because its receiver has
// ended: then there is nobody who would have to know.
func isGone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET)
}

// cutShortWait bounds how long a worker that is to end at once waits for the
// next one to take what it counted.
const cutShortWait = time.Second

// CutShort is SendLast of a worker that is to end while it drains.
func (g *Generation) CutShort() {
	if g.Serving.Err() == nil || g.next == nil {
		return
	}
	giveUp := time.AfterFunc(cutShortWait, g.next.giveUp)
	defer giveUp.Stop()
	g.SendLast()
}
