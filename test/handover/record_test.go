package handover

import (
	"encoding/csv"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// logbook receives the balancer's log and keeps every line.
type logbook struct {
	path string
	c    *net.UnixConn
	done chan struct{}

	// mu guards the fields below.
	mu    sync.Mutex
	lines []string
}

func openLogbook(path string) (*logbook, error) {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	l := &logbook{path: path, c: c, done: make(chan struct{})}
	go l.read()
	return l, nil
}

func (l *logbook) read() {
	defer close(l.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := l.c.Read(buf)
		if err != nil {
			return
		}
		_, line, _ := strings.Cut(string(buf[:n]), "]: ") // behind the tag stands what the format says
		l.mu.Lock()
		l.lines = append(l.lines, strings.TrimSpace(line))
		l.mu.Unlock()
	}
}

func (l *logbook) close() {
	l.c.Close()
	<-l.done
}

// entry is one line of the log, in the format of the site's configuration.
type entry struct {
	frontend, client string
	received, sent   int64 // bytes, as the balancer sees it
	took             int64 // Tt, ms
	term             string
	path             string // HTTP
}

// entries parses the lines of a frontend.
func (l *logbook) entries(frontend string) ([]entry, error) {
	l.mu.Lock()
	lines := slices.Clone(l.lines)
	l.mu.Unlock()
	var list []entry
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != frontend {
			continue
		}
		e := entry{frontend: f[0], client: f[1], term: f[5]}
		for i, n := range []*int64{&e.received, &e.sent, &e.took} {
			var err error
			if *n, err = strconv.ParseInt(f[2+i], 10, 64); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
		}
		if len(f) > 7 {
			e.path = f[7]
		}
		list = append(list, e)
	}
	return list, nil
}

// logged waits until a frontend has n lines, and fails if it has more, or one path twice.
func (s *site) logged(frontend string, n int) []entry {
	s.t.Helper()
	var list []entry
	s.until(fmt.Sprintf("%d lines of %s", n, frontend), func() bool {
		var err error
		if list, err = s.log.entries(frontend); err != nil {
			s.t.Fatal(err)
		}
		return len(list) >= n
	})
	if len(list) != n {
		s.t.Errorf("the log has %d lines of %s, want %d", len(list), frontend, n)
	}
	seen := map[string]bool{}
	for _, e := range list {
		if e.path != "" && seen[e.path] {
			s.t.Errorf("%s was logged twice", e.path)
		}
		seen[e.path] = true
	}
	return list
}

// stat returns a column of one row of `show stat`.
func (s *site) stat(proxy, name, column string) int {
	s.t.Helper()
	text, err := s.lb.Command("show stat")
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := statOf(text, proxy, name, column)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// counted waits until a column of `show stat` has come to a number, and fails if it goes beyond: the counts of a worker that leaves come to the next one
// a moment after its connections.
func (s *site) counted(proxy, name, column string, want int) {
	s.t.Helper()
	got := 0
	s.t.Cleanup(func() {
		if s.t.Failed() && got != want {
			s.t.Logf("show stat: %s of %s/%s is %d, want %d", column, proxy, name, got, want)
		}
	})
	s.until(fmt.Sprintf("%s of %s/%s to be %d", column, proxy, name, want), func() bool { got = s.stat(proxy, name, column); return got >= want })
	if got != want {
		s.t.Errorf("show stat: %s of %s/%s is %d, want %d", column, proxy, name, got, want)
	}
}

func statOf(text, proxy, name, column string) (int, error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return 0, fmt.Errorf("show stat: %q: %w", text, err)
	}
	i := slices.Index(rows[0], column)
	for _, row := range rows[1:] {
		if i >= 0 && row[0] == proxy && row[1] == name {
			return strconv.Atoi(row[i])
		}
	}
	return 0, fmt.Errorf("show stat has no %s of %s/%s:\n%s", column, proxy, name, text)
}
