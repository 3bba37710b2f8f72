package worker

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/handoff"
)

// statusOnly is an engine that only tells how it does.
type statusOnly struct {
	Engine
	st Status
}

func (e *statusOnly) Clients() (open, moved int64) { return e.st.Connections, e.st.Moved }

// What a worker says that leaves: nothing when there is nothing to tell.
func TestLeavingLine(t *testing.T) {
	row := func(open, moved, cut int64, hard, took time.Duration, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			e := &statusOnly{st: Status{Connections: open}}
			l := &life{Process: &Process{
				Env:    assemble.Env{Logger: slog.New(slog.NewTextHandler(&out, nil))},
				engine: e, facts: handoff.Facts{Generation: 3, Pid: 7, HardStop: hard},
			}, draining: true}
			l.beginLeaving()
			<-time.After(took)
			e.st = Status{Moved: moved}
			l.cut = cut
			l.reportLeaving()
			if _, got, _ := strings.Cut(out.String(), "has left after "); want == "" && out.Len() > 0 || !strings.HasPrefix(got, want) {
				t.Errorf("it says %q, want %q", out.String(), want)
			}
		})
	}
	row(0, 0, 0, 0, 0, "")
	row(0, 0, 0, 0, 2*time.Second, "2s: 0 finished")
	row(3, 0, 0, 0, time.Second, "1s: 3 finished")
	row(9, 8, 0, 0, time.Second, "1s: 8 connections moved to the next worker, 1 finished")
	row(9, 1, 0, 0, time.Second, "1s: 1 connection moved to the next worker, 8 finished")
	row(9, 2, 4, 30*time.Second, 30*time.Second, "30s: 2 connections moved to the next worker, 3 finished, 4 cut off by hard-stop-after 30s")
	row(9, 0, 9, 30*time.Second, time.Second, "1s: 0 finished, 9 cut off because it was asked to end at once")
}
