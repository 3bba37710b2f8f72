package receive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a datagram socket to read from. It holds a bare descriptor: what the Go runtime has an os.File or a net.Conn of is
// registered with its poller, which then wakes up for each message that arrives.
type Socket struct {
	Name      string // as configured: udp://127.0.0.1:514
	Granted   int    // bytes of receive buffer that the kernel allows; 0 for unix sockets, where the sender's counts
	Inherited bool   // whoever gave it to us keeps it when we go, with what is queued in it
	fd        int
	unlink    string
	kept      atomic.Bool // somebody gives it to the next process: its path stays
}

// ListenUDP opens a socket on host:port. An empty host is all addresses of both families.
func ListenUDP(ctx context.Context, address string, buffer int) (*Socket, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	fd, err := duplicate(conn.(*net.UDPConn))
	if err != nil {
		return nil, err
	}
	s := &Socket{Name: "udp://" + address, fd: fd}
	return s, s.enlarge(buffer)
}

// ListenUnix opens a datagram socket at path, in the place of one that nobody listens on any more.
func ListenUnix(path string, mode os.FileMode) (*Socket, error) {
	if err := RemoveDead(path); err != nil {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := os.Chmod(path, mode); err != nil {
		return nil, err
	}
	fd, err := duplicate(conn)
	if err != nil {
		return nil, err
	}
	return &Socket{Name: "unix://" + path, fd: fd, unlink: path}, nil
}

// duplicate is a second descriptor of an open socket.
func duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

// RemoveDead removes the socket that a killed process left at path. One that somebody listens on is left alone.
func RemoveDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on %s: there is a file of another kind; remove it or choose another path", path)
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen on %s: another process listens there", path)
	}
	return os.Remove(path)
}

// Adopt takes a datagram socket that was opened by somebody else, such as systemd. The file belongs to the Socket from then on.
func Adopt(file *os.File, name string, buffer int) (*Socket, error) {
	defer file.Close()
	if place, err := PlaceOf(file); err != nil || place.Network == "tcp" {
		return nil, errors.Join(fmt.Errorf("socket %s is not a datagram socket", name), err)
	}
	fd, err := duplicate(file)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", name, err)
	}
	s := &Socket{Name: name, Inherited: true, fd: fd}
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_UNIX {
		return s, nil
	}
	return s, s.enlarge(buffer)
}

// Reclaim says that an adopted socket is our own, opened by an earlier process, perhaps at a path.
func (s *Socket) Reclaim(path string) {
	s.Inherited, s.unlink = false, path
	s.kept.Store(true)
}

// enlarge asks for a receive buffer of so many bytes: past the system's limit where we may (CAP_NET_ADMIN), else as far as it
// goes. It never makes a buffer smaller.
func (s *Socket) enlarge(want int) error {
	granted, err := s.buffer()
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if granted < want {
		if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
			err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want)
		}
		if err == nil {
			granted, err = s.buffer()
		}
	}
	s.Granted = granted
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// buffer is the size in the unit in which it is asked for: the kernel reports twice that, for its own bookkeeping.
func (s *Socket) buffer() (int, error) {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0, fmt.Errorf("%s: receive buffer: %w", s.Name, err)
	}
	return n / 2, nil
}

// Address is where the socket listens, for sockets opened on port 0.
func (s *Socket) Address() string {
	address, err := addressOf(s.fd)
	if err != nil {
		return s.Name
	}
	return address
}

// A Place is where a socket listens. Two that are equal are the same.
type Place struct {
	Network string         // udp, tcp, or unix for datagrams
	Address netip.AddrPort // of udp and tcp
	Path    string         // of unix
}

// PlaceOf is where an open socket listens. One that is connected or not bound is no such place.
func PlaceOf(file *os.File) (p Place, err error) {
	fd := int(file.Fd())
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return p, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return p, err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		p.Address = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		p.Address = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	case *unix.SockaddrUnix:
		p.Path = a.Name
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err != nil:
		return p, err
	case kind == unix.SOCK_DGRAM && p.Path != "":
		p.Network = "unix"
	case kind == unix.SOCK_DGRAM && p.Address.Port() != 0:
		p.Network = "udp"
	case kind == unix.SOCK_STREAM && listens != 0 && p.Address.Port() != 0:
		p.Network = "tcp"
	default:
		return p, errors.New("a socket of a kind that cannot be read from")
	}
	return p, nil
}

// onlySender is this host as a sender if nobody else can reach the socket, and nil if somebody can.
func (s *Socket) onlySender() *Sender {
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return nil
	}
	addr := netip.Addr{}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		addr = netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		addr = netip.AddrFrom16(a.Addr)
	case *unix.SockaddrUnix:
	default:
		return nil
	}
	if who := NewSender(addr); who.Local {
		return who
	}
	return nil
}

func addressOf(fd int) (string, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return (&net.UDPAddr{IP: a.Addr[:], Port: a.Port}).String(), nil
	case *unix.SockaddrInet6:
		return (&net.UDPAddr{IP: a.Addr[:], Port: a.Port}).String(), nil
	case *unix.SockaddrUnix:
		return a.Name, nil
	}
	return "", errors.New("a socket of an unknown family")
}

// memInfoDrops is the index of the drop counter in what SO_MEMINFO returns: the same sk_drops that SO_RXQ_OVFL attaches to
// messages, but there to be asked for, so that a drop after the last message is seen too.
const (
	memInfoDrops = 8
	memInfoVars  = 9
)

// drops is how many datagrams the kernel has dropped since the socket exists, modulo 2^32.
func (s *Socket) drops() (uint32, error) {
	var info [memInfoVars]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return info[memInfoDrops], nil
}

// deafen has the kernel refuse what is sent from now on (EPIPE), while what is queued can still be read: a sender then keeps a
// message that would be gone with the socket. It is for unix sockets that go with this process; UDP knows no such thing.
func (s *Socket) deafen() {
	if s.unlink != "" && !s.Inherited && !s.kept.Load() {
		_ = unix.Shutdown(s.fd, unix.SHUT_RD) // what fails leaves the socket as it was
	}
}

// Close closes the socket and removes its path, unless it is somebody else's.
func (s *Socket) Close() error {
	if s.unlink != "" && !s.Inherited && !s.kept.Load() {
		if err := os.Remove(s.unlink); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, unix.Close(s.fd))
		}
	}
	return unix.Close(s.fd)
}
