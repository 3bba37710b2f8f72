package rig

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Vitals is what a process holds.
type Vitals struct {
	Descriptors, Pipes, Sockets int
	Kinds                       map[string]int // of descriptors
	Threads                     int
	RSS                         int // KiB
}

// Look reads a process's vitals from /proc.
func Look(pid int) (Vitals, error) {
	v := Vitals{Kinds: map[string]int{}}
	err := eachDescriptor(pid, func(target string) {
		v.Descriptors++
		kind, _, _ := strings.Cut(target, ":[")
		v.Kinds[kind]++
		switch {
		case strings.HasPrefix(target, "pipe:"):
			v.Pipes++
		case strings.HasPrefix(target, "socket:"):
			v.Sockets++
		}
	})
	if err != nil {
		return v, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "VmRSS:":
			v.RSS, err = strconv.Atoi(f[1])
		case f[0] == "Threads:":
			v.Threads, err = strconv.Atoi(f[1])
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

func eachDescriptor(pid int, do func(target string)) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // or it was closed meanwhile
			do(target)
		}
	}
	return nil
}

// TCP is a connection as the kernel lists it. The addresses are host:port.
type TCP struct{ Local, Remote string }

// Connections are a process's TCP connections over IPv4, whatever their state: not its listening sockets.
func Connections(pid int) (list []TCP, err error) {
	own := map[string]bool{}
	if err := eachDescriptor(pid, func(target string) {
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			own[strings.TrimSuffix(inode, "]")] = true
		}
	}); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return nil, err
	}
	const listens = "0A"
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 9 && own[f[9]] && f[3] != listens {
			list = append(list, TCP{tcpAddress(f[1]), tcpAddress(f[2])})
		}
	}
	return list, nil
}

// tcpAddress reads an address of /proc/net/tcp, 073D537F:1F90; "" if it is none.
func tcpAddress(hex string) string {
	host, port, _ := strings.Cut(hex, ":")
	ip, err := strconv.ParseUint(host, 16, 32)
	n, e := strconv.ParseUint(port, 16, 16)
	if err != nil || e != nil {
		return ""
	}
	// The kernel prints the four bytes as a number of the machine's order, which is little-endian wherever this runs.
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(ip), byte(ip >> 8), byte(ip >> 16), byte(ip >> 24)}), uint16(n)).String()
}

// Goroutines is how many the worker that serves has, as it counts them itself.
func (b *LB) Goroutines() (int, error) {
	text, err := b.Command("show activity")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(line, "goroutines: "); ok {
			return strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return 0, fmt.Errorf("show activity does not count goroutines: %s", text)
}

// IdleServerConnections is how many idle connections to servers the worker that serves counts, and how many in use.
func (b *LB) IdleServerConnections() (idle, used int, err error) {
	text, err := b.Command("show servers conn")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		const usedAt, idleAt = 6, 12 // bkname/svname bkid/svid addr port - purge_delay used_cur ... idle_cur, and that of each loop
		if len(f) <= idleAt {
			return 0, 0, fmt.Errorf("show servers conn: %q", line)
		}
		u, err := strconv.Atoi(f[usedAt])
		i, e := strconv.Atoi(f[idleAt])
		if err != nil || e != nil {
			return 0, 0, fmt.Errorf("show servers conn: %q", line)
		}
		idle, used = idle+i, used+u
	}
	return idle, used, nil
}
