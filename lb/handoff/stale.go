package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/safefile"
)

// A socket outlives what it was bound to: a device that is made anew has the
// name and the address of the one before and another number, a namespace too,
// and a unix path is a file that may be removed. The socket listens on, and
// nobody can reach it.

// Stale says why the socket that was opened for w can no longer be reached;
// "" when it can.
func (o *Opener) Stale(fd int, w Want) string {
	switch w.Network {
	case "tcp", "tcp4", "tcp6":
		if why := staleNamespace(fd, w); why != "" {
			return why
		}
		return staleDevice(fd, w)
	case "unix":
		if _, err := os.Lstat(w.Address); errors.Is(err, fs.ErrNotExist) {
			return "its path was removed"
		}
	}
	return ""
}

// Displaced reports whether something else is at a unix path than the socket that was
// bound there. It is not touched: whose it is, only an operator knows.
func (o *Opener) Displaced(w Want) bool {
	if w.Network != "unix" {
		return false
	}
	s, err := safefile.OpenSocket(w.Address)
	if err != nil {
		return errors.Is(err, safefile.ErrNotSocket)
	}
	defer s.Close()
	known := o.places[w.Key()]
	return known.path != "" && known != place{path: w.Address, dev: s.Dev, ino: s.Ino}
}

// staleDevice compares the number of the device that the socket is bound to
// with the number that the device of that name has now.
func staleDevice(fd int, w Want) string {
	name, bound := w.Interface, 0
	if name != "" {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
		if err != nil {
			return "" // an old kernel
		}
		bound = n
	} else {
		ap, err := w.addrPort()
		if err != nil || ap.Addr().Zone() == "" {
			return ""
		}
		if name = ap.Addr().Zone(); strings.Trim(name, "0123456789") == "" {
			return "" // a number is meant
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			return ""
		}
		if sa6, ok := sa.(*unix.SockaddrInet6); ok {
			bound = int(sa6.ZoneId)
		}
	}
	now, err := deviceIndex(fd, name)
	switch {
	case err != nil:
		return "its device " + name + " is gone"
	case now != bound:
		return "its device " + name + " was made anew"
	}
	return ""
}

// deviceIndex is the number of a device in the network namespace of a socket.
func deviceIndex(fd int, name string) (int, error) {
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r)
	}
	if err != nil {
		return 0, fmt.Errorf("there is no interface %s", name)
	}
	return int(r.Uint32()), nil
}

// zoneID is the number of a zone, a device's name or number.
func zoneID(fd int, zone string) (uint32, error) {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	n, err := deviceIndex(fd, zone)
	return uint32(n), err
}

// staleNamespace compares the socket's network namespace with the one that has
// the name now.
func staleNamespace(fd int, w Want) string {
	if w.Namespace == "" {
		return ""
	}
	was, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return "" // an old kernel
	}
	probe, err := inNamespace(w.Namespace, func() (int, error) {
		return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	})
	if err != nil {
		return "its namespace is gone"
	}
	defer unix.Close(probe)
	now, err := unix.GetsockoptUint64(probe, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil || now == was {
		return ""
	}
	return "its namespace was made anew"
}

// Same reports whether a socket that has another key is what w asks for: *:80
// and 0.0.0.0:80 are.
func Same(fd int, w Want) bool {
	if w.Network == "unix" || w.Network == "fd" || w.Namespace != "" {
		return false
	}
	s, err := look(fd)
	if err != nil {
		return false
	}
	// SO_BINDTODEVICE names the device, unless that is gone.
	s.iface, _ = unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	return s.is(w)
}
