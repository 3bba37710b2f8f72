package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/ledger"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestOperatorsTable is the table of the operators whose balancer died every night: ab through the balancer while something is done to it.
// In every row no request fails and the log holds exactly one line for each.
func TestOperatorsTable(t *testing.T) {
	tape.Require(t, "ab")
	tape.Require(t, "logrotate")
	const requests = 100_000
	s := start(t, options{log: true})
	row := func(name string, clients int, every time.Duration, disturb func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			path := "/r/" + strings.ReplaceAll(name, " ", "-")
			stop := make(chan struct{})
			done := make(chan int)
			go func() { done <- repeat(every, stop, func() { disturb(t) }) }()
			out, err := exec.Command("ab", "-q", "-r", "-c", strconv.Itoa(clients), "-n", strconv.Itoa(requests), "http://"+s.http+path).CombinedOutput()
			close(stop)
			times := <-done
			if err != nil {
				t.Fatalf("ab: %v\n%s", err, out)
			}
			if abFigure(string(out), "Complete requests") != requests || abFigure(string(out), "Failed requests") != 0 || abFigure(string(out), "Non-2xx responses") > 0 {
				t.Errorf("ab:\n%s", out)
			}
			s.wantLines(t, path+" ", requests)
			t.Logf("%d requests over %d clients at %.0f a second, disturbed %d times: 0 failed, %d lines",
				requests, clients, float64(abFigure(string(out), "Requests per second")), times, requests)
		})
	}
	nothing := func(*testing.T) {}
	usr2 := func(t *testing.T) {
		if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
			t.Error(err)
		}
	}

	row("nothing", 100, time.Hour, nothing)

	before := s.worker(t)
	row("reload every 200 ms", 100, 200*time.Millisecond, usr2)
	if s.worker(t) == before {
		t.Error("the reloads left the worker in place")
	}
	row("reload every 200 ms, 200 clients", 200, 200*time.Millisecond, usr2)

	row("restart every second", 100, time.Second, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := s.lb.Replace(ctx); err != nil {
			t.Error(err)
		}
	})

	good, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.lb.Reload(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before = s.worker(t)
	if err := s.lb.Configure(string(good) + "\nbackend broken\n    balanec roundrobin\n"); err != nil {
		t.Fatal(err)
	}
	row("bad reload every 200 ms", 100, 200*time.Millisecond, usr2)
	if now := s.worker(t); now != before {
		t.Errorf("a reload with a broken configuration replaced worker %d by %d", before, now)
	}
	if err := s.lb.Configure(string(good)); err != nil {
		t.Fatal(err)
	}

	rotate := s.logrotate(t)
	row("logrotate every second", 100, time.Second, rotate)
	if n := len(s.rotated(t)); n < 3 {
		t.Errorf("logrotate left %d rotated files", n)
	}
}

// repeat calls f at once and then every interval, until stop is closed; it returns how often.
func repeat(every time.Duration, stop <-chan struct{}, f func()) int {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		f()
		select {
		case <-tick.C:
		case <-stop:
			return n
		}
	}
}

// abFigure reads a number of ab's report; one that is not there is 0, as ab leaves out what did not happen.
func abFigure(report, name string) int {
	for line := range strings.Lines(report) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			figure, _, _ := strings.Cut(strings.Fields(rest)[0], ".")
			n, err := strconv.Atoi(figure)
			if err != nil {
				return -1
			}
			return n
		}
	}
	return 0
}

// wantLines waits until the log holds as many lines with word, and fails if it holds another number.
func (s *stack) wantLines(t *testing.T, word string, want int) {
	t.Helper()
	got := 0
	wait.Until(t, fmt.Sprintf("%d log lines with %q", want, word), func() bool {
		if _, err := s.log.Verb(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		n, err := ledger.Count(s.log.Log, word)
		if err != nil && !os.IsNotExist(err) { // a file is compressed between listing and reading
			t.Fatal(err)
		}
		got = n
		return err == nil && n >= want
	})
	if got != want {
		st, err := s.log.Status(t.Context())
		dropped, errInfo := s.lb.Info("DroppedLogs")
		t.Fatalf("want %d log lines with %q, got %d; syslogd: %+v %v; the balancer dropped %d %v", want, word, got, st, err, dropped, errInfo)
	}
}

// worker is the pid of the worker that serves.
func (s *stack) worker(t *testing.T) int {
	t.Helper()
	serving, _, err := s.lb.Workers()
	if err != nil {
		t.Fatal(err)
	}
	return serving
}

// logrotate returns a function that makes logrotate rotate the log now, compressing at once.
func (s *stack) logrotate(t *testing.T) func(*testing.T) {
	t.Helper()
	config := filepath.Join(s.dir, "logrotate.conf")
	text := fmt.Sprintf(`%s {
    rotate 1000
    create 0640
    compress
    nodelaycompress
    missingok
    postrotate
        %s reopen -s %s
    endscript
}
`, s.log.Log, built.Syslogd, s.log.Control)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) {
		out, err := exec.Command("logrotate", "-f", "-s", filepath.Join(s.dir, "logrotate.state"), config).CombinedOutput()
		if err != nil {
			t.Errorf("logrotate: %v\n%s", err, out)
		}
	}
}

// rotated lists what was rotated away from the log.
func (s *stack) rotated(t *testing.T) []string {
	t.Helper()
	files, err := ledger.Files(s.log.Log)
	if err != nil {
		t.Fatal(err)
	}
	var old []string
	for _, name := range files {
		if name != s.log.Log {
			old = append(old, name)
		}
	}
	return old
}
