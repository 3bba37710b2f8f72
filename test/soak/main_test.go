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
