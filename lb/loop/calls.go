package loop

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is used of io_uring(7): linux/io_uring.h.
const (
	opSend = 26 // IORING_OP_SEND
	opRecv = 27 // IORING_OP_RECV

	ringGetEvents = 1 << 0 // IORING_ENTER_GETEVENTS
	ringSends     = 1 << 4 // IORING_FEAT_CUR_PERSONALITY: Linux 5.6, the first that sends and receives

	offSubmissions = 0         // IORING_OFF_SQ_RING
	offCompletions = 0x8000000 // IORING_OFF_CQ_RING
	offEntries     = 0x10000000
)

// ringParams is struct io_uring_params.
type ringParams struct {
	entries, completions           uint32
	flags, cpu, idle, features, wq uint32
	_                              [3]uint32
	sq                             struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// submission is struct io_uring_sqe, of 64 bytes.
type submission struct {
	opcode   uint8
	_        [3]uint8 // flags, priority
	fd       int32
	_        uint64 // offset
	addr     uint64
	len      uint32
	msgFlags uint32
	data     uint64
	_        [3]uint64
}

// completion is struct io_uring_cqe, of 16 bytes.
type completion struct {
	data uint64
	res  int32
	_    uint32 // flags
}

// CallsMost is how many calls Calls makes at once.
const CallsMost = 32

// Calls makes one system call of up to CallsMost that send to or receive from sockets: io_uring_enter(2), which does each as send(2) and recv(2) would with MSG_DONTWAIT
// and MSG_NOSIGNAL, one after the other, and returns when all are done. Nothing is ever under way between two of them. Where a kernel has no io_uring, or does not
// let us have it, each is a call of its own. Owned by a loop.
type Calls struct {
	n       int                // of the calls that are queued
	first   uint32             // where in entries their first is
	entries []submission       // of the ring, or, without one, of our own
	results [CallsMost]outcome // by number: the place in the queue

	fd                 int // of the ring; -1: none
	done               []completion
	head, tail         *uint32 // of the submissions
	doneHead, doneTail *uint32
	mapped             [][]byte
}

// outcome is what became of a call.
type outcome struct {
	n     int32 // bytes; -1: it was not made
	errno int32 // syscall.Errno
}

// Open makes the ring; an error says why there is none, and that calls are made one by one.
func (c *Calls) Open() error {
	c.oneByOne()
	err := c.openRing()
	if err != nil {
		c.Close()
	}
	return err
}

// oneByOne is how calls are made before Open.
func (c *Calls) oneByOne() {
	c.fd = -1
	c.use(make([]submission, CallsMost))
}

func (c *Calls) openRing() error {
	var p ringParams
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, CallsMost, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return fmt.Errorf("set up io_uring: %w", errno)
	}
	c.fd = int(fd) // close-on-exec
	if p.features&ringSends == 0 {
		return errors.New("io_uring neither sends nor receives before Linux 5.6")
	}
	sq, err := c.mapRing(offSubmissions, int(p.sq.array+p.entries*4))
	if err != nil {
		return err
	}
	cq, err := c.mapRing(offCompletions, int(p.cq.cqes)+int(p.completions)*int(unsafe.Sizeof(completion{})))
	if err != nil {
		return err
	}
	entries, err := c.mapRing(offEntries, int(p.entries)*int(unsafe.Sizeof(submission{})))
	if err != nil {
		return err
	}
	c.head, c.tail = at[uint32](sq, p.sq.head), at[uint32](sq, p.sq.tail)
	array := unsafe.Slice(at[uint32](sq, p.sq.array), CallsMost)
	for i := range array {
		array[i] = uint32(i)
	}
	c.doneHead, c.doneTail = at[uint32](cq, p.cq.head), at[uint32](cq, p.cq.tail)
	c.done = unsafe.Slice(at[completion](cq, p.cq.cqes), p.completions)
	c.use(unsafe.Slice(at[submission](entries, 0), CallsMost))
	return nil
}

// use has calls queued in entries.
func (c *Calls) use(entries []submission) {
	for i := range entries {
		entries[i] = submission{msgFlags: unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL}
	}
	c.n, c.first, c.entries = 0, 0, entries
}

func at[T any](mapped []byte, off uint32) *T { return (*T)(unsafe.Pointer(&mapped[off])) }

func (c *Calls) mapRing(off int64, size int) ([]byte, error) {
	b, err := unix.Mmap(c.fd, off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	c.mapped = append(c.mapped, b)
	return b, nil
}

// Close gives the ring back; calls are made one by one from then on.
func (c *Calls) Close() {
	c.use(make([]submission, CallsMost))
	for _, b := range c.mapped {
		_ = unix.Munmap(b)
	}
	c.mapped = nil
	if c.fd >= 0 {
		CloseRaw(c.fd)
	}
	c.fd = -1
}

// Cheaper reports whether calls together cost less than each by itself: there is a ring.
func (c *Calls) Cheaper() bool { return len(c.mapped) > 0 }

// Send queues send(2), and says under which number Result has what became of it. b must not be empty, has to lie on the heap, and to be kept as it is until
// Make. At most CallsMost calls are queued. Results stay until a call of the same number is queued: numbers count from 0 after each Make.
func (c *Calls) Send(fd int, b []byte) int { return c.add(opSend, fd, b) }

// Recv queues recv(2), as Send does.
func (c *Calls) Recv(fd int, b []byte) int { return c.add(opRecv, fd, b) }

func (c *Calls) add(op uint8, fd int, b []byte) int {
	i := c.n
	e := c.entry(c.first, uint32(i))
	e.opcode, e.fd, e.addr, e.len, e.data = op, int32(fd), uint64(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b)), uint64(i)
	c.results[i].n = -1
	c.n++
	return i
}

// entry is that of call i of those that begin at first.
func (c *Calls) entry(first, i uint32) *submission { return &c.entries[(first+i)%CallsMost] }

// Make makes the calls that are queued.
func (c *Calls) Make() {
	n, first := uint32(c.n), c.first
	c.n = 0
	if n == 0 || n > 1 && c.Cheaper() && c.enter(n) {
		return
	}
	for i := range n {
		if c.results[i].n < 0 {
			c.results[i] = c.entry(first, i).alone()
		}
	}
}

// Result is what became of the call of that number.
func (c *Calls) Result(i int) (n int, errno syscall.Errno) {
	r := c.results[i]
	return int(r.n), syscall.Errno(r.errno)
}

// alone makes one call.
func (e *submission) alone() outcome {
	trap := uintptr(unix.SYS_RECVFROM)
	if e.opcode == opSend {
		trap = unix.SYS_SENDTO
	}
	for {
		n, _, errno := syscall.RawSyscall6(trap, uintptr(e.fd), uintptr(e.addr), uintptr(e.len), uintptr(e.msgFlags), 0, 0)
		switch errno {
		case 0:
			return outcome{n: int32(n)}
		case syscall.EINTR:
		default:
			return outcome{errno: int32(errno)}
		}
	}
}

// enter has the kernel make n calls, and reports whether all were made.
func (c *Calls) enter(n uint32) bool {
	tail := *c.tail // that of first, but for the multiples of CallsMost
	atomic.StoreUint32(c.tail, tail+n)
	_, _, _ = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(c.fd), uintptr(n), 0, 0, 0, 0)
	taken := atomic.LoadUint32(c.head) - tail
	if taken < n { // refused, or out of memory
		atomic.StoreUint32(c.tail, tail+taken)
	}
	c.first = (tail + taken) % CallsMost
	made := uint32(0)
	for missing := taken; ; {
		k, m := c.collect()
		made += m
		if missing -= k; missing == 0 {
			return made == n
		}
		// No kernel leaves such a call for later.
		_, _, _ = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(c.fd), 0, uintptr(missing), ringGetEvents, 0, 0)
	}
}

// collect takes over what the kernel says of calls, and returns of how many, and how many of them it has made. One that a signal kept from beginning is not, nor
// is one that the kernel cannot make of a ring.
func (c *Calls) collect() (n, made uint32) {
	head, tail := *c.doneHead, atomic.LoadUint32(c.doneTail)
	n = tail - head
	mask := uint32(len(c.done) - 1)
	for ; head != tail; head++ {
		e := &c.done[head&mask]
		r := &c.results[e.data%CallsMost]
		switch errno := syscall.Errno(-e.res); {
		case e.res >= 0:
			*r = outcome{n: e.res}
		case errno != syscall.EINTR && errno != syscall.EINVAL && errno != syscall.EOPNOTSUPP:
			*r = outcome{errno: -e.res}
		default:
			continue
		}
		made++
	}
	atomic.StoreUint32(c.doneHead, head)
	return n, made
}
