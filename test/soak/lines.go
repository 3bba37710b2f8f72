package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"lbsyslogd/test/ledger"
)

// reading is what one pass over the log files has found.
type reading struct {
	lines int
	wrong []string // lines about what nobody sent, the first few
	count int      // of them
	torn  []string
}

const kept = 20

func (g *reading) complain(format string, args ...any) {
	if g.count++; len(g.wrong) < kept {
		g.wrong = append(g.wrong, fmt.Sprintf(format, args...))
	}
}

// readLog fills the log's book of all runs of this round from the files at path.
func (b *books) readLog(path string) (reading, error) {
	for try := 0; ; try++ {
		g, err := b.readOnce(path)
		// A file that is compressed or rotated meanwhile makes it begin again.
		if err == nil || !errors.Is(err, fs.ErrNotExist) || try == 20 {
			return g, err
		}
	}
}

func (b *books) readOnce(path string) (reading, error) {
	var g reading
	b.mu.Lock()
	for _, r := range b.runs {
		r.logged = make([]logged, len(r.asked))
	}
	b.mu.Unlock()
	files, err := ledger.Files(path)
	if err != nil {
		return g, err
	}
	for _, name := range files {
		f, err := ledger.Open(name)
		if err != nil {
			return g, err
		}
		err = b.readFile(&g, name, f)
		f.Close()
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

func (b *books) readFile(g *reading, name string, src io.Reader) error {
	r := bufio.NewReaderSize(src, 256<<10)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			b.line(g, name, line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// line enters one line of the log that is about a numbered request or session.
func (b *books) line(g *reading, name string, text []byte) {
	path, l, err := parseLine(text)
	switch {
	case err == errOther:
		return
	case err != nil:
		g.torn = append(g.torn, fmt.Sprintf("%s: %v: %.300q", name, err, text))
		return
	}
	var r *run
	var n int
	if strings.Contains(path, "/r/") {
		r, n = b.find(path)
	} else {
		r, n = b.session(path)
	}
	switch {
	case r == nil:
		if !b.past(path) {
			g.complain("%s: a request of nobody: %.300q", name, text)
		}
		return
	case n >= len(r.logged):
		g.complain("%s: a request that was not sent: %.300q", name, text)
		return
	}
	g.lines++
	e := &r.logged[n]
	switch lines := e.lines; {
	case lines == 0:
		l.lines = 1
		*e = l
	case l.state[0] == 'X': // keep what the worker itself wrote
		e.lines, e.second = lines+1, l.state
	default:
		l.lines, l.second = lines+1, e.state
		*e = l
	}
}

// session finds the plain tunnel that a client's address and port names.
func (b *books) session(client string) (*run, int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	ip, _, _ := strings.Cut(client, ":")
	n := sessionOf(b.round, net.ParseIP(ip))
	if n < 0 {
		return nil, 0
	}
	return b.runs[fmt.Sprintf("%s-%d", plainTunnel, b.round)], n
}

// afterMark is what follows /r/ in a path.
func afterMark(path string) string {
	_, rest, _ := strings.Cut(path, "/r/")
	return rest
}

// past reports whether a path is of an earlier round, whose lines may still be in the current file.
func (b *books) past(path string) bool {
	if !strings.Contains(path, "/r/") {
		return true // a plain tunnel's client
	}
	name, _, _ := strings.Cut(afterMark(path), "/")
	_, number, _ := strings.Cut(name, "-")
	round, err := strconv.Atoi(number)
	b.mu.RLock()
	defer b.mu.RUnlock()
	return err == nil && round < b.round
}

var (
	errTorn  = errors.New("a torn line")
	errOther = errors.New("a line about something else")
)

// parseLine reads a line of option httplog or tcplog after syslog's header. The path is the request's, or of a line about a tunnel its client's address.
//
//	client:port [date] frontend backend/server times status bytes - - state connections queues "method path version"
//	client:port [date] frontend backend/server times bytes state connections queues
func parseLine(text []byte) (path string, l logged, err error) {
	if bytes.Contains(text, []byte("/r/")) {
		return parseHTTP(text)
	}
	_, rest, _ := bytes.Cut(text, []byte("]: "))
	f := bytes.Fields(rest)
	if len(f) != 9 || string(f[2]) != "echo" {
		return "", l, errOther
	}
	if !wholeStart(text) || text[len(text)-1] != '\n' || len(f[6]) != 2 {
		return "", l, errTorn
	}
	copy(l.state[:], "----")
	copy(l.state[:], f[6])
	return string(f[0]), l, l.numbers(f[3], nil, f[5], f[7])
}

func parseHTTP(text []byte) (path string, l logged, err error) {
	_, rest, ok := bytes.Cut(text, []byte("]: "))
	f := bytes.Fields(rest)
	if !ok || !wholeStart(text) || !bytes.HasSuffix(text, []byte("\"\n")) || len(f) != 15 || f[12][0] != '"' || len(f[9]) != 4 {
		return "", l, errTorn
	}
	copy(l.state[:], f[9])
	target := f[13]
	if _, rest, absolute := bytes.Cut(target, []byte("://")); absolute { // of HTTP/2
		target = rest[max(bytes.IndexByte(rest, '/'), 0):]
	}
	return string(target), l, l.numbers(f[3], f[5], f[6], f[10])
}

// numbers reads the fields that both forms have; status is nil for none.
func (l *logged) numbers(server, status, size, counts []byte) error {
	if backend, name, ok := bytes.Cut(server, []byte("/")); ok {
		l.server, l.backend = string(name), string(backend)
	}
	if status != nil {
		n, err := strconv.ParseInt(string(status), 10, 16)
		if err != nil {
			return errTorn
		}
		l.status = int16(n)
	}
	var err error
	if l.bytes, err = strconv.ParseInt(string(size), 10, 64); err != nil {
		return errTorn
	}
	list := bytes.Split(counts, []byte("/"))
	if len(list) != 5 {
		return errTorn
	}
	n, err := strconv.ParseUint(string(bytes.TrimPrefix(list[4], []byte("+"))), 10, 8)
	if err != nil {
		return errTorn
	}
	l.retries = uint8(n)
	return nil
}

// wholeStart reports whether a line begins with a time stamp: "Nov 21 03:04:05 ".
func wholeStart(line []byte) bool {
	return len(line) > 16 && 'A' <= line[0] && line[0] <= 'Z' && line[3] == ' ' && line[9] == ':' && line[12] == ':' && line[15] == ' '
}

// linesOf returns the lines of the log that contain one of the words, for a report.
func linesOf(path string, words map[string]bool, most int) []string {
	files, err := ledger.Files(path)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, name := range files {
		f, err := ledger.Open(name)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() && len(found) < most {
			if path, _, err := parseLine(append(lines.Bytes(), '\n')); err == nil && (words[path] || words["/r/"+afterMark(path)]) {
				found = append(found, lines.Text())
			}
		}
		f.Close()
	}
	return found
}

// removeRotated removes what was rotated away from the log at path: its lines have been read.
func removeRotated(path string) error {
	files, err := ledger.Files(path)
	if err != nil {
		return err
	}
	for _, name := range files {
		if name != path {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
