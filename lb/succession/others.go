package succession

import (
	"errors"
	"iter"
	"os"

	"lbsyslogd/lb/backend"
)

// What the workers before hear of the load (load.go).

// after is what the next worker has said of the load. predecessors.mu guards it.
type after struct {
	next   *successor // it says so; nil: there is none
	others map[*backend.Server]backend.Others
	unmet  []*predecessor // were passed on to it, and it has not counted them yet
	met    int            // how many it has counted
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
	if m.All { // another process speaks at that end from now on
		f.followLocked(s)
	}
	if f.after.others == nil {
		f.after.others = map[*backend.Server]backend.Others{}
	}
	for _, l := range m.Busy {
		c := g.Servers.Same(l.Backend, l.Server, l.Address, "")
		if c == nil {
			continue
		}
		if o := (backend.Others{Taken: l.N, Awaited: l.Awaited, Room: l.Room}); o != (backend.Others{}) {
			f.after.others[c.Target()] = o
		} else {
			delete(f.after.others, c.Target())
		}
		f.sumPlaces(c.Target())
	}
	for ; f.after.met < m.Met; f.after.met++ {
		if unmet := f.after.unmet; len(unmet) > 0 {
			f.after.unmet = unmet[1:]
			f.sumAll(unmet[0])
		}
	}
}

// sendOthers tells p what all others hold, until stop.
func (g *Generation) sendOthers(p *predecessor, stop <-chan struct{}) {
	sent, met, all := map[*backend.Server]backend.Others{}, 0, p.introduced
	g.beat(stop, func() (changed bool, err error) {
		list, counted := g.changedOthers(p, sent)
		if len(list) == 0 && counted == met && !all {
			return false, nil
		}
		m := message{Kind: kindOthers, All: all, More: true}
		for ; m.More; m.All = false {
			m.Busy = list[:min(len(list), messageParts)]
			if list = list[len(m.Busy):]; len(list) == 0 {
				m.More, m.Met = false, counted
			}
			if err = p.link.Send(m, nil, sendWait); err != nil {
				break
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) { // it is stuck, and hears all of it when it goes on
			clear(sent)
			all = true
			return false, nil
		}
		met, all = counted, false
		return true, err
	})
}

// changedOthers lists the servers of which p has to hear, notes that, and gives how
// many of the workers that p has introduced are counted in it.
func (g *Generation) changedOthers(p *predecessor, sent map[*backend.Server]backend.Others) (list []load, met int) {
	g.before.mu.Lock()
	defer g.before.mu.Unlock()
	for _, c := range g.Servers.All() {
		srv := c.Target()
		o := g.before.othersOf(p, srv)
		if o == sent[srv] {
			continue
		}
		sent[srv] = o
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
		if first && !q.peer {
			o.Awaited += q.busy[srv].awaited
		}
	}
	if o.Taken == 0 && o.Awaited == 0 && p.busy[srv].awaited == 0 {
		return backend.Others{}
	}
	return o
}
