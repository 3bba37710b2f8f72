package handover

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// exploring builds lb so that it can be killed at each of its messages (lb/handoff: step_explore.go).
var exploring = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(built.LB), "lb-explore")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", "explore", "-o", path, "lbsyslogd/cmd/lb")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lb: %w\n%s", err, out)
	}
	return path, nil
})

// TestKilledAtEachMessage kills the worker that leaves, the one that comes, or the master, before and after each message that it sends, and after each
// that it receives, from the beginning of a reload until all that belongs to it has ended. Clients stand at every kind of boundary. If the master
// dies, nobody loses anything. If a worker dies, a connection goes on or ends, and no request has two lines. The short form takes few of the steps.
func TestKilledAtEachMessage(t *testing.T) {
	for _, options := range [][]string{nil, {"--canary", "50%", "--for", "1s"}} {
		for _, victim := range []string{"old", "new", "master"} {
			name := strings.Join(append([]string{victim}, options...), " ")
			t.Run(name, func(t *testing.T) {
				first, stride := 1, sized(7, 1)
				if options != nil { // both are asked how they are doing all the time
					first, stride = sized(3, 1), sized(40, 1)
				}
				killed := 0
				for n := first; killAt(t, victim, n, options); n += stride {
					killed++
				}
				t.Logf("%s was killed %d times", name, killed)
				if killed < sized(1, 15) {
					t.Error("those are too few to be all")
				}
			})
		}
	}
}

// killAt plays one reload in which the victim dies at its nth step; false says that it has fewer.
func killAt(t *testing.T, victim string, n int, options []string) (killed bool) {
	t.Run(strconv.Itoa(n), func(t *testing.T) {
		program, err := exploring()
		if err != nil {
			t.Fatal(err)
		}
		mark := filepath.Join(t.TempDir(), "step")
		t.Setenv("LB_EXPLORE", mark)
		s := startProgram(t, program)
		b := boundaries(t, s)
		who := "new"
		switch victim {
		case "old":
			who = strconv.Itoa(s.worker())
		case "master":
			who = strconv.Itoa(s.lb.PID)
		}
		if err := os.WriteFile(mark+".new", fmt.Appendf(nil, "%s %d\n", who, n), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(mark+".new", mark); err != nil {
			t.Fatal(err)
		}
		out, err := s.lb.Reload(t.Context(), options...)
		dead := func() bool {
			_, err := os.Stat(mark + ".done")
			return err == nil
		}
		if err != nil && !dead() {
			t.Fatalf("%v: %s", err, out)
		}
		revived := false
		revive := func() {
			<-s.lb.Done()
			if revived = true; s.lb.Revive(t.Context()) != nil {
				t.Fatal("no other master comes")
			}
		}
		if dead() && victim == "master" {
			revive()
		}
		b.goOn()
		s.until("the end, as whoever leaves says something until then", func() bool {
			_, leaving, err := s.lb.Workers()
			return dead() || err == nil && len(leaving) == 0
		})
		if killed = dead(); killed && victim == "master" && !revived {
			revive()
		}
		s.alone()
		b.check(victim == "master" || !killed)
	})
	return killed && !t.Failed()
}

// boundary is one client each of every kind.
type boundary struct {
	t                     *testing.T
	s                     *site
	idle, half, busy, tcp *raw
	lost                  []error
}

func boundaries(t *testing.T, s *site) *boundary {
	b := &boundary{t: t, s: s, idle: s.dial(s.http), half: s.dial(s.http), busy: s.dial(s.http), tcp: s.dial(s.tcp)}
	b.idle.get("/r/first")
	b.half.get("/r/second")
	b.half.send("GET /r/half HTTP/1.1\r\nHo")
	b.busy.send("GET /delay/300 HTTP/1.1\r\nHost: a\r\n\r\n")
	b.tcp.send("12345678")
	b.tcp.wantText("12345678")
	s.until("the request to be with the backend", func() bool { return s.stat("be", "b1", "scur") == 1 })
	return b
}

// goOn has each client do what it was about to do, and notes which of them could not.
func (b *boundary) goOn() {
	b.t.Helper()
	b.try(b.half, "st: a\r\n\r\n", func() error { return b.half.answer(small("/r/half")) })
	b.try(b.busy, "", func() error { return b.busy.answer(pattern(200)) })
	b.try(b.idle, "GET /r/idle HTTP/1.1\r\nHost: a\r\n\r\n", func() error { return b.idle.answer(small("/r/idle")) })
	b.try(b.tcp, "abcdefgh", func() error {
		got := make([]byte, 8)
		_, err := io.ReadFull(b.tcp.r, got)
		if err == nil && string(got) != "abcdefgh" {
			b.t.Errorf("the tunnel gives %q", got)
		}
		return err
	})
	for _, c := range []*raw{b.idle, b.half, b.busy, b.tcp} {
		c.Close()
	}
}

func (b *boundary) try(c *raw, text string, answer func() error) {
	_, err := io.WriteString(c, text)
	if err == nil {
		err = answer()
	}
	if err != nil {
		b.lost = append(b.lost, err)
	}
}

var errWrong = errors.New("a wrong answer")

func (c *raw) answer(body string) error {
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(a.Body)
	if err == nil && (a.StatusCode != 200 || string(got) != body) {
		c.t.Errorf("the answer is %d %.80q", a.StatusCode, got)
		err = errWrong
	}
	return err
}

// check compares the log with what was done. must says that nobody may have lost anything.
func (b *boundary) check(must bool) {
	b.t.Helper()
	b.s.dial(b.s.http).get("/r/last") // whatever has become of the others
	if must && len(b.lost) > 0 {
		b.t.Error(errors.Join(b.lost...))
	}
	lines := func() map[string][]string {
		states := map[string][]string{}
		web, err := b.s.log.entries("fe")
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range web {
			states[e.path] = append(states[e.path], e.term)
		}
		tunnels, err := b.s.log.entries("echo")
		if err != nil {
			b.t.Fatal(err)
		}
		for _, e := range tunnels {
			states["tunnel"] = append(states["tunnel"], e.term)
		}
		return states
	}
	want := []string{"/r/first", "/r/second", "/r/half", "/delay/300", "/r/idle", "/r/last", "tunnel"}
	if must {
		b.s.until("a line for each", func() bool {
			got := lines()
			for _, path := range want {
				if len(got[path]) == 0 {
					return false
				}
			}
			return true
		})
		b.s.until("each to be counted", func() bool { return b.s.stat("fe", "FRONTEND", "req_tot") == len(want)-1 })
	}
	unnoted := 0 // lines that left when the worker was killed, which had no time to note it (docs/logs.md); one turn's, and so one request's here
	for path, states := range lines() {
		switch n := len(states); {
		case n == 2 && !must && unnoted == 0 && strings.HasPrefix(states[1], "XL") && states[0][0] != 'X':
			unnoted++
			b.t.Logf("%s has two lines: %q", path, states)
		case n > 1:
			b.t.Errorf("%s has %d lines: %q", path, n, states)
		}
	}
}
