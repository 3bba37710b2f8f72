package receive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/unixpath"
)

// Socket is a datagram socket to read from. It holds a bare descriptor: what the Go runtime has an os.File or a net.Conn of is
// registered with its poller, which then wakes up for each message that arrives.
type Socket struct {
	Name      string // as configured: udp://127.0.0.1:514
	Granted   int    // bytes of receive buffer that the kernel allows; 0 for unix sockets, where the sender's counts
	Inherited bool   // whoever gave it to us keeps it when we go, with what is queued in it
	Absent    bool   // no interface had its address when it was opened
	fd        int
	unlink    string      // its path, of a unix socket that is our own
	id        unixpath.ID // what that leads to
	kept      atomic.Bool // somebody gives it to the next process: its path stays
}

// whereverItIs opens a socket with open; on an address that no interface has yet, with IP_FREEBIND: what is sent to it arrives when the
// address comes, be that at the end of a boot or when a VRRP backup becomes the master.
func whereverItIs[T any](open func(net.ListenConfig) (T, error)) (socket T, absent bool, err error) {
	socket, err = open(net.ListenConfig{})
	if !errors.Is(err, unix.EADDRNOTAVAIL) {
		return socket, false, err
	}
	free, freeErr := open(net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var optErr error
		err := c.Control(func(fd uintptr) { optErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(err, optErr)
	}})
	if freeErr != nil {
		return socket, false, err // the first reason is the one to know
	}
	return free, true, nil
}

// ListenUDP opens a socket on host:port, the first of a group that may get more (Socket.another). An empty host is all addresses of both families.
func ListenUDP(ctx context.Context, address string, buffer int) (*Socket, error) {
	// Alone first: a socket that begins a group would share the port with another process of the same user, and each would get a part.
	alone, _, err := whereverItIs(func(config net.ListenConfig) (net.PacketConn, error) { return config.ListenPacket(ctx, "udp", address) })
	if err != nil {
		return nil, err
	}
	taken := alone.LocalAddr().(*net.UDPAddr).Port
	if err := alone.Close(); err != nil {
		return nil, err
	}
	s, err := member(ctx, "udp", withPort(address, taken), buffer, true)
	if err != nil {
		return nil, err
	}
	s.Name = "udp://" + address
	if err := s.share(false); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// another opens one more socket of the group that s belongs to. Nothing comes to it until the group's program says so. s must be shared.
func (s *Socket) another(ctx context.Context, address string, buffer int) (*Socket, error) {
	network := "udp"
	switch name, err := unix.Getsockname(s.fd); a := name.(type) {
	case *unix.SockaddrInet4:
		network, address = "udp4", withPort(address, a.Port)
	case *unix.SockaddrInet6:
		address = withPort(address, a.Port)
	default:
		return nil, errors.Join(fmt.Errorf("%s: only UDP has groups of sockets", s.Name), err)
	}
	next, err := member(ctx, network, address, buffer, false)
	if err != nil {
		return nil, err
	}
	next.Name = s.Name
	return next, nil
}

// member opens a socket of a group. The first one begins it, and gets all until there are others.
func member(ctx context.Context, network, address string, buffer int, first bool) (*Socket, error) {
	conn, absent, err := whereverItIs(func(config net.ListenConfig) (net.PacketConn, error) {
		before := config.Control
		config.Control = func(network, address string, c syscall.RawConn) error {
			if before != nil {
				if err := before(network, address, c); err != nil {
					return err
				}
			}
			var optErr error
			err := c.Control(func(fd uintptr) {
				optErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
				if optErr == nil && first {
					optErr = attach(int(fd), 1)
				}
			})
			return errors.Join(err, optErr)
		}
		return config.ListenPacket(ctx, network, address)
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	fd, err := duplicate(conn.(*net.UDPConn))
	if err != nil {
		return nil, err
	}
	s := &Socket{Absent: absent, fd: fd}
	return s, s.enlarge(buffer)
}

// withPort is the address with the port that was taken where it asks for any.
func withPort(address string, taken int) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(taken))
}

// ListenUnix opens a datagram socket at path, in the place of one that nobody listens on any more.
func ListenUnix(path string, mode os.FileMode) (*Socket, error) {
	if err := unixpath.RemoveDead(path); err != nil {
		return nil, err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	id, _, err := unixpath.Own(path, mode)
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(conn)
	if err != nil {
		return nil, err
	}
	return &Socket{Name: "unix://" + path, fd: fd, unlink: path, id: id}, nil
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
	s.Inherited = false
	s.kept.Store(true)
	if id, err := unixpath.Of(path); err == nil {
		s.unlink, s.id = path, id
	}
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

// shutdownRead has the kernel refuse what is sent from now on (EPIPE), while what is queued can still be read: a sender then keeps a
// message that would be gone with the socket. It is for unix sockets that go with this process; UDP knows no such thing.
func (s *Socket) shutdownRead() {
	if s.unlink != "" && !s.Inherited && !s.kept.Load() {
		_ = unix.Shutdown(s.fd, unix.SHUT_RD) // what fails leaves the socket as it was
	}
}

// astray says whether the socket's path, which was ours to make, leads to something else or to nothing.
func (s *Socket) astray() bool {
	return s.unlink != "" && !s.Inherited && unixpath.Astray(s.unlink, s.id)
}

// Close closes the socket and removes its path, unless it is somebody else's.
func (s *Socket) Close() error {
	var err error
	if s.unlink != "" && !s.Inherited && !s.kept.Load() {
		err = unixpath.Remove(s.unlink, s.id)
	}
	return errors.Join(err, unix.Close(s.fd))
}
