package handover

import (
	"context"
	"fmt"
	"testing"

	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
)

// TestFlat reloads again and again, a thousand times in the long form, under a little load: neither the master nor the worker that serves has
// more descriptors, threads, goroutines or memory at the end than after the first reloads, and no request fails.
func TestFlat(t *testing.T) {
	const first = 5
	reloads := sized(10, 1000)
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan load.Result, 1)
	go func() {
		ended <- load.New(load.Options{Addr: s.http, Run: "flat", Requests: 1 << 30, Conns: 10, Rate: 100, PostEach: 5}).Run(ctx)
	}()
	var master, worker figures
	for n := 1; n <= reloads; n++ {
		pid := s.reload()
		s.alone()
		if n != first && n%100 != 0 && n != reloads {
			continue
		}
		m, w := s.figures(s.lb.PID), s.figures(pid)
		var err error
		if w.goroutines, err = s.lb.Goroutines(); err != nil {
			t.Fatal(err)
		}
		t.Logf("after %4d reloads: master %v; worker %v", n, m, w)
		if n == first {
			master, worker = m, w
			continue
		}
		master.compare(t, "the master", m)
		worker.compare(t, "the worker", w)
	}
	cancel()
	if r := <-ended; r.Failed() > 0 || r.Conns != 10 {
		t.Errorf("%v", r)
	} else {
		t.Logf("%d requests over 10 connections", r.OK())
	}
}

// TestAdoptedWorkersLeaveNothing ends the master alone: the next one watches a worker that is no child of its, and when that has left it has no
// descriptor more than the master before, which had a child.
func TestAdoptedWorkersLeaveNothing(t *testing.T) {
	s := start(t)
	const watched = "anon_inode" // pidfds, and the poller
	first := s.figures(s.lb.PID).Kinds[watched]
	if err := s.lb.Revive(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.alone()
	s.until("the master to hold as many descriptors for processes as the one before", func() bool {
		return s.figures(s.lb.PID).Kinds[watched] <= first
	})
}

// figures are what one of the balancer's processes holds.
type figures struct {
	rig.Vitals
	goroutines int
}

func (f figures) String() string {
	text := fmt.Sprintf("%d descriptors, %d threads, %d KiB", f.Descriptors, f.Threads, f.RSS)
	if f.goroutines > 0 {
		text += fmt.Sprintf(", %d goroutines", f.goroutines)
	}
	return text
}

func (s *site) figures(pid int) figures {
	s.t.Helper()
	v, err := rig.Look(pid)
	if err != nil {
		s.t.Fatal(err)
	}
	return figures{Vitals: v}
}

// compare wants later figures to be those of before, but for what varies: connections to servers in use at the moment, threads that wait in
// system calls, memory that the collector has not given back.
func (f figures) compare(t *testing.T, who string, now figures) {
	t.Helper()
	const connections, threads, goroutines, memory = 12, 6, 8, 16 << 10
	if now.Descriptors > f.Descriptors+connections || now.Pipes > f.Pipes || now.Threads > f.Threads+threads || now.goroutines > f.goroutines+goroutines ||
		now.RSS > f.RSS*5/4+memory {
		t.Errorf("%s has grown: %v, %d pipes; now %v, %d pipes", who, f, f.Pipes, now, now.Pipes)
	}
}
