// Package tables holds what stick tables promise: they count and stick as HAProxy's do, side by side with Debian's haproxy on the same
// configuration, and they go along with a reload, which HAProxy's do not.
package tables

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// host is the loopback address of the tests.
const host = "127.91.17.5"

// built holds the daemon under test. TestMain sets it; it is only read afterwards.
var built rig.Programs

func TestMain(m *testing.M) {
	rig.Main(m, "tables", nil, func(dir string) (err error) {
		built, err = rig.Build(dir, "lb")
		return err
	})
}

// servers are three servers that say their names.
func servers(t testing.TB) []*backend.Server {
	t.Helper()
	var list []*backend.Server
	for i := range 3 {
		s, err := backend.Start(fmt.Sprintf("s%d", i+1), host+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		list = append(list, s)
	}
	return list
}

// subject is a running balancer, lb or haproxy.
type subject struct {
	*rig.LB
	t     testing.TB
	name  string
	http  string
	words []string
	tape  *tape.Tape // of haproxy, which is played back where it is not installed; nil for lb
}

// seen is what drive sees of a subject. Tests look at theirs through seen and table alone: it may be no more than a recording.
func seen[T any](s *subject, drive func(*subject) T) T {
	s.t.Helper()
	return tape.Observe(s.tape, "drive", func() T { return drive(s) })
}

// start runs program on a configuration: HTTP, STATS, S1, S2 and S3 in it are filled in.
func start(t testing.TB, program, config string, behind []*backend.Server) *subject {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{LB: rig.LBIn(dir), t: t, name: "haproxy", http: fmt.Sprintf("%s:%d", host, ports[0])}
	s.words = []string{"STATS", s.Stats, "HTTP", s.http, "S1", behind[0].Addr(), "S2", behind[1].Addr(), "S3", behind[2].Addr()}
	if program == built.LB {
		s.name = "lb"
	}
	if err := s.Start(t.Context(), program, "-W", s.fill(config)); err != nil {
		t.Fatal(err)
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

func (s *subject) fill(config string) string { return strings.NewReplacer(s.words...).Replace(config) }

// both runs haproxy and lb on the same configuration.
func both(t *testing.T, config string) (theirs, ours *subject) {
	t.Helper()
	behind := servers(t)
	return startHAProxy(t, config, behind), start(t, built.LB, config, behind)
}

// startHAProxy runs haproxy on a configuration, or plays it back.
func startHAProxy(t *testing.T, config string, behind []*backend.Server) *subject {
	t.Helper()
	recording := tape.Open(t, "haproxy")
	s := &subject{t: t, name: "haproxy"}
	if recording.Live() {
		s = start(t, recording.Program(), config, behind)
	}
	s.tape = recording
	return s
}

// reload reloads, and returns when the new worker serves.
func (s *subject) reload() {
	s.t.Helper()
	if s.name == "lb" {
		if out, err := s.Reload(s.t.Context()); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
		return
	}
	before, _, err := s.Workers()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Signal(12); err != nil { // SIGUSR2
		s.t.Fatal(err)
	}
	wait.Until(s.t, "another worker", func() bool {
		now, _, err := s.Workers()
		return err == nil && now != before
	})
}

// moment is what differs between two balancers although both are right: where an entry lies, and its time.
var moment = regexp.MustCompile(`(?m)^0x[0-9a-f]+: (key=.* use=\d+) exp=\d+`)

// table is what `show table` says of a table, without moments.
func (s *subject) table(name string) string {
	s.t.Helper()
	return tape.Observe(s.tape, "show table "+name, func() string {
		text, err := s.Command("show table " + name)
		if err != nil {
			s.t.Fatal(err)
		}
		return moment.ReplaceAllString(text, "$1")
	})
}

// settled is table without how many connections and requests hold an entry: they let go of it a moment after their answer was read.
func (s *subject) settled(name string) string { return uses.ReplaceAllString(s.table(name), "") }

// held finds an entry that somebody holds.
var held = regexp.MustCompile(` use=[1-9]`)

// released waits until nobody holds an entry of these tables.
func (s *subject) released(tables ...string) {
	s.t.Helper()
	for _, name := range tables {
		wait.Until(s.t, "the entries of "+name+" to be released", func() bool { return !held.MatchString(s.table(name)) })
	}
}

// data is one number of the table's only entry, or of that of a key.
func (s *subject) data(table, key, name string) int {
	s.t.Helper()
	command := table
	if key != "" {
		command += " key " + key
	}
	text := s.table(command)
	m := regexp.MustCompile(`\b` + name + `(?:\(\d+\))?=(\d+)`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// client is a client with connections of its own, from an address of its own.
type client struct {
	t     testing.TB
	http  http.Client
	to    *subject
	dials atomic.Int32 // connections that one which keeps them has made
}

// client gives a client that comes from an address; "" is any. keep says that it keeps its connection.
func (s *subject) client(from string, keep bool) *client {
	d := net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c := &client{t: s.t, to: s}
	dial := func() (net.Conn, error) {
		c.dials.Add(1)
		return d.Dial("tcp", s.http)
	}
	c.http.Transport = &kept{dial: dial, limit: 20 * time.Second}
	if !keep {
		c.http = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	}
	s.t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// get requests a path, with headers as "Name: value", and gives the status and the server's name.
func (c *client) get(path string, headers ...string) (status int, server string) {
	c.t.Helper()
	status, server, err := c.try(path, headers...)
	if err != nil {
		c.t.Fatalf("%s: %v", c.to.name, err)
	}
	return status, server
}

func (c *client) try(path string, headers ...string) (status int, server string, err error) {
	r, err := http.NewRequest("GET", "http://"+c.to.http+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("User-Agent", "test") // as long on both sides, and with each kind of client
	r.Header.Set("Accept-Encoding", "gzip")
	r.Host = "site.example"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).WriteTo(discard{}); err != nil {
		return 0, "", err
	}
	return res.StatusCode, res.Header.Get("X-Backend"), nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
