package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/syslog/flood"
)

// How many messages a second a daemon takes at most, with one reader of its port and with two. A sender that is fast enough would take a processor
// from it. So the daemon is stopped while messages from many addresses fill its sockets, and then goes on: what counts is how long it
// takes until they are in the file.

// backlogSenders is how many addresses the messages come from, so that readers have equal parts.
const backlogSenders = 64

// backlogged is one that is measured in this way, and with how many readers.
type backlogged struct {
	subject
	readers int
}

// outcome is one round.
type outcome struct {
	rate float64 // messages a second
	cost float64 // microseconds of processor time for each
	lost int
}

// backlogs measures them in turn and prints the medians, next to ours with one reader.
func backlogs(ours string, only func(name string) bool, rounds, count int, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench-syslog-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name, bare, err := floor(dir)
	if err != nil {
		return err
	}
	var all []backlogged
	for _, readers := range []int{1, 2} {
		for _, s := range []subject{withReaders(ours, readers), rsyslogWith(readers), syslogNGWith(readers), bare(readers)} {
			if s.there() && (s.name == "syslogd" || s.name == name || only(s.name)) {
				all = append(all, backlogged{s, readers})
			}
		}
	}
	results := make([][]outcome, len(all))
	for round := range rounds {
		for i, b := range all {
			o, err := b.measureBacklog(count)
			if err != nil {
				return fmt.Errorf("%s with %d readers: %w", b.name, b.readers, err)
			}
			results[i] = append(results[i], o)
			fmt.Fprintf(os.Stderr, "round %d of %d: %s with %d readers done\n", round+1, rounds, b.name, b.readers)
		}
	}
	fmt.Fprintf(out, "\n%d messages of %d bytes from %d addresses, waiting in the sockets; %d processors; %d rounds, median\n\n", count, messageSize,
		backlogSenders, runtime.NumCPU(), rounds)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "receiver\treaders\tmessages/s\tto ours with 1\tto the bare loop\tus/msg\tlost\t")
	median := func(i int) outcome {
		slices.SortFunc(results[i], func(a, b outcome) int { return cmp.Compare(a.rate, b.rate) })
		return results[i][len(results[i])/2]
	}
	for i, b := range all {
		least := slices.IndexFunc(all, func(other backlogged) bool { return other.name == name && other.readers == b.readers })
		m := median(i)
		fmt.Fprintf(t, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%d\t\n", b.name, b.readers, m.rate, m.rate/median(0).rate, m.rate/median(least).rate, m.cost, m.lost)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "to: messages/s divided by those of ours with one reader, and of the bare loop with as many. On a busy machine us/msg is the figure that holds")
	return err
}

// measureBacklog starts a subject, stops it, fills its sockets and lets it go on.
func (b backlogged) measureBacklog(count int) (o outcome, err error) {
	port, err := freePort()
	if err != nil {
		return o, err
	}
	b.cpus = fmt.Sprintf("0-%d", runtime.NumCPU()-1)
	r, err := b.start(port)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	time.Sleep(time.Second) // all its sockets and threads are there then
	process := r.cmd.Process
	if err := process.Signal(unix.SIGSTOP); err != nil {
		return o, err
	}
	for i := range backlogSenders {
		f := flood.Flood{To: fmt.Sprintf("127.0.0.1:%d", port), From: fmt.Sprintf("127.0.1.%d", i+1), Count: count / backlogSenders, Size: messageSize}
		if _, err := f.Send(context.Background()); err != nil {
			return o, errors.Join(err, process.Signal(unix.SIGCONT))
		}
	}
	before, err := r.cpu()
	if err != nil {
		return o, err
	}
	began := time.Now()
	if err := process.Signal(unix.SIGCONT); err != nil {
		return o, err
	}
	took, err := r.grown(began)
	if err != nil {
		return o, err
	}
	after, err := r.cpu()
	if err != nil {
		return o, err
	}
	lines, err := countLines(filepath.Join(r.dir, "out.log"))
	cost := float64((after - before).Microseconds()) / float64(max(lines, 1))
	return outcome{float64(lines) * mostly / took.Seconds(), cost, count/backlogSenders*backlogSenders - lines}, err
}

// mostly is the part of the file that counts: some daemons keep the last buffer for a second.
const mostly = 0.97

// grown is how long the file took to come to most of its size.
func (r *running) grown(began time.Time) (time.Duration, error) {
	type sample struct {
		at   time.Duration
		size int64
	}
	samples := []sample{{}}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for last := began; time.Since(last) < 2500*time.Millisecond; <-tick.C {
		if time.Since(began) > time.Minute {
			return 0, errors.New("the file still grows after a minute")
		}
		info, err := os.Stat(filepath.Join(r.dir, "out.log"))
		if err != nil {
			continue
		}
		if size := info.Size(); size > samples[len(samples)-1].size {
			samples = append(samples, sample{time.Since(began), size})
			last = time.Now()
		}
	}
	end := samples[len(samples)-1]
	for _, s := range samples {
		if float64(s.size) >= mostly*float64(end.size) && s.size > 0 {
			return s.at, nil
		}
	}
	return 0, errors.New("nothing was written")
}
