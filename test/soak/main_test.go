package main

import (
	"strings"
	"testing"
	"time"
)

// TestPlansComeBack: what a case file says is the plan that was drawn.
func TestPlansComeBack(t *testing.T) {
	for seed := range uint64(20) {
		p := draw(seed, int(seed), 20*time.Second, 0, func(*fault) bool { return true })
		q, err := readPlan(strings.NewReader("# a comment\n\n" + p.String()))
		if err != nil || p.String() != q.String() || len(p.events) < 5 {
			t.Errorf("%v\n%s\n%s", err, p, q)
		}
	}
}

// FuzzPlan holds that a plan that was read is written and read as the same.
func FuzzPlan(f *testing.F) {
	f.Add("seed 1 round 2 length 20s\n1.5s reload 7\n")
	f.Add("seed 1\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := readPlan(strings.NewReader(text))
		if err != nil {
			return
		}
		q, err := readPlan(strings.NewReader(p.String()))
		if err != nil || p.String() != q.String() {
			t.Errorf("%v\n%s\n%s", err, p, q)
		}
	})
}

// TestSoak is the shortest form: one round, always the same plan. `make soak-short` and `make soak` draw others.
func TestSoak(t *testing.T) {
	opt := options{seed: 15, length: 8 * time.Second, round: 8 * time.Second, rate: 1000, keep: t.TempDir()}
	if err := opt.build(t.TempDir(), builder{}); err != nil {
		t.Fatal(err)
	}
	sum, err := opt.soak(t.Context())
	t.Log(sum)
	if err != nil {
		t.Fatal(err)
	}
}

// TestTold reads generations and moved connections from what lb prints.
func TestTold(t *testing.T) {
	var s summary
	s.told("[NOTICE]   (1) : Loading success.\n[NOTICE]   (3) : generation 2 (worker 3) has left after 8ms: 38 connections moved to the next worker, 0 finished\n" +
		"[NOTICE]   (1) : Loading success.\n[NOTICE]   (4) : generation 3 (worker 4) has left after 1.02s: 1 connection moved to the next worker, 0 finished\n")
	if s.generations != 2 || s.moved != 39 {
		t.Errorf("%d generations, %d moved", s.generations, s.moved)
	}
}

// TestLines reads both forms of lines.
func TestLines(t *testing.T) {
	const head = "Nov 30 00:16:35 vm haproxy[19716]: "
	row := func(line, path string, want logged) {
		t.Helper()
		got, l, err := parseLine([]byte(line + "\n"))
		if err != nil || got != path || l != want {
			t.Errorf("%s: %q %+v %v", line, got, l, err)
		}
	}
	row(head+`127.0.0.1:45126 [30/Nov/2026:00:16:35.853] www be/web1 0/0/0/1/1 502 17 - - SH-- 67/64/6/0/+2 0/0 "POST /r/kept-1/10 HTTP/1.1"`, "/r/kept-1/10",
		logged{status: 502, bytes: 17, state: [4]byte{'S', 'H', '-', '-'}, retries: 2, server: "web1", backend: "be"})
	row(head+`127.101.0.49:36741 [30/Nov/2026:00:51:22.879] echo echo/e1 0/0/468 6856 -- 83/12/11/11/0 0/0`, "127.101.0.49:36741",
		logged{bytes: 6856, state: quiet, server: "e1", backend: "echo"})
	for _, torn := range []string{
		head + `127.0.0.1:45126 [30/Nov/2026:00:16:35.853] www be/web1 0/0/0/1/1 502 17 - - SH-- 67/64/6/0/+2 0/0 "POST /r/kept-1/10`,
		`5 vm haproxy[19716]: 127.0.0.1:45126 [30/Nov/2026:00:16:35.853] www be/web1 0/0/0/1/1 502 17 - - SH-- 67/64/6/0/2 0/0 "GET /r/kept-1/10 HTTP/1.1"`,
		`5 vm haproxy[1]: 127.101.0.49:36741 [30/Nov/2026:00:51:22.879] echo echo/e1 0/0/468 6856 -- 83/12/11/11/0 0/0`,
	} {
		if _, _, err := parseLine([]byte(torn + "\n")); err != errTorn {
			t.Errorf("%s: %v", torn, err)
		}
	}
	if _, _, err := parseLine([]byte(head + "Server be/web1 is DOWN.\n")); err != errOther {
		t.Error(err)
	}
}
