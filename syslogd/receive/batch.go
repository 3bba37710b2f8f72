package receive

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr, which x/sys does not have.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32
	_    [4]byte
}

// A batch is the memory that one recvmmsg fills: slots of equal size, each with room for the sender's address. The pages of a
// slot cost nothing until a message is long enough to touch them. Owned by one Reader.
type batch struct {
	size  int // of a slot
	step  int // from one slot to the next
	data  []byte
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6
	msgs  []mmsghdr
	named bool // the kernel is asked for the senders' addresses
}

const (
	maxSlots = 512     // more per call gain nothing measurable
	maxBatch = 8 << 20 // bytes of slots together
	minSlots = 16
	// stagger comes between two slots. Messages are short and sizes are powers of two: without it the beginnings of all slots, which
	// are all that is used of them, would share a few sets of the processor's caches and drive each other out.
	stagger     = 5 * 64
	pageSize    = 4096
	addressSize = uint32(unsafe.Sizeof(unix.RawSockaddrInet6{}))
)

// newBatch makes slots for messages of up to size bytes.
func newBatch(size int) *batch {
	n := max(minSlots, min(maxSlots, maxBatch/size))
	step := (size+pageSize-1)/pageSize*pageSize + stagger
	b := &batch{
		size: size, step: step, data: make([]byte, n*step), iovs: make([]unix.Iovec, n),
		names: make([]unix.RawSockaddrInet6, n), msgs: make([]mmsghdr, n),
	}
	for i := range b.msgs {
		b.iovs[i].Base = &b.data[i*step]
		b.iovs[i].SetLen(size)
		b.msgs[i].hdr.Iov = &b.iovs[i]
		b.msgs[i].hdr.Iovlen = 1
	}
	b.askNames(true)
	return b
}

// askNames says whether the next messages come with their senders' addresses.
func (b *batch) askNames(named bool) {
	b.named = named
	for i := range b.msgs {
		h := &b.msgs[i].hdr
		h.Name, h.Namelen = nil, 0
		if named {
			h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), addressSize
		}
	}
}

// receive takes what is queued, up to the number of slots, and does not wait. None is (0, nil).
//
// RawSyscall6: the call never blocks, and telling the scheduler about it would cost more than an empty queue does.
func (b *batch) receive(fd int) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.msgs[0])),
			uintptr(len(b.msgs)), unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// message is the i-th message as far as it fitted, its full size, and its sender's address.
func (b *batch) message(i int) (data []byte, size int, name *unix.RawSockaddrInet6, nameLen uint32) {
	size = int(b.msgs[i].size)
	start := i * b.step
	return b.data[start : start+min(size, b.size)], size, &b.names[i], b.msgs[i].hdr.Namelen
}

// reset makes the first n slots ready again: the kernel wrote the length of each address over the room there was.
func (b *batch) reset(n int) {
	if !b.named {
		return
	}
	for i := range n {
		b.msgs[i].hdr.Namelen = addressSize
	}
}
