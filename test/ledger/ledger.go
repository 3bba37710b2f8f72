// Package ledger compares requests with log lines: every numbered request of a run must be in the log files exactly once.
//
//  1. Files finds a log file and its rotated siblings, compressed or not (files.go).
//  2. Ledger.Read takes every line that names the run, /r/RUN/N, and counts its number.
//  3. Ledger.Report tells which numbers are missing, double or out of range, and which lines are torn.
package ledger

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Ledger counts the lines of one run.
type Ledger struct {
	mark []byte // what precedes the number
	seen []uint32
	rep  Report
}

// New makes a ledger for run, whose requests were numbered 0 to requests-1.
func New(run string, requests int) *Ledger {
	return &Ledger{mark: []byte("/r/" + run + "/"), seen: make([]uint32, requests)}
}

// Report is the outcome. Balanced says whether it is the right one.
type Report struct {
	Requests int
	Lines    int      // lines that name the run
	Missing  int      // requests without a line
	Double   int      // lines beyond the first of a request
	Foreign  int      // lines with a number that was never sent
	Torn     int      // lines that begin or end in the middle
	Files    int      // files read
	Examples []string // of what is wrong, the first few
}

// Balanced reports whether every request has exactly one whole line.
func (r Report) Balanced() bool {
	return r.Missing == 0 && r.Double == 0 && r.Foreign == 0 && r.Torn == 0 && r.Lines == r.Requests
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d lines in %d files: %d missing, %d double, %d foreign, %d torn",
		r.Requests, r.Lines, r.Files, r.Missing, r.Double, r.Foreign, r.Torn)
	for _, e := range r.Examples {
		b.WriteString("\n  " + e)
	}
	return b.String()
}

// keptExamples bounds Report.Examples.
const keptExamples = 20

func (r *Report) example(format string, args ...any) {
	if len(r.Examples) < keptExamples {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

// ReadAll reads the log at path and its rotated siblings. A file that is compressed or rotated away meanwhile makes it begin
// again, so it may be called while the log is live.
func (l *Ledger) ReadAll(path string) error {
	for try := 0; ; try++ {
		l.clear()
		err := l.readAll(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || try == 20 {
			return err
		}
	}
}

func (l *Ledger) readAll(path string) error {
	files, err := Files(path)
	if err != nil {
		return err
	}
	for _, name := range files {
		r, err := Open(name)
		if err != nil {
			return err
		}
		err = l.Read(name, r)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) clear() {
	clear(l.seen)
	l.rep = Report{}
}

// Read counts the lines of one file; name is for the report.
func (l *Ledger) Read(name string, src io.Reader) error {
	l.rep.Files++
	r := bufio.NewReaderSize(src, 256<<10)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			l.line(name, line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (l *Ledger) line(name string, line []byte) {
	_, rest, found := bytes.Cut(line, l.mark)
	if !found {
		return
	}
	l.rep.Lines++
	n, digits := 0, 0
	for digits < len(rest) && digits < 10 && rest[digits]-'0' <= 9 {
		n = n*10 + int(rest[digits]-'0')
		digits++
	}
	rest = rest[digits:]
	switch {
	case digits == 0 || !startsWhole(line) || !endsWhole(rest) || bytes.Contains(rest, l.mark):
		l.rep.Torn++
		l.rep.example("%s: torn line %.200q", name, line)
	case n >= len(l.seen):
		l.rep.Foreign++
		l.rep.example("%s: request %d was never sent: %.200q", name, n, line)
	default:
		l.seen[n]++
		if l.seen[n] > 1 {
			l.rep.Double++
			l.rep.example("%s: another line for request %d: %.200q", name, n, line)
		}
	}
}

// startsWhole reports whether a line begins with a time stamp: "Nov 21 03:04:05 ".
func startsWhole(line []byte) bool {
	return len(line) > 16 && 'A' <= line[0] && line[0] <= 'Z' && line[3] == ' ' && line[9] == ':' && line[12] == ':' && line[15] == ' '
}

// endsWhole reports whether what follows the number is the end of an access log line: the quoted request is its last field.
func endsWhole(rest []byte) bool {
	return (bytes.HasPrefix(rest, []byte(" HTTP/1.")) || bytes.HasPrefix(rest, []byte(" HTTP/2.0\""))) && bytes.HasSuffix(rest, []byte("\"\n"))
}

// Report returns the outcome of everything read so far.
func (l *Ledger) Report() Report {
	r := l.rep
	r.Requests = len(l.seen)
	for n, times := range l.seen {
		if times == 0 {
			r.Missing++
			r.example("no line for request %d", n)
		}
	}
	return r
}
