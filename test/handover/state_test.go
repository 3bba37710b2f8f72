package handover

import (
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/load"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// stateConfig has a backend with servers whose state an operator or a check changes.
const stateConfig = `global
    stats socket STATS mode 600 level admin
    maxconn 2000
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend fe
    bind HTTP
    bind HTTPS ssl crt CERT
    default_backend be
backend be
    server b1 BACKEND
    server b2 BACKEND weight 10
    server b3 BACKEND
    server b4 BACKEND weight 20
backend checked
    server up BACKEND check inter 100ms
    server down DEAD check inter 100ms fall 2
`

// TestAdministrativeStateSurvives sets servers' states as operators do, and finds them so after reloads; what the configuration itself
// changes wins.
func TestAdministrativeStateSurvives(t *testing.T) {
	s := start(t)
	dead := unused(t)
	s.configure(stateConfig, "DEAD", dead)
	s.reload()
	for _, command := range []string{
		"set server be/b1 state maint", "set server be/b2 weight 3", "set server be/b3 state drain", "set server be/b4 weight 7",
	} {
		if out, err := s.lb.Command(command); err != nil || strings.TrimSpace(out) != "" {
			t.Fatalf("%s: %q %v", command, out, err)
		}
	}
	s.until("the check to find a server down", func() bool { return s.word("checked", "down", "status") == "DOWN" })
	row := func(server, column, want string) {
		t.Helper()
		if got := s.word("be", server, column); !strings.HasPrefix(got, want) {
			t.Errorf("after a reload the %s of %s is %q, want %q", column, server, got, want)
		}
	}
	for range 3 {
		s.reload()
		row("b1", "status", "MAINT")
		row("b2", "uweight", "3")
		row("b3", "status", "DRAIN")
		row("b4", "uweight", "7")
		if got := s.word("checked", "down", "status"); got != "DOWN" {
			t.Errorf("after a reload a server that was down is %q", got)
		}
	}
	s.configure(strings.Replace(stateConfig, "weight 20", "weight 30", 1), "DEAD", dead)
	s.reload()
	row("b2", "uweight", "3")
	row("b4", "uweight", "30")
}

// word is the text of a column of one row of `show stat`.
func (s *site) word(proxy, name, column string) string {
	s.t.Helper()
	text, err := s.lb.Command("show stat")
	if err != nil {
		s.t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		s.t.Fatalf("show stat: %q: %v", text, err)
	}
	i := slices.Index(rows[0], column)
	for _, row := range rows[1:] {
		if i >= 0 && row[0] == proxy && row[1] == name {
			return row[i]
		}
	}
	s.t.Fatalf("show stat has no %s of %s/%s:\n%s", column, proxy, name, text)
	return ""
}

// unused is an address on which nobody listens.
func unused(t *testing.T) string {
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(ports[0]))
}

// TestDownServerGetsNoRequest lets the check of one of two servers fail while its port still answers, and reloads under load: it gets
// no request, neither before its first check in the new worker nor after.
func TestDownServerGetsNoRequest(t *testing.T) {
	sick, err := backend.Start("sick", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer sick.Close()
	good, err := backend.Start("good", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	dead := unused(t)
	_, port, _ := net.SplitHostPort(dead)
	s := start(t, "    server b1 BACKEND OPTIONS\n", "    server b1 "+good.Addr()+"\n    server b2 "+sick.Addr()+" check inter 2s fall 1 port "+port+"\n")
	s.until("the server to be down", func() bool { return s.word("be", "b2", "status") == "DOWN" })
	before := sick.Counts.Requests.Load()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan load.Result, 1)
	go func() {
		result <- load.New(load.Options{Addr: s.http, Run: "down", Requests: 10_000_000, Conns: 10, PerConn: 50}).Run(ctx)
	}()
	for range 10 {
		s.reload()
	}
	cancel()
	if r := <-result; r.Failed() > 0 || r.OK() == 0 {
		t.Errorf("%v", r)
	}
	if n := sick.Counts.Requests.Load() - before; n > 0 {
		t.Errorf("a server known to be down got %d requests", n)
	}
}

// growing are columns of `show stat` that never go backwards.
var growing = []string{
	"stot", "bin", "bout", "hrsp_2xx", "req_tot", "lbtot", "conn_tot", "connect", "reuse", "dreq", "dresp", "ereq", "econ", "eresp",
	"wretr", "wredis", "cli_abrt", "srv_abrt", "smax",
}

// TestCountersNeverGoBack polls the counters without a pause over many reloads under load, some requests of which outlive two
// generations: each figure only grows, and in the end the sums are what the clients counted.
func TestCountersNeverGoBack(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var slowErrs errorsOf
	slowDone := slow(ctx, s.http, 20, 300*time.Millisecond, &slowErrs)
	result := make(chan load.Result, 1)
	go func() {
		result <- load.New(load.Options{Addr: s.http, Run: "count", Requests: 10_000_000, Conns: 10, PerConn: 100, PostEach: 7, Rate: 4000}).Run(ctx)
	}()
	polled := make(chan int, 1)
	polling, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { polled <- s.poll(polling) }()
	for range sized(15, 50) {
		s.reload()
	}
	cancel()
	r := <-result
	slowCount := 0
	for _, n := range slowDone() {
		slowCount += n
	}
	slowErrs.report(t, "slow requests")
	s.alone()
	stop()
	t.Logf("%v; %d slow requests; polled %d times", r, slowCount, <-polled)
	if r.Failed() > 0 {
		t.Errorf("%v", r)
	}
	total := int(r.OK()) + slowCount
	row := s.counted
	row("fe", "FRONTEND", "req_tot", total)
	row("fe", "FRONTEND", "hrsp_2xx", total)
	row("fe", "FRONTEND", "stot", int(r.Conns)+20)
	row("be", "BACKEND", "stot", total)
	row("be", "BACKEND", "hrsp_2xx", total)
	row("be", "b1", "stot", total)
	row("be", "b1", "lbtot", total)
	s.until("connections made and used again to be as many as requests", func() bool {
		return s.stat("be", "b1", "connect")+s.stat("be", "b1", "reuse") >= total
	})
	s.until(fmt.Sprintf("show info to count %d requests", total), func() bool { got, err := s.lb.Info("CumReq"); return err == nil && got == total })
}

// TestAveragesSurvive holds that what `show stat` says of times goes on over reloads: averages, maxima, the last session.
func TestAveragesSurvive(t *testing.T) {
	s := start(t)
	for range 4 {
		c := s.dial(s.http)
		c.send("GET /delay/60 HTTP/1.1\r\nHost: a\r\n\r\n")
		c.want("GET", pattern(200))
	}
	for range 3 {
		old := s.worker()
		s.reload()
		s.gone(old)
		s.alone()
	}
	s.dial(s.http).get("/r/average/1")
	for _, row := range []string{"b1", "BACKEND"} {
		// Four of 60 ms and one of nearly none.
		if avg, most := s.stat("be", row, "rtime"), s.stat("be", row, "rtime_max"); avg < 45 || avg > 5000 || most < 60 {
			t.Errorf("rtime of %s is %d on average and %d at most", row, avg, most)
		}
		if got := s.stat("be", row, "lastsess"); got < 0 || got > 30 {
			t.Errorf("the last session of %s was %d s ago", row, got)
		}
	}
}

// TestClearedCountersStayCleared clears the counters while an old worker still has requests: what it counted before does not come back with its
// last word, what it counts after does.
func TestClearedCountersStayCleared(t *testing.T) {
	s := start(t)
	var errs errorsOf
	leave(idle(s.http, 50, &errs))
	const held = 5
	var conns []*raw
	for i := range held {
		c := s.dial(s.http)
		c.send("POST /echo?%d HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst", i)
		conns = append(conns, c)
	}
	s.until("the requests to be with the backend", func() bool { return s.stat("be", "b1", "scur") == held })
	old := s.worker()
	s.reload()
	s.counted("fe", "FRONTEND", "req_tot", 50+held)
	if out, err := s.lb.Command("clear counters all"); err != nil || strings.TrimSpace(out) != "" {
		t.Fatalf("clear counters: %q %v", out, err)
	}
	if !rig.Alive(old) {
		t.Fatal("the old worker has left already")
	}
	for _, c := range conns {
		c.send("later")
		c.wantText("HTTP/1.1 200 ")
	}
	s.gone(old)
	s.alone()
	// The requests were counted as such when they came; their answers came after.
	s.counted("fe", "FRONTEND", "hrsp_2xx", held)
	s.counted("fe", "FRONTEND", "req_tot", 0)
	errs.report(t, "requests")
}

// poll asks for the counters until ctx ends, and fails the test for each that is less than it was.
func (s *site) poll(ctx context.Context) (times int) {
	before := map[string]int{}
	for ; ctx.Err() == nil; times++ {
		text, err := s.lb.Command("show stat; show info")
		if err != nil {
			s.t.Errorf("poll %d: %v", times, err)
			return times
		}
		stat, info, _ := strings.Cut(text, "\n\n")
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(stat, "# "))).ReadAll()
		if err != nil || len(rows) < 2 {
			s.t.Errorf("poll %d: %v in %q", times, err, text)
			return times
		}
		now := map[string]int{}
		for _, row := range rows[1:] {
			for i, column := range rows[0] {
				if n, err := strconv.Atoi(row[i]); err == nil && slices.Contains(growing, column) {
					now[row[0]+"/"+row[1]+" "+column] = n
				}
			}
		}
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if n, err := strconv.Atoi(value); err == nil && (strings.HasPrefix(name, "Cum") || name == "TotalBytesOut" || name == "DroppedLogs") {
				now[name] = n
			}
		}
		for name, n := range now {
			if n < before[name] {
				s.t.Errorf("poll %d: %s went from %d to %d", times, name, before[name], n)
			}
		}
		before = now
	}
	return times
}

// TestTLSResumption resumes a session, with a ticket of an earlier worker, as openssl does it.
func TestTLSResumption(t *testing.T) {
	s := start(t)
	client := func(version string, args ...string) string {
		t.Helper()
		args = append([]string{"s_client", "-connect", s.https, "-CAfile", s.cert, "-verify_return_error", "-servername", "lb.example", version, "-ign_eof"}, args...)
		cmd := exec.Command(tape.Require(t, "openssl"), args...)
		cmd.Stdin = strings.NewReader("GET /r/tls/1 HTTP/1.0\r\n\r\n")
		cmd.WaitDelay = 10 * time.Second
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), small("/r/tls/1")) {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for i, version := range []string{"-tls1_2", "-tls1_3"} {
		session := filepath.Join(s.dir, fmt.Sprintf("session%d", i))
		if out := client(version, "-sess_out", session); !strings.Contains(out, "\nNew, ") {
			t.Fatalf("%s: the first session is not new:\n%s", version, out)
		}
		for range 3 {
			s.reload()
			if out := client(version, "-sess_in", session); !strings.Contains(out, "\nReused, ") {
				t.Errorf("%s: the session was not resumed after a reload:\n%s", version, out)
			}
		}
	}
}
