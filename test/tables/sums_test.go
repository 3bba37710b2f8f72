package tables

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// sums is a table of a cluster. CLUSTER is filled in: HAProxy does not know the word.
const sums = preface + `
frontend fe
  bind HTTP
  stick-table type ip size 100k expire 30m store gpc0,http_req_rate(600s),conn_curCLUSTER peers mates
  http-request track-sc0 src
  http-request sc-inc-gpc0(0)
  default_backend be
backend be
  server s1 S1
`

// added makes a configuration one of a cluster.
func added(config string) string { return strings.Replace(config, "CLUSTER", ",cluster", 1) }

// TestClusterBesideHAProxy: HAProxy reads over the message in which lb says that it adds up, whoever has dialled, and both go on to learn from each other.
func TestClusterBesideHAProxy(t *testing.T) {
	haproxy := tape.Require(t, "haproxy")
	p := newPair(t, peers)
	behind := servers(t)
	p.one = p.start(t, built.LB, "one", added(sums), behind)
	p.two = p.start(t, haproxy, "two", strings.Replace(sums, "CLUSTER", "", 1), behind)
	// Each client comes once: a change that crosses another one of the same entry may be lost, by the last writer's rule.
	var ours, theirs []string
	taught := func() {
		t.Helper()
		n := len(ours)
		ours, theirs = append(ours, fmt.Sprint("127.91.18.", 10+n)), append(theirs, fmt.Sprint("127.91.19.", 10+n))
		p.one.client(ours[n], false).get("/")
		p.two.client(theirs[n], false).get("/")
		for _, s := range []*subject{p.one, p.two} {
			for _, from := range append(ours[:n+1:n+1], theirs...) {
				wait.Until(t, s.name+" to know "+from, func() bool { return s.data("fe", from, "gpc0") == 1 })
			}
		}
		wait.Until(t, "HAProxy to have the rate of lb's client", func() bool { return p.two.data("fe", ours[n], "http_req_rate") == 1 })
		says := func(s *subject, of string, words ...string) {
			t.Helper()
			var text string
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("%s says of its peer:\n%s", s.name, text)
				}
			})
			wait.Until(t, s.name+" to be connected", func() bool { // both may have dialled
				_, text, _ = strings.Cut(s.peers(), "id="+of+"(")
				return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
			})
		}
		says(p.one, "two", "last_status=ESTA", " state=none\n", " proto_err=0 ")
		says(p.two, "one", "last_status=ESTA", " proto_err=0 ")
	}
	taught()
	taught()
	p.one.reload() // lb dials
	taught()
	p.two.again() // HAProxy dials
	taught()
}

// TestClusterOfTwo: a node that begins with nothing gets what it had counted back from the only other one, while its clients go on.
func TestClusterOfTwo(t *testing.T) {
	p := startPair(t, built.LB, built.LB, added(sums))
	const from = "127.91.17.10"
	mine, other := p.one.client(from, false), p.two.client(from, false)
	ask := func(c *client, n int) {
		t.Helper()
		for range n {
			if status, _ := c.get("/"); status != 200 {
				t.Fatalf("the answer is %d", status)
			}
		}
	}
	count := func(first, second int) {
		t.Helper()
		for i, s := range []*subject{p.one, p.two} {
			want := []int{first, second}[i]
			wait.Until(t, fmt.Sprintf("node %d to have %d + %d", i, first, second), func() bool {
				return s.data("fe", from, "http_req_rate") == first+second && s.data("fe", from, "here:http_req_rate") == want
			})
		}
	}
	ask(mine, 5)
	ask(other, 7)
	count(5, 7)
	p.one.again()
	ask(mine, 2)
	ask(other, 1)
	count(7, 8)
	p.one.reload()
	p.two.again()
	ask(other, 3)
	count(7, 11)
}

// TestClusterLimitsTheSum: a limit of `store ..., cluster` is one of all nodes together, over a reload and a restart of one of them.
func TestClusterLimitsTheSum(t *testing.T) {
	const config = `global
  localpeer SELF
peers mates
  peer one ONE
  peer two TWO
  peer three THREE
` + preface + `
frontend fe
  bind HTTP
  stick-table type ip size 100k expire 30m store http_req_rate(600s),conn_cur,cluster peers mates
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 }
  default_backend be
backend be
  server s1 S1
`
	ports, err := rig.FreePorts(host, 3)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i, name := range []string{"ONE", "TWO", "THREE"} {
		words = append(words, name, fmt.Sprintf("%s:%d", host, ports[i]))
	}
	behind := servers(t)
	var nodes []*subject
	for _, self := range []string{"one", "two", "three"} {
		nodes = append(nodes, start(t, built.LB, strings.NewReplacer(append(words, "SELF", self)...).Replace(config), behind))
	}
	const from = "127.91.17.7"
	var clients []*client
	for _, s := range nodes {
		clients = append(clients, s.client(from, false))
	}
	sum := func(want int) {
		t.Helper()
		for i, s := range nodes {
			wait.Until(t, fmt.Sprintf("node %d to count %d", i, want), func() bool { return s.data("fe", from, "http_req_rate") == want })
		}
	}
	wait.Until(t, "each to add the others up", func() bool {
		for _, s := range nodes {
			if strings.Count(s.peers(), "state=added") != 2 {
				return false
			}
		}
		return true
	})
	ask := func(c, n, want int) {
		t.Helper()
		for range n {
			if status, _ := clients[c].get("/"); status != want {
				t.Fatalf("node %d answers %d, not %d", c, status, want)
			}
		}
	}
	// All count at the same moment.
	done := make(chan error, 3)
	for _, c := range clients {
		go func() {
			for range 20 {
				if status, _, err := c.try("/"); status != 200 || err != nil {
					done <- fmt.Errorf("%d, %v", status, err)
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	sum(60)
	if here := nodes[0].data("fe", from, "here:http_req_rate"); here != 20 {
		t.Errorf("%d of them are node 0's", here)
	}
	nodes[0].reload()
	sum(60)
	ask(0, 20, 200)
	sum(80)
	nodes[1].again()
	sum(80)
	ask(1, 19, 200)
	sum(99)
	ask(2, 1, 200)
	sum(100)
	for c := range clients { // each is counted, too
		ask(c, 1, 429)
	}
	for c := range clients {
		wait.Until(t, "no connection to be left", func() bool { return nodes[c].data("fe", from, "conn_cur") == 0 })
	}
}
