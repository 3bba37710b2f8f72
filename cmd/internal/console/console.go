// Package console writes a daemon's own messages to standard error as HAProxy
// does, which tools and people know:
//
//	[NOTICE]   (812) : New worker (815) forked
//
// When standard error is the journal each line gets its level as sd-daemon(3)
// asks for it, so that `journalctl -p err` finds it.
package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Writer passes whole lines on to a file. Lines that begin as HAProxy's do are
// given their level where the file is the journal.
type Writer struct {
	// File is where lines go; it may be turned into another file meanwhile
	// (dup2), so what it is, is looked up for every write.
	File *os.File

	// mu keeps lines whole.
	mu sync.Mutex
}

// Write writes p, which should hold whole lines.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !isJournal(w.File) {
		return w.File.Write(p)
	}
	var out []byte
	for line := range bytes.Lines(p) {
		out = append(append(out, level(line)...), line...)
	}
	if _, err := w.File.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isJournal compares the file with JOURNAL_STREAM, "DEVICE:INODE".
func isJournal(f *os.File) bool {
	want := os.Getenv("JOURNAL_STREAM")
	if want == "" {
		return false
	}
	st, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", sys.Dev, sys.Ino) == want
}

// level is sd-daemon's prefix for a line.
func level(line []byte) string {
	for _, l := range []struct{ tag, prefix string }{
		{"[ALERT]", "<3>"}, {"[WARNING]", "<4>"}, {"[NOTICE]", "<5>"}, {"panic:", "<2>"}, {"fatal error:", "<2>"},
	} {
		if bytes.HasPrefix(line, []byte(l.tag)) {
			return l.prefix
		}
	}
	return "<6>"
}

// Logger returns a logger whose records become HAProxy's lines: errors are
// alerts, what is below a warning is a notice. quiet leaves only alerts.
func Logger(w io.Writer, pid int, quiet bool) *slog.Logger {
	least := slog.LevelInfo
	if quiet {
		least = slog.LevelError
	}
	return slog.New(&handler{w: w, pid: pid, least: least})
}

// handler writes one line for a record. Immutable after Logger.
type handler struct {
	w     io.Writer
	pid   int
	least slog.Level
	attrs string // " key=value" of WithAttrs
	group string // "name." of WithGroup
}

// Enabled reports whether a level is shown.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

// Handle writes the record.
func (h *handler) Handle(_ context.Context, rec slog.Record) error {
	tag := "[NOTICE]  "
	switch {
	case rec.Level >= slog.LevelError:
		tag = "[ALERT]   "
	case rec.Level >= slog.LevelWarn:
		tag = "[WARNING] "
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d) : %s%s", tag, h.pid, strings.ReplaceAll(rec.Message, "\n", "\n   | "), h.attrs)
	rec.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s%s=%v", h.group, a.Key, a.Value)
		return true
	})
	b.WriteByte('\n')
	_, err := io.WriteString(h.w, b.String())
	return err
}

// WithAttrs returns a handler that adds attrs to every line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.attrs += fmt.Sprintf(" %s%s=%v", h.group, a.Key, a.Value)
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
