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
	n    int
	list [CallsMost]call

	fd                 int // of the ring; -1: none
	entries            []submission
	done               []completion
	head, tail         *uint32 // of the submissions
	doneHead, doneTail *uint32
	mapped             [][]byte
}

// call is one call of a list.
type call struct {
	op    uint8
	fd    int32
	b     []byte
	n     int // bytes; -1: it was not made
	errno syscall.Errno
}

// Open makes the ring; an error says why there is none.
func (c *Calls) Open() error {
	c.fd = -1
	var p ringParams
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, CallsMost, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return fmt.Errorf("set up io_uring: %w", errno)
	}
	c.fd = int(fd) // close-on-exec
	if p.features&ringSends == 0 {
		c.Close()
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
	array := unsafe.Slice(at[uint32](sq, p.sq.array), p.entries)
	c.entries = unsafe.Slice(at[submission](entries, 0), p.entries)
	c.doneHead, c.doneTail = at[uint32](cq, p.cq.head), at[uint32](cq, p.cq.tail)
	c.done = unsafe.Slice(at[completion](cq, p.cq.cqes), p.completions)
	for i := range array {
		array[i] = uint32(i)
	}
	return nil
}

func at[T any](mapped []byte, off uint32) *T { return (*T)(unsafe.Pointer(&mapped[off])) }

func (c *Calls) mapRing(off int64, size int) ([]byte, error) {
	b, err := unix.Mmap(c.fd, off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	c.mapped = append(c.mapped, b)
	return b, nil
}

// Close gives the ring back.
func (c *Calls) Close() {
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

// Send queues send(2), and says under which number Result has what became of it. b must not be empty, and stay as it is until Make. At most CallsMost
// calls are queued.
func (c *Calls) Send(fd int, b []byte) int { return c.add(opSend, fd, b) }

// Recv queues recv(2), as Send does.
func (c *Calls) Recv(fd int, b []byte) int { return c.add(opRecv, fd, b) }

func (c *Calls) add(op uint8, fd int, b []byte) int {
	i := c.n
	l := &c.list[i]
	l.op, l.fd, l.b, l.n = op, int32(fd), b, -1
	c.n++
	return i
}

// Make makes the calls that are queued.
func (c *Calls) Make() {
	list := c.list[:c.n]
	c.n = 0
	if len(list) > 1 && c.Cheaper() {
		c.enter(list)
	}
	for i := range list {
		if list[i].n < 0 {
			list[i].alone()
		}
	}
}

// Result is what became of the call of that number.
func (c *Calls) Result(i int) (n int, errno syscall.Errno) {
	l := &c.list[i]
	l.b = nil
	return l.n, l.errno
}

func (l *call) alone() {
	if l.op == opSend {
		l.n, l.errno = Write(int(l.fd), l.b)
	} else {
		l.n, l.errno = Read(int(l.fd), l.b)
	}
}

func (c *Calls) enter(list []call) {
	tail, mask := *c.tail, uint32(len(c.entries)-1)
	for i := range list {
		l, e := &list[i], &c.entries[(tail+uint32(i))&mask]
		e.opcode, e.fd, e.msgFlags, e.data = l.op, l.fd, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uint64(i)
		e.addr, e.len = uint64(uintptr(unsafe.Pointer(&l.b[0]))), uint32(len(l.b))
	}
	n := uint32(len(list))
	atomic.StoreUint32(c.tail, tail+n)
	_, _, _ = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(c.fd), uintptr(n), 0, 0, 0, 0)
	taken := atomic.LoadUint32(c.head) - tail
	if taken < n { // refused, or out of memory
		atomic.StoreUint32(c.tail, tail+taken)
	}
	for missing := taken - c.collect(); missing > 0; missing -= c.collect() { // no kernel leaves such a call for later
		_, _, _ = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(c.fd), 0, uintptr(missing), ringGetEvents, 0, 0)
	}
}

// collect takes over what the kernel says of calls, and returns of how many. One that a signal kept from beginning stays at -1, and so does one that the kernel
// cannot make of a ring.
func (c *Calls) collect() uint32 {
	head, tail := *c.doneHead, atomic.LoadUint32(c.doneTail)
	n, mask := tail-head, uint32(len(c.done)-1)
	for ; head != tail; head++ {
		e := &c.done[head&mask]
		l := &c.list[e.data]
		switch errno := syscall.Errno(-e.res); {
		case e.res >= 0:
			l.n, l.errno = int(e.res), 0
		case errno != syscall.EINTR && errno != syscall.EINVAL && errno != syscall.EOPNOTSUPP:
			l.n, l.errno = 0, errno
		}
	}
	atomic.StoreUint32(c.doneHead, head)
	return n
}
