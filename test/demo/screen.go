package main

import (
	"fmt"
	"os"
	"time"

	"lbsyslogd/test/load"
)

// screen prints the table: one line that is written over on a terminal, a line every two seconds elsewhere.
type screen struct {
	w        *os.File
	terminal bool
	every    time.Duration
	begun    bool
	before   uint64    // requests when the last line was printed
	at       time.Time // when that was
}

func newScreen(w *os.File) *screen {
	info, err := w.Stat()
	sc := &screen{w: w, every: 2 * time.Second}
	if err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb" {
		sc.terminal, sc.every = true, 200*time.Millisecond
	}
	return sc
}

func (sc *screen) show(begun time.Time, r load.Result, d *deeds, lines uint64) {
	if !sc.begun {
		sc.begun, sc.at = true, begun
		fmt.Fprintf(sc.w, "%5s %9s %8s %8s %8s %8s %8s %10s %9s %8s\n",
			"time", "requests", "per s", "failed", "99% in", "reloads", "refused", "log lines", "rotations", "reopens")
	}
	requests := r.OK() + r.Failed()
	rate := 0.0
	if d := time.Since(sc.at).Seconds(); d > 0 {
		rate = float64(requests-sc.before) / d
	}
	start, end := "", "\n"
	if sc.terminal {
		start, end = "\r", ""
	}
	fmt.Fprintf(sc.w, "%s%4.0fs %9d %8.0f %8d %8v %8d %8d %10d %9d %8d%s", start, time.Since(begun).Seconds(), requests, rate, r.Failed(),
		r.P99.Round(100*time.Microsecond), d.reloads.Load(), d.refused.Load(), lines, d.rotations.Load(), d.reopens.Load(), end)
	if !sc.terminal || time.Since(sc.at) > 2*time.Second {
		sc.before, sc.at = requests, time.Now()
	}
}
