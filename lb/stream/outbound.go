package stream

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/netns"
)

// Outbound is how connections to a server are made, where that is not the
// usual way. Immutable.
type Outbound struct {
	Source      netip.AddrPort    // where they come from; invalid: as the route says
	Ports       *Ports            // from one of these ports; nil: from Source's
	Client      ClientSource      // or from an address that need not be ours, which needs IP_TRANSPARENT
	Field       *logformat.Format // makes that address; nil: none does
	Namespace   *netns.Namespace  // that they are made in; nil: our own
	Interface   string
	UserTimeout int // ms; 0: the kernel's

	SendProxy SendProxy
	SOCKS4    *backend.Addr // of a proxy that connects to it; nil: none does

	KeepAlive                      bool
	KeepIdle, KeepIntvl, KeepCount int // s; 0: the kernel's
}

// ClientSource says what of the client's address connections to a server have.
type ClientSource uint8

// What usesrc can say.
const (
	NotClient ClientSource = iota
	ClientIP               // usesrc clientip: the address, any port
	Client                 // usesrc client: the port too
	FieldIP                // usesrc hdr_ip(NAME): what Field makes
	Fixed                  // usesrc ADDRESS: it is Source
)

// socket opens a socket for a connection to a server. A nil o is the usual way.
func (o *Outbound) socket(family int) (int, syscall.Errno) {
	if o == nil || o.Namespace == nil {
		return loop.Socket(family)
	}
	return o.Namespace.Socket(func() (int, syscall.Errno) { return loop.Socket(family) })
}

// setOptions sets the options of a socket before it connects.
func (o *Outbound) setOptions(t *txn, fd, family int) syscall.Errno {
	if family == unix.AF_UNIX {
		return 0
	}
	if o.KeepAlive {
		loop.SetInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		for option, value := range map[int]int{unix.TCP_KEEPIDLE: o.KeepIdle, unix.TCP_KEEPINTVL: o.KeepIntvl, unix.TCP_KEEPCNT: o.KeepCount} {
			if value > 0 {
				loop.SetInt(fd, unix.IPPROTO_TCP, option, value)
			}
		}
	}
	if o.UserTimeout > 0 {
		loop.SetInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, o.UserTimeout)
	}
	if o.Interface != "" {
		if err := unix.BindToDevice(fd, o.Interface); err != nil {
			t.s.sh.eng.Report("interface " + o.Interface + " for a connection to a server: " + err.Error())
			return errnoOf(err)
		}
	}
	from := t.foreign(o)
	if from.IsValid() {
		level, option := unix.IPPROTO_IP, unix.IP_TRANSPARENT
		if family == unix.AF_INET6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
		}
		if errno := loop.SetInt(fd, level, option, 1); errno != 0 {
			t.s.sh.eng.Report("connect to a server with another's address (usesrc): " + errno.Error() + "; it needs CAP_NET_ADMIN")
			return errno
		}
	} else {
		from = o.Source
	}
	if !from.IsValid() || from.Addr().Is4() != (family == unix.AF_INET) {
		return 0
	}
	if o.Ports != nil && from.Addr() == o.Source.Addr() {
		return o.Ports.bind(t, fd, from.Addr())
	}
	// The port is chosen by connect, which knows where to: as many as there are
	// ports can go to each server.
	if from.Port() == 0 {
		loop.SetInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	loop.SetInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, sockaddr(from)); err != nil {
		t.s.sh.eng.Report("connect to a server from " + from.String() + ": " + err.Error() + "; look at its source line")
		return errnoOf(err)
	}
	return 0
}

// foreign is the address that usesrc says the connection comes from; an invalid one where it says none.
func (t *txn) foreign(o *Outbound) (from netip.AddrPort) {
	switch o.Client {
	case Client:
		from = t.rec.Client
	case ClientIP:
		if t.rec.Client.IsValid() {
			from = netip.AddrPortFrom(t.rec.Client.Addr(), 0)
		}
	case Fixed:
		from = o.Source
	case FieldIP:
		if ip, err := netip.ParseAddr(string(t.asking(o.Field))); err == nil {
			from = netip.AddrPortFrom(ip.Unmap(), 0)
		}
	}
	return from
}

// Ports is a range of ports that connections to a server come from, each of them
// one at a time: `source 192.0.2.1:1025-2000`.
type Ports struct {
	First, Last uint16

	next atomic.Uint32
}

// bind takes the next port that is free.
func (p *Ports) bind(t *txn, fd int, from netip.Addr) syscall.Errno {
	n := uint32(p.Last-p.First) + 1
	for range n {
		at := netip.AddrPortFrom(from, p.First+uint16(p.next.Add(1)%n))
		err := unix.Bind(fd, sockaddr(at))
		if err == nil {
			return 0
		}
		if errno := errnoOf(err); errno != syscall.EADDRINUSE {
			t.s.sh.eng.Report("connect to a server from " + at.String() + ": " + err.Error() + "; look at its source line")
			return errno
		}
	}
	t.s.sh.eng.Report("connect to a server from " + from.String() + ": all ports of its source line are taken")
	return syscall.EADDRINUSE
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func errnoOf(err error) syscall.Errno {
	if errno, ok := err.(syscall.Errno); ok {
		return errno
	}
	return syscall.EINVAL
}

// private reports whether connections to a server are not the same for all
// clients, so that none may be shared.
func (be *Backend) private(srv *backend.Server) bool {
	if srv.Follow != (backend.Follow{}) {
		return true
	}
	how := be.Outbound[srv]
	return how != nil && (how.Client != NotClient && how.Client != Fixed || how.SendProxy.Version > 0)
}

// destination is where the exchange's server is for this client.
func (t *txn) destination() (*backend.Addr, bool) {
	own := t.srv.Addr()
	if t.srv.Follow == (backend.Follow{}) {
		return own, own.Family() != 0
	}
	wanted := t.s.destination()
	if t.rec.FrontAddr.IsValid() { // rules may have changed it
		wanted = t.rec.FrontAddr
	}
	to, known := t.srv.Follow.For(own, wanted)
	if known {
		t.rec.ServerAddr = to.IP
	}
	return &to, known
}

// same reports whether a connection that was kept for this client goes where
// this request does.
func (t *txn) same(c *serverConn) bool {
	if !t.be.private(t.srv) {
		return true
	}
	to, known := t.destination()
	if how := t.be.Outbound[t.srv]; how != nil && t.foreign(how) != c.from {
		return false
	}
	return known && to.IP == c.to && t.hello() == c.hello
}
