package health

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The counting is HAProxy's: a server that is up "until a check fails" (health
// = rise) falls at once, one that is surely up takes fall failures in a row.
func TestCounting(t *testing.T) {
	run := func(name string, rise, fall, from int, checks string, want ...int) {
		t.Helper()
		h := from
		for i := range checks {
			h = next(h, rise, fall, checks[i] == '+')
			if h != want[i] {
				t.Errorf("%s: health %d after %q, want %d", name, h, checks[:i+1], want[i])
			}
		}
	}
	run("falls at once at the start", 2, 3, 2, "-", 0)
	run("surely up after the first success", 2, 3, 2, "+", 4)
	run("three failures", 2, 3, 4, "---", 3, 2, 0)
	run("a success between starts over", 2, 3, 4, "--+---", 3, 2, 4, 3, 2, 0)
	run("two successes", 2, 3, 0, "++", 1, 4)
	run("a failure between starts over", 2, 3, 0, "+-++", 1, 0, 1, 4)
	run("stays down", 2, 3, 0, "--", 0, 0)
	run("stays up", 2, 3, 4, "++", 4, 4)
	run("rise 1 fall 1", 1, 1, 1, "-+-", 0, 1, 0)
	run("rise 4 fall 1", 4, 1, 0, "++++-", 1, 2, 3, 4, 0)
}

// scripted gives a Checker whose probe answers from a script, each check
// taking the given time.
func scripted(t *testing.T, spec Spec, health int, took time.Duration, script string) (c *Checker, times *[]time.Duration, reports *[]Report) {
	t.Helper()
	times, reports = new([]time.Duration), new([]Report)
	begun := time.Now()
	c = New(spec, health, func(r Report) { *reports = append(*reports, r) })
	c.offset = spec.Inter / 2
	i := 0
	c.probe = func(ctx context.Context, _ *Spec, _ bool) result {
		*times = append(*times, time.Since(begun))
		select {
		case <-ctx.Done():
			return result{status: L4TOUT}
		case <-time.After(took):
		}
		st := L4OK
		if i < len(script) && script[i] == '-' {
			st = L4CON
		}
		i++
		return result{status: st, took: took}
	}
	return c, times, reports
}

// Intervals follow the health: inter, fastinter on the way, downinter when
// down, counted from the beginning of a check.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := Spec{Inter: 10 * time.Second, FastInter: time.Second, DownInter: 4 * time.Second, Rise: 2, Fall: 2}
		c, times, reports := scripted(t, spec, 2, 100*time.Millisecond, "++--++")
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(40 * time.Second)
		cancel()
		synctest.Wait()
		want := []time.Duration{5, 15, 25, 26, 30, 31}
		for i, w := range want {
			if i >= len(*times) || (*times)[i] != w*time.Second {
				t.Fatalf("checks at %v, want %vs", *times, want)
			}
		}
		var changes []bool
		for i, r := range *reports {
			// Failures count as long as there is health to lose.
			if want := i == 2 || i == 3; r.Counted != want {
				t.Errorf("report %d: Counted %v, want %v", i, r.Counted, want)
			}
			if r.Changed {
				changes = append(changes, r.Up)
			}
		}
		if len(changes) != 2 || changes[0] || !changes[1] {
			t.Errorf("changes %v, want down then up", changes)
		}
		if first := (*reports)[0]; !first.First || first.Changed || first.Health != 3 {
			t.Errorf("first report %+v", first)
		}
	})
}

// A check that takes the whole interval is followed by the next at once, and
// there is never more than one.
func TestSlowChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, times, _ := scripted(t, Spec{Inter: time.Second}, 4, 3*time.Second, "")
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		want := []time.Duration{500, 3500, 6500, 9500}
		if len(*times) != len(want) {
			t.Fatalf("checks at %v, want %d of them", *times, len(want))
		}
		for i, w := range want {
			if (*times)[i] != w*time.Millisecond {
				t.Fatalf("checks at %v, want %v ms", *times, want)
			}
		}
	})
}

// A paused server is not asked, a check in flight is given up unreported, and
// a result that an override overtook does not count.
func TestPauseAndOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, times, reports := scripted(t, Spec{Inter: 10 * time.Second}, 2, 2*time.Second, "---------")
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(6 * time.Second) // the first check began at 5 s
		c.Pause(true)
		synctest.Wait()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(*times) != 1 || len(*reports) != 0 {
			t.Fatalf("paused: checks at %v, %d reports", *times, len(*reports))
		}
		c.Pause(false)
		c.Override(4)
		time.Sleep(time.Second) // the next check is in flight now
		synctest.Wait()
		if len(*times) != 2 || (*times)[1] != 36*time.Second {
			t.Fatalf("resumed after 36 s: checks at %v", *times)
		}
		c.Override(0)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if h, _, _ := c.Health(); h != 0 || len(*reports) != 0 {
			t.Errorf("override: health %d, reports %v", h, *reports)
		}
		cancel()
		synctest.Wait()
	})
}

// The first turns of all servers are spread over the interval of each.
func TestSpread(t *testing.T) {
	var list []*Checker
	for i := range 4 {
		list = append(list, New(Spec{Inter: time.Duration(1+i%2) * 2 * time.Second}, 2, func(Report) {}))
	}
	Spread(list, 0)
	for i, want := range []time.Duration{0, 1000, 1000, 3000} {
		if got := list[i].offset; got != want*time.Millisecond {
			t.Errorf("the first check of server %d of 4 comes after %v, want %d ms", i, got, want)
		}
	}
	Spread(nil, 0)
	list[3] = New(Spec{Inter: time.Hour, FastInter: 400 * time.Millisecond}, 2, func(Report) {})
	Spread(list, time.Second)
	for i, want := range []time.Duration{0, 250, 500, 300} { // max-spread-checks; fastinter, until a check was made
		if got := list[i].offset; got != want*time.Millisecond {
			t.Errorf("at most a second: the first check of server %d comes after %v, want %d ms", i, got, want)
		}
	}
}

// spread-checks moves turns both ways and within its share.
func TestSpreadChecks(t *testing.T) {
	c := New(Spec{Inter: time.Second, SpreadPct: 20}, 4, func(Report) {})
	lo, hi := time.Hour, time.Duration(0)
	for range 1000 {
		d := c.interval()
		lo, hi = min(lo, d), max(hi, d)
	}
	if lo < 800*time.Millisecond || hi > 1200*time.Millisecond || lo > 900*time.Millisecond || hi < 1100*time.Millisecond {
		t.Errorf("intervals from %v to %v, want 0.8s to 1.2s", lo, hi)
	}
}
