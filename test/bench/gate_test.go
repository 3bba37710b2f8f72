package main

import (
	"sync/atomic"
	"testing"

	"lbsyslogd/test/wait"
)

func TestGatePausesAll(t *testing.T) {
	var g gate
	var turns atomic.Int64
	g.start(4, func() error {
		for g.pass() {
			turns.Add(1)
		}
		return nil
	})
	for range 100 {
		if err := g.pause(); err != nil {
			t.Fatal(err)
		}
		before := turns.Load()
		if err := g.resume(); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "a turn", func() bool { return turns.Load() > before })
	}
	if err := g.pause(); err != nil {
		t.Fatal(err)
	}
	if before := turns.Load(); turns.Load() != before {
		t.Error("it went on when it was paused")
	}
	if err := g.end(); err != nil {
		t.Fatal(err)
	}
}
