package succession

import (
	"errors"
	"iter"
	"maps"
	"os"
	"sync"
	"time"

	"lbsyslogd/lb/backend"
)

// What the workers before hear of the load (load.go).

// after is what the next worker has said of the load. predecessors.mu guards it.
type after struct {
	next   *successor // it says so; nil: there is none
	others map[*backend.Server]backend.Others
	unmet  []*predecessor // were passed on to it, and it has not counted them yet
	met    int            // how many it has counted

	// Another process has begun to speak, and has not said all yet.
	stale map[*backend.Server]backend.Others // what the one before said, and this one has not
	drop  int                                // how many of unmet were passed on to the one before
}

// follow has the load that s sends count from now on; nil: nobody's.
func (f *predecessors) follow(s *successor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followLocked(s)
}

// followLocked is follow while mu is held.
func (f *predecessors) followLocked(s *successor) {
	old := f.after
	f.after = after{next: s}
	for srv := range old.others {
		f.sumPlaces(srv)
	}
	for _, p := range old.unmet {
		f.sumAll(p)
	}
}

// unfollow is called when s is gone: nobody says any more what becomes of the places
// that were known from it.
func (f *predecessors) unfollow(s *successor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after.next == s {
		f.followLocked(nil)
	}
}

// known are the workers before whose places count here. mu is held.
func (f *predecessors) known() iter.Seq[*predecessor] {
	return func(yield func(*predecessor) bool) {
		for _, list := range [...][]*predecessor{f.living, f.after.unmet} {
			for _, p := range list {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// hasTurn reports whether what waits in p comes before what waits here.
// predecessors.mu is held.
func (p *predecessor) hasTurn() bool { return !p.peer && !p.silent }

// hears notes that p has said something.
func (f *predecessors) hears(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.spoke = time.Now()
	if p.silent {
		p.silent = false
		f.sumAll(p)
	}
}

// listens notes when p has said nothing for long.
func (f *predecessors) listens(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !p.silent && time.Since(p.spoke) > silence {
		p.silent = true
		f.sumAll(p)
	}
}

// meets notes that a worker which p has introduced is known, or never will be.
func (f *predecessors) meets(p *predecessor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.met++
}

// takeOthers notes what the next worker says of the load.
func (g *Generation) takeOthers(s *successor, m message) {
	f := &g.before
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after.next != s {
		return
	}
	a := &f.after
	if m.All { // another process speaks at that end from now on: what the one before said holds until it has said all
		a.met, a.drop, a.stale = 0, len(a.unmet), maps.Clone(a.others)
	}
	if a.others == nil {
		a.others = map[*backend.Server]backend.Others{}
	}
	for _, l := range m.Busy {
		if c := g.Servers.Same(l.Backend, l.Server, l.Address, ""); c != nil {
			a.others[c.Target()] = backend.Others{Taken: l.N, Awaited: l.Awaited, Room: l.Room}
			delete(a.stale, c.Target())
			f.sumPlaces(c.Target())
		}
	}
	if m.More {
		return
	}
	for srv := range a.stale {
		delete(a.others, srv)
		f.sumPlaces(srv)
	}
	met := min(a.drop+max(m.Met-a.met, 0), len(a.unmet))
	a.met, a.drop, a.stale = max(a.met, m.Met), 0, nil
	gone := a.unmet[:met]
	a.unmet = a.unmet[met:]
	for _, p := range gone {
		f.sumAll(p)
	}
}

// told is what an earlier worker has been sent of the load.
type told struct {
	mu sync.Mutex // guards the fields below, and the order in which it is sent. Lock order: before predecessors.mu.

	others map[*backend.Server]backend.Others
	met    int
	reset  bool // the next message is the first of this process
}

// sendOthers sends p what all others hold, where that has changed. Whatever frees a
// place of p's that is not free, as it has moved here, is sent after it.
func (g *Generation) sendOthers(p *predecessor) (changed bool, err error) {
	p.told.mu.Lock()
	defer p.told.mu.Unlock()
	list, met := g.changedOthers(p)
	if len(list) == 0 && met == p.told.met && !p.told.reset {
		return false, nil
	}
	m := message{Kind: kindOthers, All: p.told.reset, More: true}
	for ; m.More; m.All = false {
		m.Busy = list[:min(len(list), messageParts)]
		if list = list[len(m.Busy):]; len(list) == 0 {
			m.More, m.Met = false, met
		}
		if err = p.link.Send(m, nil, sendWait); err != nil {
			break
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // it is stuck, and hears all of it when it goes on
		clear(p.told.others)
		p.told.reset = true
		return false, nil
	}
	p.told.met, p.told.reset = met, false
	return true, err
}

// changedOthers lists the servers of which p has to hear, notes that, and gives how
// many of the workers that p has introduced are counted in it. p.told.mu is held.
func (g *Generation) changedOthers(p *predecessor) (list []load, met int) {
	g.before.mu.Lock()
	defer g.before.mu.Unlock()
	for _, c := range g.Servers.All() {
		srv := c.Target()
		o := g.before.othersOf(p, srv)
		if o == p.told.others[srv] {
			continue
		}
		p.told.others[srv] = o
		l := loadAt(c, places{o.Taken, o.Awaited})
		l.Room = o.Room
		list = append(list, l)
	}
	return list, p.met
}

// othersOf is what all but p hold on srv, and what is awaited before p's turn: the
// zero value where that means nothing to p. mu is held.
func (f *predecessors) othersOf(p *predecessor, srv *backend.Server) (o backend.Others) {
	if p.peer {
		return o // which gets the load here as a worker that comes after
	}
	o.Taken, _, o.Room = srv.Places()
	o.Taken += f.after.others[srv].Taken
	first := true
	for q := range f.known() {
		if q == p {
			first = false
			continue
		}
		o.Taken += q.busy[srv].taken
		if first && q.hasTurn() {
			o.Awaited += q.busy[srv].awaited
		}
	}
	if o.Taken == 0 && o.Awaited == 0 && p.busy[srv].awaited == 0 {
		return backend.Others{}
	}
	return o
}
