// Command demo shows the project's promise in half a minute, without root and without packages: load runs through lb while lb is
// reloaded several times a second, sometimes with a broken configuration, and while the log it writes is rotated and reopened.
//
//  1. site.go starts three backends, syslogd and lb on free loopback ports, with all files in a directory of their own.
//  2. show.go runs the clients, the reloads and the rotations side by side, and prints a table meanwhile.
//  3. The ledger at the end: what the clients saw against the lines in the log files, request by request.
//
// The exit status is 0 only if the ledger balances.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// goals are what a run has to reach before it may end.
type goals struct {
	requests, reloads, refused, rotations, reopens int
	duration                                       time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	programs := rig.Programs{}
	goal := goals{reloads: 20, refused: 5, rotations: 5, reopens: 3}
	flag.StringVar(&programs.LB, "lb", "bin/lb", "the balancer")
	flag.StringVar(&programs.Syslogd, "syslogd", "bin/syslogd", "the log daemon")
	flag.IntVar(&goal.requests, "requests", 60_000, "requests to send, at least")
	flag.DurationVar(&goal.duration, "duration", 20*time.Second, "how long to go on, at least")
	stay := flag.Bool("stay", false, "leave everything running afterwards, until Ctrl-C")
	flag.Parse()

	if err := run(ctx, programs, goal, *stay); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, programs rig.Programs, goal goals, stay bool) (err error) {
	s, err := openSite(ctx, programs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.describe(os.Stdout)

	balance := show(ctx, s, goal, os.Stdout)
	if stay && ctx.Err() == nil {
		s.invite(os.Stdout)
		<-ctx.Done()
		fmt.Println("\nstopping")
	}
	return balance
}

// invite prints what a visitor can try while everything runs.
func (s *site) invite(w *os.File) {
	lb, syslogd := relative(s.programs.LB), relative(s.programs.Syslogd)
	fmt.Fprint(w, "\nEverything is still running; Ctrl-C stops it.\n")
	for _, row := range [][2]string{
		{"proxy", "http://" + s.http},
		{"proxy, TLS", "https://" + s.https},
		{"stats page", "http://" + s.stats + "/"},
		{"configuration", s.lb.Config},
		{"stats socket", s.lb.Stats},
		{"log files", filepath.Dir(s.log.Log)},
	} {
		fmt.Fprintf(w, "  %-14s %s\n", row[0], row[1])
	}
	fmt.Fprint(w, "\nTry:\n")
	for _, command := range []string{
		"curl -i http://" + s.http + "/",
		"curl -k https://" + s.https + "/",
		"$EDITOR " + s.lb.Config + "   # break it, then",
		lb + " reload -S " + s.lb.Master,
		lb + " status -S " + s.lb.Master,
		syslogd + " rotate -s " + s.log.Control,
		syslogd + " status -s " + s.log.Control,
		"tail -f " + s.log.Log,
		"echo 'show stat' | socat - " + s.lb.Stats,
	} {
		fmt.Fprintf(w, "  %s\n", command)
	}
}

// relative is a program's path as one types it here.
func relative(path string) string {
	if dir, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(short, "..") {
			return short
		}
	}
	return path
}
