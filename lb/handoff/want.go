package handoff

import (
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// Want is one listening socket that a worker asks for.
type Want struct {
	// Name is the socket's key; empty means Key(). It is what Set.Get takes.
	Name string `json:"name"`

	// Network is "tcp", "tcp4", "tcp6", "unix", "abns" or "fd".
	Network string `json:"network"`

	// Address is "0.0.0.0:80", "[::]:80", "/path", an abstract name without
	// its leading NUL, or the number of an inherited descriptor.
	Address string `json:"address"`

	// Fixed when the socket is bound, so part of the key.
	V6Only      bool   `json:"v6only,omitempty"`
	V4V6        bool   `json:"v4v6,omitempty"`
	Interface   string `json:"interface,omitempty"`
	Namespace   string `json:"namespace,omitempty"` // network namespace, as of ip-netns(8)
	Transparent bool   `json:"transparent,omitempty"`

	// Set again on a socket that is already there.
	Backlog     int    `json:"backlog,omitempty"` // 0: as large as the kernel allows
	DeferAccept bool   `json:"deferaccept,omitempty"`
	TFO         bool   `json:"tfo,omitempty"`
	MSS         int    `json:"mss,omitempty"`         // 0: the route's
	UserTimeout int    `json:"usertimeout,omitempty"` // ms; 0: the kernel's
	KeepAlive   bool   `json:"keepalive,omitempty"`
	KeepIdle    int    `json:"keepidle,omitempty"` // s; 0 of these three: the kernel's
	KeepIntvl   int    `json:"keepintvl,omitempty"`
	KeepCount   int    `json:"keepcount,omitempty"`
	Mode        uint32 `json:"mode,omitempty"` // permissions of a unix path; 0: by the umask
	UID         int    `json:"uid"`            // owner of a unix path; -1: User, or unchanged
	GID         int    `json:"gid"`            // -1: Group, or unchanged
	User        string `json:"user,omitempty"`
	Group       string `json:"group,omitempty"`

	// Where is the configuration line, "lb.cfg:12", for messages.
	Where string `json:"where,omitempty"`
}

// Key names the socket by all that cannot be changed once it is bound.
func (w Want) Key() string {
	if w.Name != "" {
		return w.Name
	}
	var b strings.Builder
	b.WriteString(w.Network)
	b.WriteByte('@')
	b.WriteString(w.Address)
	for _, o := range []struct {
		on   bool
		word string
	}{
		{w.V6Only, ",v6only"},
		{w.V4V6, ",v4v6"},
		{w.Transparent, ",transparent"},
		{w.Interface != "", ",interface=" + w.Interface},
		{w.Namespace != "", ",namespace=" + w.Namespace},
	} {
		if o.on {
			b.WriteString(o.word)
		}
	}
	return b.String()
}

// String is the address as an operator would write it.
func (w Want) String() string {
	switch w.Network {
	case "abns", "fd":
		return w.Network + "@" + w.Address
	}
	return w.Address
}

// Check refuses a want that no socket call could satisfy.
func (w Want) Check() error {
	switch w.Network {
	case "tcp", "tcp4", "tcp6":
		if _, err := w.addrPort(); err != nil {
			return err
		}
	case "unix":
		if n := len(w.Address); n == 0 || n > maxPath {
			return fmt.Errorf("a unix socket's path has 1 to %d bytes, this one has %d", maxPath, n)
		}
		if _, _, err := w.owner(); err != nil {
			return err
		}
	case "abns":
		if n := len(w.Address); n == 0 || n > 107 {
			return fmt.Errorf("an abstract socket's name has 1 to 107 bytes, this one has %d", n)
		}
	case "fd":
		if n, err := strconv.Atoi(w.Address); err != nil || n < 0 {
			return fmt.Errorf("fd@%s is not the number of a descriptor", w.Address)
		}
	default:
		return fmt.Errorf("%q is not a kind of listening socket", w.Network)
	}
	return nil
}

// owner is who a unix path shall belong to; -1 leaves a part as it is.
func (w Want) owner() (uid, gid int, err error) {
	uid, gid = w.UID, w.GID
	if uid < 0 && w.User != "" {
		u, err := user.Lookup(w.User)
		if err != nil {
			return -1, -1, fmt.Errorf("user %s of %s: there is no such user", w.User, w)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return -1, -1, fmt.Errorf("user %s of %s: %w", w.User, w, err)
		}
	}
	if gid < 0 && w.Group != "" {
		g, err := user.LookupGroup(w.Group)
		if err != nil {
			return -1, -1, fmt.Errorf("group %s of %s: there is no such group", w.Group, w)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return -1, -1, fmt.Errorf("group %s of %s: %w", w.Group, w, err)
		}
	}
	return uid, gid, nil
}

var errAddress = errors.New("not an address with a port")

// addrPort reads a TCP address; a missing host or "*" means all addresses.
func (w Want) addrPort() (netip.AddrPort, error) {
	a := strings.TrimPrefix(w.Address, "*")
	if strings.HasPrefix(a, ":") {
		if w.Network == "tcp6" || w.V6Only || w.V4V6 {
			a = "[::]" + a
		} else {
			a = "0.0.0.0" + a
		}
	}
	ap, err := netip.ParseAddrPort(a)
	if err != nil {
		return ap, fmt.Errorf("%s: %w", w.Address, errAddress)
	}
	return ap, nil
}

// Twice lists the wants that ask for a socket that an earlier one asks for:
// two listeners on one socket would take connections from each other.
func Twice(wants []Want) []WantError {
	var errs []WantError
	first := make(map[string]string, len(wants))
	for _, w := range wants {
		where, ok := first[w.Key()]
		if ok {
			errs = append(errs, WantError{w.Where, fmt.Sprintf("%s is listened on twice, the first time at %s", w, where)})
			continue
		}
		first[w.Key()] = w.Where
	}
	return errs
}

// PathsLast orders wants so that unix paths come last: opening one replaces
// what another process has there, so it waits until all else has worked.
func PathsLast(wants []Want) []Want {
	ordered := slices.Clone(wants)
	slices.SortStableFunc(ordered, func(a, b Want) int { return a.rank() - b.rank() })
	return ordered
}

func (w Want) rank() int {
	if w.Network == "unix" {
		return 1
	}
	return 0
}
