package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lb top, sessions and errors ask a running balancer.
func TestLooking(t *testing.T) {
	s := newSite(t)
	cmd := s.start("-db")
	defer func() { cmd.Process.Signal(unix.SIGTERM); cmd.Wait() }()
	for range 3 {
		if err := s.get(); err != nil {
			t.Fatal(err)
		}
	}
	run := func(words ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if err := verbs()[words[0]].run(append(words[1:], "-s", s.dir+"/admin"), &out, &errs); err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		return out.String()
	}
	text := run("top")
	if !strings.HasPrefix(text, "lb ") || !strings.Contains(text, "PROXY/SERVER") || !strings.Contains(text, "f/FRONTEND") {
		t.Errorf("top:\n%s", text)
	}
	var rows []topRow
	if err := json.Unmarshal([]byte(run("top", "--json")), &rows); err != nil || len(rows) != 1 || rows[0].Requests < 3 {
		t.Errorf("top --json: %v, %+v", err, rows)
	}
	if text := run("top", "--filter", "nothing-like-it"); strings.Contains(text, "FRONTEND") {
		t.Errorf("top --filter:\n%s", text)
	}
	if text := run("errors"); !strings.HasPrefix(text, "Total events captured on [") {
		t.Errorf("errors: %s", text)
	}
	run("sessions") // none is open, most likely
	var sessions []map[string]any
	if text := run("sessions", "--json"); json.Unmarshal([]byte(text), &sessions) != nil || sessions == nil {
		t.Errorf("sessions --json: %s", text)
	}
	var bad struct {
		Total  int
		Events []any
	}
	if text := run("errors", "--json"); json.Unmarshal([]byte(text), &bad) != nil || bad.Events == nil {
		t.Errorf("errors --json: %s", text)
	}
	for _, wrong := range [][]string{{"--sort", "colour"}, {"--every", "soon"}, {"--bogus"}, {"-s"}} {
		if err := top(wrong, &bytes.Buffer{}, nil); err == nil || !strings.HasPrefix(err.Error(), "top: ") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := top([]string{"-s", s.dir + "/none"}, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "there is no stats socket at") {
		t.Error(err)
	}
}

func TestTopOrder(t *testing.T) {
	rows := []topRow{{Proxy: "b", Requests: 1, Errors: 9, P99: "7"}, {Proxy: "a", Requests: 5, P99: "100"}, {Proxy: "c", Requests: 3, Queue: 2}}
	for by, want := range map[string]string{"requests": "acb", "errors": "bac", "name": "abc", "p99": "abc", "queue": "cba"} {
		got := append([]topRow{}, rows...)
		order(got, by)
		names := ""
		for _, r := range got {
			names += r.Proxy
		}
		if names != want {
			t.Errorf("by %s: %s, want %s", by, names, want)
		}
	}
	if _, err := readTop("not a table \"x"); err == nil {
		t.Error("what is no table was read")
	}
}
