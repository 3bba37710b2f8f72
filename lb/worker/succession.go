package worker

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stream"
)

// How one worker follows another, over a connection between the two:
//
//	new worker, before it accepts          old worker, serving
//	ask                                 ->
//	                                    <- state: servers, ticket keys
//	new worker, serving                    old worker, told to drain
//	                                    <- counts: all that was counted
//	                                    <- move: connections
//	taken                               ->
//	                                    <- counts, when nothing is left
//
// A new worker of an old binary, or the other way round, ignores what it does
// not know: fields are only ever added.
const (
	kindAsk    = "ask"
	kindState  = "state"
	kindCounts = "counts"
	kindMove   = "move"
	kindTaken  = "taken"
)

// letter is one message between the two.
type letter struct {
	Kind    string           `json:"kind"`
	Policy  string           `json:"policy,omitempty"` // with ask: the new configuration's `handover`
	More    bool             `json:"more,omitempty"`   // the next letter goes on
	Servers []serverState    `json:"servers,omitempty"`
	Tickets []ticketKeys     `json:"tickets,omitempty"`
	Rows    []tally          `json:"rows,omitempty"`
	Total   *totals          `json:"total,omitempty"`
	Parcels []*stream.Parcel `json:"parcels,omitempty"`
	FDs     []int            `json:"fds,omitempty"` // how many descriptors each parcel has
	Taken   []bool           `json:"taken,omitempty"`
}

// serverState is one server's state at run time. A server with another
// address is another server.
type serverState struct {
	Backend string        `json:"backend"`
	Server  string        `json:"server"`
	Address string        `json:"address"`
	State   backend.State `json:"state"`
	Checks  int           `json:"checks"` // health as the checks count it
}

// letterParts is how many servers or rows one letter holds: it must stay well
// below handoff.MaxMessage.
const letterParts = 100

// successor is the old worker's end.
type successor struct {
	link  *handoff.Conn
	taken chan []bool
	gone  chan struct{}
	mu    sync.Mutex // guards sending, and the wait for an answer

	policy atomic.Pointer[string] // what the next worker's configuration says
}

// Successor implements Engine.
func (rt *Runtime) Successor(link *handoff.Conn) {
	if before := rt.next; before != nil {
		before.link.Close()
	}
	s := &successor{link: link, taken: make(chan []bool), gone: make(chan struct{})}
	rt.next = s
	rt.work.Go(func() { rt.listenTo(s) })
}

// listenTo reads what the next worker says, until it or this one ends.
func (rt *Runtime) listenTo(s *successor) {
	defer close(s.gone)
	for {
		var l letter
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
			if err := rt.sendState(s); err != nil {
				rt.note("tell the next worker the state: " + err.Error())
				return
			}
		case kindTaken:
			select {
			case s.taken <- l.Taken:
			case <-rt.ctx.Done():
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

func (s *successor) send(l letter, fds []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.Send(l, fds, linkWait)
}

// sendState answers the next worker's question.
func (rt *Runtime) sendState(s *successor) error {
	var servers []serverState
	for _, c := range rt.checks {
		st := serverState{
			Backend: c.be.Proxy.Name, Server: c.srv.Name, Address: c.srv.Addr.String(), State: c.srv.State(),
		}
		if c.Checker != nil {
			st.Checks, _, _ = c.Health()
		}
		servers = append(servers, st)
	}
	for len(servers) > letterParts {
		if err := s.send(letter{Kind: kindState, Servers: servers[:letterParts], More: true}, nil); err != nil {
			return err
		}
		servers = servers[letterParts:]
	}
	return s.send(letter{Kind: kindState, Servers: servers, Tickets: rt.tickets.all()}, nil)
}

// sendCounts tells the next worker all that has been counted up to now.
func (rt *Runtime) sendCounts(s *successor) error {
	snap := rt.Snapshot()
	rows := tallies(snap)
	for len(rows) > letterParts {
		if err := s.send(letter{Kind: kindCounts, Rows: rows[:letterParts], More: true}, nil); err != nil {
			return err
		}
		rows = rows[letterParts:]
	}
	return s.send(letter{Kind: kindCounts, Rows: rows, Total: totalsOf(&snap.Info)}, nil)
}

// handover leaves as the next worker's configuration wants it: with
// everything that can move, or with nothing.
func (rt *Runtime) handover(s *successor) {
	policy := "move"
	if p := s.policy.Load(); p != nil && *p != "" {
		policy = *p
	}
	rt.eng.Leaving.CloseIdle = policy == "close"
	if policy == "move" {
		rt.eng.Handover(s.carry)
	} else {
		rt.eng.Drain()
	}
	if err := rt.sendCounts(s); err != nil {
		rt.note("tell the next worker the counters: " + err.Error())
	}
}

var errGone = errors.New("the next worker is gone")

// carry is a stream.Carrier.
func (s *successor) carry(parcels []*stream.Parcel) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := letter{Kind: kindMove, Parcels: parcels}
	var fds []int
	for _, p := range parcels {
		l.FDs = append(l.FDs, len(p.FDs))
		fds = append(fds, p.FDs...)
	}
	if err := s.link.Send(l, fds, linkWait); err != nil {
		return nil, err
	}
	select {
	case taken := <-s.taken:
		if len(taken) != len(parcels) {
			return nil, fmt.Errorf("%d connections were sent and %d answered for", len(parcels), len(taken))
		}
		return taken, nil
	case <-s.gone:
		return nil, errGone
	}
}

// inherit asks the worker before for its state, before this one accepts.
func (rt *Runtime) inherit() error {
	link := rt.env.Former
	if err := link.Send(letter{Kind: kindAsk, Policy: rt.cfg.Global.Handover}, nil, linkWait); err != nil {
		return err
	}
	for more := true; more; {
		var l letter
		fds, err := link.Receive(&l)
		for _, fd := range fds {
			unix.Close(fd)
		}
		if err != nil {
			return err
		}
		more = l.More
		for _, st := range l.Servers {
			rt.restore(st)
		}
		rt.tickets.take(l.Tickets)
	}
	return nil
}

// restore gives one server the state it had in the worker before.
func (rt *Runtime) restore(st serverState) {
	c, err := rt.find(st.Backend, st.Server)
	if err != nil || c.srv.Addr.String() != st.Address {
		return
	}
	c.srv.Restore(st.State)
	if c.Checker != nil {
		c.Override(st.Checks)
		if c.srv.Stats().Admin&backend.Maint != 0 {
			c.Pause(true)
		}
	}
}

// takeOver receives what the worker before gives away, until it is gone.
func (rt *Runtime) takeOver() {
	link := rt.env.Former
	for {
		var l letter
		fds, err := link.Receive(&l)
		if err != nil {
			if !errors.Is(err, io.EOF) && rt.ctx.Err() == nil {
				rt.note("take connections over: " + err.Error())
			}
			rt.inherited.Do(func() { close(rt.ready) })
			link.Close()
			return
		}
		switch l.Kind {
		case kindCounts:
			rt.former.take(l.Rows, l.Total)
			if !l.More {
				rt.inherited.Do(func() { close(rt.ready) })
			}
		case kindMove:
			taken := rt.adopt(l, fds)
			// A worker that gave its last idle connections away may have ended
			// without waiting for the answer.
			_ = link.Send(letter{Kind: kindTaken, Taken: taken}, nil, linkWait)
			continue
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// adopt gives each parcel its descriptors and the engine the parcels.
func (rt *Runtime) adopt(l letter, fds []int) []bool {
	if len(l.FDs) != len(l.Parcels) {
		return make([]bool, len(l.Parcels))
	}
	rest := fds
	for i, p := range l.Parcels {
		n := min(l.FDs[i], len(rest))
		p.FDs, rest = rest[:n], rest[n:]
	}
	taken := rt.eng.Adopt(l.Parcels)
	for i, p := range l.Parcels {
		if !taken[i] {
			for _, fd := range p.FDs {
				unix.Close(fd)
			}
		}
	}
	return taken
}

// controlWait bounds how long the stats sockets wait for what the worker
// before has counted.
const controlWait = 2 * time.Second

// awaitCounts waits until `show stat` would not go backwards.
func (rt *Runtime) awaitCounts() {
	if rt.env.Former == nil {
		return
	}
	wait := time.NewTimer(controlWait)
	defer wait.Stop()
	select {
	case <-rt.ready:
	case <-wait.C:
	case <-rt.ctx.Done():
	}
}

// tally is what a worker counted for one row of `show stat`.
type tally struct {
	Kind  stats.Kind     `json:"kind"`
	Proxy string         `json:"proxy"`
	Name  string         `json:"name,omitempty"`
	Count stats.Counters `json:"count"`

	SessMax  int `json:"smax,omitempty"`
	QueueMax int `json:"qmax,omitempty"`
	RateMax  int `json:"rate_max,omitempty"`
	ReqMax   int `json:"req_rate_max,omitempty"`
	Downtime int `json:"downtime,omitempty"`
}

// totals is what a worker counted for `show info`.
type totals struct {
	Conns, Requests, TLS, BytesOut, DroppedLogs uint64
}

func tallies(s *stats.Snapshot) []tally {
	var list []tally
	for i := range s.Rows {
		r := &s.Rows[i]
		list = append(list, tally{
			Kind: r.Kind, Proxy: r.Proxy, Name: r.Name, Count: r.Counters, SessMax: r.SessMax, QueueMax: r.QueueMax,
			RateMax: r.SessRateMax, ReqMax: r.ReqRateMax, Downtime: r.Downtime,
		})
	}
	return list
}

func totalsOf(in *stats.Info) *totals {
	return &totals{
		Conns: in.CumConns, Requests: in.CumReqs, TLS: in.CumSSLConns, BytesOut: in.TotalBytesOut,
		DroppedLogs: in.DroppedLogs,
	}
}

// former is what the workers before have counted: their totals as far as they
// told. Each telling replaces the one before it.
type former struct {
	mu sync.Mutex
	// mu guards the fields below.
	rows  map[rowKey]tally
	total totals
}

type rowKey struct {
	kind        stats.Kind
	proxy, name string
}

func (f *former) take(rows []tally, total *totals) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rows == nil {
		f.rows = map[rowKey]tally{}
	}
	for _, r := range rows {
		f.rows[rowKey{r.Kind, r.Proxy, r.Name}] = r
	}
	if total != nil {
		f.total = *total
	}
}

// add adds what was counted before to a snapshot of this worker.
func (f *former) add(s *stats.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range s.Rows {
		r := &s.Rows[i]
		b, known := f.rows[rowKey{r.Kind, r.Proxy, r.Name}]
		if !known {
			continue
		}
		r.Counters.Merge(&b.Count)
		r.SessMax, r.QueueMax = max(r.SessMax, b.SessMax), max(r.QueueMax, b.QueueMax)
		r.SessRateMax, r.ReqRateMax = max(r.SessRateMax, b.RateMax), max(r.ReqRateMax, b.ReqMax)
		r.Downtime += b.Downtime
	}
	in := &s.Info
	in.CumConns += f.total.Conns
	in.CumReqs += f.total.Requests
	in.CumSSLConns += f.total.TLS
	in.TotalBytesOut += f.total.BytesOut
	in.DroppedLogs += f.total.DroppedLogs
}

// clear forgets the maxima, or all.
func (f *former) clear(all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if all {
		f.rows, f.total = nil, totals{}
	}
	for k, r := range f.rows {
		r.SessMax, r.QueueMax, r.RateMax, r.ReqMax = 0, 0, 0, 0
		f.rows[k] = r
	}
}
