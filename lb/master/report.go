package master

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"lbsyslogd/lb/event"
)

// What the master says: to the log, and to `systemctl status`.

// logEvent logs one event.
func (r *run) logEvent(level slog.Level, kind event.Kind, text string, about ...slog.Attr) {
	r.Log.LogAttrs(context.Background(), level, text, append(about, kind.Attr())...)
}

// asHAProxy says what HAProxy's master says; the events have messages of their own.
func (r *run) asHAProxy(text string) { r.Log.Log(context.Background(), event.AsHAProxy, text) }

// reportOutcome tells how an attempt ended.
func (r *run) reportOutcome(a attempt, o Outcome) {
	var about []slog.Attr
	if a.why == reloading {
		about = append(about, event.Reload(r.reloads))
	}
	if w := r.current; w != nil {
		about = append(about, event.Generation(w.facts.Generation), event.Worker(w.pid))
	}
	switch {
	case o.Unchanged:
		r.asHAProxy(fmt.Sprintf("nothing has changed, generation %d serves on", o.Generation))
	case o.OK && r.current != nil:
		if r.Terse { // what the relay kept back
			for _, one := range alerts(o.Text) {
				r.logEvent(slog.LevelError, event.Serving, one, about...)
			}
		}
		r.logEvent(slog.LevelInfo, event.Serving, r.servingLine(a), about...)
	case !o.OK:
		r.reportFailure(a, o, about)
	}
	if r.current != nil && !r.stopping {
		r.notify("READY=1\n" + r.statusLine())
	}
}

// servingLine is what an operator reads after an attempt that worked.
func (r *run) servingLine(a attempt) string {
	var b strings.Builder
	w := r.current
	if a.why == reloading {
		fmt.Fprintf(&b, "reload %d: ", r.reloads)
	}
	fmt.Fprintf(&b, "generation %d (worker %d) serves", w.facts.Generation, w.pid)
	switch a.why {
	case starting:
		fmt.Fprintf(&b, " on %s", someNames(w))
	case replacing:
		b.WriteString(" in place of the one that crashed, with the same configuration")
	case returning:
		b.WriteString(" with the previous configuration; fix the new one and reload")
	}
	if a.former != nil {
		fmt.Fprintf(&b, " in place of generation %d (worker %d)", a.former.facts.Generation, a.former.pid)
	}
	return b.String()
}

// someNames are the addresses that a worker listens on, the first few of them.
func someNames(w *worker) string {
	const most = 6
	var names []string
	for _, want := range w.wants {
		if len(names) == most {
			names = append(names, fmt.Sprintf("%d more", len(w.wants)-most))
			break
		}
		names = append(names, want.String())
	}
	return strings.Join(names, ", ")
}

// reportFailure tells why an attempt failed. Where the worker's own words have
// not been passed on, they are the reason: one is reported with the verdict, more
// have a line each.
func (r *run) reportFailure(a attempt, o Outcome, about []slog.Attr) {
	kind, verdict := event.StartFailed, "the "+string(a.why)+" failed"
	if a.why == reloading && r.current != nil {
		kind = event.ReloadFailed
		verdict = fmt.Sprintf("reload %d failed, generation %d serves on", r.reloads, r.current.facts.Generation)
		if a.tried {
			kind = event.TrialEnded
		}
		if a.owing {
			verdict = fmt.Sprintf("the restart failed, generation %d serves on", r.current.facts.Generation)
		}
	}
	reason := ": " + o.Reason
	if !r.Terse && o.Reason != "" && strings.Contains(o.Text, o.Reason) {
		reason = ", for the reason above" // which the worker has reported itself
	}
	if all := alerts(o.Text); r.Terse && len(all) > 1 {
		for _, one := range all {
			r.logEvent(slog.LevelError, kind, one, about...)
		}
		reason = fmt.Sprintf(", for the %d reasons above", len(all))
	}
	r.logEvent(slog.LevelError, kind, verdict+reason, append(about, slog.String("LB_REASON", o.Reason))...)
}

// reportCrash tells that the worker that served is gone, and what comes now.
func (r *run) reportCrash(kind event.Kind, w *worker, next string) {
	hint := ""
	switch {
	case strings.Contains(r.crashes.how, "signal 9"):
		hint = ". If nobody did that, memory was short: see journalctl -k"
	case r.Terse:
		hint = fmt.Sprintf(". Its last words: journalctl _PID=%d", w.pid)
	}
	r.logEvent(slog.LevelError, kind, fmt.Sprintf("worker %d (generation %d) %s; %s%s", w.pid, w.facts.Generation, r.crashes.how, next, hint),
		event.Generation(w.facts.Generation), event.Worker(w.pid))
	r.notify(fmt.Sprintf("STATUS=No worker serves: worker %d %s; %s", w.pid, r.crashes.how, next))
}

// formerGone says how an old worker ended. What it had finished it has said
// itself.
func (r *run) formerGone(w *worker, how string) {
	if how == "" {
		r.asHAProxy(fmt.Sprintf("Former worker (%d) exited with code 0 (Exit)", w.pid))
	} else {
		r.logEvent(slog.LevelWarn, event.WorkerCrashed, fmt.Sprintf("worker %d (generation %d), which finished what it had, %s", w.pid, w.facts.Generation, how),
			event.Generation(w.facts.Generation), event.Worker(w.pid))
	}
	if r.current != nil && !r.stopping {
		r.notify(r.statusLine())
	}
}

// statusLine is one sentence for systemctl status.
func (r *run) statusLine() string {
	var b strings.Builder
	b.WriteString("STATUS=")
	if r.current == nil {
		b.WriteString("No worker serves")
	} else {
		fmt.Fprintf(&b, "Generation %d serves since %s", r.current.facts.Generation, r.good.Format(time.DateTime))
	}
	if n := len(r.old); n > 0 {
		fmt.Fprintf(&b, ", %d older finishing", n)
	}
	if line := r.trialLine(); line != "" {
		b.WriteString("; " + line)
	}
	if c := &r.crashes; c.ever > 0 {
		fmt.Fprintf(&b, "; workers before it crashed %s, the last one at %s: it %s", times(c.ever), c.last.Format(time.DateTime), c.how)
	}
	if !r.last.OK && !r.last.When.IsZero() {
		fmt.Fprintf(&b, "; the last reload failed at %s: %s", r.last.When.Format(time.TimeOnly), r.last.Reason)
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// times is how often something happened.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// loadingLine is the status while a reload is under way.
func (r *run) loadingLine() string {
	if r.current == nil {
		return "Reloading"
	}
	return fmt.Sprintf("Generation %d serves; reload %d is starting the next one", r.current.facts.Generation, r.reloads)
}

// firstAlert is the first thing that a worker called an error, without what
// precedes the message.
func firstAlert(text string) string {
	if all := alerts(text); len(all) > 0 {
		first, _, _ := strings.Cut(all[0], "\n")
		return first
	}
	return ""
}

// alerts are what a worker called errors, with the lines that belong to them.
// A panic is one.
func alerts(text string) []string {
	var all []string
	open := false // lines that are set off belong to the last one
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, " ") {
			if open {
				all[len(all)-1] += "\n" + line
			}
			continue
		}
		message, ok := alert(line)
		open = ok
		if ok {
			all = append(all, message)
		}
	}
	return all
}

// alert is the message of a line that tells an error. Those that only sum up
// are none.
func alert(line string) (message string, ok bool) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		return "the new worker crashed: " + line, true
	}
	rest, ok := strings.CutPrefix(line, "[ALERT]")
	if !ok {
		return "", false
	}
	if _, message, ok := strings.Cut(rest, ") : "); ok {
		rest = message
	}
	rest = strings.TrimPrefix(rest, "config : ")
	rest = strings.TrimPrefix(rest, "parsing ")
	return rest, !event.SumsUp(rest)
}

// relay passes a worker's lines on whole, so that each has its level, and keeps
// them. Where alerts are reported with the outcome it does not pass them on.
type relay struct {
	words io.Writer
	to    io.Writer
	terse bool

	part    []byte // of a line
	swallow bool   // the last line was an alert: what belongs to it follows
}

// Write takes the lines that p completes.
func (r *relay) Write(p []byte) (int, error) {
	r.part = append(r.part, p...)
	end := bytes.LastIndexByte(r.part, '\n') + 1
	r.lines(r.part[:end])
	r.part = append(r.part[:0], r.part[end:]...)
	return len(p), nil
}

// end takes what is left without a line end.
func (r *relay) end() {
	if len(r.part) > 0 {
		r.lines(append(r.part, '\n'))
	}
}

// lines takes whole lines. An error means that nobody listens.
func (r *relay) lines(p []byte) {
	var kept, passed []byte
	for line := range bytes.Lines(p) {
		text, _, carries := bytes.Cut(line, []byte("\x1f")) // fields for the journal follow
		kept = append(kept, text...)
		if carries {
			kept = append(kept, '\n')
		}
		if !bytes.HasPrefix(line, []byte(" ")) {
			r.swallow = r.terse && bytes.HasPrefix(line, []byte("[ALERT]"))
		}
		if !r.swallow {
			passed = append(passed, line...)
		}
	}
	_, _ = r.words.Write(kept)
	if len(passed) > 0 {
		_, _ = r.to.Write(passed)
	}
}
