package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// serve obeys until the engine is done. It returns the exit status.
func (p *Process) serve() int {
	l := &life{Process: p, done: p.engine.Done(), quit: make(chan struct{}), trial: p.Env.Back != nil}
	defer close(l.quit)
	if p.Link != nil {
		l.read(p.Link)
	}
	if p.Rendezvous != nil {
		defer p.Rendezvous.Close()
		l.acceptMasters()
	}
	for {
		select {
		case <-l.done:
			l.reportLeaving()
			return l.status
		case sig := <-p.Signals:
			l.signal(sig)
		case m := <-l.orders:
			l.obey(m)
		case conn := <-l.masters:
			l.newMaster(conn)
		case <-l.look:
			l.checkService()
		case <-l.hardStop:
			l.cut, _ = p.engine.Clients()
			p.engine.Stop()
		}
	}
}

// life is what changes while a process serves. Owned by serve.
type life struct {
	*Process
	done     <-chan struct{}
	quit     chan struct{} // closed when serve ends
	orders   <-chan order  // nil without a master
	masters  <-chan *handoff.Conn
	hardStop <-chan time.Time
	next     *handoff.Conn    // a master that came before the end of the one before was heard of; nil as a rule
	look     <-chan time.Time // for the end of the service; nil with a master
	draining bool
	trial    bool // until the master has judged it
	paused   bool
	status   int

	leaving time.Time // when it began to leave; zero before
	open    int64     // client connections at that moment
	cut     int64     // that were not let finish

	goneSince time.Time // the service is not running since then; zero while it is
}

// order is what one Receive gave.
type order struct {
	handoff.Order
	fds []int // the receiver's
	err error // the master is gone
}

// read starts to receive what the master sends over c, until it is gone.
func (l *life) read(c *handoff.Conn) {
	l.Link = c
	orders := make(chan order)
	l.orders = orders
	go func() {
		for {
			var o order
			o.fds, o.err = c.Receive(&o.Order)
			if errors.Is(o.err, handoff.ErrDescriptors) {
				// Out of descriptors, not out of a master: what came with them can be done without, the next order cannot.
				o.err = nil
				l.Env.Logger.Warn(fmt.Sprintf("the master's order %q came without its sockets: %v", o.Kind, handoff.ErrDescriptors))
			}
			select {
			case orders <- o:
			case <-l.quit:
				return
			}
			if o.err != nil {
				return
			}
		}
	}()
}

func (l *life) signal(sig os.Signal) {
	switch sig {
	case unix.SIGUSR1:
		l.drain()
	case unix.SIGTERM:
		l.stop(Terminated)
	case unix.SIGINT:
		// A terminal's Ctrl-C reaches the whole group; the master decides.
		if l.Link == nil && l.Env.Master == 0 {
			l.stop(Interrupt)
		}
	case unix.SIGTTOU:
		l.pause(true)
	case unix.SIGTTIN:
		l.pause(false)
	}
}

func (l *life) obey(o order) {
	if o.err != nil {
		l.masterGone()
		return
	}
	if o.Kind == handoff.Successor && len(o.fds) == 1 {
		l.successor(o.fds[0], o.Spare)
		return
	}
	if o.Kind == handoff.Meet && len(o.fds) == 1 {
		l.meet(o.fds[0])
		return
	}
	if o.Kind == handoff.Partner && len(o.fds) == 1 {
		l.partner(o.fds[0])
		return
	}
	if o.Kind == handoff.LostFlights && len(o.fds) == 1 {
		l.engine.LogLost(os.NewFile(uintptr(o.fds[0]), "flights"))
		return
	}
	if o.Kind == handoff.Converse && len(o.fds) == 1 {
		l.converse(o.fds[0])
		return
	}
	for _, fd := range o.fds { // no other order carries descriptors
		unix.Close(fd)
	}
	switch o.Kind {
	case handoff.Story:
		if o.Story != nil {
			l.engine.SetReloads(*o.Story)
		}
	case handoff.Share:
		if !l.draining {
			l.engine.Share(o.Share)
		}
	case handoff.Promote:
		if l.trial && !l.draining {
			l.trial = false
			l.engine.Promote()
		}
	case handoff.Drain:
		if o.Retire {
			time.Sleep(handoff.RetireWait) // the loops serve meanwhile
		}
		l.drain()
		l.report(handoff.Report{Kind: handoff.Leaving})
	case handoff.Stop:
		l.stop(0)
	case handoff.Pause:
		l.pause(true)
	case handoff.Resume:
		l.pause(false)
	case handoff.Ask:
		st := l.engine.Status()
		l.report(handoff.Report{Kind: handoff.Tell, Status: &st})
	case handoff.Adopt:
		l.introduce()
	}
}

// converse answers somebody who asked the master for it.
func (l *life) converse(fd int) {
	f := os.NewFile(uintptr(fd), "converse")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		l.Env.Logger.Warn("answer through the master: " + err.Error())
		return
	}
	l.engine.Converse(conn)
}

// successor hears of the process that will take over. A spare one is for a process
// that has no other.
func (l *life) successor(fd int, spare bool) {
	if spare && (l.draining || l.engine.Succeeded()) {
		unix.Close(fd)
		return
	}
	next, err := handoff.NewConn(os.NewFile(uintptr(fd), "successor"))
	if err != nil {
		l.Env.Logger.Warn("meet the next worker: " + err.Error())
		return
	}
	l.engine.Successor(next)
}

// meet hears of a process that leaves, which the master found too late.
func (l *life) meet(fd int) {
	former, err := handoff.NewConn(os.NewFile(uintptr(fd), "former"))
	if err != nil {
		l.Env.Logger.Warn("meet a worker of the former master: " + err.Error())
		return
	}
	l.engine.Meet(former)
}

// partner hears of a process on trial.
func (l *life) partner(fd int) {
	back, err := handoff.NewConn(os.NewFile(uintptr(fd), "partner"))
	if err != nil {
		l.Env.Logger.Warn("meet the worker on trial: " + err.Error())
		return
	}
	l.engine.Partner(back)
}

// drain begins to leave. hard-stop-after counts from here.
func (l *life) drain() {
	if l.draining {
		return
	}
	l.draining = true
	l.beginLeaving()
	l.engine.Drain()
	l.set.Close() // the engine's are the last ones of this process
	if l.facts.HardStop > 0 {
		l.hardStop = time.After(l.facts.HardStop)
	}
}

// pause frees the addresses for a process that is about to take over, or takes
// them back because it did not.
func (l *life) pause(on bool) {
	if l.draining || l.paused == on {
		return
	}
	l.paused = on
	var err error
	if on {
		l.engine.Pause(true)
		err = l.set.Unlisten()
	} else {
		err = l.set.Listen()
		l.engine.Pause(false)
	}
	if err != nil {
		l.Env.Logger.Warn("pause or resume: " + err.Error())
	}
}

func (l *life) stop(status int) {
	l.status = status
	l.beginLeaving()
	l.cut, _ = l.engine.Clients()
	l.engine.Stop()
}

// report answers the master. One that does not read is as good as gone: its end
// of the connection is found out by read.
func (l *life) report(r handoff.Report) {
	if err := l.Link.Send(r, nil, linkWait); err != nil {
		l.Env.Logger.Warn("answer the master: " + err.Error())
	}
}
