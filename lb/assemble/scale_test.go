package assemble

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
)

// manyBackends is a configuration of n backends of two checked servers each.
func manyBackends(n int, front string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\nfrontend f\n  bind %s\n  default_backend b0\n", front)
	for i := range n {
		fmt.Fprintf(&b, "backend b%d\n  server s1 127.0.0.1:1 check inter 1h\n  server s2 127.0.0.1:1 check inter 1h\n", i)
	}
	return b.String()
}

// BenchmarkReload is what a reload of 5,000 backends costs apart from the process's start.
func BenchmarkReload(b *testing.B) {

	text := manyBackends(5000, freeAddr(b))
	g := begin(b, text, nil)
	b.ResetTimer()
	for b.Loop() {
		next := g.follow(b, text)
		next.told(b)
		g.left(b)
		g = next
	}
}

// TestStateComesWhileTheNextIsBuilt: the worker before is asked for its state before the engine is built, so that neither waits for the other.
func TestStateComesWhileTheNextIsBuilt(t *testing.T) {
	text := manyBackends(3, freeAddr(t))
	cfg, err := config.LoadSources([]cfgfile.Source{{Name: "test.cfg", Data: []byte(text)}}, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	socks, err := open(Wants(cfg))
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	former, err := handoff.NewConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := Build(cfg, socks, Env{Pid: 1, Former: former}) // which is not started
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Stop()
	var asked struct{ Kind string }
	if _, err := ours.ReceiveWithin(&asked, 10*time.Second); err != nil || asked.Kind != "ask" {
		t.Errorf("the worker before hears %q, %v; want to be asked", asked.Kind, err)
	}
}

// TestSettled: a start is over at some time, with a worker before and without.
func TestSettled(t *testing.T) {
	text := manyBackends(3, freeAddr(t))
	settled := make(chan struct{})
	more := func(e *Env) { e.Settled = func() { close(settled) } }
	first := beginIn(t, text, nil, more)
	within := func(who string) {
		t.Helper()
		select {
		case <-settled:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not settle", who)
		}
	}
	within("a worker without one before")
	settled = make(chan struct{})
	next := beginIn(t, text, first, more)
	first.Drain()
	next.told(t)
	within("the next one")
}
