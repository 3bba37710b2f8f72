// Package dialect holds that a configuration means the same here and to HAProxy: the same requests to both, side by side with Debian's haproxy,
// have the same answers, reach the servers as the same, and leave the same lines in the log.
package dialect

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// host is the loopback address of the tests.
const host = "127.91.18.5"

// built holds the daemon under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	rig.Main(m, "dialect", []string{"openssl"}, func(dir string) (err error) {
		built, err = rig.Build(dir, "lb")
		return err
	})
}

// subject is a running balancer, lb or haproxy, with servers and a log of its own.
type subject struct {
	*rig.LB
	t     testing.TB
	name  string
	addr  string // of HTTP in the configuration
	dir   string
	words []string
	log   chan string // the lines, as they come

	tape *tape.Tape // of haproxy, which is played back where it is not installed; nil for lb
}

// seen is what drive sees of a subject. Tests look at theirs through seen, lines and command alone: it may be no more than a recording.
func seen[T any](s *subject, drive func(*subject) T) T {
	s.t.Helper()
	return tape.Observe(s.tape, "drive", func() T { return drive(s) })
}

// start runs program on a configuration. In it are filled in HTTP and HTTP2 to HTTP9 (addresses to bind), S1, S2 and S3 (servers that say their names),
// DOWN (an address where nobody listens), LOG, STATS and DIR (for files, in which DIR is filled in, too).
func start(t testing.TB, program, config string, files map[string]string) *subject {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for name, text := range files {
		if err := writeUnder(dir, name, strings.ReplaceAll(text, "DIR/", dir+"/")); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := rig.FreePorts(host, 10)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("%s:%d", host, ports[i]) }
	s := &subject{LB: rig.LBIn(dir), t: t, name: "haproxy", addr: at(1), dir: dir}
	if program == built.LB {
		s.name = "lb"
	}
	log := s.keepLog()
	s.words = []string{"STATS", s.Stats, "DOWN", at(0), "LOG", log, "DIR", dir}
	for i := 9; i > 1; i-- {
		s.words = append(s.words, fmt.Sprintf("HTTP%d", i), at(i))
	}
	s.words = append(s.words, "HTTP", s.addr)
	for i := range 3 {
		b, err := backend.Start(fmt.Sprintf("s%d", i+1), host+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		s.words = append(s.words, fmt.Sprintf("S%d", i+1), b.Addr())
	}
	if err := s.Start(t.Context(), program, "-W", s.fill(config)); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	t.Cleanup(func() {
		s.Stop() // its status is a test of its own
		if t.Failed() {
			text := s.Output()
			t.Logf("%s said:\n%s", s.name, text[max(0, len(text)-3000):])
		}
	})
	return s
}

// writeUnder writes a file, whose name may have a directory.
func writeUnder(dir, name, text string) error {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func (s *subject) fill(text string) string { return strings.NewReplacer(s.words...).Replace(text) }

// mask puts the words of the configuration in the place of what differs between two balancers.
func (s *subject) mask(text string) string {
	var back []string
	for i := 0; i < len(s.words); i += 2 {
		back = append(back, s.words[i+1], s.words[i])
	}
	return strings.NewReplacer(back...).Replace(text)
}

// both runs haproxy and lb on the same configuration.
func both(t *testing.T, config string, files map[string]string) (theirs, ours *subject) {
	t.Helper()
	return each(t, config, config, files)
}

// each runs haproxy and lb on a configuration of its own, for what may meet either of them alone.
func each(t *testing.T, theirConfig, ourConfig string, files map[string]string) (theirs, ours *subject) {
	t.Helper()
	recording := tape.Open(t, "haproxy")
	if recording.Live() {
		theirs = start(t, recording.Program(), theirConfig, files)
	} else {
		theirs = &subject{t: t, name: "haproxy"}
	}
	theirs.tape = recording
	return theirs, start(t, built.LB, ourConfig, files)
}

// preface begins a configuration that logs what a test wants to see.
func preface(global, format string) string {
	return "global\n  stats socket STATS mode 600 level admin\n  log LOG local0\n" + indent(global) + `defaults
  mode http
  log global
  log-format "` + format + `"
  timeout connect 10s
  timeout client 20s
  timeout server 20s
`
}

func indent(lines string) string {
	if lines == "" {
		return ""
	}
	return "  " + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n  ") + "\n"
}

// client is one connection to a balancer.
type client struct {
	s *subject
	net.Conn
	r *bufio.Reader
}

func (s *subject) dial(addr string) *client {
	s.t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{s, c, bufio.NewReader(c)}
}

// shown are the header fields of an answer that tests compare, besides those that begin with X-.
var shown = []string{"Www-Authenticate", "Location", "Content-Type", "Set-Cookie", "Cache-Control"}

// do sends a request's text and describes the answer: status, fields, body.
func (c *client) do(request string) string {
	c.s.t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		return "not sent"
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "closed"
	}
	if err != nil {
		return "no answer"
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.s.t.Fatalf("%s: %v", c.s.name, err)
	}
	var fields []string
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-") || slices.Contains(shown, name) {
			fields = append(fields, fmt.Sprintf("%s=%q", name, values))
		}
	}
	slices.Sort(fields)
	text := strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), ".")
	if strings.HasPrefix(text, "GET /headers") || strings.HasPrefix(text, "POST /headers") { // what reached the server: names of fields are written as one likes
		text = fieldName.ReplaceAllStringFunc(text, strings.ToLower)
	}
	return c.s.mask(fmt.Sprintf("%s %s %q", r.Status, strings.Join(fields, " "), text))
}

var fieldName = regexp.MustCompile(`(?m)^[A-Za-z0-9-]+:`)

// get requests a path on a connection of its own, with headers as "Name: value".
func (s *subject) get(path string, headers ...string) string {
	s.t.Helper()
	c := s.dial(s.addr)
	defer c.Close()
	return c.do(request(path, append(headers, "Connection: close")...))
}

func request(path string, headers ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: site.example\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// lines reads n lines of the log from behind the word LINE, of which each logged format should have one, and sorts them: a line may come behind the
// next request's.
func (s *subject) lines(n int) []string {
	s.t.Helper()
	return tape.Observe(s.tape, fmt.Sprint(n, " lines"), func() []string { return s.readLines(n) })
}

func (s *subject) readLines(n int) (lines []string) {
	s.t.Helper()
	for len(lines) < n {
		text, ok := s.logged()
		if !ok {
			s.t.Fatalf("%s: no more lines than these, of %d:\n%s", s.name, n, strings.Join(lines, "\n"))
		}
		if _, line, ok := strings.Cut(text, "LINE "); ok {
			lines = append(lines, s.mask(strings.TrimSpace(line)))
		}
	}
	slices.Sort(lines)
	return lines
}

// keepLog receives what is logged to an address, from now on: a socket's buffer would not hold the lines of all of a test's requests.
func (s *subject) keepLog() (addr string) {
	s.t.Helper()
	pc, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pc.Close() })
	s.log = make(chan string, 10_000)
	go func() { // ends with the socket
		b := make([]byte, 65536)
		for {
			n, _, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			s.log <- string(b[:n])
		}
	}()
	return pc.LocalAddr().String()
}

// logged gives the next datagram that came to the log; ok is false where none comes.
func (s *subject) logged() (text string, ok bool) {
	t := time.NewTimer(20 * time.Second)
	defer t.Stop()
	select {
	case text = <-s.log:
		return text, true
	case <-t.C:
		return "", false
	}
}

// command sends a command to the stats socket.
func (s *subject) command(text string) string {
	s.t.Helper()
	return tape.Observe(s.tape, text, func() string {
		out, err := s.Command(s.fill(text))
		if err != nil {
			s.t.Fatalf("%s: %s: %v", s.name, text, err)
		}
		return s.mask(out)
	})
}

// letGo waits until no connection holds an entry of a table: it lets go a moment after its answer was read, and until then a command cannot
// remove the entry.
func (s *subject) letGo(table string) {
	s.t.Helper()
	if s.tape != nil && !s.tape.Live() {
		return
	}
	wait.Until(s.t, s.name+" to let go of "+table, func() bool {
		out, err := s.Command("show table " + table)
		return err == nil && !held.MatchString(out)
	})
}

// columns are some cells of `show stat`, for the rows whose name (proxy/server) begins so.
func (s *subject) columns(row string, names ...string) (cells []string) {
	s.t.Helper()
	text, err := s.Command("show stat")
	if err != nil {
		s.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimSpace(strings.TrimPrefix(text, "# ")))).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range rows[1:] {
		if name := f[0] + "/" + f[1]; strings.HasPrefix(name, row) {
			for _, n := range names {
				name += " " + n + "=" + f[slices.Index(rows[0], n)]
			}
			cells = append(cells, name)
		}
	}
	return cells
}

// until waits until the columns of a row are these, and gives them.
func (s *subject) until(row, want string, names ...string) string {
	s.t.Helper()
	var got []string
	wait.Until(s.t, fmt.Sprintf("%s of %s to have %s", s.name, row, want), func() bool {
		got = s.columns(row, names...)
		return len(got) == 1 && got[0] == row+" "+want
	})
	return got[0]
}

// held is what `show table` has of an entry that connections hold: one or more.
var held = regexp.MustCompile(`use=[1-9]`)

// same compares what the two have given, line by line.
func same(t *testing.T, what string, theirs, ours []string) {
	t.Helper()
	for i := range max(len(theirs), len(ours)) {
		var w, g string
		if i < len(theirs) {
			w = theirs[i]
		}
		if i < len(ours) {
			g = ours[i]
		}
		if w != g {
			t.Errorf("%s %d:\n    lb: %s\nhaproxy: %s", what, i+1, g, w)
		}
	}
}
