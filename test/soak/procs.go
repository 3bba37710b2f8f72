package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// vitals is what a process holds.
type vitals struct {
	name                             string
	pid                              int
	descriptors, pipes, sockets, rss int            // rss in KiB
	idle                             int            // descriptors of the worker that are idle connections to servers
	threads, goroutines              int            // goroutines of the worker alone: it counts them itself
	kinds                            map[string]int // of descriptors
}

func (v vitals) String() string {
	return fmt.Sprintf("%s %d: %d descriptors (%d idle connections to servers) %v, %d threads, %d goroutines, %d KiB", v.name, v.pid, v.descriptors, v.idle, v.kinds, v.threads, v.goroutines, v.rss)
}

// look reads a process's vitals from /proc.
func look(name string, pid int) (vitals, error) {
	v := vitals{name: name, pid: pid, kinds: map[string]int{}}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	entries, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return v, err
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, "fd", e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		v.descriptors++
		kind, _, _ := strings.Cut(target, ":[")
		v.kinds[kind]++
		switch {
		case strings.HasPrefix(target, "pipe:"):
			v.pipes++
		case strings.HasPrefix(target, "socket:"):
			v.sockets++
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) < 2:
		case f[0] == "VmRSS:":
			v.rss, err = strconv.Atoi(f[1])
		case f[0] == "Threads:":
			v.threads, err = strconv.Atoi(f[1])
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

// vitals are those of the master, the worker that serves and syslogd, when everything has come to rest; and what is wrong with the worker's connections.
func (s *site) vitals(ctx context.Context) (list []vitals, wrong string, err error) {
	worker, _, err := s.lb.Workers()
	if err != nil {
		return nil, "", err
	}
	held, wrong, err := s.rest(ctx, worker)
	if err != nil {
		return nil, "", err
	}
	for _, p := range []struct {
		name string
		pid  int
	}{{"master", s.lb.PID}, {"worker", worker}, {"syslogd", s.log.PID}} {
		v, err := look(p.name, p.pid)
		if err != nil {
			return nil, "", err
		}
		if p.name == "worker" {
			v.idle = held.servers
			if v.goroutines, err = s.goroutines(); err != nil {
				return nil, "", err
			}
		}
		list = append(list, v)
	}
	return list, wrong, nil
}

// goroutines is how many the worker that serves has.
func (s *site) goroutines() (int, error) {
	text, err := s.lb.Command("show activity")
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

// Room that a process may take beyond what it had in the beginning: what it keeps ready depends on what was asked of it at last.
const (
	moreDescriptors = 12 // idle connections to servers are counted exactly (conns.go)
	morePipes       = 8
	moreThreads     = 10
	moreGoroutines  = 40
	moreMemory      = 64 << 10 // KiB, and half of what it had
)

// grown says what of now is more than a process may have grown by.
func grown(first, now vitals) string {
	switch {
	case now.name == "master" && now.descriptors > first.descriptors+4, now.descriptors-now.idle > first.descriptors-first.idle+moreDescriptors, now.pipes > first.pipes+morePipes,
		now.threads > first.threads+moreThreads, now.goroutines > first.goroutines+moreGoroutines,
		now.rss > first.rss*3/2+moreMemory:
		return fmt.Sprintf("the process has grown: at first %v; now %v", first, now)
	}
	return ""
}

// busy is how long the machine's processors have worked since it began, for whomever; 0 where the kernel does not say.
func busy() (d time.Duration) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, word := range strings.Fields(line) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err == nil && i != 4 && i != 5 && i < 8 { // cpu user nice system idle iowait irq softirq steal, in hundredths
			d += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return d
}

// mostMemory is the most that this process has held, in KiB.
func mostMemory() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Maxrss
}
