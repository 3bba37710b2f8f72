package loop

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	PipeMost = 128 << 10 // bytes that a Pipe takes at once
	MaxPipes = 32        // that a loop lends at once, with two descriptors each: a client that does not read keeps its own
)

// pipeRoom is for F_SETPIPE_SZ: a place for each page or segment, not bytes; without privilege a user has 64 MiB of it.
const pipeRoom = 512 << 10

// Pipe takes bytes from one socket and gives them to another by splice(2): they stay in the kernel, which hands on the pages that they lie in.
type Pipe struct {
	r, w  int
	n     int // bytes in it
	next  *Pipe
	pipes *Pipes
}

// Len is how many bytes are in it.
func (p *Pipe) Len() int { return p.n }

// Unable reports that the system refused: bytes have to be copied.
func (p *Pipe) Unable() bool { return p.pipes.unable }

// Fill takes up to n bytes from a socket; 0 and no errno at its end. The pipe has to be empty, so that EAGAIN speaks of the socket.
func (p *Pipe) Fill(fd, n int) (int, syscall.Errno) {
	n, errno := splice(fd, p.w, n)
	switch errno {
	case 0:
		p.n = n
	case syscall.ENOSYS, syscall.EINVAL, syscall.EPERM: // this system has no splice for such sockets, or for us
		p.pipes.unable = true
	}
	return n, errno
}

// Drain gives a socket what it takes.
func (p *Pipe) Drain(fd int) (int, syscall.Errno) {
	n, errno := splice(p.r, fd, p.n)
	p.n -= n
	return n, errno
}

// Read takes out what b has room for. What Len says afterwards is still in the pipe.
func (p *Pipe) Read(b []byte) (n int) {
	for n < len(b) && p.n > 0 {
		r, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(p.r), uintptr(unsafe.Pointer(&b[n])), uintptr(min(len(b)-n, p.n)))
		if e == syscall.EINTR {
			continue
		}
		if e != 0 || r == 0 {
			break
		}
		n += int(r)
		p.n -= int(r)
	}
	return n
}

// splice is splice(2) between descriptors that do not block.
func splice(from, to, n int) (int, syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int(r), 0
	}
}

// Pipes is a bounded stack of empty pipes. Owned by a loop.
type Pipes struct {
	free   *Pipe
	count  int
	low    int // fewest free pipes since the last Trim
	lent   int
	unable bool
}

// Unable reports that splice was refused by the system: bytes have to be copied.
func (s *Pipes) Unable() bool { return s.unable }

// Lent is how many are not given back.
func (s *Pipes) Lent() int { return s.lent }

// Free is how many are kept for use.
func (s *Pipes) Free() int { return s.count }

// Get gives an empty pipe, or nil where none is to be had. The caller must call Put exactly once.
func (s *Pipes) Get() *Pipe {
	if s.unable || s.lent == MaxPipes {
		return nil
	}
	p := s.free
	if p == nil {
		if p = newPipe(s); p == nil {
			return nil
		}
	} else {
		s.free = p.next
		s.count--
		s.low = min(s.low, s.count)
		p.next = nil
	}
	s.lent++
	return p
}

// Put takes a pipe back. One that is not empty is closed.
func (s *Pipes) Put(p *Pipe) {
	s.lent--
	if p.n > 0 {
		p.close()
		return
	}
	p.next = s.free
	s.free = p
	s.count++
}

// Trim closes what was not needed since the last Trim.
func (s *Pipes) Trim() {
	for n := s.low; n > 0; n-- {
		p := s.free
		s.free = p.next
		s.count--
		p.close()
	}
	s.low = s.count
}

// Drop closes what is not lent, which serves better where descriptors are short; false if there was none.
func (s *Pipes) Drop() bool {
	any := s.count > 0
	s.low = s.count
	s.Trim()
	return any
}

func newPipe(s *Pipes) *Pipe {
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return nil
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeRoom) // without it there is room for 16 pages, which is right, too
	return &Pipe{r: fds[0], w: fds[1], pipes: s}
}

func (p *Pipe) close() {
	CloseRaw(p.r)
	CloseRaw(p.w)
}
