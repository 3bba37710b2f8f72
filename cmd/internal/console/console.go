// Package console writes a daemon's own messages to standard error as HAProxy
// does, which tools and people know:
//
//	[NOTICE]   (812) : New worker (815) forked
//
// Where standard error is the journal a message goes there by the journal's own
// protocol, with its level and with fields to search by:
//
//  1. a slog.Record, or lines in HAProxy's form, become an entry   logger.go, lines.go
//  2. the entry goes to journald's socket as KEY=VALUE             journal.go
//  3. journald that cannot be reached gets "<4>text" on the stream console.go
package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Writer passes whole lines on to a file. Where the file is the journal, lines
// become entries.
type Writer struct {
	// File is where lines go; it may be turned into another file meanwhile
	// (dup2), so what it is, is looked up for every write.
	File *os.File

	// Prefix begins the names of the program's own fields: "LB_".
	Prefix string

	// Carry has lines that are not for the journal carry their records' fields
	// along, after their text: the process that reads them has the journal.
	Carry bool

	// Skip says which lines the journal does not need; nil is none.
	Skip func(line string) bool

	// IDs are the MESSAGE_IDs of records by their text, for those that do not
	// bring one as an attribute.
	IDs map[string]string

	// Socket is where journald listens; empty is the usual place.
	Socket string

	// mu keeps lines whole and guards the field below.
	mu      sync.Mutex
	journal journal
}

// Journal says whether what is written goes to the journal: JOURNAL_STREAM is
// "DEVICE:INODE" of the stream that systemd gave this process.
func (w *Writer) Journal() bool {
	want := os.Getenv("JOURNAL_STREAM")
	if want == "" {
		return false
	}
	st, err := w.File.Stat()
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", sys.Dev, sys.Ino) == want
}

// Into gives the Writer beneath w if that is the journal, and nil if not.
func Into(w io.Writer) *Writer {
	j, ok := w.(*Writer)
	if f, isFile := w.(*os.File); isFile {
		j, ok = &Writer{File: f}, true
	}
	if ok && j.Journal() {
		return j
	}
	return nil
}

// Write writes p, which should hold whole lines. In the journal the lines of
// one message are one entry.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.Journal() {
		return w.File.Write(p)
	}
	for message := range messages(p) {
		if w.Skip != nil && w.Skip(message) {
			continue
		}
		if err := w.enter(readEntry(message, w.Prefix)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Fail writes why the program cannot do what it was asked for. In the journal
// it is an error, elsewhere it is the text alone.
func (w *Writer) Fail(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.Journal() {
		// Nobody is left to tell when standard error fails.
		_, _ = fmt.Fprintln(w.File, text)
		return
	}
	for line := range strings.Lines(text) {
		e := entry{priority: priErr, message: strings.TrimRight(line, "\n")}
		e.place(w.Prefix)
		_ = w.enter(e)
	}
}

// Flush waits until journald has taken what was sent. An entry whose sender has
// ended before belongs to no unit any more, and `journalctl -u` would lack it:
// just the one that says why the program ended.
func (w *Writer) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journal.flush()
}

// enter sends one entry. The caller holds mu.
func (w *Writer) enter(e entry) error {
	socket := w.Socket
	if socket == "" {
		socket = "/run/systemd/journal/socket"
	}
	if w.journal.send(socket, e.encode(filepath.Base(os.Args[0]))) == nil {
		return nil
	}
	var out bytes.Buffer
	for line := range strings.Lines(e.message + "\n") {
		fmt.Fprintf(&out, "<%d>%s", e.priority, line)
	}
	_, err := w.File.Write(out.Bytes())
	return err
}
