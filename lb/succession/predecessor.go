package succession

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/servercheck"
)

// The new worker's end: it asks for the state of the one before, then receives
// its connections.

// inheritWait bounds how long a worker waits for each part of the state of the
// one before, which is stuck then. It is what a reload is there to replace.
const inheritWait = 5 * time.Second

// Answer is what the worker before says of its state, as it comes.
type Answer struct {
	parts chan part
}

// part is one message of an Answer.
type part struct {
	message
	fds []int // whoever takes the part closes them
	err error
}

// manyParts are the messages of some ten thousand servers. The worker before
// waits while more have come than were taken.
const manyParts = 1 << 10

// Ask asks the worker before for its state. policy is the configuration's
// `handover`. The answer comes while the caller makes what it is for.
func Ask(link *handoff.Conn, policy string) *Answer {
	a := &Answer{parts: make(chan part, manyParts)}
	go func() { // ends with the state, or with the connection
		defer close(a.parts)
		err := link.Send(message{Kind: kindAsk, Version: Version, Policy: policyOr(policy)}, nil, sendWait)
		if err != nil {
			a.parts <- part{err: err}
			return
		}
		servers := 0 // of the last message: the next has as many, most likely
		for more := true; more; servers = min(servers, messageParts) {
			var p part
			if servers > 0 {
				p.Servers = make([]serverState, 0, servers)
			}
			p.fds, p.err = link.ReceiveWithin(&p.message, inheritWait)
			more, servers = p.goesOn(), len(p.Servers)
			a.parts <- p
		}
	}()
	return a
}

// goesOn reports whether another message follows.
func (p *part) goesOn() bool {
	switch {
	case p.err == nil && (p.Kind == kindTables || p.Kind == kindChanges), errors.Is(p.err, handoff.ErrDescriptors):
		return true
	}
	return p.err == nil && p.More
}

// Inherit takes the state of the worker before, before this one accepts.
func (g *Generation) Inherit(a *Answer) error {
	g.inherits = true
	for p := range a.parts {
		switch {
		case p.err == nil && p.Kind == kindTables:
			g.receiveTables(p.fds)
			continue
		case p.err == nil && p.Kind == kindChanges:
			g.receiveChanges(p.fds)
			continue
		case errors.Is(p.err, handoff.ErrDescriptors): // which the state does not need
			g.noRoom(p.message, p.err)
			continue
		}
		for _, fd := range p.fds {
			unix.Close(fd)
		}
		if errors.Is(p.err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("it has said nothing for %v and is stuck, most likely", inheritWait)
		}
		if p.err != nil {
			return p.err
		}
		g.takeState(p.message, func(s *servercheck.Server, st *serverState) {
			s.Restore(st.State)
			g.takeEarlyLoad(s.Target(), places{st.Load, st.Awaited})
		})
		g.awaitPeers = p.Peers
	}
	return nil
}

// takeState takes over what one message says of servers, backends and ticket
// keys. restore gives a server its state.
func (g *Generation) takeState(m message, restore func(*servercheck.Server, *serverState)) {
	touched := map[*backend.Backend]*backend.Times{}
	for i := range m.Servers {
		st := &m.Servers[i]
		if s := g.Servers.Same(st.Backend, st.Server, st.Address, st.Name); s != nil {
			restore(s, st)
			touched[s.Members()] = nil
		}
	}
	for i := range m.Since {
		if b := g.Servers.Backend(m.Since[i].Backend); b != nil {
			touched[b] = &m.Since[i].Times
		}
	}
	for b, since := range touched {
		b.Restored(since)
	}
	g.Tickets.take(m.Tickets)
}

// takeLateState is takeState of a worker that serves already: commands that were obeyed before the worker before was told to leave; or
// that was slower than Inherit could wait.
func (g *Generation) takeLateState(m message) {
	var settle []func()
	g.takeState(m, func(s *servercheck.Server, st *serverState) { settle = append(settle, s.RestoreServing(st.State)) })
	for _, f := range settle {
		f()
	}
}

// takeEarlyLoad makes the load that comes with the state hold before this worker accepts.
// Follow says whose it is.
func (g *Generation) takeEarlyLoad(s *backend.Server, n places) {
	if n == (places{}) {
		return
	}
	if g.early == nil {
		g.early = map[*backend.Server]places{}
	}
	g.early[s] = n
	s.SetOthers(backend.Others{Taken: n.taken, Awaited: n.awaited})
}

// takeOver receives what one earlier worker gives away, until it is gone or
// passed on. When it returns, p.link was read up to a message's end, and the
// messages in which p introduces a worker were read to the last of them.
func (g *Generation) takeOver(p *predecessor) {
	stop := make(chan struct{})
	var speaking sync.WaitGroup
	speaking.Go(func() {
		g.beat(stop, func() (bool, error) {
			g.before.listens(p)
			return g.sendOthers(p)
		})
	})
	defer func() {
		close(stop)
		speaking.Wait()
		close(p.ended)
	}()
	var older message // of a worker that is being introduced; without a kind there is none
	receive := p.link.Receive
	var rows []rowCounts // memory for those of a message, which nobody keeps
	for passing := false; !passing || older.Kind != ""; {
		clear(rows) // the decoder would leave what is not said anew
		l := message{Rows: rows[:0]}
		fds, err := receive(&l)
		rows = l.Rows
		switch {
		case err == nil:
			g.before.hears(p)
		case errors.Is(err, os.ErrDeadlineExceeded) && !passing: // passOn
			passing = true
			receive = func(v any) ([]int, error) { return p.link.ReceiveWithin(v, sendWait) }
			continue
		case errors.Is(err, os.ErrDeadlineExceeded): // stuck in the middle
			g.before.keepCounts(older.Rows, nil)
			return
		case errors.Is(err, handoff.ErrDescriptors):
			g.noRoom(l, err)
			switch l.Kind {
			case kindMove: // it serves on what it has
				_ = p.link.Send(message{Kind: kindTaken}, nil, sendWait) // fails when it is gone
			case kindFormer:
				g.before.keepCounts(append(older.Rows, l.Rows...), l.Total)
				g.before.meets(p)
				older = message{}
			}
			continue
		default:
			if !errors.Is(err, io.EOF) && g.Running.Err() == nil {
				g.Warn("take connections over: " + err.Error())
			}
			g.before.keepCounts(older.Rows, nil)
			g.before.leave(p)
			g.checkComplete()
			g.beginPeers(nil) // it has not said how far it came
			p.link.Close()
			return
		}
		for _, fd := range g.heed(p, l, fds, &older) {
			unix.Close(fd)
		}
	}
}

// heed does what a message of p says, and returns the descriptors that nobody has
// taken. older is what p has said up to now of a worker that it introduces.
func (g *Generation) heed(p *predecessor, l message, fds []int, older *message) (rest []int) {
	switch l.Kind {
	case kindCounts:
		g.before.take(p, l.Rows, l.Total)
		g.checkComplete()
	case kindCleared:
		g.before.cleared(p)
	case kindPromoted:
		g.before.inherits(p)
	case kindBusy:
		g.addLoad(p, l.Busy)
	case kindTables:
		g.receiveTables(fds)
		return nil
	case kindChanges:
		g.receiveChanges(fds)
		return nil
	case kindState:
		g.takeLateState(l)
	case kindPeers:
		g.receivePeers(fds)
		return nil
	case kindMove:
		g.takeParcels(p, l, fds)
		return nil
	case kindFormer:
		older.Kind = kindFormer
		older.Rows, older.Busy = append(older.Rows, l.Rows...), append(older.Busy, l.Busy...)
		if !l.More && len(fds) == 1 {
			older.Total = l.Total
			g.introduced(fds[0], *older)
			g.before.meets(p)
			*older = message{}
			return nil
		}
	}
	return fds
}

// noRoom reports what is lost of a message for whose descriptors the limit of open
// files had no room.
func (g *Generation) noRoom(l message, err error) {
	what, then := "take connections over", ""
	switch l.Kind {
	case kindTables:
		what, then = "take stick tables over", "; what is missing in them is counted anew"
	case kindFormer:
		what, then = "meet an earlier worker", "; it serves its connections until they end"
	}
	g.Warn(what + ": " + err.Error() + then)
}

// checkComplete lets the stats sockets answer when all earlier workers have
// sent their counts.
func (g *Generation) checkComplete() {
	if g.before.complete() {
		g.isComplete.Do(func() { close(g.complete) })
	}
}

// takeParcels takes what can be taken, and says so before any of it is read:
// until p has heard of it, p may have to go on with all of it, should this
// process be killed. Before p lets go of their places it hears that they are taken
// here: somebody may wait for them there.
func (g *Generation) takeParcels(p *predecessor, l message, fds []int) {
	taken, start := g.adopt(l, fds)
	// An error is that of the answer too.
	_, _ = g.sendOthers(p)
	// A worker that gave its last idle connections away may have ended without
	// waiting for the answer.
	_ = p.link.Send(message{Kind: kindTaken, Taken: taken}, nil, sendWait)
	start()
}

// introduced meets a worker that the one before has passed on, with what it
// had counted.
func (g *Generation) introduced(fd int, l message) {
	link, err := handoff.NewConn(os.NewFile(uintptr(fd), "former"))
	if err != nil {
		g.Warn("meet an earlier worker: " + err.Error())
		g.before.keepCounts(l.Rows, l.Total)
		return
	}
	p := g.before.join(link, false)
	p.told.reset = true
	g.before.take(p, l.Rows, l.Total)
	g.addLoad(p, l.Busy)
	g.work.Go(func() { g.takeOver(p) })
}

// adopt gives each parcel its descriptors and the engine the parcels. start
// sets those in motion that were taken.
func (g *Generation) adopt(l message, fds []int) (taken []bool, start func()) {
	rest := fds
	if len(l.FDs) == len(l.Parcels) {
		for i, p := range l.Parcels {
			n := min(l.FDs[i], len(rest))
			p.FDs, rest = rest[:n], rest[n:]
		}
	}
	if policyOr(g.Policy) == policyMove && l.Needs <= Version {
		taken, start = g.Engine.Adopt(l.Parcels)
	} else { // an older worker was passed on, whose connections may not stay; or they are of a newer build's kind
		taken, start = make([]bool, len(l.Parcels)), func() {}
	}
	for _, fd := range rest {
		unix.Close(fd)
	}
	for i, p := range l.Parcels {
		if !taken[i] {
			for _, fd := range p.FDs {
				unix.Close(fd)
			}
		}
	}
	for _, ok := range taken {
		if ok {
			g.taken.Add(1)
		}
	}
	return taken, start
}

// Taken is how many connections came from the workers before.
func (g *Generation) Taken() int { return int(g.taken.Load()) }
