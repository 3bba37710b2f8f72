package succession

import (
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/servercheck"
)

// As long as several workers have requests on servers, each has to know what the
// others hold: maxconn of a server holds for all of them together, and the least
// loaded server is the one that all of them together load least.
//
// Upwards, to the worker that comes after, the load goes with the state, before each
// batch of connections, and before a worker that is passed on: a request that waited
// here never finds a place there that was taken meanwhile. In between the other side
// hears of a change up to loadSeldom later. Until a worker that is still earlier is
// passed on, what it holds is part of what this one holds: the next one does not know
// it yet.
//
// Downwards, to the workers before, it goes as others: what all but the receiver
// hold. Some requests wait there to the end (in mode tcp, or as `handover` wants it),
// and their turn is before that of any request here: the load says how many they
// are, and nobody here gets the places that they wait for. Of several workers before,
// the one that was met first has the first turn: two that left each other the turn
// would both wait. A worker that is stuck loses its turn: one for which somebody waits
// says so every loadAlive. How many places there are the newest configuration says.
//
// Two workers of a trial serve next to each other, and neither has the first turn:
// each sends the other its load as to a worker that comes after.

// load is how many places one worker holds on one server, or all but one.
type load struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Address string `json:"address"`
	N       int    `json:"n"`
	Awaited int    `json:"awaited,omitempty"` // for how many somebody waits there
	Room    int    `json:"room,omitempty"`    // with others: how many there are for all
}

// places is what one worker has of a server.
type places struct{ taken, awaited int }

// How often a worker looks whether it has something to send: soon after a
// change, seldom when nothing changes.
const (
	loadSoon   = 20 * time.Millisecond
	loadSeldom = 250 * time.Millisecond
	loadAlive  = 500 * time.Millisecond // where somebody waits for a place, whether anything changes or not
)

// silence is after which time without a word a worker before is stuck.
const silence = 6 * loadAlive

// beat calls send soon after a change and seldom when nothing changes, until it
// fails or stop or the process ends.
func (g *Generation) beat(stop <-chan struct{}, send func() (changed bool, err error)) {
	wait := loadSoon
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-stop:
			return
		case <-g.Running.Done():
			return
		}
		changed, err := send()
		if err != nil {
			return // the receiver notices the end
		}
		if changed {
			wait = loadSoon
		} else {
			wait = min(wait*5/4, loadSeldom)
		}
		timer.Reset(wait)
	}
}

// sendLoad sends the next worker what changes, until one of the two ends.
func (g *Generation) sendLoad(s *successor) {
	g.beat(s.gone, func() (bool, error) { return g.sendChangedLoad(s) })
}

// sendChangedLoad sends the next worker the load of the servers where it has
// changed. Whatever may make the next worker use a place is sent after it: a place
// that is granted here, and which it does not know of, it would grant once more.
func (g *Generation) sendChangedLoad(s *successor) (changed bool, err error) {
	s.loadMu.Lock()
	defer s.loadMu.Unlock()
	return g.sendChangedLoadLocked(s)
}

// sendChangedLoadLocked is sendChangedLoad while s.loadMu is held.
func (g *Generation) sendChangedLoadLocked(s *successor) (changed bool, err error) {
	alive := time.Since(s.aliveAt) >= loadAlive
	if alive {
		s.aliveAt = time.Now()
	}
	list, of := g.changedLoad(s.load, alive)
	for changed = len(list) > 0; len(list) > 0; {
		n := min(len(list), messageParts)
		if err := s.send(message{Kind: kindBusy, Busy: list[:n]}, nil); err != nil {
			return changed, err // the rest is still to be told
		}
		for i, l := range list[:n] {
			s.load[of[i]] = places{l.N, l.Awaited}
		}
		list, of = list[n:], of[n:]
	}
	return changed, nil
}

// changedLoad lists the servers whose load is not what was sent, and whose each is; with
// awaited also those for which somebody waits.
func (g *Generation) changedLoad(sent map[*backend.Server]places, awaited bool) (list []load, of []*backend.Server) {
	for _, c := range g.Servers.All() {
		srv := c.Target()
		n := g.before.loadOf(srv)
		if n == sent[srv] && (!awaited || n.awaited == 0) {
			continue
		}
		list, of = append(list, loadAt(c, n)), append(of, srv)
	}
	return list, of
}

func loadAt(c *servercheck.Server, n places) load {
	srv := c.Target()
	return load{Backend: c.Backend(), Server: srv.Name, Address: srv.Addr().String(), N: n.taken, Awaited: n.awaited}
}

// unsentLoad stands in successor.load for a server whose load has to be sent,
// whatever it is.
var unsentLoad = places{taken: -1}

// loadOf is what this worker and the earlier ones that only it knows have on srv.
func (f *predecessors) loadOf(srv *backend.Server) (n places) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.taken, n.awaited, _ = srv.Places()
	for _, p := range f.living {
		if !p.peer {
			n.taken += p.busy[srv].taken
		}
		if p.hasTurn() {
			n.awaited += p.busy[srv].awaited
		}
	}
	return n
}

// addLoad makes what p has sent part of the servers' load here.
func (g *Generation) addLoad(p *predecessor, list []load) {
	for _, b := range list {
		if s := g.Servers.Same(b.Backend, b.Server, b.Address, ""); s != nil {
			g.before.hold(p, s.Target(), places{b.N, b.Awaited})
		}
	}
}

// hold notes what p has on srv.
func (f *predecessors) hold(p *predecessor, srv *backend.Server, n places) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.busy[srv] = n
	f.sumPlaces(srv)
}

// sumAll is sumPlaces for all servers of which p has places: it is gone, or is
// counted differently. mu is held.
func (f *predecessors) sumAll(p *predecessor) {
	for srv := range p.busy {
		f.sumPlaces(srv)
	}
}

// sumPlaces gives srv the sum over all other workers. mu is held.
// Lock order: predecessors.mu before Backend.mu.
func (f *predecessors) sumPlaces(srv *backend.Server) {
	o := f.after.others[srv]
	for p := range f.known() {
		o.Taken += p.busy[srv].taken
		if p.hasTurn() {
			o.Awaited += p.busy[srv].awaited
		}
	}
	srv.SetOthers(o)
}

// held lists what p has, for a worker that is introduced to it.
func (g *Generation) held(p *predecessor) (list []load) {
	g.before.mu.Lock()
	defer g.before.mu.Unlock()
	for _, c := range g.Servers.All() {
		if n := p.busy[c.Target()]; n != (places{}) {
			list = append(list, loadAt(c, n))
		}
	}
	return list
}
