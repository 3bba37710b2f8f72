package loop

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events is a set of readiness bits.
type Events uint32

// Readiness as epoll reports it.
const (
	In    Events = unix.EPOLLIN
	Out   Events = unix.EPOLLOUT
	RdHup Events = unix.EPOLLRDHUP // the peer will send nothing more
	Hup   Events = unix.EPOLLHUP
	Err   Events = unix.EPOLLERR
)

// Handler hears of readiness. It owns its file descriptor and closes it
// through Loop.CloseFD.
type Handler interface {
	Ready(ev Events)
}

// slot is what the loop knows of one descriptor number. gen tells a
// descriptor from an earlier one of the same number, whose events may still
// be in the current batch.
type slot struct {
	h     Handler
	gen   int32
	early bool   // see Early
	since uint32 // the turn in which that was said
	heard uint32 // the turn of its last event
}

// maxEvents is how many events one wait takes over.
const maxEvents = 256

// Loop is one event loop. All methods but Post and Stop are for its own
// goroutine (or before Run).
type Loop struct {
	ID      int
	Buffers Pool
	Pipes   Pipes
	Sealed  Pool // for what fills one of Buffers, in the form of TLS records: a little larger
	Wide    Wide // the same for several of Buffers
	Calls   Calls
	// Roomy says that the Go scheduler has more places (GOMAXPROCS) than there are loops, so that one that waits may
	// keep its own: see wait. Set it before Run.
	Roomy bool

	ep       int
	wakeFD   int
	slots    []slot
	events   [maxEvents]unix.EpollEvent
	wheel    wheel
	base     time.Time
	now      int64     // ms since base, read once a turn, without what was skipped
	clock    time.Time // of this turn, once somebody has asked
	dated    bool      // somebody has
	skipped  int64     // ms: pauses of the process, of which no timer knows
	patience int64     // ms: what the present wait may take; < 0 any time
	brisk    bool      // waits are short at present: see wait
	looks    bool      // several events came together: while they were handled more have come, most likely, and a look takes them at once
	informed bool      // see Informed
	number   uint32    // of this turn
	again    []Handler
	spare    []Handler
	gathered func() // of AfterEvents; nil: nothing
	turn     []func()

	mailbox mailbox
	stopped atomic.Bool
}

// mailbox carries work from other goroutines.
type mailbox struct {
	mu    sync.Mutex
	funcs []func()
	spare []func()
	woken bool
}

// New makes a loop whose clock counts from base, the same for all loops of a
// process. The caller must run Run, which releases what New took.
func New(id int, base time.Time) (*Loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("create an eventfd: %w", err)
	}
	l := &Loop{ID: id, ep: ep, wakeFD: wake, base: base}
	l.patience = -1
	l.Calls.oneByOne()
	l.readClock()
	l.wheel.init()
	if err := l.ctl(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN, 0); err != nil {
		unix.Close(ep)
		unix.Close(wake)
		return nil, err
	}
	return l, nil
}

// Now is the time of this turn in milliseconds since the loop began.
func (l *Loop) Now() int64 { return l.now }

// Time is the time of this turn. Many turns need none, so it is found out when it is first asked for.
func (l *Loop) Time() time.Time {
	if !l.dated {
		t := time.Now()
		late := l.sinceBase(t) - l.now
		l.clock, l.dated = t.Add(-time.Duration(late)*time.Millisecond), true
	}
	return l.clock
}

// hiccup is how many milliseconds a turn may take longer than it meant to wait
// before that counts as a pause.
const hiccup = 1000

// readClock takes the time over, but for a pause: a process that was stopped
// (SIGSTOP, a machine that stood still) could neither read nor write, so that no
// timeout may count that time.
func (l *Loop) readClock() {
	l.dated = false
	now := l.elapsed()
	if pause := now - l.now - max(l.patience, 0); l.patience >= 0 && pause > hiccup {
		l.skipped += pause
		now -= pause
	}
	l.now = now
}

// elapsed is the time since base that timers know of, in ms.
func (l *Loop) elapsed() int64 { return time.Since(l.base).Milliseconds() - l.skipped }

func (l *Loop) sinceBase(t time.Time) int64 { return t.Sub(l.base).Milliseconds() - l.skipped }

// Skipped is for how many milliseconds of the time since base the process did
// not run; Now does not count them.
func (l *Loop) Skipped() int64 { return l.skipped }

// AfterEvents sets a hook that runs when the events of a turn have been handled, before anything else.
func (l *Loop) AfterEvents(f func()) { l.gathered = f }

// AtTurnEnd adds a hook that runs at the end of every turn.
func (l *Loop) AtTurnEnd(f func()) { l.turn = append(l.turn, f) }

// Add registers fd, edge-triggered for both directions. What is ready already
// is reported in the next turn.
func (l *Loop) Add(fd int, h Handler) error {
	return l.add(fd, h, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// AddListener registers a listening socket, level-triggered; of several loops
// that watch it one is woken.
func (l *Loop) AddListener(fd int, h Handler) error {
	return l.add(fd, h, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

func (l *Loop) add(fd int, h Handler, events uint32) error {
	for fd >= len(l.slots) {
		l.slots = append(l.slots, make([]slot, max(64, len(l.slots)))...)
	}
	s := &l.slots[fd]
	s.gen++
	s.h, s.early = h, false
	return l.ctl(unix.EPOLL_CTL_ADD, fd, events, s.gen)
}

// Early has the events of fd handled before all others of the same wait: other handlers want to know what came over it, or that it
// ended, before they use what fd leads to. It holds until it is taken back or fd is closed.
func (l *Loop) Early(fd int, on bool) {
	s := &l.slots[fd]
	s.early, s.since = on, l.number
}

// Informed reports whether an event of the early descriptor fd, if the loop's last wait had one, has been handled. A handler of an event may then go by
// what it knows of fd instead of asking the socket. Nobody is informed who runs after the events, such as a timer, or long after the wait (Stale), or who comes from
// elsewhere; nor of a descriptor that became early in this turn, if its own event may be still to come.
func (l *Loop) Informed(fd int) bool {
	s := &l.slots[fd]
	return l.informed && (s.since != l.number || s.heard == l.number)
}

// Stale says that a handler has taken long: nobody is Informed any more in this turn.
func (l *Loop) Stale() { l.informed = false }

// Forget takes fd out of the loop without closing it. It must come before the
// close of a descriptor that another process holds too: epoll watches open
// files, not numbers, and would report it for ever.
func (l *Loop) Forget(fd int) {
	if fd < len(l.slots) && l.slots[fd].h != nil {
		l.slots[fd].h = nil
		l.slots[fd].gen++
		_ = l.ctl(unix.EPOLL_CTL_DEL, fd, 0, 0)
	}
}

// CloseFD closes a descriptor that no other process holds; pending events of
// it are dropped.
func (l *Loop) CloseFD(fd int) {
	if fd < len(l.slots) {
		l.slots[fd].h = nil
		l.slots[fd].gen++
	}
	CloseRaw(fd)
}

// Again has h called (with no events) before the loop waits again: for a
// handler that stops in the middle of its work to be fair to others.
func (l *Loop) Again(h Handler) { l.again = append(l.again, h) }

// Ready is how many handlers Again has in line. On the loop.
func (l *Loop) Ready() int { return len(l.again) }

// Post has f run by the loop soon. It may be called from any goroutine; after
// the loop has ended f is dropped and Post says false.
func (l *Loop) Post(f func()) bool {
	m := &l.mailbox
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.stopped.Load() {
		return false
	}
	m.funcs = append(m.funcs, f)
	if !m.woken {
		m.woken = true
		one := [8]byte{1}
		_, _ = unix.Write(l.wakeFD, one[:])
	}
	return true
}

// Call runs f on the loop and waits for it; false when the loop has ended.
// Never call it from the loop itself.
func (l *Loop) Call(f func()) bool {
	done := make(chan struct{})
	if !l.Post(func() { f(); close(done) }) {
		return false
	}
	<-done
	return true
}

// Stop makes Run return at the end of the turn.
func (l *Loop) Stop() { l.Post(func() { l.stopped.Store(true) }) }

// Run is the loop. It locks its goroutine to a thread and returns after Stop.
func (l *Loop) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = l.Calls.Open() // else calls are made one by one
	for !l.stopped.Load() {
		n := l.wait()
		l.number++
		l.readClock()
		if n > 1 {
			l.dispatchEarly(l.events[:n])
		}
		l.informed = n < maxEvents // else there may be more
		for i := range n {
			l.dispatch(&l.events[i])
		}
		l.informed = false
		if l.gathered != nil {
			l.gathered()
		}
		l.runAgain()
		l.wheel.expire(l.now)
		for _, f := range l.turn {
			f()
		}
	}
	// Whoever posted between the stop and here must not wait for ever.
	l.mailbox.mu.Lock()
	funcs := l.mailbox.funcs
	l.mailbox.funcs = nil
	l.mailbox.mu.Unlock()
	for _, f := range funcs {
		f()
	}
	l.Pipes.Drop()
	l.Calls.Close()
	unix.Close(l.ep)
	unix.Close(l.wakeFD)
}

// brisk is the longest wait, in ms, that counts as a short one.
const brisk = 10

// wait takes what is ready, in up to three steps, each dearer than the one before:
//
//  1. It looks without blocking, unless a look would find nothing: see looks.
//  2. If there is room and the last wait was short, it expects this one to be short too, and blocks without telling the runtime. The runtime's
//     monitor thread takes the place (P) of every goroutine that it sees in a system call, and after each time wakes up every
//     20 us for a while: for a loop under load that was a tenth of its processor time. A garbage collection does not have to
//     wait for the end: it sends this thread signals until one of them interrupts the wait.
//  3. It blocks in a system call that the runtime knows of: another goroutine may have the place, and the monitor may sleep.
func (l *Loop) wait() int {
	l.patience = 0
	short := l.brisk && l.Roomy
	if !short || l.looks || len(l.again) > 0 {
		n, _ := l.epollWait(0, true)
		if l.looks = n > 1; n > 0 || len(l.again) > 0 {
			return n
		}
	}
	interrupted := false
	if short {
		l.patience = brisk
		if at, ok := l.wheel.next(); ok { // later than this turn's time, from which it is counted: the clock is not read again
			l.patience = min(max(at-l.now, 0), brisk)
		}
		var n int
		if n, interrupted = l.epollWait(int(l.patience), true); n > 0 {
			l.looks = n > 1
			return n
		}
	}
	if timeout := l.untilTimer(); timeout != 0 && !interrupted {
		l.patience = int64(timeout)
		began := time.Now()
		n, interrupted := l.epollWait(timeout, false)
		if !interrupted {
			l.brisk = time.Since(began) < brisk*time.Millisecond
		}
		if n > 0 {
			return n
		}
	}
	// The time is up, or a signal came, perhaps after a pause: what lies in the
	// sockets by now counts before any timer.
	n, _ := l.epollWait(0, true)
	return n
}

// untilTimer is how long the wait for the next timer is, in ms; < 0 if none is armed.
func (l *Loop) untilTimer() int {
	at, ok := l.wheel.next()
	if !ok {
		return -1
	}
	// epoll_wait takes 32 bits; woken before its time the loop just waits on.
	return int(min(max(at-l.elapsed(), 0), math.MaxInt32))
}

// epollWait returns how many events there are; interrupted says that a signal ended the wait.
func (l *Loop) epollWait(timeout int, raw bool) (n int, interrupted bool) {
	var r uintptr
	var errno syscall.Errno
	p := uintptr(unsafe.Pointer(&l.events[0]))
	if raw {
		r, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), p, maxEvents, uintptr(timeout), 0, 0)
	} else {
		r, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), p, maxEvents, uintptr(timeout), 0, 0)
	}
	if errno != 0 {
		return 0, true // EINTR
	}
	return int(r), false
}

// dispatchEarly handles, of several events, those of early descriptors, and has dispatch pass over them.
func (l *Loop) dispatchEarly(events []unix.EpollEvent) {
	for i := range events {
		e := &events[i]
		if int(e.Fd) >= len(l.slots) || !l.slots[e.Fd].early || e.Events == unix.EPOLLOUT {
			continue
		}
		l.dispatch(e)
		e.Pad = -1 // no descriptor's gen
	}
}

func (l *Loop) dispatch(e *unix.EpollEvent) {
	if int(e.Fd) == l.wakeFD {
		l.informed = false // for what comes from elsewhere, and after it, as it may take long
		l.runMailbox()
		return
	}
	if s := &l.slots[e.Fd]; s.h != nil && s.gen == e.Pad {
		s.heard = l.number
		s.h.Ready(Events(e.Events)) // which may grow the table
	}
}

func (l *Loop) runMailbox() {
	readCount(l.wakeFD)
	m := &l.mailbox
	m.mu.Lock()
	funcs := m.funcs
	m.funcs, m.spare = m.spare[:0], nil
	m.woken = false
	m.mu.Unlock()
	for i, f := range funcs {
		f()
		funcs[i] = nil
	}
	m.mu.Lock()
	m.spare = funcs
	m.mu.Unlock()
}

func (l *Loop) runAgain() {
	if len(l.again) == 0 {
		return
	}
	hs := l.again
	l.again = l.spare[:0]
	for i, h := range hs {
		h.Ready(0)
		hs[i] = nil
	}
	l.spare = hs
}

func (l *Loop) ctl(op, fd int, events uint32, gen int32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: gen}
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("watch descriptor %d: %w", fd, errno)
	}
	return nil
}
