package handover

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestCrowdsMove is the promise of the live handover: thousands of connections of every kind stay open over many reloads, no byte is lost
// or doubled, every old worker leaves soon, memory does not grow, and the log has one line for each session with its whole account.
func TestCrowdsMove(t *testing.T) {
	s := start(t)
	var idleErrs, slowErrs, webErrs, tcpErrs errorsOf
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	idles := idle(s.http, sized(2000, 10_000), &idleErrs)
	defer leave(idles)
	slowDone := slow(ctx, s.http, sized(200, 1000), 300*time.Millisecond, &slowErrs)
	webDone := tunnels(ctx, s.http, true, sized(100, 500), 300*time.Millisecond, &webErrs)
	tcpDone := tunnels(ctx, s.tcp, false, sized(100, 500), 300*time.Millisecond, &tcpErrs)
	idleErrs.report(t, "idle connections")
	webErrs.report(t, "upgrades")
	tcpErrs.report(t, "TCP tunnels")

	before := s.rss()
	var took []time.Duration
	begun := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range sized(6, 20) {
		old := s.worker()
		if now := s.reload(); now == old {
			t.Fatalf("worker %d is still there after a reload", old)
		}
		asked := time.Now()
		took = append(took, s.gone(old).Sub(asked))
		<-tick.C
	}
	slices.Sort(took)
	t.Logf("%d reloads in %v; the old worker was gone %v after its reload in the middle, %v at most", len(took), time.Since(begun).Round(time.Millisecond),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if took[len(took)-1] > time.Duration(sized(30, 3))*time.Second { // the machine of an ordinary run may be busy
		t.Errorf("an old worker stayed for %v", took[len(took)-1])
	}
	after := s.rss()
	t.Logf("memory of all processes: %d KiB before, %d KiB after", before, after)
	if after*10 > before*13 {
		t.Errorf("memory grew from %d KiB to %d KiB", before, after)
	}

	again(idles, 1, &idleErrs)
	cancel()
	counts := slowDone()
	webs, tcps := webDone(), tcpDone()
	idleErrs.report(t, "idle connections")
	slowErrs.report(t, "slow requests")
	webErrs.report(t, "upgraded connections")
	tcpErrs.report(t, "TCP tunnels")
	if t.Failed() {
		return
	}
	requests := 2*len(idles) + len(webs)
	for _, n := range counts {
		requests += n
	}
	s.account(webs, s.logged("fe", requests))
	s.account(tcps, s.logged("echo", len(tcps)))
	s.alone()
	// Of what was open across reloads nothing was counted twice.
	row := s.counted
	row("fe", "FRONTEND", "stot", len(idles)+len(counts)+len(webs))
	row("fe", "FRONTEND", "req_tot", requests)
	row("be", "b1", "stot", requests)
	row("echo", "FRONTEND", "stot", len(tcps))
	row("echo", "e1", "stot", len(tcps))
	var in, out int64
	for _, u := range tcps {
		in, out = in+u.Out, out+u.In
	}
	row("echo", "FRONTEND", "bin", int(in))
	row("echo", "BACKEND", "bin", int(in))
	row("echo", "e1", "bout", int(out))
	row("echo", "FRONTEND", "bout", int(out))
}

// clockSlack is by how much the balancer's clock, read once a turn, may differ from that of a client who waits for a busy CPU, ms: less
// than from the first reload to the last, which a time that does not move with its tunnel would be short of.
var clockSlack = int64(sized(3000, 900))

// account wants one line for each tunnel, with what its client counted. The tunnels have ended.
func (s *site) account(list []*tunnel, entries []entry) {
	s.t.Helper()
	lines := map[string][]entry{}
	for _, e := range entries {
		lines[e.client] = append(lines[e.client], e)
	}
	var errs errorsOf
	for _, u := range list {
		life := u.Ended.Sub(u.begun).Milliseconds()
		switch of := lines[u.addr]; {
		case len(of) != 1:
			errs.add(fmt.Errorf("the tunnel of %s has %d lines: %v", u.addr, len(of), of))
		case of[0].received != u.Out || of[0].sent != u.In || of[0].term != "--" || of[0].took < life-clockSlack || of[0].took > life+clockSlack:
			errs.add(fmt.Errorf("the client sent %d and got %d bytes within %d ms, its line says %+v", u.Out, u.In, life, of[0]))
		}
	}
	errs.report(s.t, "log lines of tunnels")
}
