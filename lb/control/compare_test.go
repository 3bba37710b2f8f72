package control

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// haproxyConfig is what newFake has. The servers are never connected to.
const haproxyConfig = `
global
  stats socket DIR/admin mode 600 level admin
  stats socket DIR/operator mode 600 level operator
  stats socket DIR/user mode 600 level user
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend fe
  bind unix@DIR/fe
  stick-table type ip size 1k expire 30s store gpt0,gpc0,gpc0_rate(10s),conn_cnt,conn_rate(10s),conn_cur,sess_cnt,sess_rate(10s),http_req_cnt,http_req_rate(10s),http_err_cnt,http_err_rate(10s),bytes_in_cnt,bytes_in_rate(10s),bytes_out_cnt,bytes_out_rate(10s),gpc1,gpc1_rate(10s),http_fail_cnt,http_fail_rate(10s)
  default_backend be
backend be
  balance roundrobin
  server s1 127.0.0.1:18490 weight 10
  server s2 127.0.0.1:18491 backup
  server s3 127.0.0.1:18492 weight 200 disabled
backend tcpbe
  mode tcp
  stick-table type string len 20 size 100 store gpc0
  stick on src
  server t1 127.0.0.1:18490
`

// startHAProxy runs Debian's haproxy and gives the directory of its sockets.
func startHAProxy(t *testing.T) *peer {
	t.Helper()
	dir := t.TempDir()
	h := &peer{tape.Open(t, "haproxy"), dir}
	if !h.tape.Live() {
		return h
	}
	cfg := filepath.Join(dir, "cfg")
	if err := os.WriteFile(cfg, []byte(strings.ReplaceAll(haproxyConfig, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(h.tape.Program(), "-db", "-f", cfg)
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for _, level := range []Level{User, Operator, Admin} { // a socket has its name a moment before anybody listens
		wait.Until(t, "haproxy's socket", func() bool {
			c, err := net.Dial("unix", filepath.Join(dir, level.String()))
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return h
}

// peer is a running HAProxy with a stats socket for each level, or what was recorded of one.
type peer struct {
	tape *tape.Tape
	dir  string
}

func (h *peer) ask(t *testing.T, level, commands string) string {
	t.Helper()
	return tape.Observe(h.tape, level+"> "+commands, func() string { return ask(t, filepath.Join(h.dir, level), commands) })
}

// moment is what differs between two processes although both are right: the
// seconds since a change.
var moment = regexp.MustCompile(`(?m)^(\d+ \S+ \d+ \S+ \S+ \d+ \d+ \d+ \d+) \d+ `)

// The same commands in the same order give the same answers, byte for byte,
// as HAProxy 2.6 gives, at each level.
func TestAnswersAsHAProxy(t *testing.T) {
	theirs := startHAProxy(t)
	f := newFake()
	run := func(level Level, commands ...string) {
		path, _ := serve(t, &Server{Runtime: f, Level: level, Version: "x"})
		for _, c := range commands {
			want := theirs.ask(t, level.String(), c+"\n")
			got := ask(t, path, c+"\n")
			mask := func(s string) string { return moment.ReplaceAllString(s, "$1 0 ") }
			if mask(got) != mask(want) {
				t.Errorf("%s> %s\n got %q\nwant %q", level, c, got, want)
			}
		}
	}
	run(User,
		"show cli level", "show backend", "get weight be/s1", "show servers state", "set weight be/s1 5", "set server be/s1 state maint",
		"set server", "disable server be/s1", "enable server nope", "disable frontend fe", "clear counters", "clear counters all",
		"show env HOME", "set timeout cli 5", "operator", "_getsocks", "user;show cli level", "quit", "quit;show backend")
	run(Operator,
		"show cli level", "set weight be/s1 5", "clear counters", "clear counters all", "show env NOT_THERE", "user;show env NOT_THERE;show cli level",
		"enable frontend fe")
	run(Admin,
		"show cli level", "operator;show cli level;set weight be/s1 5;user;operator;show cli level",
		"show servers state", "show servers state be", "show servers state nope", "show servers state be extra",
		"show backend", "show backend;show backend", "prompt;show backend;quit", "show backend;prompt;prompt", "  show   backend  ", "show backend\r",
		"get weight", "get weight be", "get weight be/", "get weight zz/s1", "get weight be/zz", "get weight be/s1", "get weight be/s3",
		"set weight", "set weight be", "set weight be/s1", "set weight be/zz 5", "set weight be/s1 20", "get weight be/s1",
		"set server be/s1 weight", "set server be/s1 weight 300", "set server be/s1 weight -1", "set server be/s1 weight -5%", "set server be/s1 weight -0",
		"set server be/s1 weight +7", "get weight be/s1",
		"set server be/s1 weight 50%", "get weight be/s1", "set server be/s3 weight 2000%", "get weight be/s3",
		"set server be/s3 weight 99999999999999999999%", "get weight be/s3", "set server be/s1 weight 0", "get weight be/s1",
		"set server be/s1 weight 10 more words", "get weight be/s1",
		"set server", "set server be", "set server zz/s1", "set server be/zz state ready", "set server be/s1 state", "set server be/s1 state foo",
		"set server be/s1 health", "set server be/s1 health foo",
		"set server be/s1 state drain", "show servers state be", "set server be/s1 state maint", "show servers state be", "set server be/s1 state ready", "show servers state be",
		"enable server be/s3", "show servers state be", "disable server be/s3", "show servers state be", "enable server be/s3;disable server be/s3",
		"set server be/s1 state drain;enable server be/s1;show servers state be", "set server be/s1 state drain;disable server be/s1;show servers state be;enable server be/s1",
		"set server tcpbe/t1 health down", "show servers state tcpbe", "set server tcpbe/t1 health stopping", "show servers state tcpbe",
		"set server tcpbe/t1 health up", "show servers state tcpbe",
		"enable server", "disable server be", "disable server zz/s1", "enable server be/zz",
		"disable frontend", "disable frontend zz", "enable frontend fe", "disable frontend fe", "disable frontend fe", "enable frontend fe",
		"set timeout", "set timeout foo 1", "set timeout cli", "set timeout cli abc", "set timeout cli 0", "set timeout cli 5s", "set timeout cli 2m", "set timeout cli 7x",
		"clear counters", "clear counters all", "clear counters foo",
		"show stat nope 1 -1", "quit", "show env NOT_THERE")
}

// What HAProxy answers with its whole table begins the same here, and the
// lists have its form.
func TestListsAsHAProxy(t *testing.T) {
	theirs := startHAProxy(t)
	path, _ := serve(t, &Server{Runtime: newFake(), Level: Admin})
	for _, c := range []string{"help", "help set weight", "help quit", "xyzzy-plugh", "", "show", "show backends", "set nothing", "show stat;", ";", "; ;", "clear nothing"} {
		want, got := theirs.ask(t, "admin", c+"\n"), ask(t, path, c+"\n")
		first := func(s string) string { return s[:strings.IndexByte(s, '\n')+1] }
		last := func(s string) string { return s[max(0, len(s)-150):] }
		if strings.HasPrefix(want, "#") {
			continue
		}
		if first(got)[:16] != first(want)[:16] || last(got)[80:] != last(want)[80:] {
			t.Errorf("%q\n got %s\n...\n%s\nwant %s\n...\n%s", c, first(got), last(got), first(want), last(want))
		}
	}
}

// What help offers here that HAProxy has as well is described in its words and
// columns.
func TestHelpAsHAProxy(t *testing.T) {
	theirs := startHAProxy(t)
	help := theirs.ask(t, "admin", "help\n")
	for _, cmd := range commands() {
		if cmd.usage == "" {
			continue
		}
		switch cmd.words {
		case "set server", "show info", "show stat", "show runtime-changes", "clear runtime-changes", "wait":
			continue // they take fewer options here, or HAProxy 2.6 has none
		}
		if !strings.Contains(help, cmd.line()+"\n") {
			t.Errorf("HAProxy has no line %q", cmd.line())
		}
	}
}

// entry is what differs between two tables although both are right: where an
// entry lies, and how much of its time is over.
var entry = regexp.MustCompile(`(?m)^0x[0-9a-f]+: (key=.* use=\d+) exp=\d+`)

// Tables are set, shown and cleared as by HAProxy 2.6, byte for byte. Two
// things are not compared: HAProxy takes a `set table <table>` without more for
// a clear, and sets what stands before a mistake.
func TestTablesAsHAProxy(t *testing.T) {
	theirs := startHAProxy(t)
	f := newFake()
	for _, level := range []Level{User, Operator} {
		path, _ := serve(t, &Server{Runtime: f, Level: level})
		for _, c := range []string{
			"set table fe key 192.0.2.1 data.gpc0 1", "show table", "show table fe", "show table nope", "show table fe key", "show table fe key 192.0.2.1",
			"show table fe key 192.0.2.9",
			"set table", "set table nope", "set table fe key", "set table fe foo", "set table fe key 192.0.2.2", "set table fe key 192.0.2.3 data.gpc0 5",
			"set table fe key 192.0.2.3 data.gpc0", "set table fe key 192.0.2.3 data.nope 5", "set table fe key 192.0.2.3 data.conn_rate 5",
			"set table fe key 192.0.2.3 data.gpc0 7 data.gpt0 9 data.bytes_in_cnt 99999999999", "set table fe key 192.0.2.3 data.gpc0 abc", "set table fe data.gpc0 5",
			"set table tcpbe key alice data.server_id 2", "set table tcpbe key bob data.gpc0 0", "set table tcpbe key bob data.server_key s2", "set table tcpbe key bob data.gpt0 2",
			"set table tcpbe key alice data.server_id 2 junk", "set table tcpbe key thisisaverylongkeybeyondtwenty data.gpc0 1", `set table tcpbe key a\ b=c data.gpc0 3`,
			"show table tcpbe", "show table tcpbe key alice", `show table tcpbe key a\ b=c`, "show table tcpbe data.gpc0 gt 0", "show table tcpbe data.gpc0 eq 3", "show table tcpbe data.gpc0 ne 3",
			"show table fe data.gpc0 gt 0", "show table fe data.gpc0 lt 5 data.gpt0 le 8", "show table fe data.conn_rate ge 5", "show table fe data.gpc0", "show table fe data.gpc0 gt",
			"show table fe data.nope gt 0", "show table fe data.gpc0 xx 0", "show table fe data.gpc0 gt abc", "show table tcpbe data.gpt0 gt 0", "show table tcpbe data.server_key eq s2", "show table fe foo",
			"show table fe data.gpc0 ge 0 data.gpc0 ge 0 data.gpc0 ge 0 data.gpc0 ge 0", "show table fe data.gpc0 ge 0 data.gpc0 ge 0 data.gpc0 ge 0 data.gpc0 ge 0 data.gpc0 ge 0",
			"clear table", "clear table nope", "clear table fe foo", "clear table fe key", "clear table fe key 192.0.2.9", "clear table fe key 192.0.2.1", "show table fe",
			"clear table fe data.gpc0 eq 7", "show table fe", "clear table fe", "clear table tcpbe", "show table", "help show table", "help clear table", "help set table",
		} {
			if level == User && !strings.HasPrefix(c, "show") {
				continue // refused at once here; HAProxy reads the arguments first, or forgets to ask
			}
			want := entry.ReplaceAllString(theirs.ask(t, level.String(), c+"\n"), "$1")
			if got := entry.ReplaceAllString(ask(t, path, c+"\n"), "$1"); got != want {
				t.Errorf("%s> %s\n got %q\nwant %q", level, c, got, want)
			}
		}
	}
}
