package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

const (
	mapLines   = 100_000
	mapChanges = 5_000
	mapRounds  = 5
	mapBatch   = 50 // lines written at once
)

// configureMap writes a configuration with one server and one rule, which looks each request up in a large map.
func (s *subject) configureMap(ports []string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	var lines strings.Builder
	for i := range mapLines {
		fmt.Fprintf(&lines, "/k%d/ v%d\n", i, i)
	}
	text := fmt.Sprintf("global\n  stats socket %s level admin\n  stats timeout 5m\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n"+
		"frontend f\n  bind %s\n  http-request set-header X-M %%[path,map_beg(%s,none)]\n  default_backend b\nbackend b\n  server s1 127.0.0.1:%s\n",
		s.file("s.sock"), s.address, s.file("m"), ports[0])
	return errors.Join(os.WriteFile(s.file("m"), []byte(lines.String()), 0o644), os.WriteFile(s.file("c.cfg"), []byte(text), 0o644))
}

// mapFigures are what was seen of one subject whose map changes.
type mapFigures struct {
	add, del            []time.Duration // a round each
	calm, during        []time.Duration // latencies
	rss, peak, rssAfter int             // KiB
	busy                time.Duration   // of the processor, for a change
	failed              int
}

func measureMaps(ctx context.Context, o options, s *subject, ports []string) (f mapFigures, err error) {
	if err := s.configureMap(ports); err != nil {
		return f, err
	}
	if err := s.start(ctx); err != nil {
		return f, err
	}
	defer s.stop()
	if _, err := s.serves(); err != nil {
		return f, err
	}
	o.backends = 1
	c := newCrowd(s.address, o)
	defer c.stop()
	time.Sleep(time.Second) // connections are open
	c.take()
	quit := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			f.peak = max(f.peak, s.rss())
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	defer watch.Wait()
	defer close(quit)
	before, at := s.cpu(), time.Now()
	time.Sleep(10 * time.Second)
	traffic := (s.cpu() - before).Seconds() / time.Since(at).Seconds()
	f.calm, f.rss = c.take(), s.rss()
	before, at = s.cpu(), time.Now()

	for range mapRounds {
		took, err := s.commands(func(i int) string { return fmt.Sprintf("add map %s /z%d/ w%d", s.file("m"), i, i) })
		if err != nil {
			return f, err
		}
		f.add = append(f.add, took)
		time.Sleep(time.Second)
		if took, err = s.commands(func(i int) string { return fmt.Sprintf("del map %s /z%d/", s.file("m"), i) }); err != nil {
			return f, err
		}
		f.del = append(f.del, took)
		time.Sleep(time.Second)
	}
	f.during, f.failed = c.take(), c.failures()
	f.busy = (s.cpu() - before - time.Duration(traffic*float64(time.Since(at)))) / (2 * mapRounds * mapChanges)
	time.Sleep(5 * time.Second)
	f.rssAfter = s.rss()
	return f, nil
}

// commands gives all changes to one session of the stats socket, and says how long it took until all were answered.
func (s *subject) commands(command func(i int) string) (time.Duration, error) {
	c, err := net.Dial("unix", s.file("s.sock"))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	begun := time.Now()
	text := []byte("prompt\n")
	b := make([]byte, 64<<10)
	for from := 0; from < mapChanges; from += mapBatch {
		for i := range mapBatch {
			text = append(append(text, command(from+i)...), '\n')
		}
		if _, err := c.Write(text); err != nil {
			return 0, err
		}
		want := bytes.Count(text, []byte("\n"))
		for answers := 0; answers < want; { // each is answered by a prompt
			n, err := c.Read(b)
			if err != nil {
				return 0, fmt.Errorf("after %d changes: %w", from, err)
			}
			if answers += bytes.Count(b[:n], []byte("> ")); bytes.Contains(b[:n], []byte("nknown")) {
				return 0, fmt.Errorf("it says %.200q", b[:n])
			}
		}
		text = text[:0]
	}
	took := time.Since(begun)
	_, _ = io.WriteString(c, "quit\n") // it ends in any case
	return took, nil
}

func printMaps(o options, names []string, results []mapFigures) {
	fmt.Printf("%d changes of a map of %d lines (map_beg) in one session, %d times; %d requests a second on %d connections\n\n", mapChanges, mapLines, mapRounds, o.rate, o.conns)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\t"+strings.Join(names, "\t"))
	row := func(name string, cell func(f *mapFigures) string) {
		fmt.Fprint(w, name)
		for i := range results {
			fmt.Fprint(w, "\t", cell(&results[i]))
		}
		fmt.Fprintln(w)
	}
	took := func(list []time.Duration) string {
		return fmt.Sprintf("%.2f / %.2f", median(list).Seconds(), slices.Max(list).Seconds())
	}
	row("adding them, middle / most, s", func(f *mapFigures) string { return took(f.add) })
	row("deleting them, middle / most, s", func(f *mapFigures) string { return took(f.del) })
	row("processor for a change, us", func(f *mapFigures) string { return fmt.Sprint(f.busy.Microseconds()) })
	row("latency without changes, p50 / p99 / max, ms", func(f *mapFigures) string { return latencies(f.calm) })
	row("latency with changes, p50 / p99 / max, ms", func(f *mapFigures) string { return latencies(f.during) })
	row("memory before / at most / after, MB", func(f *mapFigures) string {
		return fmt.Sprintf("%d / %d / %d", f.rss/1024, f.peak/1024, f.rssAfter/1024)
	})
	row("failed requests", func(f *mapFigures) string { return fmt.Sprint(f.failed) })
}

func median(list []time.Duration) time.Duration {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}
