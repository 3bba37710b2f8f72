package handoff

import (
	"bufio"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Owner tells which process listens where w wants to: "nginx (pid 812)".
// Empty when nobody does or when it cannot be seen (another user's process,
// another namespace).
func Owner(w Want) string {
	var inode string
	if w.Network == "abns" {
		inode = abstractInode(w.Address)
	} else if ap, err := w.addrPort(); err == nil {
		inode = tcpInode(ap)
	}
	if inode == "" {
		return ""
	}
	return holder("socket:[" + inode + "]")
}

// tcpInode finds the listener whose address conflicts with ap.
func tcpInode(ap netip.AddrPort) string {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for fields := range lines(table) {
			const listening = "0A" // TCP_LISTEN
			if len(fields) < 10 || fields[3] != listening {
				continue
			}
			if l, ok := parseAddr(fields[1]); ok && conflicts(l, ap) {
				return fields[9]
			}
		}
	}
	return ""
}

// conflicts says whether listeners on both addresses exclude each other.
func conflicts(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() &&
		(a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// parseAddr reads "0100007F:1F90": each 32-bit word of the address in the
// machine's byte order (little-endian wherever this runs), then the port.
func parseAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	p, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}

// abstractInode finds a bound abstract socket; the table shows NULs as '@'.
func abstractInode(name string) string {
	for fields := range lines("/proc/net/unix") {
		if len(fields) >= 8 && strings.TrimRight(fields[7], "@") == "@"+name {
			return fields[6]
		}
	}
	return ""
}

// lines yields the fields of each line of a table in /proc.
func lines(path string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if !yield(strings.Fields(s.Text())) {
				return
			}
		}
	}
}

// holder finds the process that has link among its descriptors.
func holder(link string) string {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		dir := "/proc/" + p.Name() + "/fd"
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // gone, or another user's
		}
		for _, fd := range fds {
			if to, err := os.Readlink(dir + "/" + fd.Name()); err != nil || to != link {
				continue
			}
			name, err := os.ReadFile("/proc/" + p.Name() + "/comm")
			if err != nil {
				return "pid " + p.Name()
			}
			return strings.TrimSpace(string(name)) + " (pid " + p.Name() + ")"
		}
	}
	return ""
}
