package succession

import (
	"time"

	"lbsyslogd/lb/backend"
)

// As long as an earlier worker has requests on servers, the one that serves
// must know: maxconn of a server holds for all of them together, and the least
// loaded server is the one that all of them together load least. The current load
// goes with the state, before each batch of connections, and before a worker that
// is passed on: a request that waited here never finds a place there that was taken
// meanwhile. In between the other side hears of a change up to loadSeldom later.
//
// Until a worker that is still earlier is passed on, what it holds is part of what
// this one holds: the next one does not know it yet.

// load is how many places one worker holds on one server.
type load struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Address string `json:"address"`
	N       int    `json:"n"`
}

// How often a worker looks whether it has something to send: soon after a
// change, seldom when nothing changes.
const (
	loadSoon   = 20 * time.Millisecond
	loadSeldom = 250 * time.Millisecond
)

// sendLoad sends the next worker what changes, until one of the two ends.
func (g *Generation) sendLoad(s *successor) {
	wait := loadSoon
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.gone:
			return
		case <-g.Running.Done():
			return
		}
		changed, err := g.sendChangedLoad(s)
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
	list := g.changedLoad(s.load)
	for changed = len(list) > 0; len(list) > 0; {
		part := list[:min(len(list), messageParts)]
		list = list[len(part):]
		if err := s.send(message{Kind: kindBusy, Busy: part}, nil); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// changedLoad lists the servers whose load is not what was sent, and notes it.
func (g *Generation) changedLoad(sent map[*backend.Server]int) (list []load) {
	for _, c := range g.Servers.All() {
		srv := c.Target()
		n := g.before.loadOf(srv)
		if n == sent[srv] {
			continue
		}
		sent[srv] = n
		list = append(list, load{Backend: c.Backend(), Server: srv.Name, Address: srv.Addr().String(), N: n})
	}
	return list
}

// unsentLoad stands in successor.load for a server whose load has to be sent,
// whatever it is.
const unsentLoad = -1

// loadOf is what this worker and the earlier ones that only it knows hold on srv.
func (f *predecessors) loadOf(srv *backend.Server) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int(srv.Load())
	for _, p := range f.living {
		if !p.peer {
			n += p.busy[srv]
		}
	}
	return n
}

// addLoad makes what p has sent part of the servers' load here.
func (g *Generation) addLoad(p *predecessor, list []load) {
	for _, b := range list {
		if s := g.Servers.Same(b.Backend, b.Server, b.Address, ""); s != nil {
			g.before.hold(p, s.Target(), b.N)
		}
	}
}

// hold notes that p holds n places on srv.
func (f *predecessors) hold(p *predecessor, srv *backend.Server, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.busy[srv] = n
	f.sumPlaces(srv)
}

// freePlaces frees what p held. mu is held.
func (f *predecessors) freePlaces(p *predecessor) {
	for srv := range p.busy {
		f.sumPlaces(srv)
	}
}

// sumPlaces gives srv the sum over all earlier workers. mu is held.
// Lock order: predecessors.mu before Backend.mu.
func (f *predecessors) sumPlaces(srv *backend.Server) {
	sum := 0
	for _, p := range f.living {
		sum += p.busy[srv]
	}
	srv.SetOthers(sum)
}

// held lists what p holds, for a worker that is introduced to it.
func (g *Generation) held(p *predecessor) (list []load) {
	g.before.mu.Lock()
	defer g.before.mu.Unlock()
	for _, c := range g.Servers.All() {
		srv := c.Target()
		if n := p.busy[srv]; n > 0 {
			list = append(list, load{Backend: c.Backend(), Server: srv.Name, Address: srv.Addr().String(), N: n})
		}
	}
	return list
}
