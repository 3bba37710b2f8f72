package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/load"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestAccount holds that everything that counts requests counts the same: the client, the backends, `show stat`, the log files, and
// halog, HAProxy's own reader of them.
func TestAccount(t *testing.T) {
	s := start(t, options{log: true})
	const requests = 3000
	r := load.New(load.Options{Addr: s.http, Run: "account", Requests: requests, Conns: 5, PostEach: 3, PerConn: 50}).Run(t.Context())
	if r.OK() != requests {
		t.Fatalf("%v", r)
	}
	s.wantLines(t, "/r/account/", requests)
	if n := s.requests(); n != requests {
		t.Errorf("the backends got %d requests", n)
	}
	const reqTot, hrsp2xx = 48, 40
	var csv string
	wait.Until(t, "show stat to count the last request", func() bool {
		var err error
		if csv, err = s.lb.Command("show stat"); err != nil {
			t.Fatal(err)
		}
		return column(csv, "fe,FRONTEND", reqTot) == fmt.Sprint(requests)
	})
	for _, line := range []string{"fe,FRONTEND", "be,BACKEND"} {
		if got := column(csv, line, hrsp2xx); got != fmt.Sprint(requests) {
			t.Errorf("%s: hrsp_2xx is %s", line, got)
		}
	}
	if n, err := s.lb.Info("DroppedLogs"); err != nil || n != 0 {
		t.Errorf("DroppedLogs %d, %v", n, err)
	}

	text, err := os.ReadFile(s.log.Log)
	if err != nil {
		t.Fatal(err)
	}
	halog := exec.Command(tape.Require(t, "halog"), "-srv", "-H", "-q")
	halog.Stdin = strings.NewReader(string(text))
	out, err := halog.Output()
	if err != nil {
		t.Fatalf("halog: %v", err)
	}
	total := 0
	for line := range strings.Lines(string(out)) {
		// srv_name 1xx 2xx 3xx 4xx 5xx other tot_req ...
		f := strings.Fields(line)
		if len(f) < 8 || !strings.HasPrefix(f[0], "be/") {
			continue
		}
		n := 0
		if _, err := fmt.Sscan(f[2], &n); err != nil {
			t.Fatalf("halog: %q: %v", line, err)
		}
		total += n
	}
	if total != requests {
		t.Errorf("halog counts %d answers of class 2xx:\n%s", total, out)
	}
	goaccess(t, s.log.Log, requests)
}

// goaccess holds the recipe of docs/logs.md: each line is a valid request to GoAccess.
func goaccess(t *testing.T, file string, requests int) {
	doc, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`--log-format='([^']+)' --date-format='([^']+)' --time-format='([^']+)'`).FindSubmatch(doc)
	if m == nil {
		t.Fatal("docs/logs.md has no recipe for goaccess")
	}
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(tape.Require(t, "goaccess"), file, "--no-global-config", "--no-progress", "--log-format="+string(m[1]), "--date-format="+string(m[2]), "--time-format="+string(m[3]), "-o", report)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("goaccess: %v\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		General struct {
			Valid  int `json:"valid_requests"`
			Failed int `json:"failed_requests"`
		} `json:"general"`
	}
	if err := json.Unmarshal(text, &r); err != nil || r.General.Valid != requests || r.General.Failed != 0 {
		t.Errorf("goaccess counts %+v, %v", r.General, err)
	}
}

// TestServerFailures holds what a client sees when servers do not do their part.
func TestServerFailures(t *testing.T) {
	s := start(t, options{be: "    option httpchk GET /\n    timeout check 20s\n    default-server check inter 500ms rise 1 fall 1"})
	ask := func(path string) int {
		t.Helper()
		c := dial(t, s.http)
		defer c.Close()
		c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
		a, _ := c.answer("GET")
		return a.StatusCode
	}
	status := func(server string) string {
		t.Helper()
		csv, err := s.lb.Command("show stat")
		if err != nil {
			t.Fatal(err)
		}
		return column(csv, "be,"+server, 17)
	}
	s.backends[0].Close()
	for i := range 20 {
		if code := ask(fmt.Sprintf("/r/one-down/%d", i)); code != 200 {
			t.Errorf("with one server gone request %d was answered with %d", i, code)
		}
	}
	wait.Until(t, "the check to notice", func() bool { return status("b1") == "DOWN" })
	if got := status("b2"); got != "UP" {
		t.Errorf("b2 is %s", got)
	}
	s.backends[1].Close()
	s.backends[2].Close()
	wait.Until(t, "the checks to notice", func() bool { return status("BACKEND") == "DOWN" })
	if code := ask("/r/all-down/1"); code != 503 {
		t.Errorf("without servers a request was answered with %d", code)
	}
}

// TestTimeouts holds that nobody waits for ever.
func TestTimeouts(t *testing.T) {
	s := start(t, options{fe: "    timeout http-request 1s\n    timeout http-keep-alive 1s", be: "    timeout server 1s"})
	c := dial(t, s.http)
	c.send("GET / HTTP/1.1\r\nHost:") // and no more
	if a, _ := c.answer("GET"); a.StatusCode != 408 {
		t.Errorf("half a head was answered with %d", a.StatusCode)
	}
	c.ended()

	c = dial(t, s.http)
	c.send("GET /delay/5000 HTTP/1.1\r\nHost: a\r\n\r\n")
	if a, _ := c.answer("GET"); a.StatusCode != 504 {
		t.Errorf("a server that does not answer was answered for with %d", a.StatusCode)
	}

	c = dial(t, s.http)
	c.send("GET /r/idle/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, small("/r/idle/1"))
	c.ended() // an idle connection is closed without a word
}

// TestInfoIsMeasured holds that the rates of `show info` follow what happens, in a worker and in the one after it.
func TestInfoIsMeasured(t *testing.T) {
	s := start(t, options{})
	for _, when := range []string{"at the start", "after a reload"} {
		wait.Until(t, "BytesOutRate "+when, func() bool {
			res, err := http.Get("http://" + s.http + "/r/rate/1")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			rate, err := s.lb.Info("BytesOutRate")
			if err != nil {
				t.Fatal(err)
			}
			return rate > 0
		})
		if out, err := s.lb.Reload(t.Context()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
