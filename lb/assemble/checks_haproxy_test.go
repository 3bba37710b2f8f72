package assemble

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/lb/stats"
	"lbsyslogd/test/tape"
)

// comparison is a configuration that lb and Debian's haproxy run against the
// same servers: what both find out must be the same.
type comparison struct {
	text  strings.Builder
	names []string
	but   map[string]string // by name: a column in which lb says more
}

// add adds a backend of one server.
func (c *comparison) add(name, serverWords, address string, lines ...string) {
	c.names = append(c.names, name)
	fmt.Fprintf(&c.text, "backend %s\n", name)
	for _, l := range lines {
		fmt.Fprintf(&c.text, "  %s\n", l)
	}
	fmt.Fprintf(&c.text, "  server s %s %s\n", address, serverWords)
}

const compareHead = `defaults
  timeout connect 2s
  timeout client 2s
  timeout server 2s
  timeout check 300ms
  default-server inter 700ms rise 1 fall 1
frontend f
  bind FRONT
  default_backend none
backend none
`

// run compares until each server has looked the same to both at one time, and
// settled (nil: always) said that it will look so from then on. Both look at
// different moments, and a starved machine is late now and then.
func (c *comparison) run(t *testing.T, settled func(row map[string]string) bool) {
	t.Helper()
	haproxy := tape.Open(t, "haproxy")
	dir := t.TempDir()
	socket, hcfg := filepath.Join(dir, "h.sock"), filepath.Join(dir, "h.cfg")
	text := func(front string) string {
		return strings.ReplaceAll(compareHead, "FRONT", filepath.Join(dir, front)) + c.text.String()
	}
	var said bytes.Buffer
	if haproxy.Live() {
		if err := os.WriteFile(hcfg, []byte("global\n  stats socket "+socket+"\n"+text("h")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(haproxy.Program(), "-db", "-f", hcfg)
		cmd.Stdout, cmd.Stderr = &said, &said
		// A program of an external check may outlive it, and hold its output open.
		cmd.SysProcAttr, cmd.WaitDelay = &syscall.SysProcAttr{Setpgid: true}, time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); cmd.Wait() })
	}
	g := begin(t, text("l"), nil)

	theirs := func() map[string]map[string]string {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil
		}
		defer conn.Close()
		io.WriteString(conn, "show stat\n")
		b, _ := io.ReadAll(conn)
		return checkRows(b)
	}
	same := map[string]map[string]string{}
	if !haproxy.Live() {
		recorded := tape.Observe(haproxy, "rows", func() map[string]map[string]string { return nil })
		theirs = func() map[string]map[string]string { return recorded }
	}
	deadline := time.Now().Add(2 * time.Minute)
	for {
		a, b := checkRows(stats.AppendCSV(nil, g.Snapshot(), stats.Filter{})), theirs()
		var wrong []string
		for _, name := range c.names {
			if column := c.but[name]; column != "" && len(a[name]) > 0 && len(b[name]) > 0 {
				a[name][column] = b[name][column]
			}
			if same[name] == nil && len(b[name]) > 0 && maps.Equal(a[name], b[name]) && b[name]["check_status"] != "INI" &&
				b[name]["agent_status"] != "INI" && (settled == nil || settled(b[name])) {
				same[name] = b[name]
			}
			if same[name] == nil {
				wrong = append(wrong, name+": "+differing(a[name], b[name]))
			}
		}
		if len(wrong) == 0 {
			if haproxy.Live() {
				tape.Observe(haproxy, "rows", func() map[string]map[string]string { return same })
			}
			return
		}
		if time.Now().After(deadline) {
			if len(b) == 0 {
				t.Logf("haproxy said: %s", said.String())
			}
			t.Fatalf("%d of %d differ\n%s", len(wrong), len(c.names), strings.Join(wrong, "\n"))
		}
		<-time.After(100 * time.Millisecond)
	}
}

// checkColumns are those of `show stat` that checks and agents fill.
var checkColumns = []string{"status", "weight", "slim", "check_status", "check_code", "last_chk", "check_desc", "check_rise", "check_fall", "check_health",
	"agent_status", "agent_code", "last_agt", "agent_desc", "agent_rise", "agent_fall", "agent_health", "tracked"}

// checkRows reads the rows of servers out of `show stat`, by their backend.
func checkRows(table []byte) map[string]map[string]string {
	m := map[string]map[string]string{}
	lines, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(table, []byte("# ")))).ReadAll()
	if err != nil || len(lines) == 0 {
		return m
	}
	index := map[string]int{}
	for i, name := range lines[0] {
		index[name] = i
	}
	for _, l := range lines[1:] {
		if l[index["svname"]] != "s" {
			continue
		}
		cells := map[string]string{}
		for _, c := range checkColumns {
			cells[c] = l[index[c]]
		}
		// While HAProxy's check is under way ("* L7OK") there is no text of the one before.
		if !strings.HasPrefix(cells["check_status"], "* ") && !strings.HasPrefix(cells["agent_status"], "* ") {
			m[l[0]] = cells
		}
	}
	return m
}

// differing gives the cells in which two rows differ.
func differing(ours, theirs map[string]string) string {
	var out []string
	for _, c := range checkColumns {
		if ours[c] != theirs[c] {
			out = append(out, fmt.Sprintf("lb %s=%s, haproxy %s", c, ours[c], theirs[c]))
		}
	}
	return strings.Join(out, "; ")
}

// TestAgentsAsHAProxy has each kind of check meet each kind of agent. Agent and
// check each have a state of their own, and neither can undo what the other
// found: what an agent goes on saying does not keep a server in service whose
// check fails.
func TestAgentsAsHAProxy(t *testing.T) {
	var c comparison
	web := func(answer string) string { return peer(t, answers(answer)) }
	checks := map[string]string{
		"200": web("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), "404": web("HTTP/1.0 404 None\r\nContent-Length: 0\r\n\r\n"),
		"500": web("HTTP/1.0 500 Broken\r\nContent-Length: 0\r\n\r\n"), "refused": peerGone(t),
	}
	lines := []string{
		"up\n", "down\n", "fail\n", "stopped\n", "down # why\n", "up 50%\n", "50%\n", "0%\n", "200%\n", "up,50%,ready\n", "up ready\n", "ready\n",
		"drain\n", "up drain\n", "maint\n", "down maint\n", "maxconn:7 up\n", "maxconn:7\n", "nonsense\n", "up nonsense\n", "\n", "up\ndown\n",
		strings.Repeat("x", 300) + " up\n",
	}
	for state, address := range checks {
		for i, line := range lines {
			agent := portOf(peer(t, shuts(line)))
			c.add(fmt.Sprintf("%s-%d", state, i), "weight 100 maxconn 50 check inter 1s rise 2 fall 3 agent-check agent-inter 700ms agent-port "+agent, address,
				"mode http", "option httpchk", "http-check disable-on-404", "timeout check 10s") // a late answer would leave another state than one in time
		}
	}
	c.run(t, func(row map[string]string) bool {
		if row["status"] == "MAINT" {
			return true
		}
		if row["check_status"] == "L7OKC" && row["agent_health"] == "0" { // a 404 of a server that is down is a failure: the next check says so
			return false
		}
		return row["check_health"] == "0" || row["check_health"] == "4"
	})
}

// TestVariablesOfChecksAsHAProxy gives both the rules that make texts, ports and
// notes anew for each check. Servers answer with what they were sent.
func TestVariablesOfChecksAsHAProxy(t *testing.T) {
	var c comparison
	echo := peer(t, func(conn net.Conn) {
		buf := make([]byte, 4096)
		if n, err := conn.Read(buf); err == nil {
			fmt.Fprintf(conn, "[%x]", buf[:n])
			io.Copy(io.Discard, conn)
		}
	})
	hello := peer(t, talks("hello"))
	web := peer(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(conn, "HTTP/1.0 500 %s %s %s %s [%s] %s\r\n\r\n", r.Method, r.RequestURI, r.Host, r.Header["X-A"], body, r.Header["X-E"])
	})
	page := peer(t, answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	tcp := func(name, address string, rules ...string) {
		lines := append([]string{"option tcp-check"}, rules...)
		c.add("tcp-"+name, "check", address, lines...)
	}
	asks := func(name, address string, rules ...string) {
		lines := append([]string{"mode http", "option httpchk"}, rules...)
		c.add("http-"+name, "check", address, lines...)
	}
	const said = `tcp-check expect rstring \\[.*\\] on-success "%[res.payload(0,0)]"`
	tcp("send", echo, `tcp-check set-var(check.a) str("a b")`, `tcp-check set-var-fmt(sess.f) "%b %s %[var(check.a)]"`,
		`tcp-check send-lf "x %[var(check.a)]|%[var(sess.f)]|%[srv_name]|%[be_name]|%[var(check.none)]|%s|5%%\r\n"`, said)
	tcp("send-proc", echo, `tcp-check set-var(proc.check_test) str(p)`, `tcp-check send-lf "x%[var(proc.check_test)]"`, said)
	tcp("send-escaped", echo, `tcp-check set-var(check.a) bin(0d0a)`, `tcp-check send-lf "x%[var(check.a)]"`, said)
	tcp("send-format-escaped", echo, "tcp-check set-var(check.a) bin(0d0a225d)", `tcp-check set-var-fmt(check.b) "<%[var(check.a)]>"`, `tcp-check send-lf "x%[var(check.b)]"`, said)
	tcp("text-escaped", peer(t, talks("a\r\nb")), "tcp-check set-var(check.x) bin(0d0a)", "tcp-check expect string-lf a%[var(check.x)]")
	tcp("hex-late", hello, "tcp-check expect binary-lf 0102")
	tcp("send-hex", echo, "tcp-check set-var(check.a) str(7842)", "tcp-check send-binary-lf %[var(check.a)]43", said)
	tcp("send-hex-wrong", echo, "tcp-check set-var(check.a) str(4z)", "tcp-check send-binary-lf %[var(check.a)]43", "tcp-check expect string x")
	tcp("send-nothing", hello, "tcp-check send-lf %[var(check.none)]", "tcp-check expect string hello")
	tcp("send-last", hello, "tcp-check send-lf x")
	tcp("unset", echo, "tcp-check set-var(check.x) str(one)", "tcp-check set-var(check.x,ifnotexists) str(two)", `tcp-check send-lf "x%[var(check.x)]"`, "tcp-check unset-var(check.x)", `tcp-check expect string [ on-success "%[res.payload(0,0)] %[var(check.x)]."`)
	tcp("send-hex-plain", echo, "tcp-check send-binary 7842430d0a", said)
	tcp("conditions", echo, "tcp-check set-var(check.x) str(one)", "tcp-check set-var(check.x,ifnotexists) str(two)", `tcp-check send-lf "x%[var(check.x)]"`, said)
	tcp("port", peerGone(t), "tcp-check set-var(check.port) int("+portOf(hello)+")", "tcp-check connect port var(check.port)", "tcp-check expect string hello")
	tcp("port-text", peerGone(t), "tcp-check set-var(check.port) str("+portOf(hello)+")", "tcp-check connect port var(check.port)", "tcp-check expect string hello")
	tcp("port-none", hello, "tcp-check connect port var(check.port)", "tcp-check expect string hello")
	tcp("port-refused", hello, "tcp-check set-var(check.port) int("+portOf(peerGone(t))+")", "tcp-check connect port var(check.port)", "tcp-check expect string hello")
	tcp("kept", hello, "tcp-check expect string hello", "tcp-check set-var(check.x) res.payload(0,3)", `tcp-check expect string hello on-success "x=%[var(check.x)] from %s"`)
	tcp("note-bad", hello, `tcp-check expect ! string hello on-error "got %[res.payload(0,0)] %[payload(1,2)] %[res.len]" status-code int(77)`)
	tcp("text", hello, "tcp-check set-var(check.x) str(hell)", "tcp-check expect string-lf %[var(check.x)]o")
	tcp("text-unwanted", hello, "tcp-check set-var(check.x) str(hell)", "tcp-check expect ! string-lf %[var(check.x)]o")
	tcp("text-none", hello, "tcp-check expect string-lf %[var(check.x)]")
	tcp("text-late", hello, "tcp-check expect string-lf other")
	tcp("hex", hello, "tcp-check set-var(check.x) str(6865)", "tcp-check expect binary-lf %[var(check.x)]6c")
	tcp("hex-wrong", hello, "tcp-check expect binary-lf z")
	tcp("hex-unwanted", hello, "tcp-check expect ! binary-lf 68")
	tcp("last", hello, "tcp-check expect string hello", "tcp-check set-var(check.x) str(one)")
	tcp("last-note", hello, "tcp-check expect string hello ok-status L6OK on-success fine", "tcp-check set-var(check.x) str(one)")
	tcp("alone", hello, "tcp-check set-var(check.x) str(one)")
	tcp("alone-connect", hello, "tcp-check connect", "tcp-check set-var(check.x) str(one)")

	asks("request", web, `http-check set-var(check.v) str("v")`, "http-check connect",
		`http-check send meth POST uri-lf "/%[var(check.v)]/%s" ver HTTP/1.1 hdr Host h hdr X-A "%[var(check.v)]-%[srv_name]" hdr X-A 5%% hdr X-E "%[var(check.none)]" body-lf "body %[var(check.v)]"`)
	asks("body-escaped", web, "http-check set-var(check.v) bin(410d0a4225)", `http-check send meth POST body-lf "%[var(check.v)]"`)
	asks("request-nothing", web, `http-check send uri-lf "%[var(check.none)]" body-lf "%[var(check.none)]"`)
	asks("note", page, "http-check set-var(check.v) str(v)", `http-check expect string hello on-success "%[status] %[var(check.v)]"`)
	asks("note-bad", page, "http-check set-var(check.v) str(hell)", `http-check expect ! string-lf "%[var(check.v)]o" on-error "%[status] %[var(check.v)]"`)
	asks("text", page, "http-check set-var(check.v) str(hell)", `http-check expect string-lf "%[var(check.v)]o"`)
	asks("text-none", page, `http-check expect string-lf "%[var(check.v)]"`)
	asks("unset", page, "http-check set-var(check.v) str(v)", `http-check set-var-fmt(check.w) "<%[var(check.v)]>"`, "http-check unset-var(check.v)", `http-check expect string hello on-success "%[var(check.v)]%[var(check.w)]"`)
	asks("comment", page, "http-check comment first", "http-check expect string goodbye")
	asks("code", page, "http-check expect status 200 status-code int(77)")
	asks("code-bad", page, "http-check expect status 201 status-code int(77)")
	asks("last-comment", page, "http-check expect status 200 on-success fine comment c", "http-check set-var(check.x) str(one)")
	asks("last", page, "http-check expect status 200 on-success fine", "http-check set-var(check.x) str(one)")
	// What differs from run to run is left out: the state of the moment, the port and the machine.
	passing := regexp.MustCompile(`^[^;]*;|port=[0-9]+|node=[^;]*`)
	c.add("http-state", "check weight 7", peer(t, func(conn net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			fmt.Fprintf(conn, "HTTP/1.0 500 %s\r\n\r\n", strings.TrimSpace(passing.ReplaceAllString(r.Header.Get("X-Haproxy-Server-State"), "")))
		}
	}), "mode http", "option httpchk", "http-check send-state")
	asks("status-kept", page, "http-check expect status 200", "http-check set-var(check.x) status", `http-check expect string hello on-success "x=%[var(check.x)]"`)
	c.run(t, nil)
}

// TestChecksAsHAProxy runs lb and Debian's haproxy with the same text against
// the same servers, and compares what both found.
func TestChecksAsHAProxy(t *testing.T) {
	// The version, and "Success", which HAProxy has in its log alone.
	c := comparison{but: map[string]string{
		"mysql": "last_chk", "mysql-user": "last_chk", "ldap": "last_chk", "ldap-long": "last_chk", "ldap-two-bytes": "last_chk",
	}}
	add := c.add
	tcp := func(name string, serve func(net.Conn), rules ...string) {
		lines := append([]string{"option tcp-check"}, rules...)
		add("tcp-"+name, "check", peer(t, serve), lines...)
	}
	web := func(name, answer string, rules ...string) {
		lines := append([]string{"mode http", "option httpchk GET /"}, rules...)
		add("http-"+name, "check", peer(t, answers(answer)), lines...)
	}
	closed := peerGone(t)

	tcp("plain", talks(""))
	tcp("connect", talks(""), "tcp-check connect")
	tcp("send", talks("", "x"), "tcp-check send a")
	tcp("string", talks("hello world"), "tcp-check expect string world")
	tcp("string-later", talks("", "hel", "lo"), "tcp-check send a", "tcp-check expect string hel", "tcp-check send b", "tcp-check expect string lo")
	tcp("wrong", shuts("hello"), "tcp-check expect string world")
	tcp("wrong-comment", shuts("hello"), "tcp-check comment first", "tcp-check expect string world")
	tcp("unwanted", talks("hello"), "tcp-check expect ! string hello")
	tcp("regex", talks("hello"), "tcp-check expect rstring ^h.*o$")
	tcp("regex-wrong", shuts("hello"), "tcp-check expect rstring ^x")
	tcp("binary", talks("\x01\x02"), "tcp-check expect binary 0102")
	tcp("binary-wrong", shuts("\x01\x02"), "tcp-check expect binary 0103")
	tcp("rbinary", talks("\x0a\x02"), "tcp-check expect rbinary ^0A")
	tcp("rbinary-wrong", shuts("\x0a\x02"), "tcp-check expect rbinary ^0B")
	tcp("comment", talks("hello"), "tcp-check expect string hello comment greeting")
	tcp("note-comment", talks("hello"), "tcp-check expect string hello on-success fine comment greeting")
	tcp("chain", talks("+OK ready"), "tcp-check expect ! string -ERR", "tcp-check expect string +OK")
	tcp("late", talks(""), "tcp-check send a comment ask", "tcp-check expect string x comment never")
	tcp("late-regex", talks(""), "tcp-check connect", "tcp-check expect rstring x")
	tcp("late-status", talks(""), "tcp-check expect tout-status L6TOUT string x")
	tcp("empty", shuts(""), "tcp-check expect string x")
	tcp("empty-comment", shuts(""), "tcp-check connect", "tcp-check expect string x comment hello")
	tcp("statuses", talks("x"), "tcp-check expect ok-status L6OK on-success fine string x")
	tcp("bad-status", shuts("x"), "tcp-check expect error-status L7STS on-error broken string y")
	tcp("min-recv", talks("abc"), "tcp-check expect min-recv 2 string x")
	add("refused-connect", "check", closed, "option tcp-check", "tcp-check connect comment there")
	add("refused-implicit", "check", closed, "option tcp-check", "tcp-check expect string x")
	add("refused-plain", "check", closed)
	add("refused-http", "check", closed, "mode http", "option httpchk")

	const ok, missing = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b, c\r\n\r\nhello", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	web("plain", ok)
	web("404", missing)
	web("disable-404", missing, "http-check disable-on-404")
	web("sequence", ok, "http-check expect status 200", "http-check expect string hello")
	web("sequence-wrong", ok, "http-check expect status 200", "http-check expect string goodbye comment body")
	web("rstatus", missing, "http-check expect rstatus ^4")
	web("not-status", ok, "http-check expect ! status 200")
	web("hdr", ok, "http-check expect hdr name x-a value c")
	web("hdr-prefix", ok, "http-check expect hdr name -m beg x-")
	web("hdr-missing", ok, "http-check expect hdr name x-b")
	web("hdr-lf", ok, "http-check expect hdr name-lf X-%[str(A)] value-lf %[str(c)]")
	web("hdr-lf-prefix", ok, "http-check expect hdr name-lf -m beg %[str(x-)] value-lf -m end c")
	web("hdr-lf-missing", ok, "http-check expect hdr name x-a value-lf %[be_name]")
	web("fhdr-lf", ok, "http-check expect fhdr name x-a value-lf -m sub %[str(b)],")
	web("fhdr", ok, "http-check expect fhdr name x-a value -m str \"b, c\"")
	web("string-comment", ok, "http-check expect string hello comment body")
	web("string-note-comment", ok, "http-check expect string hello on-success fine comment body")
	web("cut-string", strings.Replace(ok, ": 5", ": 9", 1), "http-check expect string goodbye")
	web("cut-not-string", strings.Replace(ok, ": 5", ": 9", 1), "http-check expect ! string goodbye")
	web("no-body", missing, "http-check expect string x")
	web("not-no-body", missing, "http-check expect ! string x")
	web("not-no-body-regex", "HTTP/1.1 204 No Content\r\n\r\n", "http-check expect ! rstring x")
	web("interim-string", "HTTP/1.1 100 Continue\r\n\r\n"+ok, "http-check expect string hello")
	web("interim-not-string", "HTTP/1.1 100 Continue\r\n\r\n"+ok, "http-check expect ! string hello")
	web("interim-status", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"+ok, "http-check expect status 200")
	web("two-connections", ok, "http-check connect", "http-check send uri /a", "http-check expect status 200", "http-check connect", "http-check send uri /b", "http-check expect rstring ^hel")

	add("redis-ok", "check", peer(t, talks("", "+PONG\r\n")), "option redis-check")
	add("redis-bad", "check", peer(t, shuts("-ERR auth\r\n")), "option redis-check")
	mysql := "\x4a\x00\x00\x00\x0a8.0.30\x00" + strings.Repeat("x", 0x4a-8)
	okPacket := "\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"
	add("mysql", "check", peer(t, talks(mysql)), "option mysql-check")
	add("mysql-user", "check", peer(t, talks(mysql, okPacket)), "option mysql-check user root")
	add("mysql-refused", "check", peer(t, talks(mysql, "\x10\x00\x00\x02\xff\x15\x04Access denied")), "option mysql-check user root")
	add("mysql-blocked", "check", peer(t, shuts("\x0f\x00\x00\x00\xffj\x04Host blocked")), "option mysql-check user root pre-41")
	add("pgsql", "check", peer(t, talks("", "R\x00\x00\x00\x0c\x00\x00\x00\x05abcd")), "option pgsql-check user post")
	add("pgsql-error", "check", peer(t, talks("", "E\x00\x00\x00\x0cSFATAL")), "option pgsql-check user post")
	add("pgsql-other", "check", peer(t, talks("", "X\x00\x00\x00\x0c\x00\x00\x00\x05abcd")), "option pgsql-check user post")
	add("smtp", "check", peer(t, talks("220 mail ready\r\n", "250 hello\r\n", "221 bye\r\n")), "option smtpchk EHLO example.com")
	add("smtp-lines", "check", peer(t, talks("220 mail ready\r\n", "250-hello\r\n250-SIZE\r\n250 HELP\r\n", "221 bye\r\n")), "option smtpchk EHLO example.com")
	add("smtp-unfinished", "check", peer(t, talks("220 mail ready\r\n", "250-hello\r\n")), "option smtpchk EHLO example.com")
	add("smtp-refused", "check", peer(t, talks("220 mail ready\r\n", "250-hello\r\n500 no\r\n")), "option smtpchk EHLO example.com")
	add("smtp-busy", "check", peer(t, talks("421 busy\r\n")), "option smtpchk")
	add("smtp-no", "check", peer(t, shuts("garbage\r\n")), "option smtpchk")
	ldap := "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
	add("ldap", "check", peer(t, talks("", ldap)), "option ldap-check")
	add("ldap-no", "check", peer(t, talks("", strings.Replace(ldap, "\x0a\x01\x00", "\x0a\x01\x31", 1))), "option ldap-check")
	add("ldap-other", "check", peer(t, shuts("220 this is no LDAP\r\n")), "option ldap-check")
	add("spop", "check", peer(t, talks("", spopFrame(101, "\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\x00"))), "option spop-check")
	add("spop-bare", "check", peer(t, talks("", spopFrame(101, "\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06"))), "option spop-check")
	add("spop-old", "check", peer(t, talks("", spopFrame(101, "\x07version\x08\x031.0\x0emax-frame-size\x03\xfc\xf0\x06"))), "option spop-check")
	add("spop-no-version", "check", peer(t, talks("", spopFrame(101, "\x0emax-frame-size\x03\xfc\xf0\x06"))), "option spop-check")
	add("spop-no-size", "check", peer(t, talks("", spopFrame(101, "\x07version\x08\x032.0"))), "option spop-check")
	add("spop-small", "check", peer(t, talks("", spopFrame(101, "\x07version\x08\x032.0\x0emax-frame-size\x03\x0a"))), "option spop-check")
	add("spop-no-number", "check", peer(t, talks("", spopFrame(101, "\x07version\x03\x05"))), "option spop-check")
	add("spop-leaves", "check", peer(t, talks("", spopFrame(102, "\x0bstatus-code\x03\x03\x07message\x08\x01x"))), "option spop-check")
	add("spop-leaves-oddly", "check", peer(t, talks("", spopFrame(102, "\x0bstatus-code\x03\xff\xe1\x03"))), "option spop-check")
	add("spop-ack", "check", peer(t, talks("", spopFrame(103, ""))), "option spop-check")
	add("spop-other", "check", peer(t, shuts("HTTP/1.1 400 Bad Request\r\n\r\n")), "option spop-check")
	add("spop-cut", "check", peer(t, shuts(spopFrame(101, "\x07version\x08\x032.0")[:9])), "option spop-check")
	add("spop-shut", "check", peer(t, shuts("")), "option spop-check")
	add("hello", "check", peer(t, talks("", "\x15\x03\x00\x00\x02\x02\x28")), "option ssl-hello-chk")
	add("hello-no", "check", peer(t, shuts("HTTP/1.0 400\r\n")), "option ssl-hello-chk")

	// Active Directory writes lengths of four bytes, and answers may come in pieces.
	long := "\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00"
	add("ldap-long", "check", peer(t, talks("", long)), "option ldap-check")
	add("ldap-long-no", "check", peer(t, talks("", strings.Replace(long, "\x0a\x01\x00", "\x0a\x01\x31", 1))), "option ldap-check")
	add("ldap-short", "check", peer(t, shuts("\x30\x0c\x02\x01")), "option ldap-check")
	add("ldap-two-bytes", "check", peer(t, talks("", "\x30\x82\x00\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00")), "option ldap-check")
	add("pgsql-fatal", "check", peer(t, talks("", "E\x00\x00\x00\x26SFATAL\x00C28000\x00Mno such role\x00\x00")), "option pgsql-check user post")
	add("mysql-none", "check", peer(t, shuts("")), "option mysql-check")
	add("mysql-shut", "check", peer(t, shuts(mysql)), "option mysql-check user root")
	add("mysql-other", "check", peer(t, shuts("220 hello\r\n")), "option mysql-check user root")
	full := peerFull(t)
	add("full", "check", full)
	add("full-connect", "check", full, "option tcp-check", "tcp-check connect comment there")
	add("full-implicit", "check", full, "option tcp-check", "tcp-check expect string x")
	add("full-http", "check", full, "mode http", "option httpchk")
	add("full-http-step", "check", full, "mode http", "option httpchk", "http-check connect", "http-check send uri /")
	add("silent-http", "check", peer(t, talks("")), "mode http", "option httpchk")
	add("silent-binary", "check", peer(t, talks("")), "option tcp-check", "tcp-check connect", "tcp-check expect binary 4142 comment two")
	add("silent-redis", "check", peer(t, talks("")), "option redis-check")
	add("silent-mysql", "check", peer(t, talks("")), "option mysql-check")
	add("silent-tls", "check check-ssl verify none", peer(t, talks("")))
	add("shut-tls", "check check-ssl verify none", peer(t, shuts("")))
	add("shut-tls-step", "check verify none", peer(t, shuts("")), "option tcp-check", "tcp-check connect ssl comment here")
	add("plain-tls", "check check-ssl verify none", peer(t, shuts("220 no TLS here\r\n")))
	add("plain-tls-step", "check verify none", peer(t, shuts("220 no TLS here\r\n")), "option tcp-check", "tcp-check connect ssl")

	// What a backend keeps of the defaults' request.
	asked := peer(t, func(c net.Conn) {
		rd := bufio.NewReader(c)
		line, _ := rd.ReadString('\n')
		said := strings.TrimSpace(line)
		for {
			h, err := rd.ReadString('\n')
			if err != nil || strings.TrimSpace(h) == "" {
				break
			}
			if !strings.HasPrefix(strings.ToLower(h), "connection") && !strings.HasPrefix(strings.ToLower(h), "content-length") {
				said += " " + strings.TrimSpace(h)
			}
		}
		fmt.Fprintf(c, "HTTP/1.0 500 %s\r\n\r\n", said)
	})
	for i, d := range [][]string{
		{"option httpchk GET /d"}, {"option httpchk HEAD /d HTTP/1.1", "http-check send hdr x-d 1"}, {"option httpchk", "http-check send meth PUT uri /s"},
		{"http-check send meth PUT uri /s"}, {"option tcp-check"}, {"option httpchk", "http-check expect status 500"},
	} {
		c.text.WriteString("defaults\n  mode http\n  timeout connect 2s\n  timeout client 2s\n  timeout server 2s\n  timeout check 300ms\n  default-server inter 700ms rise 1 fall 1\n")
		for _, l := range d {
			c.text.WriteString("  " + l + "\n")
		}
		for j, b := range [][]string{
			{}, {"option httpchk"}, {"option httpchk /b"}, {"option httpchk", "http-check send hdr x-b 1"}, {"http-check send uri /b"}, {"option httpchk", "http-check send meth POST"},
			{"option httpchk", "http-check expect status 200"}, {"option httpchk POST /b", "http-check send hdr x-b 1"},
		} {
			add(fmt.Sprintf("defaults-%d-%d", i, j), "check", asked, b...)
		}
	}
	c.text.WriteString("defaults\n  timeout connect 2s\n  timeout client 2s\n  timeout server 2s\n  timeout check 300ms\n  default-server inter 700ms rise 1 fall 1\n  option tcp-check\n  tcp-check expect string hello\n")
	add("defaults-tcp", "check", peer(t, talks("hello")))
	add("defaults-tcp-wrong", "check", peer(t, shuts("bye")))
	add("defaults-tcp-option", "check", peer(t, shuts("bye")), "option tcp-check")
	add("defaults-tcp-own", "check", peer(t, shuts("bye")), "tcp-check expect string bye")
	c.text.WriteString("defaults\n  timeout connect 2s\n  timeout client 2s\n  timeout server 2s\n  timeout check 300ms\n  default-server inter 700ms rise 1 fall 1\n")

	web1 := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	web1.TLS = &tls.Config{}
	web1.StartTLS()
	t.Cleanup(web1.Close)
	secure := web1.Listener.Addr().String()
	add("tls", "check check-ssl verify none", secure)
	add("tls-http", "check check-ssl verify none", secure, "mode http", "option httpchk")
	add("tls-step", "check verify none", secure, "option tcp-check", "tcp-check connect ssl")

	agent := func(name, line, words string) {
		add("agent-"+name, words+" agent-check agent-inter 200ms agent-port "+portOf(peer(t, shuts(line))), peer(t, talks("")))
	}
	agent("up", "up\n", "")
	agent("down", "down # out of memory\n", "")
	add("agent-down-checked", "check agent-check agent-inter 10s agent-port "+portOf(peer(t, shuts("down\n"))), peer(t, talks("")))
	agent("weight", "50%\n", "weight 100")
	agent("weight-checked", "75%,up extra\n", "weight 100 check")
	agent("drain", "drain\n", "")
	agent("maint", "maint\n", "")
	agent("stopped", "stopped#bye\r\n", "")
	// No line without its end: HAProxy looks at the byte after it, which is what its buffer held before.
	agent("nonsense", "foo\n", "check")
	agent("maxconn", "maxconn:30\n", "maxconn 50")

	add("tracker", "track agent-down/s", closed)
	add("tracker-up", "track tcp-plain/s", closed)

	c.run(t, nil)
}

// TestCheckWordsAsHAProxy: words of server lines that say how checks and agents connect and what they send, and words that take others back.
func TestCheckWordsAsHAProxy(t *testing.T) {
	var c comparison
	add := c.add
	web := []string{"mode http", "option httpchk GET /"}
	rows := func(lines ...string) []string { return append(slices.Clone(lines), web...) }
	proxied, plain := peer(t, greeted("PROXY ")), peer(t, greeted("GET /"))
	add("proxied", "check check-send-proxy", proxied, web...)
	add("proxied-as-requests", "check send-proxy", proxied, web...)
	add("proxied-elsewhere", "check send-proxy addr 127.0.0.1 port "+portOf(plain), peerGone(t), web...)
	add("proxied-elsewhere-too", "check send-proxy check-send-proxy addr 127.0.0.1 port "+portOf(proxied), peerGone(t), web...)
	add("proxied-not", "check no-check-send-proxy", plain, rows("default-server check-send-proxy")...)
	add("proxied-both", "check no-check-send-proxy send-proxy", proxied, web...)
	add("no-check", "check no-check", plain, web...)
	add("no-check-default", "weight 3 no-check", plain, rows("default-server check")...)
	add("check-default", "check", plain, rows("default-server no-check")...)

	clear, secure := speaking(t, false), speaking(t, true)
	add("tls-not", "check no-check-ssl ssl verify none", clear, web...)
	add("tls-not-default", "check no-check-ssl", clear, rows("default-server ssl verify none check-ssl")...)
	add("tls-again", "check no-check-ssl check-ssl verify none", secure, web...)
	for i, words := range []string{
		"check check-ssl verify none", "check check-ssl verify none check-alpn other", "check check-ssl verify none check-alpn http/1.1", "check check-ssl verify none check-alpn h2", "check check-ssl verify none check-alpn h2,http/1.1",
		"check ssl verify none alpn http/1.1", "check ssl verify none alpn h2 check-alpn http/1.1", "check ssl verify none alpn http/1.1 check-alpn h2",
		"check check-proto h2", "check check-proto h1", "check proto h2", "check proto h2 check-proto h1", "check proto h1 check-proto h2",
	} {
		at := clear
		if strings.Contains(words, "ssl") {
			at = secure
		}
		add(fmt.Sprintf("proto-%d", i), words, at, web...)
	}

	up := portOf(peer(t, shuts("up\n")))
	half := portOf(peer(t, func(c net.Conn) {
		said := "down\n"
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "half, please\n" {
			said = "50%\n"
		}
		io.WriteString(c, said)
	}))
	quiet := peer(t, talks(""))
	add("agent-send", `weight 100 agent-check agent-inter 200ms agent-send half,\ please\n agent-port `+half, quiet)
	add("agent-send-other", `weight 100 agent-check agent-inter 200ms agent-send "all\n" agent-port `+half, quiet)
	add("agent-addr", "agent-check agent-inter 200ms agent-addr 127.0.0.1 agent-port "+up, strings.Replace(quiet, "127.0.0.1", "127.0.0.77", 1))
	add("agent-addr-of-checks", "agent-check agent-inter 200ms addr 127.0.0.1 agent-port "+up, strings.Replace(quiet, "127.0.0.1", "127.0.0.77", 1))
	add("agent-addr-gone", "agent-check agent-inter 200ms agent-addr 127.0.0.77 agent-port "+up, quiet)
	add("no-agent", "agent-check agent-inter 200ms no-agent-check agent-port "+half, quiet)
	add("no-agent-default", "weight 9 agent-port "+half+" no-agent-check", quiet, "default-server agent-check agent-inter 200ms")
	c.run(t, nil)
}
