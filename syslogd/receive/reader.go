package receive

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/seldom"
)

// Reader reads one socket and feeds one Handler.
type Reader struct {
	// Immutable after NewReader.
	socket  *Socket
	handler Handler
	batch   *batch
	gather  time.Duration
	bell    int // eventfd: rung to end a wait
	first   uint32
	here    *Sender // whom every message is from when the senders' addresses do not matter; nil if they always do
	chooser Chooser // the handler, if it is one

	// Owned by Run.
	senders senders

	received atomic.Uint64
	bytes    atomic.Uint64
	errors   atomic.Uint64
	stop     atomic.Bool
	paused   atomic.Pointer[pause]
	failures seldom.Report

	// mu guards the fields below.
	mu       sync.Mutex
	dropped  uint64 // kernel drops seen so far
	lastSeen uint32 // the kernel's counter then
	barriers []chan struct{}
	ended    bool
}

const (
	// longestGather is how long a busy Reader lets messages pile up in the socket, so that one wake-up serves many. It is what
	// a line may be late, and what a SIGKILL may lose.
	longestGather = 5 * time.Millisecond
	// busy is how many messages must be expected, at the rate of those just received, to make a gather worth it.
	busy = 8
	// worstRate is the flood that must fit in the socket's buffer while we gather: messages per second of worstSize bytes of
	// kernel memory each.
	worstRate, worstSize = 1_000_000, 1024
)

// Counts is what a Reader did.
type Counts struct {
	Received      uint64 // messages
	Bytes         uint64
	KernelDrops   uint64 // messages that the kernel dropped since this process has the socket
	EarlierDrops  uint64 // and before, on a socket that was handed to us
	ReceiveErrors uint64
	Refused       uint64 // connections
	Connections   int    // now

	Broken           uint64 // connections that ended with an error, such as a reset
	HandshakesFailed uint64 // of TLS
	LastHandshake    string // of those: from where, and why
	OutOfStep        uint64 // octet counts that were wrong

	// Of RELP. Received = Acknowledged + Unacknowledged + what is being written.
	Acknowledged   uint64 // messages that are written, and the client was told
	Unacknowledged uint64 // messages for which that was not possible, so that the client sends them again
	BadFrames      uint64 // connections that ended because a frame was wrong, or did not come to its end
	LastBadFrame   string // of those: from where, and why
}

// Description tells what an input is.
type Description struct {
	Name    string // as configured
	Address string // where it listens
	Buffer  int    // bytes of receive buffer that the kernel granted; 0 where that says nothing

	Inherited bool // the socket is somebody else's, who keeps it
	Absent    bool // no interface had the address when it was opened
}

// NewReader prepares to read a socket, messages of up to size bytes. The Socket belongs to the Reader from then on. Neither
// NewReader nor Close may be called while another one is: both count in GOMAXPROCS the processor that a gathering Reader holds.
func NewReader(socket *Socket, handler Handler, size int, log *slog.Logger) (*Reader, error) {
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", socket.Name, err)
	}
	r := &Reader{socket: socket, handler: handler, batch: newBatch(size), bell: bell}
	r.failures.Say = func(n int, why error) {
		log.Error("messages cannot be received", "input", socket.Name, "number", n, "err", why)
	}
	r.gather = gatherFor(socket)
	r.here = socket.onlySender()
	r.chooser, _ = handler.(Chooser)
	if r.first, err = socket.drops(); err != nil {
		unix.Close(bell)
		return nil, fmt.Errorf("%s: drop counter: %w", socket.Name, err)
	}
	r.lastSeen = r.first
	if r.gather > 0 {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	return r, nil
}

// gatherFor is the longest time that a flood takes to fill half the buffer, and none for unix sockets, whose queue is as short
// as net.unix.max_dgram_qlen and whose senders wait.
func gatherFor(s *Socket) time.Duration {
	full := time.Duration(s.Granted) * time.Second / (worstRate * worstSize)
	d := min(longestGather, full/2)
	if d < time.Millisecond {
		return 0
	}
	return d
}

// Run reads until ctx is done. What is queued in a socket of our own is read to the end first; in an inherited one it waits
// for the next process.
func (r *Reader) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, func() {
		r.stop.Store(true)
		r.ring()
	})()
	for last := time.Now(); !r.stop.Load(); {
		r.rest(ctx)
		n, more := r.turn()
		if more {
			continue
		}
		r.passBarriers()
		now := time.Now()
		if r.gather > 0 && time.Duration(n)*r.gather >= busy*now.Sub(last) {
			r.pause(r.gather)
		} else {
			r.wait()
		}
		last = now
	}
	r.failures.Stop()
	r.socket.shutdownRead()
	if !r.socket.Inherited {
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
			if n, _ := r.turn(); n == 0 {
				break
			}
		}
	}
	r.Counts() // the kernel's last word, before the socket goes
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.passBarriers()
}

// rounds is how many full batches the Handler gets as one. Where messages choose among more files than may be open, each batch opens each of
// them: the more a batch has, the fewer that are for each line.
const rounds = 8

// turn takes what is queued, up to so many batches, and says how many messages there were, and whether there may be more.
//
// A reload may come between the look at what the Handler needs and Begin. Then what was there already is from here.
func (r *Reader) turn() (n int, more bool) {
	if named := r.here == nil || r.chooser == nil || r.chooser.NeedsAddress(); named != r.batch.named {
		r.batch.askNames(named)
	}
	k := r.take()
	if k == 0 {
		return 0, false
	}
	r.handler.Begin(time.Now())
	for round := 1; ; round++ {
		r.pass(k)
		n += k
		more = k == len(r.batch.msgs)
		if !more || round == rounds {
			break
		}
		if k = r.take(); k == 0 {
			more = false
			break
		}
	}
	r.handler.End()
	return n, more
}

// take receives a batch.
func (r *Reader) take() int {
	n, err := r.batch.receive(r.socket.fd)
	if err != nil {
		// Whatever it is (ENOBUFS, ENOMEM), the socket is still ours and the next call may work; but not in a tight loop.
		r.errors.Add(1)
		r.failures.Note(err)
		time.Sleep(longestGather)
		return 0
	}
	return n
}

// pass gives the batch's first n messages to the Handler.
func (r *Reader) pass(n int) {
	total := 0
	for i := range n {
		data, size, name, length := r.batch.message(i)
		total += size
		from := r.here
		if r.batch.named {
			from = r.senders.find(name, length)
		}
		r.handler.Message(from, data, size)
	}
	r.received.Add(uint64(n))
	r.bytes.Add(uint64(total))
	r.batch.reset(n)
}

// pause returns after d, or when the bell rings.
//
// RawSyscall6: the runtime would take the processor from us after 20 microseconds of an ordinary call, and wake up again and
// again to see whether it should; time.Sleep changes threads each time. This costs one switch. The processor that we hold meanwhile is missing
// nowhere, because NewReader has added one, and the runtime's signal ends the wait when it wants all goroutines to stop.
func (r *Reader) pause(d time.Duration) {
	fds := [1]unix.PollFd{{Fd: int32(r.bell), Events: unix.POLLIN}}
	limit := unix.NsecToTimespec(int64(d))
	n, _, _ := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if n == 1 {
		r.answer()
	}
}

// wait returns when there is something to read or the bell rings.
func (r *Reader) wait() {
	fds := [2]unix.PollFd{{Fd: int32(r.socket.fd), Events: unix.POLLIN}, {Fd: int32(r.bell), Events: unix.POLLIN}}
	if _, err := unix.Ppoll(fds[:], nil, nil); err != nil {
		return // EINTR: the caller looks at the socket and waits again
	}
	if fds[1].Revents != 0 {
		r.answer()
	}
}

// answer stops the bell.
func (r *Reader) answer() {
	var count [8]byte
	_, _ = unix.Read(r.bell, count[:]) // that it was rung is all it says
}

// ring ends a wait. Who rings may come late, and the bell's number may be another file's by then: mu is held until it has rung.
func (r *Reader) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(r.bell, one[:]) // fails only when it is rung already
}

// Barrier returns when everything that was queued in the socket at the time of the call has gone through the Handler, or when
// ctx is done.
func (r *Reader) Barrier(ctx context.Context) error {
	passed := make(chan struct{})
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return nil
	}
	r.barriers = append(r.barriers, passed)
	r.mu.Unlock()
	r.ring()
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", r.socket.Name, ctx.Err())
	}
}

// passBarriers is called when a batch was not full: then the queue was empty for a moment, after the barriers that were
// already there before the batch. Those that came during the batch are passed with the next one.
func (r *Reader) passBarriers() {
	r.mu.Lock()
	waiting := r.barriers
	r.barriers = nil
	r.mu.Unlock()
	if len(waiting) == 0 {
		return
	}
	for more := true; more && !r.stop.Load(); {
		_, more = r.turn()
	}
	for _, passed := range waiting {
		close(passed)
	}
}

// A pause is asked for, reached and then over.
type pause struct{ reached, over chan struct{} }

// Pause returns when the Reader, which must run, is between two batches and stays there, or does not run any more. It goes on once resume is
// called. One caller at a time.
func (r *Reader) Pause(ctx context.Context) (resume func(), err error) {
	p := &pause{reached: make(chan struct{}), over: make(chan struct{})}
	r.paused.Store(p)
	r.ring()
	resume = func() { close(p.over) }
	select {
	case <-p.reached:
		return resume, nil
	case <-ctx.Done():
		resume()
		return nil, fmt.Errorf("%s: %w", r.socket.Name, ctx.Err())
	}
}

// rest is the pause, if one was asked for.
func (r *Reader) rest(ctx context.Context) {
	p := r.paused.Swap(nil)
	if p == nil {
		return
	}
	close(p.reached)
	select {
	case <-p.over:
	case <-ctx.Done():
	}
}

// Counts asks the kernel for its drops and returns the counters.
func (r *Reader) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		if now, err := r.socket.drops(); err == nil {
			r.dropped += uint64(now - r.lastSeen) // modulo 2^32, as the kernel counts
			r.lastSeen = now
		}
	}
	return Counts{
		Received: r.received.Load(), Bytes: r.bytes.Load(), KernelDrops: r.dropped, EarlierDrops: uint64(r.first),
		ReceiveErrors: r.errors.Load(),
	}
}

// Describe tells what this is.
func (r *Reader) Describe() Description {
	return Description{Name: r.socket.Name, Address: r.socket.Address(), Buffer: r.socket.Granted, Inherited: r.socket.Inherited, Absent: r.socket.Absent}
}

// Astray says whether the path of a unix socket that is ours leads to it no more: somebody has removed it, and no new sender finds the socket.
func (r *Reader) Astray() bool { return r.socket.astray() }

// Give hands the socket's descriptor to somebody who keeps it when we go. Then Close leaves the path that leads to it.
func (r *Reader) Give(to func(nth, fd int) error) error {
	if err := to(0, r.socket.fd); err != nil {
		return err
	}
	r.socket.kept.Store(true)
	return nil
}

// TakeBack says that nobody keeps it any more.
func (r *Reader) TakeBack() { r.socket.kept.Store(false) }

// Close closes the socket. Run must have returned, and Counts must have been read before.
func (r *Reader) Close() error {
	if r.gather > 0 {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)-1))
	}
	r.mu.Lock()
	r.ended = true // if it never ran
	r.mu.Unlock()
	unix.Close(r.bell)
	return r.socket.Close()
}
