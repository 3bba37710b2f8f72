package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// reloadSizes are how many proxies the configurations have whose reloads are measured.
var reloadSizes = []int{10, 100, 1000, 10_000}

// How a reload is measured: reloadRate requests are due in a second, and a round begins and ends with a time without a reload.
const (
	reloadRate  = 1000.0
	reloadQuiet = 300 * time.Millisecond
	reloadTries = 4
)

// loadedHAProxy is what HAProxy's master says when a new worker serves.
const loadedHAProxy = "Loading success"

// reloads measures how long a reload takes with so many proxies, from the command until the new worker serves, and the longest that a request waits meanwhile.
func (b *bench) reloads(ctx context.Context, proxies int) (rows []row, err error) {
	cheap := *b
	cheap.cheap = true
	c := benchCase{name: fmt.Sprintf("reload-%d", proxies), size: 200, conns: 16, proxies: proxies}
	subjects, stop, err := cheap.start(ctx, c)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	for _, what := range []string{"a reload with %d proxies", "the longest that a request waits in one, %d proxies"} {
		rows = append(rows, row{Name: c.name, What: fmt.Sprintf(what, proxies), Unit: "ms", Figures: make([]figure, len(subjects))})
	}
	known := make([]time.Duration, len(subjects)) // how long a subject's reload takes
	for i, s := range subjects {
		if known[i], err = s.reloadAndWait(ctx, b.loadCore); err != nil {
			return nil, fmt.Errorf("%s: %w", s.label, err)
		}
	}
	for round := range max(b.count/5, 2) {
		for _, i := range order(len(subjects), round) {
			s := subjects[i]
			took, p, err := s.throughReload(ctx, known[i], b.loadCore)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.label, err)
			}
			known[i] = max(known[i], took)
			for at, d := range []time.Duration{took, time.Duration(slices.Max(p.took))} {
				f := &rows[at].Figures[i]
				f.Label = s.label
				f.Rounds = append(f.Rounds, d.Seconds()*1000)
			}
			rows[1].Figures[i].Failed += p.lost
		}
	}
	for at := range rows {
		rows[at].compare()
	}
	return rows, nil
}

// throughReload sends requests at a rate through a reload that is about to take so long. One that takes longer than requests were sent is measured again.
func (s *subject) throughReload(ctx context.Context, long time.Duration, core int) (took time.Duration, p *pace, err error) {
	for range reloadTries {
		p = newPace(reloadRate, 2*reloadQuiet+2*long)
		done := make(chan error, 1)
		go func() {
			err := sleep(ctx, reloadQuiet)
			if err == nil {
				took, err = s.reloadAndWait(ctx, core)
			}
			done <- err
		}()
		err = s.load.(nopStop).drive(core, p)
		if err = errors.Join(err, <-done); err != nil || took < 2*long+reloadQuiet {
			return took, p, err
		}
		long = took
	}
	return took, p, fmt.Errorf("its reloads take longer and longer: %v", took)
}

// reloadAndWait has the subject reload, and returns how long it took until the new worker served.
func (s *subject) reloadAndWait(ctx context.Context, core int) (time.Duration, error) {
	begun := time.Now()
	if s.kind == kindLB {
		out, err := exec.CommandContext(ctx, "taskset", "-c", strconv.Itoa(core), s.program, "reload", "-S", s.dir+"/master.sock").CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("reload: %w\n%s", err, out)
		}
		return time.Since(begun), nil
	}
	master := s.procs[0]
	said := strings.Count(master.Output(), loadedHAProxy)
	if err := master.Signal(syscall.SIGUSR2); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := rig.Until(ctx, "the reload to end", func() bool { return strings.Count(master.Output(), loadedHAProxy) > said })
	return time.Since(begun), err
}
