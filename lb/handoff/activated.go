package handoff

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Activated holds listening sockets that the service manager has opened
// (lb.socket). They are known by what they are bound to, and stay here for as
// long as the process lives: the manager goes on listening on them whether or
// not a configuration asks for them, so nobody else could bind their addresses
// when one does.
type Activated struct {
	sockets Taken
}

// Add takes ownership of a socket. What does not listen is closed.
func (a *Activated) Add(fd int) {
	iface, _ := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	a.sockets.Add(fd, iface)
}

// lend returns a copy of the socket that is what w asks for.
func (a *Activated) lend(w Want) (int, bool) {
	for _, s := range a.sockets.list {
		if s.is(w) {
			fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 3)
			return fd, err == nil
		}
	}
	return -1, false
}

// Unwanted lists the sockets that none of wants asks for.
func (a *Activated) Unwanted(wants []Want) []string {
	var list []string
	for _, s := range a.sockets.list {
		if !slices.ContainsFunc(wants, s.is) {
			list = append(list, s.String())
		}
	}
	return list
}

// FDs lists the descriptors, which stay the receiver's.
func (a *Activated) FDs() []int {
	var fds []int
	for _, s := range a.sockets.list {
		fds = append(fds, s.fd)
	}
	return fds
}

// String is the address as a bind line has it.
func (s takenSocket) String() string {
	switch {
	case s.tcp == netip.AddrPort{}:
		return s.path
	case s.iface != "":
		return s.tcp.String() + " interface " + s.iface
	}
	return s.tcp.String()
}
