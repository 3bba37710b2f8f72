package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// vitals is what a process holds.
type vitals struct {
	rig.Vitals
	name       string
	pid        int
	idle       int // descriptors of the worker that are idle connections to servers
	goroutines int // of the worker alone: it counts them itself
}

func (v vitals) String() string {
	return fmt.Sprintf("%s %d: %d descriptors (%d idle connections to servers) %v, %d threads, %d goroutines, %d KiB", v.name, v.pid, v.Descriptors, v.idle, v.Kinds, v.Threads, v.goroutines, v.RSS)
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
		v := vitals{name: p.name, pid: p.pid}
		if v.Vitals, err = rig.Look(p.pid); err != nil {
			return nil, "", err
		}
		if p.name == "worker" {
			v.idle = held.servers
			if v.goroutines, err = s.lb.Goroutines(); err != nil {
				return nil, "", err
			}
		}
		list = append(list, v)
	}
	return list, wrong, nil
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
	case now.name == "master" && now.Descriptors > first.Descriptors+4, now.Descriptors-now.idle > first.Descriptors-first.idle+moreDescriptors, now.Pipes > first.Pipes+morePipes,
		now.Threads > first.Threads+moreThreads, now.goroutines > first.goroutines+moreGoroutines,
		now.RSS > first.RSS*3/2+moreMemory:
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
