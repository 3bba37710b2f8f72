package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/test/wait"
)

// TestKilledWorkerAccounts holds that what a killed worker had in flight is known: each lost request has its line, with its own termination
// state and no status, and counts as an internal error; those that were answered before have their usual line; nobody has two.
func TestKilledWorkerAccounts(t *testing.T) {
	s := start(t, options{log: true})
	const lost = 20
	var conns []*raw
	for i := range lost {
		done := dial(t, s.http)
		done.send("GET /r/done/%d HTTP/1.1\r\nHost: a\r\n\r\n", i)
		done.want("GET", 200, small(fmt.Sprintf("/r/done/%d", i)))
		slow := dial(t, s.http)
		slow.send("GET /delay/20000?lost-%d- HTTP/1.1\r\nHost: a\r\n\r\n", i)
		conns = append(conns, slow)
	}
	wait.Until(t, "the slow requests to be with the backends", func() bool { return s.requests() >= 2*lost })
	before := s.worker(t)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "another worker", func() bool {
		now, _, err := s.lb.Workers()
		return err == nil && now != before
	})
	for _, c := range conns {
		c.Close()
	}

	var text string
	wait.Until(t, "a line for each request", func() bool {
		if _, err := s.log.Verb(t.Context(), "flush"); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(s.log.Log)
		text = string(b)
		return err == nil && strings.Count(text, " XH-- ") == lost && strings.Count(text, "/r/done/") == lost
	})
	for i := range lost {
		line := regexp.MustCompile(fmt.Sprintf(`be/b\d .* -1 \d+ - - XH-- .*"GET /delay/20000\?lost-%d- HTTP/1\.1"`, i))
		if n := len(line.FindAllString(text, -1)); n != 1 {
			t.Errorf("lost request %d has %d lines", i, n)
		}
	}
	const eint = 94
	wait.Until(t, "show stat to count them as internal errors", func() bool {
		csv, err := s.lb.Command("show stat")
		return err == nil && column(csv, "fe,FRONTEND", eint) == fmt.Sprint(lost)
	})
}
