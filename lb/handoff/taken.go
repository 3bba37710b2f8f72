package handoff

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Taken holds listening sockets whose names are not known, only what the
// kernel tells about them: those that HAProxy gave away, or an old lb.
type Taken struct {
	list []takenSocket
}

type takenSocket struct {
	fd          int
	iface       string
	tcp         netip.AddrPort // invalid for unix sockets
	path        string         // "/path" or "@name"
	v6only      bool
	transparent bool
}

// Add takes ownership of a listening socket. What does not listen or is
// neither TCP nor unix is closed.
func (t *Taken) Add(fd int, iface string) {
	s, err := look(fd)
	if err == nil {
		unix.CloseOnExec(fd)
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return
	}
	s.iface = iface
	t.list = append(t.list, s)
}

var errNoListener = errors.New("neither a TCP nor a unix socket that listens")

// look asks the kernel what a listening socket is; of its device it knows
// nothing.
func look(fd int) (takenSocket, error) {
	s := takenSocket{fd: fd}
	on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || on == 0 {
		return s, errNoListener
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return s, err
	}
	option := func(level, option int) bool {
		v, err := unix.GetsockoptInt(fd, level, option)
		return err == nil && v != 0
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		s.tcp = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		s.transparent = option(unix.SOL_IP, unix.IP_TRANSPARENT)
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			addr = addr.WithZone(zoneName(fd, sa.ZoneId))
		}
		s.tcp = netip.AddrPortFrom(addr, uint16(sa.Port))
		s.transparent = option(unix.SOL_IPV6, unix.IPV6_TRANSPARENT)
		s.v6only = option(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	case *unix.SockaddrUnix:
		s.path = plainPath(sa.Name)
	default:
		return s, errNoListener
	}
	return s, nil
}

// zoneName is the name of the device with that number, or the number.
func zoneName(fd int, n uint32) string {
	r, err := unix.NewIfreq("")
	if err == nil {
		r.SetUint32(n)
		if err = unix.IoctlIfreq(fd, unix.SIOCGIFNAME, r); err == nil {
			return r.Name()
		}
	}
	return strconv.FormatUint(uint64(n), 10)
}

// Len is the number of sockets that nobody has asked for yet.
func (t *Taken) Len() int {
	if t == nil {
		return 0
	}
	return len(t.list)
}

// take removes and returns the socket that is what w asks for. A nil Taken is
// empty.
func (t *Taken) take(w Want) (int, bool) {
	if t == nil {
		return -1, false
	}
	i := slices.IndexFunc(t.list, func(s takenSocket) bool { return s.is(w) })
	if i < 0 {
		return -1, false
	}
	fd := t.list[i].fd
	t.list = slices.Delete(t.list, i, i+1)
	return fd, true
}

// is says whether the socket is what w asks for. A backlog or a mode may
// differ: those are set again.
func (s takenSocket) is(w Want) bool {
	switch w.Network {
	case "unix":
		return s.path == w.Address
	case "abns":
		return strings.TrimRight(s.path, "\x00") == "@"+w.Address
	case "tcp", "tcp4", "tcp6":
		ap, err := w.addrPort()
		if err != nil || s.tcp != ap || s.iface != w.Interface || s.transparent != w.Transparent {
			return false
		}
		if !ap.Addr().Is6() {
			return true
		}
		return !(w.V4V6 && s.v6only) && !((w.V6Only || w.Network == "tcp6") && !s.v6only)
	}
	return false
}

// Close closes the sockets that nobody asked for. Whoever gave them away
// still holds them.
func (t *Taken) Close() {
	if t == nil {
		return
	}
	for _, s := range t.list {
		unix.Close(s.fd)
	}
	t.list = nil
}
