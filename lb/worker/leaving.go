package worker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"lbsyslogd/lb/event"
)

// beginLeaving notes what is open when this process begins to leave.
func (l *life) beginLeaving() {
	if l.leaving.IsZero() {
		l.leaving = time.Now()
		l.open, _ = l.engine.Clients()
	}
}

// longLeave is from when on a leave is worth a line even if nothing is known to
// have been open.
const longLeave = time.Second

// reportLeaving says what became of the connections. Nothing was open, and it was
// quick: nothing is reported.
func (l *life) reportLeaving() {
	if l.leaving.IsZero() {
		return
	}
	took := time.Since(l.leaving)
	_, moved := l.engine.Clients()
	if l.open == 0 && moved == 0 && l.cut == 0 && took < longLeave {
		return
	}
	level, kind := slog.LevelInfo, event.Left
	var b strings.Builder
	fmt.Fprintf(&b, "generation %d (worker %d) has left after %v:", l.facts.Generation, l.facts.Pid, took.Round(time.Millisecond))
	if moved > 0 {
		things := "connections"
		if moved == 1 {
			things = "connection"
		}
		fmt.Fprintf(&b, " %d %s moved to the next worker,", moved, things)
	}
	fmt.Fprintf(&b, " %d finished", max(l.open-moved-l.cut, 0))
	if l.cut > 0 {
		level, kind = slog.LevelWarn, event.HardStop
		why := "because it was asked to end at once"
		if l.draining && l.facts.HardStop > 0 && took >= l.facts.HardStop {
			why = fmt.Sprintf("by hard-stop-after %v", l.facts.HardStop)
		}
		fmt.Fprintf(&b, ", %d cut off %s", l.cut, why)
	}
	l.say(level, kind, b.String())
}

// say tells an operator of an event.
func (p *Process) say(level slog.Level, kind event.Kind, text string) {
	p.Env.Logger.LogAttrs(context.Background(), level, text, kind.Attr())
}
