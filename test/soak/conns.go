package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Every TCP connection of the worker has to be accounted for when no client is there any more: it goes to a server, and lb counts it as idle.

// conns are the TCP connections of a process, by whom they go to.
type conns struct {
	clients, servers, others int
}

// rest waits until each connection of the worker is one to a server that lb counts as idle, and says what is wrong if that does not come.
func (s *site) rest(ctx context.Context, worker int) (held conns, wrong string, err error) {
	// A health check is a connection, too, for a moment.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if held, err = s.connections(worker); err != nil {
			return held, "", err
		}
		idle, err := s.idle()
		if err != nil {
			return held, "", err
		}
		switch most := atOnce() * len(s.servers); {
		case held.clients == 0 && held.others == 0 && held.servers == idle && idle <= most:
			return held, "", nil
		case time.Now().After(end) || ctx.Err() != nil:
			return held, fmt.Sprintf("no client is there, and the worker has %d connections to clients, %d to nobody known and %d to servers, of which it counts %d as idle; at most %d were needed at once",
				held.clients, held.others, held.servers, idle, most), nil
		}
	}
}

// idle is how many idle connections to servers the worker counts.
func (s *site) idle() (n int, err error) {
	text, err := s.lb.Command("show servers conn")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		_, last, _ := strings.Cut(line[strings.LastIndexByte(line, ' '):], " ")
		i, err := strconv.Atoi(last)
		if err != nil {
			return 0, fmt.Errorf("show servers conn: %q: %w", line, err)
		}
		n += i
	}
	return n, nil
}

// connections reads which TCP connections a process has.
func (s *site) connections(pid int) (c conns, err error) {
	own, err := sockets(pid)
	if err != nil {
		return c, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return c, err
	}
	servers := map[string]bool{s.echo.Addr(): true}
	for _, w := range append(s.servers[:len(s.servers):len(s.servers)], s.names.servers...) {
		servers[w.addr] = true
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 10 || !own[f[9]] {
			continue
		}
		const listens = "0A"
		local, remote := address(f[1]), address(f[2])
		switch {
		case f[3] == listens:
		case local == s.http || local == s.https || local == s.tcp:
			c.clients++
		case servers[remote]:
			c.servers++
		default:
			c.others++
		}
	}
	return c, nil
}

// sockets are the inodes of a process's sockets.
func sockets(pid int) (map[string]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			all[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return all, nil
}

// address reads one of /proc/net/tcp, 073D537F:1F90; "" if it is none.
func address(hex string) string {
	host, port, _ := strings.Cut(hex, ":")
	ip, err := strconv.ParseUint(host, 16, 32)
	n, e := strconv.ParseUint(port, 16, 16)
	if err != nil || e != nil {
		return ""
	}
	// The kernel prints the four bytes as a number of the machine's order, which is little-endian wherever this runs.
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(ip), byte(ip >> 8), byte(ip >> 16), byte(ip >> 24)}), uint16(n)).String()
}
