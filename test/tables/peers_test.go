package tables

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// peers is the part of a configuration that makes two balancers each other's peers. SELF is filled in.
const peers = `global
  localpeer SELF
peers mates
  peer one ONE
  peer two TWO
  table own type integer size 200k expire 10m store gpc0,http_req_rate(600s)
`

// pair is two balancers that are each other's peers.
type pair struct {
	one, two *subject
	section  string   // with the addresses of both
	words    []string // these addresses
}

// startPair runs two programs on the same configuration. Each has its own frontends' addresses.
func startPair(t testing.TB, first, second, config string) *pair {
	t.Helper()
	return startPairOf(t, first, second, peers, config)
}

// newPair is two balancers that are not started yet.
func newPair(t testing.TB, section string) *pair {
	t.Helper()
	ports, err := rig.FreePorts(host, 2)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{section: section, words: []string{"ONE", fmt.Sprintf("%s:%d", host, ports[0]), "TWO", fmt.Sprintf("%s:%d", host, ports[1])}}
}

func startPairOf(t testing.TB, first, second, section, config string) *pair {
	t.Helper()
	p := newPair(t, section)
	behind := servers(t)
	p.one = p.start(t, first, "one", config, behind)
	p.two = p.start(t, second, "two", config, behind)
	return p
}

// start runs one of them.
func (p *pair) start(t testing.TB, program, self, config string, behind []*backend.Server) *subject {
	t.Helper()
	words := append([]string{"SELF", self}, p.words...)
	return start(t, program, strings.NewReplacer(words...).Replace(p.section+config), behind)
}

// bothOrders runs a test on lb paired with haproxy, and with itself.
func bothOrders(t *testing.T, run func(t *testing.T, first, second string)) {
	t.Helper()
	haproxy := tape.Require(t, "haproxy")
	t.Run("haproxy", func(t *testing.T) { run(t, built.LB, haproxy) })
	t.Run("lb", func(t *testing.T) { run(t, built.LB, built.LB) })
}

// TestPeersLimitTogether: a client that is limited on one node is limited on the other, whichever of them is HAProxy's, and each kind of table is the
// same on both.
func TestPeersLimitTogether(t *testing.T) {
	const config = preface + `
frontend fe
  bind HTTP
  stick-table type ip size 100k expire 10m store gpc0,gpt0,conn_cnt,sess_cnt,http_req_cnt,http_req_rate(600s),http_err_cnt,bytes_out_cnt,bytes_out_rate(600s) peers mates
  tcp-request connection track-sc0 src
  http-request track-sc1 hdr_val(number) table mates/own
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 10 }
  http-request track-sc2 hdr(user) table array
  http-request sc-inc-gpc0(0)
  http-response track-sc2 res.hdr(x-backend) table block
  http-request sc-inc-gpc(0,2)
  http-request sc-inc-gpc(1,2)
  http-request sc-inc-gpc(1,2)
  http-request sc-set-gpt(1,2) 77
  default_backend be
backend be
  stick-table type string len 20 size 10k expire 10m peers mates
  stick on hdr(user)
  server s1 S1
  server s2 S2
  server s3 S3
backend array
  stick-table type string size 10k expire 10m store gpc(3),gpc_rate(2,600s),gpt(2) peers mates
backend six
  stick-table type ipv6 size 10k expire 10m store gpc0,gpc1,gpc1_rate(600s) peers mates
backend block
  stick-table type binary len 8 size 10k expire 10m store conn_cnt,conn_rate(600s) peers mates
`
	bothOrders(t, func(t *testing.T, first, second string) {
		p := startPair(t, first, second, config)
		same := func() {
			t.Helper()
			p.same(t, "fe", "be", "mates/own", "array", "six", "block")
		}
		command := func(s *subject, text string) {
			t.Helper()
			if out, err := s.Command(text); err != nil || strings.TrimSpace(out) != "" {
				t.Fatalf("%s: %s: %q %v", s.name, text, out, err)
			}
		}
		for i, s := range []*subject{p.one, p.two} {
			for n := range 20 {
				command(s, fmt.Sprintf("set table six key 2001:db8::%d:%d data.gpc1 %d data.gpc1_rate 3", i, n, n))
				command(s, fmt.Sprintf("set table mates/own key %d data.gpc0 300 data.http_req_rate 4000", 1000*(i+1)+n))
			}
		}
		same()
		// What one knows of a user, the other does. An address is counted on one node at a time: where both count it, the last writer wins.
		const elsewhere = "127.91.17.6"
		mine, other := p.one.client(host, true), p.two.client(elsewhere, true)
		for i := range 5 {
			user := fmt.Sprintf("User: user-%d", i)
			_, server := mine.get("/r/a/1", user)
			same()
			if _, got := other.get("/r/a/1", user); got != server {
				t.Errorf("user %d is on %s, and on %s by the other balancer", i, server, got)
			}
			same()
		}
		for range 5 { // one after the other: both count the servers of the answers, and changes that cross change places
			mine.get("/r/a/1")
			same()
			other.get("/r/a/1")
			same()
		}
		// Ten requests are what there is for an address, wherever they come.
		for _, c := range []*client{p.two.client(host, false), p.one.client(elsewhere, false)} {
			if status, _ := c.get("/r/a/1"); status != 429 {
				t.Errorf("%s: the 11th request gets %d", c.to.name, status)
			}
		}
		same()
	})
}

// TestPeersRestart: a node that has lost everything gets it from the other one; a reload of lb asks for nothing.
func TestPeersRestart(t *testing.T) {
	const config = preface + `
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
`
	bothOrders(t, func(t *testing.T, first, second string) {
		p := startPair(t, first, second, config)
		for i, s := range []*subject{p.one, p.two} {
			for n := range 50 {
				if out, err := s.Command(fmt.Sprintf("set table mates/own key %d data.gpc0 %d data.http_req_rate 9", 1000*(i+1)+n, n)); err != nil || strings.TrimSpace(out) != "" {
					t.Fatal(out, err)
				}
			}
		}
		whole := func() {
			t.Helper()
			for _, s := range []*subject{p.one, p.two} {
				wait.Until(t, "all entries on "+s.name, func() bool { return strings.Contains(s.title("mates/own"), "used:100\n") })
			}
			p.same(t, "mates/own")
		}
		whole()
		for _, s := range []*subject{p.one, p.two} {
			s.again()
			whole()
		}
		for n := range 5 {
			p.one.reload()
			if out, err := p.one.Command(fmt.Sprintf("set table mates/own key 1000 data.gpc0 %d", 500+n)); err != nil || strings.TrimSpace(out) != "" {
				t.Fatal(out, err)
			}
			whole()
		}
	})
}

// same waits until tables are the same on both.
func (p *pair) same(t testing.TB, tables ...string) {
	t.Helper()
	for _, name := range tables {
		var one, two string
		t.Cleanup(func() {
			if t.Failed() && one != two {
				t.Logf("the first has\n%.4000s\nthe second has\n%.4000s", different(one, two), different(two, one))
			}
		})
		wait.Until(t, "table "+name+" to be the same on both", func() bool {
			one, two = p.one.sorted(name), p.two.sorted(name)
			return one == two
		})
	}
}

// uses is what differs on both because connections are here or there.
var uses = regexp.MustCompile(` use=\d+`)

// sorted is what table says, with the entries in the order of their text: HAProxy's own differs for integers.
func (s *subject) sorted(name string) string {
	lines := strings.Split(strings.TrimSpace(uses.ReplaceAllString(s.table(name), "")), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// different is what one has and the other has not, by lines.
func different(one, other string) string {
	have := strings.Split(other, "\n")
	lines := slices.DeleteFunc(strings.Split(one, "\n"), func(line string) bool { return slices.Contains(have, line) })
	return strings.Join(lines, "\n")
}

// again ends a balancer, and starts it anew with nothing.
func (s *subject) again() {
	s.t.Helper()
	text, err := os.ReadFile(s.Config)
	if err != nil {
		s.t.Fatal(err)
	}
	program := built.LB
	if s.name == "haproxy" {
		program = tape.Require(s.t, "haproxy")
	}
	s.Stop()
	if err := s.Start(s.t.Context(), program, "-W", string(text)); err != nil {
		s.t.Fatal(err)
	}
}

// TestPeersManyEntries: 100,000 entries of each node are on the other one, while lb is reloaded again and again, and a reload asks for nothing: what was
// sent before is not sent again.
func TestPeersManyEntries(t *testing.T) {
	haproxy := tape.Require(t, "haproxy")
	p := startPair(t, built.LB, haproxy, preface+`
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
`)
	entries := 8_000
	if os.Getenv("LB_LONG") != "" {
		entries = 100_000
	}
	var loading sync.WaitGroup
	for i, s := range []*subject{p.one, p.two} {
		loading.Go(func() { s.load("mates/own", i*entries, entries) })
	}
	reloads := 0
	done := make(chan struct{})
	go func() { loading.Wait(); close(done) }()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
			p.one.reload()
			reloads++
		}
	}
	all := fmt.Sprintf("used:%d\n", 2*entries)
	t.Cleanup(func() {
		if t.Failed() {
			one, two := strings.Split(p.one.sorted("mates/own"), "\n"), strings.Split(p.two.sorted("mates/own"), "\n")
			t.Logf("%s has %d entries, %s has %d", p.one.name, len(one), p.two.name, len(two))
		}
	})
	for _, s := range []*subject{p.one, p.two} {
		wait.Until(t, "all entries on "+s.name, func() bool { return strings.Contains(s.title("mates/own"), all) })
	}
	p.same(t, "mates/own")
	sent := func() int {
		m := regexp.MustCompile(`updates: sent=(\d+) learned=(\d+) resyncs: sent=(\d+) asked=(\d+)`).FindStringSubmatch(p.one.peers())
		if m == nil {
			t.Fatal("show peers does not say it: ", p.one.peers())
		}
		if m[3] != "0" || m[4] != "0" {
			t.Errorf("a reload has everything sent: %s", m[0])
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	for range 3 {
		p.one.reload()
		wait.Until(t, "the connection", func() bool { return strings.Contains(p.one.peers(), "last_status=ESTA") })
		if out, err := p.one.Command("set table mates/own key 1 data.gpc0 77"); err != nil || strings.TrimSpace(out) != "" {
			t.Fatal(out, err)
		}
		wait.Until(t, "an entry to be sent", func() bool { return p.two.data("mates/own", "1", "gpc0") == 77 })
		if n := sent(); n > entries/10 {
			t.Errorf("%d entries were sent after a reload", n)
		}
	}
	t.Logf("%d entries of each, %d reloads meanwhile", entries, reloads)
}

// load makes entries with the numbers from first on. A worker that leaves ends a conversation after the command that it is at: what it has not
// answered is said again.
func (s *subject) load(table string, first, n int) {
	for i := first; i < first+n; {
		var b strings.Builder
		for k := i; k < first+n && b.Len() < 14_000; k++ {
			fmt.Fprintf(&b, "set table %s key %d data.gpc0 %d;", table, k, k%1000)
		}
		out, err := s.Command(strings.TrimSuffix(b.String(), ";"))
		if strings.Trim(out, "\n") != "" {
			s.t.Errorf("%s: %q %v", s.name, out, err)
			return
		}
		i += strings.Count(out, "\n")
	}
}

// peers is what `show peers` says.
func (s *subject) peers() string {
	text, err := s.Command("show peers")
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// TestPeersOverTLS: peers speak over TLS, each with a certificate for a name that the other one asks for. Whoever has none is not listened to.
func TestPeersOverTLS(t *testing.T) {
	dir, err := os.MkdirTemp("", "lb-") // t.TempDir has the test's name in it, whose letters may be words that start fills in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	pem := filepath.Join(dir, "mates.pem")
	if _, err := rig.WriteCertificate(pem, "mates.example"); err != nil {
		t.Fatal(err)
	}
	const section = `global
  localpeer SELF
peers mates
  default-bind ssl crt PEM ca-file PEM verify required
  default-server ssl crt PEM ca-file PEM verifyhost mates.example
  peer one ONE
  peer two TWO
  table own type string size 10k expire 10m store gpc0
`
	bothOrders(t, func(t *testing.T, first, second string) {
		p := startPairOf(t, first, second, strings.ReplaceAll(section, "PEM", pem), preface+`
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
`)
		for i, s := range []*subject{p.one, p.two} {
			for n := range 100 {
				if out, err := s.Command(fmt.Sprintf("set table mates/own key k%d.%d data.gpc0 %d", i, n, n)); err != nil || strings.TrimSpace(out) != "" {
					t.Fatal(out, err)
				}
			}
		}
		for _, s := range []*subject{p.one, p.two} {
			wait.Until(t, "all entries on "+s.name, func() bool { return strings.Contains(s.title("mates/own"), "used:200\n") })
		}
		p.same(t, "mates/own")
		for i := 1; i < len(p.words); i += 2 { // each node's address
			for _, own := range []bool{true, false} {
				config := &tls.Config{InsecureSkipVerify: true}
				if own {
					pair, err := tls.LoadX509KeyPair(pem, pem)
					if err != nil {
						t.Fatal(err)
					}
					config.Certificates = []tls.Certificate{pair}
				}
				if answered := hello(t, p.words[i], config); answered != own {
					t.Errorf("%s: a hello with a certificate (%v) is answered: %v", p.words[i-1], own, answered)
				}
			}
		}
		p.one.reload()
		if _, err := p.one.Command("set table mates/own key new data.gpc0 5"); err != nil {
			t.Fatal(err)
		}
		p.same(t, "mates/own")
	})
}

// hello reports whether a node answers whoever says hello as nobody that it knows.
func hello(t *testing.T, address string, config *tls.Config) bool {
	t.Helper()
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "HAProxyS 2.1\nnobody\nnobody 1 1\n")
	answer := make([]byte, 4)
	_, err = io.ReadFull(conn, answer)
	return err == nil && string(answer) == "503\n"
}

// TestPeersResync: how long it takes to get everything from a node. LB_LONG=1 makes it a million entries.
func TestPeersResync(t *testing.T) {
	haproxy := tape.Require(t, "haproxy")
	entries := 5_000
	if os.Getenv("LB_LONG") != "" {
		entries = 1_000_000
	}
	p := startPairOf(t, built.LB, haproxy, strings.Replace(peers, "size 200k", "size 2m", 1), preface+`
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
`)
	p.two.load("mates/own", 0, entries)
	all := fmt.Sprintf("used:%d\n", entries)
	whole := func(s *subject, what string) {
		t.Helper()
		begun := time.Now()
		wait.Until(t, "all entries on "+s.name, func() bool { return strings.Contains(s.title("mates/own"), all) })
		t.Logf("%s: %s has %d entries after %v", what, s.name, entries, time.Since(begun).Round(time.Millisecond))
	}
	whole(p.one, "while they were made")
	p.one.again()
	whole(p.one, "restart")
	p.two.again()
	whole(p.two, "restart")
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.one.worker(t))); err == nil {
		t.Log("the worker's memory: ", regexp.MustCompile(`VmRSS:.*`).FindString(string(status)))
	}
}

// worker is the pid of the worker that serves.
func (s *subject) worker(t testing.TB) int {
	pid, _, err := s.Workers()
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
