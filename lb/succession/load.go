package succession

import (
	"time"

	"lbsyslogd/lb/backend"
)

// As long as an earlier worker has requests on servers, the one that serves
// must know: maxconn of a server holds for all of them together, and the least
// loaded server is the one that all of them together load least.

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
	sent := map[*backend.Server]int32{}
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
		list := g.changedLoad(sent)
		if len(list) > 0 {
			wait = loadSoon
		} else {
			wait = min(wait*5/4, loadSeldom)
		}
		for len(list) > 0 {
			part := list[:min(len(list), messageParts)]
			list = list[len(part):]
			if s.send(message{Kind: kindBusy, Busy: part}, nil) != nil {
				return // the receiver notices the end
			}
		}
		timer.Reset(wait)
	}
}

// changedLoad lists the servers whose load is not what was sent, and notes it.
func (g *Generation) changedLoad(sent map[*backend.Server]int32) (list []load) {
	for _, c := range g.Servers.All() {
		srv := c.Target()
		n := srv.Load()
		if n == sent[srv] {
			continue
		}
		sent[srv] = n
		list = append(list, load{Backend: c.Backend(), Server: srv.Name, Address: srv.Addr().String(), N: int(n)})
	}
	return list
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
