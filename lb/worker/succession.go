package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stream"
)

// How one worker follows another, over a connection between the two:
//
//	new worker, before it accepts          old worker, serving
//	ask                                 ->
//	                                    <- tables: stick tables, see telltables.go
//	                                    <- state: servers, ticket keys
//	                                    <- busy: load of the servers, whenever it changes
//	new worker, serving                    old worker, told to drain
//	                                    <- counts: all that was counted
//	                                    <- move: connections
//	taken                               ->
//	clear, when an operator says so     ->
//	                                    <- cleared, and counts
//	                                    <- counts, when nothing is left
//
// A worker that leaves may itself still be receiving from one before it, which
// has a long request to finish. It passes that connection on with former, so
// the oldest worker's connections move to the newest, and nobody has to stay
// for the sake of another.
//
// A new worker of an old binary, or the other way round, ignores what it does
// not know: fields are only ever added.
const (
	kindAsk     = "ask"
	kindState   = "state"
	kindCounts  = "counts"
	kindMove    = "move"
	kindTaken   = "taken"
	kindFormer  = "former"
	kindBusy    = "busy"
	kindTables  = "tables"
	kindClear   = "clear"
	kindCleared = "cleared"
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
	Busy    []busy           `json:"busy,omitempty"`
	Parcels []*stream.Parcel `json:"parcels,omitempty"`
	FDs     []int            `json:"fds,omitempty"` // how many descriptors each parcel has
	Taken   []bool           `json:"taken,omitempty"`
	All     bool             `json:"all,omitempty"` // with clear: not the maxima alone
}

// serverState is one server's state at run time. A server with another
// address is another server.
type serverState struct {
	Backend string        `json:"backend"`
	Server  string        `json:"server"`
	Address string        `json:"address"`
	State   backend.State `json:"state"`
	Checks  int           `json:"checks"` // health as the checks count it
	Agent   *agentState   `json:"agent,omitempty"`
}

// agentState is what is known of a server's agent.
type agentState struct {
	Health int  `json:"health"`
	Off    bool `json:"off,omitempty"` // disable agent
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

	untold *os.File // what could not be told of stick tables; Runtime.telling guards it

	policy atomic.Pointer[string] // what the next worker's configuration says
	moved  atomic.Int64           // client connections that it has taken
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
	defer rt.endTelling(s)
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
			if err := rt.beginTelling(s); err != nil {
				rt.note("tell the next worker the stick tables: " + err.Error())
			}
			if err := rt.sendState(s); err != nil {
				rt.note("tell the next worker the state: " + err.Error())
				return
			}
			rt.work.Go(func() { rt.tellBusy(s) })
		case kindClear:
			// Not here: sending may have to wait for what is read here.
			rt.work.Go(func() { rt.clearFor(s, l.All) })
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
		if c.agent != nil {
			st.Agent = new(agentState)
			st.Agent.Health, _, _ = c.agent.Health()
			_, _, st.Agent.Off = c.agentState()
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

// sendCounts tells the next worker all that has been counted up to now, but
// for what it hears itself from the workers that were passed on.
func (rt *Runtime) sendCounts(s *successor) error {
	rt.counting.Lock()
	snap := rt.own()
	rt.former.add(snap)
	rows, total := tallies(snap), totalsOf(&snap.Info)
	if rt.last == nil {
		// Whoever still asks here gets what the next worker begins with.
		rt.former.addPassed(snap)
		rt.last = snap
	}
	rt.counting.Unlock()
	return s.sendRows(letter{Kind: kindCounts, Rows: rows, Total: total}, nil)
}

// clearFor clears what was counted here, because the next worker was told to.
func (rt *Runtime) clearFor(s *successor, all bool) {
	rt.ClearCounters(all)
	err := s.send(letter{Kind: kindCleared}, nil)
	if err == nil {
		err = rt.sendCounts(s)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		rt.note("tell the next worker that the counters are cleared: " + err.Error())
	}
}

// sendRows sends a letter with any number of rows; the last part carries fds.
func (s *successor) sendRows(l letter, fds []int) error {
	for len(l.Rows) > letterParts {
		if err := s.send(letter{Kind: l.Kind, Rows: l.Rows[:letterParts], More: true}, nil); err != nil {
			return err
		}
		l.Rows = l.Rows[letterParts:]
	}
	return s.send(l, fds)
}

// passOn gives the next worker the connections to the workers before this
// one. What they said and nobody read yet is read by the next.
func (rt *Runtime) passOn(s *successor) error {
	for p := rt.former.next(); p != nil; p = rt.former.next() {
		_ = p.link.Interrupt() // fails when p is gone, which ends the receiving too
		<-p.ended
		rows, total, ok := rt.former.release(p)
		if !ok {
			continue
		}
		places := rt.held(p)
		fd, err := p.link.Dup()
		if err != nil {
			return err
		}
		for err == nil && len(places) > letterParts {
			err = s.send(letter{Kind: kindFormer, Busy: places[:letterParts], More: true}, nil)
			places = places[letterParts:]
		}
		if err == nil {
			err = s.sendRows(letter{Kind: kindFormer, Rows: rows, Total: total, Busy: places}, []int{fd})
		}
		unix.Close(fd)
		p.link.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// handover leaves as the next worker's configuration wants it: with
// everything that can move, or with nothing.
func (rt *Runtime) handover(s *successor) {
	policy := policyMove
	if p := s.policy.Load(); p != nil && *p != "" {
		policy = *p
	}
	if err := rt.catchUp(s); err != nil {
		rt.note("tell the next worker the stick tables: " + err.Error())
	}
	if err := rt.passOn(s); err != nil {
		rt.note("introduce the next worker to the ones before: " + err.Error())
	}
	rt.eng.Leaving.CloseIdle = policy == "close"
	if policy == policyMove {
		rt.eng.Handover(rt.carrier(s))
	} else {
		rt.eng.Drain()
	}
	// Closed: the last connection has moved already, and farewell has told them.
	if err := rt.sendCounts(s); err != nil && !errors.Is(err, net.ErrClosed) {
		rt.note("tell the next worker the counters: " + err.Error())
	}
	if len(rt.tables) > 0 {
		rt.work.Go(func() { rt.keepTelling(s) })
	}
}

// policyMove is the default of `handover`.
const policyMove = "move"

// policy is what this worker's configuration says.
func (rt *Runtime) policy() string {
	if p := rt.cfg.Global.Handover; p != "" {
		return p
	}
	return policyMove
}

var (
	errGone   = errors.New("the next worker is gone")
	errNoRoom = errors.New("the next worker could not receive them, most likely because of its limit of open files (LimitNOFILE, ulimit -n)")
)

// carry is a stream.Carrier.
func (s *successor) carry(parcels []*stream.Parcel) ([]bool, error) {
	l := letter{Kind: kindMove, Parcels: parcels}
	var fds []int
	for _, p := range parcels {
		l.FDs = append(l.FDs, len(p.FDs))
		fds = append(fds, p.FDs...)
	}
	taken, err := s.answer(l, fds)
	switch {
	case err != nil:
		return nil, err
	case len(taken) == 0:
		return nil, errNoRoom
	case len(taken) != len(parcels):
		return nil, fmt.Errorf("%d connections were sent and %d answered for", len(parcels), len(taken))
	}
	for i, p := range parcels {
		if taken[i] && p.Kind != stream.ServerParcel {
			s.moved.Add(1)
		}
	}
	return taken, nil
}

// answer sends a letter of kind move and gives the answer: all that was sent
// before it is known to the next worker then.
func (s *successor) answer(l letter, fds []int) (taken []bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.link.Send(l, fds, linkWait); err != nil {
		return nil, err
	}
	select {
	case taken := <-s.taken:
		return taken, nil
	case <-s.gone:
		return nil, errGone
	}
}
