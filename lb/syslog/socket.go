package syslog

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many lines one sendmmsg carries.
const batch = 128

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// socket is a connected datagram socket that never blocks. Owned by its
// target.
type socket struct {
	fd   int // -1 while closed
	udp  bool
	addr unix.Sockaddr
	hdrs [batch]mmsghdr
	iovs [batch]unix.Iovec
	ctl  [512]byte // what the error queue says of one datagram
}

func newSocket(network, address string) (*socket, error) {
	s := &socket{fd: -1}
	switch network {
	case "unixgram":
		s.addr = &unix.SockaddrUnix{Name: address}
		return s, nil
	case "udp", "udp4", "udp6":
	default:
		return nil, fmt.Errorf("log target %s: network '%s' is unknown; use udp or unixgram", address, network)
	}
	s.udp = true
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		udp, err := net.ResolveUDPAddr(network, address)
		if err != nil {
			return nil, fmt.Errorf("log target %s: %w", address, err)
		}
		ap = udp.AddrPort()
	}
	if a := ap.Addr().Unmap(); a.Is4() {
		s.addr = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}
	} else {
		s.addr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
	}
	return s, nil
}

// open connects; a datagram socket does so at once or not at all.
func (s *socket) open() error {
	family := unix.AF_UNIX
	switch s.addr.(type) {
	case *unix.SockaddrInet4:
		family = unix.AF_INET
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, s.addr); err != nil {
		unix.Close(fd)
		return err
	}
	// Without the error queue a batch hides which datagrams ICMP sent back. A
	// kernel that refuses it only leaves them uncounted.
	switch family {
	case unix.AF_INET:
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
	case unix.AF_INET6:
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	}
	s.fd = fd
	return nil
}

func (s *socket) close() {
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// send hands the oldest lines of b to the kernel and says how many it took. A
// RawSyscall: the call never blocks, so the scheduler need not know.
func (s *socket) send(b *backlog) (int, syscall.Errno) {
	n := min(b.len(), batch)
	for i := range n {
		line := b.line(i)
		s.iovs[i].Base = unsafe.SliceData(line)
		s.iovs[i].SetLen(len(line))
		s.hdrs[i].hdr.Iov = &s.iovs[i]
		s.hdrs[i].hdr.Iovlen = 1
	}
	for {
		sent, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.hdrs[0])), uintptr(n),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(sent), 0
	}
}

// refused empties the error queue and gives the number of datagrams that came
// back because nobody listens, and why the last of them did.
func (s *socket) refused() (n int, reason syscall.Errno) {
	for ; ; n++ {
		var hdr unix.Msghdr
		hdr.Control = &s.ctl[0]
		hdr.SetControllen(len(s.ctl))
		if _, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&hdr)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT); errno != 0 {
			return n, reason
		}
		// The one control message is a sock_extended_err, whose first field is the error.
		if at := unix.CmsgLen(0); int(hdr.Controllen) >= at+4 {
			reason = syscall.Errno(binary.NativeEndian.Uint32(s.ctl[at:]))
		}
	}
}
