package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
)

// The new worker's end of a succession (succession.go).

// inheritWait bounds how long a worker waits for each part of the state of the
// one before, which is stuck then. It is what a reload is there to replace.
const inheritWait = 5 * time.Second

// inherit asks the worker before for its state, before this one accepts.
func (rt *Runtime) inherit() error {
	link := rt.env.Former
	if err := link.Send(letter{Kind: kindAsk, Policy: rt.policy()}, nil, linkWait); err != nil {
		return err
	}
	for more := true; more; {
		var l letter
		fds, err := link.ReceiveWithin(&l, inheritWait)
		switch {
		case err == nil && l.Kind == kindTables:
			rt.hearTables(fds)
			continue
		case errors.Is(err, handoff.ErrDescriptors): // which the state does not need
			rt.noRoom(l, err)
			continue
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("it has said nothing for %v and is stuck, most likely", inheritWait)
		}
		if err != nil {
			return err
		}
		more = l.More
		rt.takeState(l)
	}
	return nil
}

// takeState takes over what one letter says of servers and ticket keys.
func (rt *Runtime) takeState(l letter) {
	for _, st := range l.Servers {
		rt.restore(st)
	}
	rt.tickets.take(l.Tickets)
}

// restore gives one server the state it had in the worker before.
func (rt *Runtime) restore(st serverState) {
	c, err := rt.find(st.Backend, st.Server)
	if err != nil || c.srv.Addr.String() != st.Address {
		return
	}
	c.srv.Restore(st.State)
	if c.agent != nil && st.Agent != nil {
		c.agent.Override(st.Agent.Health)
		c.enableAgent(!st.Agent.Off)
	}
	if c.Checker != nil {
		c.Override(st.Checks)
		if c.srv.Stats().Admin&backend.Maint != 0 {
			c.Pause(true)
		}
	}
}

// takeOver receives what one earlier worker gives away, until it is gone or
// passed on. When it returns, p.link was read up to a letter's end, and the
// letters in which p introduces a worker were read to the last of them.
func (rt *Runtime) takeOver(p *predecessor) {
	defer close(p.ended)
	var older letter // of a worker that is being introduced; without a kind there is none
	receive := p.link.Receive
	for passing := false; !passing || older.Kind != ""; {
		var l letter
		fds, err := receive(&l)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && !passing: // passOn
			passing = true
			receive = func(v any) ([]int, error) { return p.link.ReceiveWithin(v, linkWait) }
			continue
		case errors.Is(err, os.ErrDeadlineExceeded): // stuck in the middle
			rt.former.absorb(older.Rows, nil)
			return
		case errors.Is(err, handoff.ErrDescriptors):
			rt.noRoom(l, err)
			switch l.Kind {
			case kindMove: // it serves on what it has
				_ = p.link.Send(letter{Kind: kindTaken}, nil, linkWait) // fails when it is gone
			case kindFormer:
				rt.former.absorb(append(older.Rows, l.Rows...), l.Total)
				older = letter{}
			}
			continue
		default:
			if !errors.Is(err, io.EOF) && rt.ctx.Err() == nil {
				rt.note("take connections over: " + err.Error())
			}
			rt.former.absorb(older.Rows, nil)
			rt.former.bury(p)
			rt.heard()
			p.link.Close()
			return
		}
		switch l.Kind {
		case kindCounts:
			rt.former.take(p, l.Rows, l.Total)
			rt.heard()
		case kindCleared:
			rt.former.cleared(p)
		case kindBusy:
			rt.share(p, l.Busy)
		case kindTables:
			rt.hearTables(fds)
			continue
		case kindState: // it was slower than inherit could wait: late is better than never
			rt.takeState(l)
		case kindMove:
			rt.takeParcels(p, l, fds)
			continue
		case kindFormer:
			older.Kind = kindFormer
			older.Rows, older.Busy = append(older.Rows, l.Rows...), append(older.Busy, l.Busy...)
			if !l.More && len(fds) == 1 {
				older.Total = l.Total
				rt.introduced(fds[0], older)
				older = letter{}
				continue
			}
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// noRoom tells what is lost of a letter for whose descriptors the limit of open
// files had no room.
func (rt *Runtime) noRoom(l letter, err error) {
	what, then := "take connections over", ""
	switch l.Kind {
	case kindTables:
		what, then = "take stick tables over", "; what is missing in them is counted anew"
	case kindFormer:
		what, then = "meet an earlier worker", "; it serves its connections until they end"
	}
	rt.note(what + ": " + err.Error() + then)
}

// heard lets the stats sockets answer when all earlier workers have told.
func (rt *Runtime) heard() {
	if rt.former.complete() {
		rt.inherited.Do(func() { close(rt.ready) })
	}
}

// takeParcels takes what can be taken, and says so before any of it is read:
// until p has heard of it, p may have to go on with all of it, should this
// process be killed.
func (rt *Runtime) takeParcels(p *predecessor, l letter, fds []int) {
	taken, start := rt.adopt(l, fds)
	// A worker that gave its last idle connections away may have ended without
	// waiting for the answer.
	_ = p.link.Send(letter{Kind: kindTaken, Taken: taken}, nil, linkWait)
	start()
}

// introduced meets a worker that the one before has passed on, with what it
// had told.
func (rt *Runtime) introduced(fd int, l letter) {
	link, err := handoff.NewConn(os.NewFile(uintptr(fd), "former"))
	if err != nil {
		rt.note("meet an earlier worker: " + err.Error())
		rt.former.absorb(l.Rows, l.Total)
		return
	}
	p := rt.former.meet(link)
	rt.former.take(p, l.Rows, l.Total)
	rt.share(p, l.Busy)
	rt.work.Go(func() { rt.takeOver(p) })
}

// adopt gives each parcel its descriptors and the engine the parcels. start
// sets those in motion that were taken.
func (rt *Runtime) adopt(l letter, fds []int) (taken []bool, start func()) {
	rest := fds
	if len(l.FDs) == len(l.Parcels) {
		for i, p := range l.Parcels {
			n := min(l.FDs[i], len(rest))
			p.FDs, rest = rest[:n], rest[n:]
		}
	}
	if rt.policy() == policyMove {
		taken, start = rt.eng.Adopt(l.Parcels)
	} else { // an older worker was passed on, whose connections may not stay
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
	return taken, start
}

// controlWait bounds how long the stats sockets wait for what the worker
// before has counted.
const controlWait = 2 * time.Second

// awaitCounts waits until `show stat` would not go backwards. False when the
// next worker is to answer already.
func (rt *Runtime) awaitCounts() bool {
	if rt.env.Former == nil {
		return true
	}
	wait := time.NewTimer(controlWait)
	defer wait.Stop()
	select {
	case <-rt.ready:
	case <-wait.C:
	case <-rt.serving.Done():
	}
	return rt.serving.Err() == nil
}
