package loop

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// start runs a loop until the test ends.
func start(t testing.TB) *Loop {
	t.Helper()
	l, err := New(0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l.Roomy = true
	ended := make(chan struct{})
	go func() { l.Run(); close(ended) }()
	t.Cleanup(func() { l.Stop(); <-ended })
	return l
}

// pair is a connected pair of non-blocking stream sockets, closed by the one
// who uses them.
func pair(t testing.TB) (ours, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// handler is a function told of readiness.
type handler func(Events)

func (h handler) Ready(ev Events) { h(ev) }

// expire is a function called by a timer.
type expire func()

func (e expire) Expire() { e() }

// want reports a call that failed, or should have.
func want(t testing.TB, what string, got, want syscall.Errno) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestReady(t *testing.T) {
	l := start(t)
	ours, theirs := pair(t)
	heard := make(chan string, 10)
	h := handler(func(ev Events) {
		var b [16]byte
		for ev&In != 0 {
			n, errno := Read(ours, b[:])
			if errno != 0 {
				return
			}
			if n == 0 {
				l.CloseFD(ours)
			}
			heard <- string(b[:n])
			if n == 0 {
				return
			}
		}
	})
	l.Call(func() {
		if err := l.Add(ours, h); err != nil {
			t.Error(err)
		}
	})
	for _, text := range []string{"one", "two"} {
		_, errno := Write(theirs, []byte(text))
		want(t, "write", errno, 0)
		if got := <-heard; got != text {
			t.Errorf("heard %q", got)
		}
	}
	CloseRaw(theirs)
	if got := <-heard; got != "" {
		t.Errorf("heard %q at the end", got)
	}
}

// TestAReusedDescriptorIsAnother: an event of a descriptor that was closed in
// the same turn must not reach the one that got its number.
func TestAReusedDescriptorIsAnother(t *testing.T) {
	l := start(t)
	for range 50 {
		a, aPeer := pair(t)
		b, bPeer := pair(t)
		var later int
		handled, misled := 0, atomic.Bool{}
		done := make(chan struct{})
		// Whichever is told first closes the other and takes its number over.
		replace := func(other, peer *int) handler {
			return func(Events) {
				if handled++; handled > 1 {
					return
				}
				l.CloseFD(*other)
				x, y := pair(t)
				if x != *other && y != *other {
					t.Errorf("descriptors %d, %d in place of %d", x, y, *other)
				}
				if y == *other {
					x, y = y, x
				}
				later = x
				CloseRaw(*peer)
				*other, *peer = x, y
				// What is true of the new one (it can be written to) is told
				// in the next turn; in this one it is the old one's event.
				turn := true
				if err := l.Add(later, handler(func(Events) {
					if turn {
						misled.Store(true)
					}
					close(done)
					l.slots[later].h = handler(func(Events) {})
				})); err != nil {
					t.Error(err)
				}
				l.Again(handler(func(Events) { turn = false }))
			}
		}
		l.Call(func() {
			if l.Add(a, replace(&b, &bPeer)) != nil || l.Add(b, replace(&a, &aPeer)) != nil {
				t.Error("cannot watch")
			}
		})
		<-done
		l.Call(func() {
			l.CloseFD(a)
			l.CloseFD(b)
			CloseRaw(aPeer)
			CloseRaw(bPeer)
		})
		if misled.Load() {
			t.Fatal("a new descriptor was told of an old one's event")
		}
	}
}

// TestForget: after a descriptor was given away, what happens there is not our
// business, though another process keeps the open file.
func TestForget(t *testing.T) {
	l := start(t)
	ours, theirs := pair(t)
	kept, err := unix.Dup(ours)
	if err != nil {
		t.Fatal(err)
	}
	var told atomic.Int32
	l.Call(func() {
		if err := l.Add(ours, handler(func(Events) { told.Add(1) })); err != nil {
			t.Error(err)
		}
		l.Forget(ours)
		l.Forget(ours) // twice is no harm
		CloseRaw(ours)
	})
	_, errno := Write(theirs, []byte("x"))
	want(t, "write", errno, 0)
	barrier(l)
	if told.Load() != 0 {
		t.Error("told of a descriptor that was forgotten")
	}
	CloseRaw(kept)
	CloseRaw(theirs)
}

// barrier returns when two turns have gone by.
func barrier(l *Loop) {
	l.Call(func() {})
	l.Call(func() {})
}

func TestPostFromEverywhere(t *testing.T) {
	l := start(t)
	const goroutines, each = 16, 2000
	ran := 0 // owned by the loop
	last := make([]int, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := 1; i <= each; i++ {
				f := func() {
					ran++
					if last[g] != i-1 {
						t.Errorf("goroutine %d: %d came after %d", g, i, last[g])
					}
					last[g] = i
				}
				if i%100 == 0 {
					l.Call(f)
				} else {
					l.Post(f)
				}
			}
		})
	}
	all.Wait()
	l.Call(func() {
		if ran != goroutines*each {
			t.Errorf("%d of %d ran", ran, goroutines*each)
		}
	})
}

// TestStopWhilePosting: what Post accepts runs, and Call always returns.
func TestStopWhilePosting(t *testing.T) {
	for range 50 {
		l, err := New(0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { l.Run(); close(ended) }()
		var accepted, ran atomic.Int64
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for post, ok := l.Post, true; ok; {
					if g%2 == 0 {
						post = l.Call
					}
					if ok = post(func() { ran.Add(1) }); ok {
						if accepted.Add(1) == 200 {
							l.Stop()
							l.Stop()
						}
					}
				}
			})
		}
		all.Wait()
		<-ended
		if accepted.Load() != ran.Load() {
			t.Fatalf("%d accepted, %d ran", accepted.Load(), ran.Load())
		}
		if l.Post(func() {}) || l.Call(func() {}) {
			t.Error("a loop that has ended accepts work")
		}
	}
}

func TestPostFromTheLoop(t *testing.T) {
	l := start(t)
	done := make(chan struct{})
	n := 0
	var step func()
	step = func() {
		if n++; n == 1000 {
			close(done)
			return
		}
		l.Post(step)
	}
	l.Post(step)
	<-done
}

// TestAgainIsFair: a handler that always wants more does not keep others,
// timers or the mailbox waiting.
func TestAgainIsFair(t *testing.T) {
	l := start(t)
	ours, theirs := pair(t)
	const enough = 100
	greedy, other, ends := 0, 0, 0 // owned by the loop
	expired := make(chan struct{})
	var busy handler
	busy = func(ev Events) {
		if ev != 0 {
			t.Errorf("called again with events %x", ev)
		}
		greedy++
		if ends > enough && other > 0 && greedy > enough {
			select {
			case <-expired:
				return
			default:
			}
		}
		l.Again(busy)
	}
	timer := Timer{OnExpire: expire(func() { close(expired) })}
	l.Call(func() {
		l.AtTurnEnd(func() { ends++ })
		if err := l.Add(ours, handler(func(Events) { other++ })); err != nil {
			t.Error(err)
		}
		l.Again(busy)
		l.Again(handler(func(Events) {})) // several in a turn
		l.Arm(&timer, 2)
	})
	_, errno := Write(theirs, []byte("x"))
	want(t, "write", errno, 0)
	<-expired
	ok := false
	for !ok {
		l.Call(func() { ok = len(l.again) == 0 })
	}
	l.Call(func() {
		if greedy > ends+1 {
			t.Errorf("called %d times in %d turns", greedy, ends)
		}
		l.CloseFD(ours)
	})
	CloseRaw(theirs)
}

// TestTimersOnTheLoop: never early by the loop's clock, though it sleeps.
func TestTimersOnTheLoop(t *testing.T) {
	l := start(t)
	done := make(chan int64, 4)
	timers := make([]Timer, 4)
	var begun int64
	l.Call(func() {
		begun = l.Now()
		for i := range timers {
			d := int64(1 + 7*i)
			timers[i].OnExpire = expire(func() { done <- l.Now() - begun - d })
			l.Arm(&timers[i], d)
		}
		if !l.Time().After(l.base) {
			t.Error("the loop's time is not set")
		}
	})
	for range timers {
		if late := <-done; late < 0 {
			t.Errorf("%d ms early", -late)
		}
	}
	// One so far that its wait does not fit epoll_wait's 32 bits.
	var far Timer
	l.Call(func() {
		far.OnExpire = expire(func() { t.Error("expired years early") })
		l.Arm(&far, 1<<36-1)
	})
	barrier(l)
	l.Call(func() { l.Disarm(&far) })
}

func TestListener(t *testing.T) {
	l := start(t)
	ln, errno := Socket(unix.AF_INET)
	want(t, "socket", errno, 0)
	want(t, "reuse", SetInt(ln, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), 0)
	if err := unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(ln, 8); err != nil {
		t.Fatal(err)
	}
	var sa unix.RawSockaddrAny
	_, errno = Accept(ln, &sa)
	want(t, "accept of nothing", errno, syscall.EAGAIN)
	accepted := make(chan int)
	l.Call(func() {
		if err := l.AddListener(ln, handler(func(Events) {
			var sa unix.RawSockaddrAny
			if fd, errno := Accept(ln, &sa); errno == 0 {
				accepted <- fd
			}
		})); err != nil {
			t.Error(err)
		}
	})
	c, errno := Socket(unix.AF_INET)
	want(t, "socket", errno, 0)
	want(t, "peer name before connecting", PeerName(c, &sa), syscall.ENOTCONN)
	want(t, "local name", SockName(ln, &sa), 0)
	if errno := Connect(c, &sa, unix.SizeofSockaddrInet4); errno != 0 && errno != syscall.EINPROGRESS {
		t.Fatal(errno)
	}
	s := <-accepted
	want(t, "peer name", PeerName(c, &sa), 0)
	want(t, "socket error", SocketError(c), 0)
	n, errno := Write2(c, []byte("ab"), []byte("cde"))
	if want(t, "write2", errno, 0); n != 5 {
		t.Errorf("%d bytes written", n)
	}
	ShutdownWrite(c)
	got := ""
	var b [3]byte
	for {
		n, errno := Read(s, b[:])
		if errno == syscall.EAGAIN {
			wait := []unix.PollFd{{Fd: int32(s), Events: unix.POLLIN}}
			_, _ = unix.Poll(wait, -1)
			continue
		}
		want(t, "read", errno, 0)
		if n == 0 {
			break
		}
		got += string(b[:n])
	}
	if got != "abcde" {
		t.Errorf("read %q", got)
	}
	CloseRaw(c)
	CloseRaw(s)
	l.Call(func() { l.Forget(ln) })
	CloseRaw(ln)
}

func TestNoDescriptor(t *testing.T) {
	const none = 1000 // more than a test has open
	var b [1]byte
	_, errno := Read(none, b[:])
	want(t, "read", errno, syscall.EBADF)
	_, errno = Write(none, b[:])
	want(t, "write", errno, syscall.EBADF)
	_, errno = Write2(none, b[:], b[:])
	want(t, "write2", errno, syscall.EBADF)
	_, errno = Accept(none, new(unix.RawSockaddrAny))
	want(t, "accept", errno, syscall.EBADF)
	want(t, "socket error", SocketError(none), syscall.EBADF)
	_, errno = Socket(-1)
	want(t, "socket of no family", errno, syscall.EAFNOSUPPORT)
	l := start(t)
	l.Call(func() {
		l.Forget(none + 1000)
		if err := l.Add(none, handler(func(Events) {})); err == nil {
			t.Error("it can be watched")
		}
	})
}

// BenchmarkTurn is one event: written by a peer, told, read.
func BenchmarkTurn(b *testing.B) {
	l, err := New(0, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	ours, theirs := pair(b)
	var in, out [1]byte
	err = l.Add(ours, handler(func(Events) {
		for _, errno := Read(ours, in[:]); errno == 0; _, errno = Read(ours, in[:]) {
			if b.Loop() {
				_, _ = Write(theirs, out[:])
				continue
			}
			l.Stop()
			return
		}
	}))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	_, _ = Write(theirs, out[:])
	l.Run()
	CloseRaw(ours)
	CloseRaw(theirs)
}

// earlyScene is descriptors of a loop that are written to while it stands still, so that one wait reports them all.
type earlyScene struct {
	t     *testing.T
	l     *Loop
	about int // the descriptor of which handlers say whether they are informed; owned by the loop
	told  chan string
	also  func(name string) // what handlers do besides; nil: nothing
}

func newEarlyScene(t *testing.T) *earlyScene {
	return &earlyScene{t: t, l: start(t), told: make(chan string, 2*maxEvents)}
}

// add has the loop watch a descriptor whose handler tells its name, and whether it is informed, for each event.
func (e *earlyScene) add(name string, early bool) (ours, theirs int) {
	ours, theirs = pair(e.t)
	h := handler(func(ev Events) {
		if ev&In == 0 {
			return
		}
		var b [8]byte
		if _, errno := Read(ours, b[:]); errno != 0 {
			e.told <- name + " again"
			return
		}
		if e.l.Informed(e.about) {
			e.told <- name + " informed"
		} else {
			e.told <- name
		}
		if e.also != nil {
			e.also(name)
		}
	})
	e.l.Call(func() {
		if err := e.l.Add(ours, h); err != nil {
			e.t.Error(err)
		}
		e.l.Early(ours, early)
		if early {
			e.about = ours
		}
	})
	e.t.Cleanup(func() {
		e.l.Call(func() { e.l.CloseFD(ours) })
		CloseRaw(theirs)
	})
	return ours, theirs
}

// write writes to all at once, and gives what was told.
func (e *earlyScene) write(fds ...int) (told []string) {
	e.t.Helper()
	barrier(e.l)
	e.l.Call(func() {
		for _, fd := range fds {
			_, errno := Write(fd, []byte("x"))
			want(e.t, "write", errno, 0)
		}
	})
	for range fds { // without another function for the loop, which would be an event too
		told = append(told, <-e.told)
	}
	barrier(e.l)
	select {
	case more := <-e.told:
		e.t.Errorf("%s is one too many", more)
	default:
	}
	return told
}

// TestEarly: events of early descriptors are handled first, once, and the others know that.
func TestEarly(t *testing.T) {
	e := newEarlyScene(t)
	_, a := e.add("a", false)
	_, b := e.add("b", true)
	_, c := e.add("c", false)
	_, d := e.add("d", true)
	if got := fmt.Sprint(e.write(a, b, c, d)); got != "[b d a informed c informed]" {
		t.Errorf("told %s", got)
	}
	e.also = func(string) { e.l.Stale() }
	if got := fmt.Sprint(e.write(a, b, c, d)); got != "[b d a informed c]" {
		t.Errorf("after a handler that took long: told %s", got)
	}
	e.l.Call(func() {
		if e.l.Informed(e.about) {
			t.Error("what comes from elsewhere is informed")
		}
		e.l.Again(handler(func(Events) {
			if e.l.Informed(e.about) {
				t.Error("what runs again is informed")
			}
		}))
	})
	barrier(e.l)
}

// TestEarlySince: of a descriptor that becomes early in a turn, nobody is informed before its own event of that turn, which comes in its place.
func TestEarlySince(t *testing.T) {
	e := newEarlyScene(t)
	_, a := e.add("a", false)
	_, b := e.add("b", false)
	ours, c := e.add("c", false)
	_, d := e.add("d", false)
	e.l.Call(func() { e.about = ours })
	e.also = func(name string) {
		if name == "a" {
			e.l.Early(ours, true)
		}
	}
	if got := fmt.Sprint(e.write(a, b, c, d)); got != "[a informed b c informed d informed]" {
		t.Errorf("told %s", got)
	}
	if got := fmt.Sprint(e.write(a, b, c, d)); got != "[c a informed b informed d informed]" {
		t.Errorf("in the next turn: told %s", got)
	}
}

// TestEarlyAmongMany: while there may be more than one wait can report, nobody is informed.
func TestEarlyAmongMany(t *testing.T) {
	e := newEarlyScene(t)
	var all []int
	for range maxEvents {
		_, theirs := e.add("a", false)
		all = append(all, theirs)
	}
	_, end := e.add("end", true)
	for i, told := range e.write(append(all, end)...) {
		if strings.HasPrefix(told, "end") {
			break
		}
		if told != "a" {
			t.Fatalf("event %d: %s before the end", i, told)
		}
	}
}

// TestTime: Time is that of the turn's beginning, also if nobody asks for it until the turn has gone on for long; the next turn has another.
func TestTime(t *testing.T) {
	l := start(t)
	var began, first, second time.Time
	l.Call(func() {
		for began = time.Now(); time.Since(began) < 20*time.Millisecond; {
		}
		first = l.Time()
		second = l.Time()
	})
	if first.Sub(began) > time.Millisecond { // of which it is a multiple
		t.Errorf("the turn's time is %v after its beginning", first.Sub(began))
	}
	if second != first {
		t.Errorf("one turn has two times: %v and %v", first, second)
	}
	l.Call(func() { second = l.Time() })
	if second.Sub(first) < 10*time.Millisecond {
		t.Errorf("20 ms later the time is %v later", second.Sub(first))
	}
}
