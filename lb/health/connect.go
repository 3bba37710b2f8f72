package health

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A check that only connects never completes the connection if it can be
// helped: the acknowledgement that would complete it is held back
// (TCP_QUICKACK off) and a reset goes out in its place, as HAProxy does. The
// server has nothing to accept, and neither side keeps the connection in
// TIME_WAIT.

// plain reports whether the check is nothing but a connection to an address
// that needs no lookup, and no proxy.
func (s *Spec) plain() bool {
	return !s.Agent && s.Program == nil && !s.Secure && s.ProxyHeader == 0 && len(s.Script.Steps) == 0 && s.target != nil && !(s.ViaSOCKS4 && s.SOCKS4.IsValid())
}

// sockaddr is the kernel's form of the address; nil for one that takes a lookup
// or does not fit.
func (s *Spec) sockaddr() []byte {
	if s.Where != nil {
		return nil
	}
	if s.Network == "unix" {
		const most = 107 // sun_path and its NUL
		if len(s.Address) > most || s.Address == "" {
			return nil
		}
		b := append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), s.Address...)
		if s.Address[0] == '@' { // an abstract name ends where the address ends
			b[2] = 0
			return b
		}
		return append(b, 0)
	}
	ap, err := netip.ParseAddrPort(s.Address)
	if err != nil || ap.Addr().Zone() != "" {
		return nil
	}
	if a := ap.Addr().Unmap(); a.Is4() {
		b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
		b = binary.BigEndian.AppendUint16(b, ap.Port())
		return append(append(b, a.AsSlice()...), make([]byte, 8)...)
	}
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_INET6)
	b = binary.BigEndian.AppendUint16(b, ap.Port())
	b = append(b, 0, 0, 0, 0) // flow
	return append(append(b, ap.Addr().AsSlice()...), 0, 0, 0, 0)
}

// connecting is a connection under way.
type connecting struct {
	fd    int
	limit time.Time
}

// begin begins to connect. done is true when the outcome is known at once.
func (s *Spec) begin(begun time.Time) (c connecting, r result, done bool) {
	limit := positive(s.Inter, 2*time.Second)
	if s.Check > 0 && s.Connect > 0 {
		limit = min(s.Connect, limit)
	}
	family := int(binary.NativeEndian.Uint16(s.target))
	// None of these calls waits, so the scheduler need not hear of them.
	n, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return c, connectResult(errno), true
	}
	c = connecting{fd: int(n), limit: begun.Add(limit)}
	if family != unix.AF_UNIX {
		// What cannot be set costs the server an accept, no more.
		off, hard := int32(0), unix.Linger{Onoff: 1}
		c.set(unix.IPPROTO_TCP, unix.TCP_QUICKACK, unsafe.Pointer(&off), unsafe.Sizeof(off))
		c.set(unix.SOL_SOCKET, unix.SO_LINGER, unsafe.Pointer(&hard), unsafe.Sizeof(hard))
	}
	errno = c.connect(s.target)
	if errno == unix.EINPROGRESS {
		// Asked once more, a server of this machine has always answered.
		errno = c.connect(s.target)
	}
	switch errno {
	case unix.EALREADY:
		return c, r, false
	case unix.EAGAIN: // a unix socket whose queue is full
		errno = unix.ECONNREFUSED
	}
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, n, 0, 0)
	if errno != 0 {
		return c, connectResult(errno), true
	}
	return c, result{status: L4OK}, true
}

func (c *connecting) set(level, name int, v unsafe.Pointer, size uintptr) {
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(c.fd), uintptr(level), uintptr(name), uintptr(v), size, 0)
}

func (c *connecting) connect(target []byte) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(c.fd), uintptr(unsafe.Pointer(&target[0])), uintptr(len(target)))
	return errno
}

// ready reports whether the outcome is known, without waiting: to a server of
// this machine it always is.
func (c *connecting) ready() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, 0)
	return err == nil && n > 0
}

func (c *connecting) outcome() error {
	errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

func connected(err error) result {
	if err != nil {
		return connectResult(err)
	}
	return result{status: L4OK}
}

// wait waits for the outcome.
func (c *connecting) wait(ctx context.Context) result {
	f := os.NewFile(uintptr(c.fd), "check")
	defer f.Close()
	f.SetWriteDeadline(c.limit)
	stop := context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := f.SyscallConn()
	if err != nil {
		return connectResult(err)
	}
	var outcome error
	err = raw.Write(func(uintptr) bool {
		if !c.ready() {
			return false
		}
		outcome = c.outcome()
		return true
	})
	if err != nil {
		return connectResult(err)
	}
	return connected(outcome)
}
