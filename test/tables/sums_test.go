package tables

import (
	"fmt"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

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
