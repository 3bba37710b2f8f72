package master

import (
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/handoff"
)

// What `lb reload --canary` may be told, and in which form the master is told.
func TestParseCanary(t *testing.T) {
	row := func(words, want string) {
		t.Helper()
		c, err := ParseCanary(strings.Fields(words))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join(c.Words(), " ")
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", words, got, want)
		}
	}
	row("5%", "5% for 1m0s abort-if errors>1%")
	row("0.25% for 10s abort-if 5xx>2% abort-if p99>500ms", "0.25% for 10s abort-if 5xx>2% abort-if p99>500ms")
	row("50% abort-if p99.9>1s", "50% for 1m0s abort-if p99.9>1s")
	row("", "which share of the new connections? 5%, for example")
	row("5", `"5" is not a share between 0.01% and 50%`)
	row("51%", `"51%" is not a share between 0.01% and 50%`)
	row("NaN%", `"NaN%" is not a share between 0.01% and 50%`)
	row("5% for", `"for" needs a value`)
	row("5% for ever", `"ever" is not a duration between 1s and 24h`)
	row("5% unless x", `"unless" is neither `+"`for` nor `abort-if`")
	for _, bad := range []string{"6xx>1%", "5xx>1", "5xx", "p0>1s", "p100>1s", "p99>1%", "p99>0s", "errors>101%", "pNaN>1s"} {
		row("5% abort-if "+bad, `"`+bad+`" is not a condition: 5xx > 1%, 4xx > 10%, errors > 1%, or p99 > 500ms`)
	}
}

func FuzzParseCanary(f *testing.F) {
	for _, seed := range []string{"5%", "0.25% for 10s abort-if 5xx>2% abort-if p99>500ms", "5% abort-if 4xx > 1e0%", "5% for 1h2m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCanary(strings.Fields(text))
		if err != nil {
			return
		}
		again, err := ParseCanary(c.Words())
		if err != nil || !slices.Equal(again.Words(), c.Words()) || len(again.AbortIf) != len(c.AbortIf) {
			t.Fatalf("%q: %q, then %v", text, c.Words(), err)
		}
	})
}

// served are figures of exchanges, some of which failed, that took up to a number
// of ms.
func served(answers, failed uint64, ms uint32) *figures {
	f := &figures{handoff.Figures{Bounds: []uint32{1, 10, 100, 1000}, Upto: make([]uint64, 5)}}
	f.Answers[1], f.Answers[4] = answers-failed, failed
	for i := range f.Upto {
		if i == len(f.Bounds) || ms <= f.Bounds[i] {
			f.Upto[i] = answers
		}
	}
	return f
}

// When a trial ends: the new generation is over the limit and worse than the old
// one, and it is no chance.
func TestConditions(t *testing.T) {
	row := func(name, condition string, fresh, old *figures, want bool) {
		t.Helper()
		c, err := parseCondition(condition)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.holds(fresh, old); got != want {
			t.Errorf("%s: %v (%s; %s)", name, got, c.say(fresh), c.say(old))
		}
	}
	row("5% more", "5xx > 1%", served(200, 10, 1), served(4000, 0, 1), true)
	row("5% more than 3%", "5xx > 1%", served(1000, 80, 1), served(19000, 570, 1), true)
	row("the servers fail both", "5xx > 1%", served(200, 20, 1), served(4000, 400, 1), false)
	row("the old one is worse", "5xx > 1%", served(200, 4, 1), served(4000, 400, 1), false)
	row("two answers", "5xx > 1%", served(2, 2, 1), served(4000, 0, 1), false)
	row("all of a few", "5xx > 1%", served(4, 4, 1), served(4000, 0, 1), true)
	row("within the limit", "5xx > 10%", served(1000, 50, 1), served(19000, 0, 1), false)
	row("by chance", "5xx > 1%", served(100, 3, 1), served(1900, 20, 1), false)
	row("nothing to compare with", "errors > 1%", served(100, 5, 1), served(0, 0, 1), true)
	row("nothing happened", "errors > 1%", served(0, 0, 1), served(0, 0, 1), false)
	row("slow", "p99 > 50ms", served(1000, 0, 1000), served(1000, 0, 10), true)
	row("slow, in a few", "p99 > 50ms", served(50, 0, 1000), served(1000, 0, 10), false)
	row("both are slow", "p99 > 50ms", served(1000, 0, 1000), served(1000, 0, 1000), false)
	row("slower than all buckets", "p99 > 1s", served(1000, 0, 5000), served(1000, 0, 10), true)

	fresh, old := served(0, 0, 1), served(0, 0, 1)
	fresh.Sessions, fresh.Unserved, old.Sessions = 500, 50, 10000
	row("no server for connections in mode tcp", "errors > 1%", fresh, old, true)
	row("which are no answers", "5xx > 1%", fresh, old, false)
}

// What was counted before a trial is no matter of it, also where the counters were
// cleared meanwhile.
func TestFiguresSince(t *testing.T) {
	now, before := served(300, 30, 10), served(100, 10, 10)
	if f := since(&now.Figures, &before.Figures); f.Answers[4] != 20 || f.Answers[1] != 180 || f.Upto[4] != 200 || f.Upto[0] != 0 {
		t.Errorf("%+v", f)
	}
	if f := since(&before.Figures, &now.Figures); f.Answers[4] != 10 || f.Answers[1] != 90 || f.Upto[4] != 100 {
		t.Errorf("after a clear: %+v", f)
	}
}
