package daemon

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// TestClockTo1970AndBack sets the clock while lines come: to 1970, as a machine without a battery has it until it finds a time server, to the next
// century, and back each time. Files are rotated and, where they are old, removed all the while. No line is missing, none is taken for old
// because of a clock that was wrong, and not much is said.
func TestClockTo1970AndBack(t *testing.T) {
	dir := t.TempDir()
	var offset atomic.Int64
	said := new(wait.Buffer)
	now := func() time.Time { return time.Unix(0, time.Now().UnixNano()+offset.Load()) } // without the clock that nobody sets
	socket, stop := runWith(t, dir, `listen: unix://DIR/in
outputs:
- {file: DIR/a.log, rotate: {size: 10kB, every: day, max_age: 30d}}
- {file: "DIR/years/%Y.log", rotate: {size: 10kB, every: hour, max_age: 30d}}
`, &Daemon{Now: now, Log: slog.New(slog.NewTextHandler(said, nil))})
	conn, err := net.Dial("unixgram", filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := 0
	send := func() {
		t.Helper()
		for range 300 {
			if _, err := fmt.Fprintf(conn, "<13>app: n=%d %s", sent, strings.Repeat("x", 60)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for _, command := range []string{"flush", "rotate"} {
			if ask(t, socket, command) == "" {
				t.Fatalf("%s failed: %s", command, said)
			}
		}
	}
	send()
	for range 2 {
		for _, year := range []int{1970, 0, 2099, 0} { // 0: the right one
			if offset.Store(0); year > 0 {
				offset.Store(int64(time.Until(time.Date(year, 1, 1, 0, 0, 30, 0, time.UTC))))
			}
			send()
		}
	}
	s := statusOf(t, socket)
	for _, o := range s.Outputs {
		if len(o.Errors) > 0 || o.Written != uint64(sent) || o.Removed > 0 {
			t.Errorf("%+v", o)
		}
	}
	wait.Until(t, "the janitor", func() bool { return ask(t, socket, "rotate") != "" })
	stop()
	for _, pattern := range []string{"a*.log", "years/*.log"} {
		if got := numbersIn(t, filepath.Join(dir, pattern)); got != sent {
			t.Errorf("%s: %d of %d lines are there", pattern, got, sent)
		}
	}
	if n := strings.Count(said.String(), "\n"); n > 20 {
		t.Errorf("the journal has %d lines:\n%s", n, said)
	}
}

// numbersIn is how many different numbered lines the files have, each of which must be there once.
func numbersIn(t *testing.T, pattern string) int {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(` app: (n=\d+) `)
	seen := make(map[string]bool)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range number.FindAllStringSubmatch(string(text), -1) {
			if seen[found[1]] {
				t.Errorf("%s is there twice", found[1])
			}
			seen[found[1]] = true
		}
	}
	return len(seen)
}
