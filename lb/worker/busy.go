package worker

import (
	"time"

	"lbsyslogd/lb/backend"
)

// As long as an earlier worker has requests on servers, the one that serves
// must know: maxconn of a server holds for all of them together, and the least
// loaded server is the one that all of them together load least.

// busy is how many places one worker holds on one server.
type busy struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Address string `json:"address"`
	N       int    `json:"n"`
}

// How often a worker looks whether it has something to tell: soon after a
// change, seldom when nothing changes.
const (
	busySoon   = 20 * time.Millisecond
	busySeldom = 250 * time.Millisecond
)

// tellBusy tells the next worker what changes, until one of the two ends.
func (rt *Runtime) tellBusy(s *successor) {
	told := make([]int32, len(rt.checks))
	wait := busySoon
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.gone:
			return
		case <-rt.ctx.Done():
			return
		}
		list := rt.busy(told)
		if len(list) > 0 {
			wait = busySoon
		} else {
			wait = min(wait*5/4, busySeldom)
		}
		for len(list) > 0 {
			part := list[:min(len(list), letterParts)]
			list = list[len(part):]
			if s.send(letter{Kind: kindBusy, Busy: part}, nil) != nil {
				return // the receiver notices the end
			}
		}
		timer.Reset(wait)
	}
}

// busy lists the servers whose load is not what was told, and notes it.
func (rt *Runtime) busy(told []int32) (list []busy) {
	for i, c := range rt.checks {
		n := c.srv.Load()
		if n == told[i] {
			continue
		}
		told[i] = n
		list = append(list, busy{Backend: c.be.Proxy.Name, Server: c.srv.Name, Address: c.srv.Addr.String(), N: int(n)})
	}
	return list
}

// share makes what p has told part of the servers' load here.
func (rt *Runtime) share(p *predecessor, list []busy) {
	for _, b := range list {
		c, err := rt.find(b.Backend, b.Server)
		if err != nil || c.srv.Addr.String() != b.Address {
			continue
		}
		rt.former.hold(p, c.srv, b.N)
	}
}

// hold notes that p holds n places on srv.
func (f *former) hold(p *predecessor, srv *backend.Server, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.busy[srv] = n
	f.tell(srv)
}

// letGo frees what p held. mu is held.
func (f *former) letGo(p *predecessor) {
	for srv := range p.busy {
		f.tell(srv)
	}
}

// tell gives srv the sum over all earlier workers. mu is held.
// Lock order: former.mu before Backend.mu.
func (f *former) tell(srv *backend.Server) {
	sum := 0
	for _, p := range f.living {
		sum += p.busy[srv]
	}
	srv.SetOthers(sum)
}

// held lists what p holds, for a worker that is introduced to it.
func (rt *Runtime) held(p *predecessor) (list []busy) {
	rt.former.mu.Lock()
	defer rt.former.mu.Unlock()
	for _, c := range rt.checks {
		if n := p.busy[c.srv]; n > 0 {
			list = append(list, busy{Backend: c.be.Proxy.Name, Server: c.srv.Name, Address: c.srv.Addr.String(), N: n})
		}
	}
	return list
}
