package dialect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/wait"
)

// checked answers checks: with 200 at first, and with what fail says of a backend's path from then on.
type checked struct {
	addr    string
	failing atomic.Pointer[string] // a prefix of paths
}

func startChecked(t *testing.T) *checked {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &checked{addr: l.Addr().String()}
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line, _ := bufio.NewReader(conn).ReadString('\n')
				status := "200"
				if p := c.failing.Load(); p != nil && strings.Contains(line, *p) {
					status = "500"
				}
				io.WriteString(conn, "HTTP/1.1 "+status+" S\r\nContent-Length: 0\r\n\r\n")
			}()
		}
	}()
	return c
}

func (c *checked) fail(path string) { c.failing.Store(&path) }

// watchedServers are servers that are checked once an hour, by what else is known of them. CHECKS is where the checks go.
const watchedServers = `
limit    | S1 CHECKS inter 1h observe layer7 error-limit 3 on-error mark-down
default  | S1 CHECKS inter 1h observe layer7
failone  | S1 CHECKS inter 1h fall 1 observe layer7 error-limit 2 on-error fail-check
failtwo  | S1 CHECKS inter 1h fall 2 observe layer7 error-limit 2
death    | S1 CHECKS inter 1h fall 5 observe layer7 error-limit 2 on-error sudden-death
four     | DOWN CHECKS inter 1h observe layer4 error-limit 2 on-error mark-down
fourweb  | S1 CHECKS inter 1h observe layer4 error-limit 2 on-error mark-down
seven    | DOWN CHECKS inter 1h observe layer7 error-limit 2 on-error mark-down
unseen   | S1 CHECKS inter 1h error-limit 2 on-error mark-down
none     | S1 CHECKS inter 1h observe layer7 observe none error-limit 2 on-error mark-down
`

// TestObservedServers: what the traffic says of servers counts as in HAProxy.
func TestObservedServers(t *testing.T) {
	checks := startChecked(t)
	_, port, _ := net.SplitHostPort(checks.addr)
	var text strings.Builder
	text.WriteString(preface("max-spread-checks 50ms\nnbthread 1", "LINE %b %ST %ts") + "  retries 0\n  option httpchk GET /\nfrontend fe\n  bind HTTP\n  use_backend %[path,field(2,/)]\n")
	var names []string
	for _, row := range rows(watchedServers) {
		name, line, _ := strings.Cut(row, "|")
		names = append(names, strings.TrimSpace(name))
		fmt.Fprintf(&text, "backend %s\n  http-request set-path /status/%%[path,field(3,/)]\n  server s %s\n", name, strings.Replace(line, "CHECKS", "check addr "+host+" port "+port, 1))
	}
	theirs, ours := both(t, text.String(), nil)
	drive := func(s *subject, want []string) (got []string) {
		wait.Until(t, "every server to be checked", func() bool {
			for _, name := range names {
				if !strings.HasSuffix(s.columns(name+"/s", "check_status")[0], "=L7OK") {
					return false
				}
			}
			return true
		})
		look := func(when, name string) {
			line := func() string {
				return when + ": " + s.columns(name+"/s", "status", "check_status", "check_code", "last_chk", "check_desc", "check_health", "chkfail", "chkdown", "hanafail")[0]
			}
			now := line()
			if i := len(got); i < len(want) && now != want[i] { // the checks learn of an answer a moment after its client
				wait.Until(t, "lb to have "+want[i], func() bool { now = line(); return now == want[i] })
			}
			got = append(got, now)
		}
		for _, name := range names {
			look("at first", name)
			for _, status := range []string{"500", "200", "501", "503", "502", "500", "504"} {
				s.get("/" + name + "/" + status)
				look(status, name)
			}
		}
		return got
	}
	want := seen(theirs, func(s *subject) []string { return drive(s, nil) })
	same(t, "server", want, drive(ours, want))
}

// TestCheckIntervals: the next check of a server comes after fastinter or downinter, as its state has it, where it would come after an hour otherwise.
func TestCheckIntervals(t *testing.T) {
	text := func(c *checked) string {
		c.fail("/is-down")
		_, port, _ := net.SplitHostPort(c.addr)
		return preface("max-spread-checks 50ms", "LINE %b %ST %ts") + strings.ReplaceAll(`frontend fe
  bind HTTP
  http-request set-var(txn.path) path
  http-request set-path /status/%[path,field(3,/)]
  use_backend %[var(txn.path),field(2,/)]
backend on-its-way
  option httpchk GET /on-its-way
  server s S1 inter 1h fastinter 60ms fall 3 rise 2 observe layer7 error-limit 1 CHECKS
backend is-down
  option httpchk GET /is-down
  server s S1 inter 1h downinter 60ms fall 1 rise 3 fastinter 30ms CHECKS
backend is-down-for-long
  option httpchk GET /is-down
  server s S1 inter 1h fastinter 60ms fall 1 CHECKS
backend observed
  option httpchk GET /observed
  server s S1 inter 1h fastinter 60ms fall 1 rise 1 observe layer7 error-limit 2 on-error fastinter CHECKS
backend observed-slowly
  option httpchk GET /observed
  server s S1 inter 1h fall 1 rise 1 observe layer7 error-limit 2 on-error fastinter CHECKS
`, "CHECKS", "check addr "+host+" port "+port)
	}
	them, us := startChecked(t), startChecked(t)
	theirs, ours := each(t, text(them), text(us), nil)
	drive := func(c *checked) func(s *subject) []string {
		return func(s *subject) (got []string) {
			look := func(when, name, want string, columns ...string) {
				got = append(got, when+": "+s.until(name+"/s", want, columns...))
			}
			for name, want := range map[string]string{"on-its-way": "L7OK", "is-down": "L7STS", "is-down-for-long": "L7STS", "observed": "L7OK", "observed-slowly": "L7OK"} {
				s.until(name+"/s", "check_status="+want, "check_status")
			}
			c.fail("/never")
			look("up after downinter and twice fastinter", "is-down", "status=UP check_health=3", "status", "check_health")
			look("an hour for it", "is-down-for-long", "status=DOWN check_health=0", "status", "check_health")
			c.fail("/on-its-way")
			s.get("/on-its-way/500")
			look("down after an error and twice fastinter", "on-its-way", "status=DOWN check_health=0", "status", "check_health")
			c.fail("/observed")
			for _, name := range []string{"observed-slowly", "observed"} {
				s.get("/" + name + "/500")
				look("an error", name, "status=UP check_status=L7OK", "status", "check_status")
				s.get("/" + name + "/500")
			}
			look("two", "observed", "status=DOWN check_status=L7STS", "status", "check_status")
			look("two, and no fastinter", "observed-slowly", "status=UP check_status=L7OK", "status", "check_status")
			return got
		}
	}
	same(t, "server", seen(theirs, drive(them)), drive(us)(ours))
}

// markedServers are the first server of a listen, its mode and name, and its second server; each has a connection of its own when its first server goes down or comes up.
const markedServers = `
SHUT check inter 1h on-marked-down shutdown-sessions | tcp down
SHUT check inter 1h | tcp stays
SHUT check inter 1h on-marked-up shutdown-backup-sessions | tcp up | SHUT backup
SHUT check inter 1h | tcp upstay | SHUT backup
HOLDER check inter 1h on-marked-down shutdown-sessions | http head
S1 check inter 1h on-marked-down shutdown-sessions | http body
S2 check inter 1h on-marked-up shutdown-backup-sessions | http uphead | HOLDER backup
S2 check inter 1h on-marked-up shutdown-backup-sessions | http upbody | S1 backup
HOLDER check inter 1h on-marked-down shutdown-sessions | http maint
HOLDER check inter 1h on-marked-down shutdown-sessions | http drain
SHUT | tcp sessiontcp
HOLDER | http session
S1 | http sessionbody
`

// TestMarkedServers: connections that end, and how their lines say so, as servers go down and come up.
func TestMarkedServers(t *testing.T) {
	_, tcp, _ := holder(t)
	arrived, held := make(chan struct{}, 100), make(chan struct{})
	b, err := backend.StartWith(backend.Options{Name: "holder", Addr: host + ":0", Meet: func(string, string, []byte) backend.Deed {
		arrived <- struct{}{}
		<-held
		return backend.Answer
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(held); b.Close() })
	fill := strings.NewReplacer("HOLDER", b.Addr(), "SHUT", tcp)
	var text strings.Builder
	text.WriteString(preface("max-spread-checks 50ms", "LINE %f %b/%s %ST %ts"))
	for _, row := range rows(markedServers) {
		f := strings.Split(fill.Replace(row), " | ")
		mode, name, _ := strings.Cut(f[1], " ")
		fmt.Fprintf(&text, "listen %s\n  mode %s\n  bind unix@DIR/%s.sock\n", name, mode, name)
		if mode == "tcp" {
			text.WriteString("  log-format \"LINE %f %b/%s %ts\"\n")
		}
		for i, line := range append(f[:1:1], f[2:]...) {
			fmt.Fprintf(&text, "  server s%d %s\n", i+1, line)
		}
	}
	theirs, ours := both(t, text.String(), nil)
	drive := func(s *subject) (got []string) {
		s.checkedOnce("")
		for _, row := range rows(markedServers) {
			mode, name, _ := strings.Cut(strings.Split(row, " | ")[1], " ")
			server := name + "/s1"
			say := func(command string) { s.command(command) }
			if strings.HasPrefix(name, "up") {
				say("set server " + server + " health down")
			}
			c := s.dial(s.dir + "/" + name + ".sock")
			path := "/drip/100000"
			if !strings.Contains(name, "body") {
				path = "/hold"
			}
			if mode == "http" {
				io.WriteString(c, request(path, "Connection: close"))
			}
			if mode == "tcp" || path != "/hold" {
				if _, err := c.r.Peek(1); err != nil {
					t.Fatal(s.name, name, err)
				}
			} else {
				select {
				case <-arrived:
				case <-time.After(20 * time.Second):
					t.Fatal(s.name, name, "no request came")
				}
			}
			switch {
			case strings.HasPrefix(name, "up"):
				say("set server " + server + " health up")
			case name == "maint" || name == "drain":
				say("set server " + server + " state " + name)
			case strings.HasPrefix(name, "session"):
				say("shutdown sessions server " + server)
			default:
				say("set server " + server + " health down")
			}
			if strings.HasSuffix(name, "stay") || name == "stays" || name == "drain" {
				got = append(got, s.until(name+"/BACKEND", "scur=1", "scur"))
				say("shutdown sessions server " + server)
				say("shutdown sessions server " + name + "/s2")
			}
			rest, _ := io.ReadAll(c.r)
			head, _, _ := strings.Cut(string(rest), "\r\n")
			got = append(got, name+": "+head)
			c.Close()
			got = append(got, s.lines(1)...)
		}
		return got
	}
	same(t, "session", seen(theirs, drive), drive(ours))
}

// checkedOnce waits until each server with checks, in the rows that begin so, has had its first one: the next comes after an hour.
func (s *subject) checkedOnce(row string) {
	s.t.Helper()
	wait.Until(s.t, s.name+" to have checked its servers", func() bool {
		for _, cell := range s.columns(row, "check_status") {
			if strings.HasSuffix(cell, "=INI") || strings.Contains(cell, "=* ") {
				return false
			}
		}
		return true
	})
}

// TestSlowStart: a server that comes up begins with a part of its weight and of its maxconn where its algorithm can do that.
func TestSlowStart(t *testing.T) {
	text := preface("max-spread-checks 50ms", "LINE %ST")
	names := []string{"roundrobin", "leastconn", "static-rr", "source", "consistent", "first"}
	for _, name := range names {
		algorithm := name
		if name == "consistent" {
			algorithm = "source\n  hash-type consistent"
		}
		text += "backend " + name + "\n  balance " + algorithm + "\n  server s1 S1 weight 100 check inter 1h slowstart 1h maxconn 20\n  server s2 S2 weight 7 check inter 1h slowstart 1h\n  server s3 S3 weight 1 check inter 1h\n"
	}
	theirs, ours := both(t, text, nil)
	drive := func(s *subject) (got []string) {
		s.checkedOnce("")
		for _, name := range names {
			for _, state := range []string{"", "health down", "health up", "state maint", "state ready"} {
				for i := range 3 {
					if state != "" {
						s.command(fmt.Sprintf("set server %s/s%d %s", name, i+1, state))
					}
				}
				got = append(got, state+":")
				got = append(got, s.columns(name+"/", "status", "weight", "throttle", "slim", "qlimit")...)
			}
		}
		return got
	}
	same(t, "server", seen(theirs, drive), drive(ours))
}
