package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pace makes a loop's clients an open one: requests are due at a constant rate, whatever becomes of those before. A request's latency counts from when it was due, so
// a subject that stops for a moment has all requests of that moment against it, and not only the few that were on their way
// (the load generators that wait for answers omit the others: coordinated omission).
// Owned by the loop's goroutine.
type pace struct {
	every int64   // ns from one request to the next
	next  int64   // when the next is due
	until int64   // from here on none is
	free  []conn  // those without a request
	late  []int64 // when requests were due that wait for a connection
	took  []int64 // ns, of every request that was answered
	begun int
	lost  int // requests whose connection ended under them; they are asked again, and their latency goes on
}

type conn struct {
	fd int
	p  *peer
}

func newPace(perSecond float64, lasting time.Duration) *pace {
	n := int(perSecond*lasting.Seconds()) + 1
	begin := now() + int64(50*time.Millisecond)
	return &pace{every: int64(float64(time.Second) / perSecond), next: begin, until: begin + int64(lasting), took: make([]int64, 0, n)}
}

// drive sends requests at a pace, and returns when all are answered.
func (l *loop) drive(core int, p *pace) error {
	release, err := pinned(core)
	if err != nil {
		return err
	}
	defer release()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	l.pace = p
	for fd, peer := range l.peers {
		if peer != nil && peer.client && !peer.waiting && !peer.asked {
			p.free = append(p.free, conn{fd, peer})
		}
	}
	end := time.Unix(0, p.until).Add(patience)
	for p.next < p.until || len(p.took) < p.begun {
		if err := l.connectAll(); err != nil {
			return err
		}
		if err := l.turn(); err != nil {
			return err
		}
		if err := l.askDue(); err != nil {
			return err
		}
		if now() > end.UnixNano() {
			return fmt.Errorf("%v after the last request was due, %d of %d are answered", patience, len(p.took), p.begun)
		}
	}
	return nil
}

// patience is how long the load waits for answers after the end.
const patience = 20 * time.Second

// now is the monotonic clock's.
func now() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail
	return ts.Nano()
}

// wait waits for events; with a pace, no longer than until the next request is due.
func (l *loop) wait() (int, error) {
	if l.pace == nil {
		return unix.EpollWait(l.epoll, l.events[:], 20)
	}
	rest := int64(20 * time.Millisecond)
	if l.pace.next < l.pace.until {
		rest = min(rest, max(0, l.pace.next-now()))
	}
	ts := unix.NsecToTimespec(rest)
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	runtime.KeepAlive(&ts)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// askDue sends the requests that are due, on connections that have none; the others wait for one.
func (l *loop) askDue() error {
	p := l.pace
	for t := now(); p.next < p.until && p.next <= t; p.next += p.every {
		p.begun++
		p.late = append(p.late, p.next)
	}
	for len(p.late) > 0 && len(p.free) > 0 {
		c := p.free[len(p.free)-1]
		p.free = p.free[:len(p.free)-1]
		if l.peers[c.fd] != c.p {
			continue // it was closed meanwhile
		}
		c.p.due = p.late[0]
		p.late = p.late[1:]
		if err := l.ask(c.fd, c.p); err != nil {
			l.lost(c.fd, c.p)
		}
	}
	return nil
}

// ready takes a connection that has no request.
func (l *loop) ready(fd int, p *peer) error {
	l.pace.free = append(l.pace.free, conn{fd, p})
	return l.askDue()
}

// lost is a connection that ended; its request goes first on the next one that is free.
func (l *loop) lost(fd int, p *peer) {
	if p.due != 0 {
		l.pace.lost++
		l.pace.late = append([]int64{p.due}, l.pace.late...)
	}
	l.drop(fd)
}

func (p *pace) answered(of *peer) {
	if of.due != 0 { // otherwise it was asked before the pace began
		p.took = append(p.took, now()-of.due)
		of.due = 0
	}
}
