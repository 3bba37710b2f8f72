package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// AsHAProxy is the level of what only HAProxy's users look for: it is shown on a
// plain standard error, and not in the journal, where each event is one line.
const AsHAProxy = slog.LevelInfo - 2

// Logger returns a logger whose records become HAProxy's lines: errors are
// alerts, what is below a warning is a notice. quiet leaves only alerts.
//
// Where w is the journal they become entries. Attributes are fields there, by
// the writer's prefix and their name in upper case. One that has an upper-case
// name already (LB_SERVER, MESSAGE_ID) is a field of that name, and is not
// shown in the text.
func Logger(w io.Writer, pid int, quiet bool) *slog.Logger {
	h := &handler{w: w, pid: pid, least: AsHAProxy}
	if quiet {
		h.least = slog.LevelError
	}
	h.journal, _ = w.(*Writer)
	if h.journal != nil && os.Getenv("JOURNAL_STREAM") != "" {
		// Now, because there may be no descriptor left when that is what is to be
		// told. Without it the stream is used.
		_ = h.journal.journal.open()
	}
	return slog.New(h)
}

// handler writes one message for a record. Immutable after Logger.
type handler struct {
	w       io.Writer
	journal *Writer // w; nil if it is something else
	pid     int
	least   slog.Level
	attrs   []slog.Attr // of WithAttrs, with their groups' names
	group   string      // "name." of WithGroup
}

// Enabled reports whether a level is shown.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

// Handle writes the record.
func (h *handler) Handle(_ context.Context, rec slog.Record) error {
	attrs := h.attrs[:len(h.attrs):len(h.attrs)]
	rec.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, h.named(a))
		return true
	})
	if h.journal != nil && h.journal.Journal() {
		if rec.Level < slog.LevelInfo {
			return nil
		}
		h.journal.mu.Lock()
		defer h.journal.mu.Unlock()
		e := newEntry(rec, attrs, h.journal.Prefix)
		e.add("MESSAGE_ID", h.journal.IDs[rec.Message])
		return h.journal.enter(e)
	}
	tag := "[NOTICE]  "
	switch {
	case rec.Level >= slog.LevelError:
		tag = "[ALERT]   "
	case rec.Level >= slog.LevelWarn:
		tag = "[WARNING] "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d) : %s", tag, h.pid, strings.ReplaceAll(rec.Message, "\n", "\n   | "))
	for _, a := range attrs {
		if !Hidden(a) {
			fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		}
	}
	if h.journal != nil && h.journal.Carry {
		for _, a := range attrs {
			if Hidden(a) {
				fmt.Fprintf(&b, "%c%s=%s", carried, a.Key, strings.ReplaceAll(a.Value.String(), "\n", " "))
			}
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

// Hidden says that an attribute is a field of the journal and nothing else: it
// is named in upper case.
func Hidden(a slog.Attr) bool { return validName(a.Key) }

// named gives an attribute its group's name. A field has its name from nowhere
// else.
func (h *handler) named(a slog.Attr) slog.Attr {
	if !Hidden(a) {
		a.Key = h.group + a.Key
	}
	a.Value = a.Value.Resolve()
	return a
}

// newEntry makes the journal's entry of a record: the message, then its cause
// ("err"), then what else is worth reading.
func newEntry(rec slog.Record, attrs []slog.Attr, prefix string) entry {
	e := entry{priority: priority(rec.Level)}
	var b, rest strings.Builder
	b.WriteString(rec.Message)
	for _, a := range attrs {
		value := a.Value.String()
		switch {
		case Hidden(a):
			e.add(a.Key, value)
			continue
		case a.Key == "err":
			fmt.Fprintf(&b, ": %s", value)
		default:
			if strings.ContainsAny(value, " \"=\n") || value == "" {
				value = strconv.Quote(value)
			}
			fmt.Fprintf(&rest, " %s=%s", a.Key, value)
		}
		e.add(prefix+strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(a.Key)), a.Value.String())
	}
	if rest.Len() > 0 {
		fmt.Fprintf(&b, " (%s)", rest.String()[1:])
	}
	e.message = b.String()
	e.place(prefix)
	return e
}

// priority of a level. Above an error is what wakes people up.
func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError+4:
		return priAlert
	case l >= slog.LevelError:
		return priErr
	case l >= slog.LevelWarn:
		return priWarning
	case l >= slog.LevelInfo:
		return priNotice
	}
	return priDebug
}

// WithAttrs returns a handler that adds attrs to every message.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = h.attrs[:len(h.attrs):len(h.attrs)]
	for _, a := range attrs {
		c.attrs = append(c.attrs, h.named(a))
	}
	return &c
}

// WithGroup returns a handler whose attributes are named within name.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	if name != "" {
		c.group += name + "."
	}
	return &c
}
