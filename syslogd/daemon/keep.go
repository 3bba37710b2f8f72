package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/unixpath"
)

// The way of a socket over restarts:
//
//  1. one that this process opens is given to the Keeper under a name of ours (keep); a socket unit's has its keeper already,
//  2. when this process ends, in whatever way, it stays open there, and what arrives waits in its buffer,
//  3. the next process is passed it, and takes it for the same kind of socket and the same address (claim),
//  4. one that is not listened on any more is closed there too, before others are opened: it may be in their way (disown).

// A Keeper keeps sockets from one process to the next: systemd's file descriptor store.
type Keeper interface {
	// Store keeps a copy of a descriptor, in the place of what it has under that name.
	Store(name string, fd int) error
	// Remove closes what is kept under a name.
	Remove(name string) error
	// Barrier returns when what was asked before is done.
	Barrier(limit time.Duration) error
}

// Passed is a socket that was handed over at the start: one that was kept, or a socket unit's.
type Passed struct {
	Name string
	File *os.File
}

// keptPrefix begins the names of sockets that we gave to the Keeper.
const keptPrefix = "listen@"

// ours says whether it is one that an earlier process of ours opened.
func (p Passed) ours() bool { return strings.HasPrefix(p.Name, keptPrefix) }

// barrierTime bounds how long the Keeper may take to close a socket.
const barrierTime = 5 * time.Second

// claim says which of the passed sockets each entry listens on: any number by name for systemd:NAME, any number for its place for udp, in the
// order in which the kernel has them, and else one for its place.
func claim(listen []config.Listener, passed []Passed) (meant map[config.Listen][]Passed, rest []Passed) {
	meant = make(map[config.Listen][]Passed)
	passed = slices.Clone(passed)
	slices.SortStableFunc(passed, func(a, b Passed) int { return cmp.Compare(a.nth(), b.nth()) })
	for _, p := range passed {
		i := slices.IndexFunc(listen, func(l config.Listener) bool {
			if l.Scheme == "systemd" {
				return p.Name == l.Address
			}
			return (len(meant[l.Listen]) == 0 || l.Scheme == "udp") && fits(l.Listen, p)
		})
		if i < 0 {
			rest = append(rest, p)
			continue
		}
		l := listen[i].Listen
		meant[l] = append(meant[l], p)
	}
	return meant, rest
}

// nameOf is what the nth socket of an entry is kept as, if names are taken already.
func nameOf(l config.Listen, nth int, taken map[int]string) string {
	for k := nth; ; k++ {
		name := keptPrefix + l.String()
		if k > 0 {
			name += "#" + strconv.Itoa(k+1)
		}
		if !slices.Contains(slices.Collect(maps.Values(taken)), name) {
			return name
		}
	}
}

// nth is the number in the name of a socket of ours; those of a unit, which were there first, come before.
func (p Passed) nth() int {
	if !p.ours() {
		return 0
	}
	_, number, _ := strings.Cut(p.Name, "#")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 1
	}
	return n
}

// fits says whether a socket is of the kind and at the address that an entry wants.
func fits(l config.Listen, p Passed) bool {
	place, err := receive.PlaceOf(p.File)
	if err != nil {
		return false
	}
	network := l.Scheme
	if l.Stream() {
		network = "tcp"
	}
	if place.Network != network {
		return false
	}
	if network == "unix" {
		// One whose path was taken away hears nobody any more.
		info, err := os.Lstat(l.Address)
		return place.Path == l.Address && err == nil && info.Mode().Type() == os.ModeSocket
	}
	want, err := net.ResolveUDPAddr("udp", l.Address) // an address and a port, for TCP too
	if err != nil || int(place.Address.Port()) != want.Port {
		return false
	}
	address, _ := netip.AddrFromSlice(want.IP)
	if !address.IsValid() || address.Unmap().IsUnspecified() {
		return place.Address.Addr().IsUnspecified()
	}
	return place.Address.Addr().Unmap() == address.Unmap()
}

// disown closes passed sockets that nothing in the configuration listens on.
func (d *Daemon) disown(passed []Passed) error {
	var problems []error
	removed := false
	for _, p := range passed {
		if !p.ours() {
			d.Log.Warn("systemd passed a socket that nothing in the configuration listens on", "name", p.Name)
			problems = append(problems, p.File.Close())
			continue
		}
		d.Log.Info("closed a socket that was kept over the restart: it does not fit the configuration any more", "input",
			strings.TrimPrefix(p.Name, keptPrefix))
		if d.Keeper != nil {
			removed = true
			problems = append(problems, d.Keeper.Remove(p.Name))
		}
		place, err := receive.PlaceOf(p.File)
		problems = append(problems, p.File.Close())
		if err == nil && place.Network == "unix" {
			defer func() { _ = unixpath.RemoveDead(place.Path) }() // after the Keeper has closed it; if another listens there, it stays
		}
	}
	if removed {
		problems = append(problems, d.Keeper.Barrier(barrierTime))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("give up sockets that were passed: %w", err)
	}
	return nil
}

// keep gives the Keeper the sockets that this process has opened. One that it does not take is lost with this process, no more.
func (d *Daemon) keep(inputs []*input) {
	if d.Keeper == nil {
		return
	}
	for _, in := range inputs {
		_, port, _ := net.SplitHostPort(in.listen.Address)
		if in.Describe().Inherited || port == "0" {
			continue
		}
		if err := in.Give(func(nth, fd int) error { return d.keepOne(in, nth, fd) }); err != nil {
			d.Log.Warn("a socket will not be kept over a restart", "input", in.listen.String(), "err", err)
		}
	}
}

// keepOne gives the Keeper the nth socket of an input, if it has not got it.
func (d *Daemon) keepOne(in *input, nth, fd int) error {
	if in.kept[nth] != "" {
		return nil
	}
	name := nameOf(in.listen, nth, in.kept)
	if err := d.Keeper.Store(name, fd); err != nil {
		return err
	}
	if in.kept == nil {
		in.kept = make(map[int]string)
	}
	in.kept[nth] = name
	return nil
}

// discard closes inputs that are left, here and at the Keeper, who has the sockets of others in the place of those that were opened anew.
func (d *Daemon) discard(inputs, others []*input) error {
	var problems []error
	kept, theirs := false, make(map[string]bool)
	for _, in := range others {
		for _, name := range in.kept {
			theirs[name] = true
		}
	}
	for _, in := range inputs {
		if len(in.kept) > 0 {
			kept = true
			in.TakeBack()
		}
		for _, nth := range slices.Sorted(maps.Keys(in.kept)) {
			if name := in.kept[nth]; !theirs[name] {
				problems = append(problems, d.Keeper.Remove(name))
			}
		}
	}
	problems = append(problems, closeInputs(inputs))
	if kept {
		problems = append(problems, d.Keeper.Barrier(barrierTime)) // the next reload may want the same address
	}
	return errors.Join(problems...)
}

func closeAll(passed []Passed) error {
	var problems []error
	for _, p := range passed {
		problems = append(problems, p.File.Close())
	}
	return errors.Join(problems...)
}
