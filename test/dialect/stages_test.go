package dialect

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/rig"
)

// TestLogLevelsOfEachStage: rules of each stage say how severe the line of an exchange is, or that there is none.
func TestLogLevelsOfEachStage(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST")+`
frontend fe
  bind HTTP
  tcp-request content set-log-level emerg if { path /content }
  tcp-request content set-log-level silent if { path /content/silent }
  tcp-request content set-log-level crit if { path_beg /over }
  http-request set-log-level alert if { path /request }
  http-request set-log-level silent if { path /request/silent }
  http-request set-var(txn.path) path
  http-response set-log-level err if { var(txn.path) -m str /over/front }
  default_backend be
backend be
  tcp-response content set-log-level warning if { var(txn.path) -m str /answer }
  tcp-response content set-log-level silent if { var(txn.path) -m str /answer/silent }
  tcp-response content set-log-level notice if { var(txn.path) -m str /over/both }
  http-response set-log-level debug if { var(txn.path) -m str /response }
  http-response set-log-level silent if { var(txn.path) -m str /response/silent }
  http-response set-log-level err if { var(txn.path) -m str /over/both }
  server s1 S1
listen tcp
  bind HTTP2
  mode tcp
  log-format "LINE tcp"
  tcp-request inspect-delay 20s
  tcp-request content set-log-level alert if { req.payload(0,10) -m sub loud }
  tcp-response content set-log-level emerg if { res.len gt 0 }
  tcp-response content accept if { res.len gt 0 }
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		line := func() {
			text, ok := s.logged()
			if !ok {
				t.Fatalf("%s: no line after these: %s", s.name, got)
			}
			level, _, _ := strings.Cut(text, ">")
			_, rest, _ := strings.Cut(text, "LINE ")
			got = append(got, level+"> "+strings.TrimSpace(rest))
		}
		for _, path := range []string{
			"/none", "/content", "/content/silent", "/request", "/request/silent", "/answer", "/answer/silent", "/response", "/response/silent",
			"/over", "/over/front", "/over/both",
		} {
			s.get(path)
			if !strings.HasSuffix(path, "silent") { // if there were one, the next would be taken for it
				line()
			}
		}
		c := s.dial(s.fill("HTTP2"))
		c.do(request("/loud", "Connection: close"))
		c.Close()
		line()
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

// TestPrioritiesOfEachStage: whose class is lower leaves the queue first, whoever came first; within a class the offset counts.
func TestPrioritiesOfEachStage(t *testing.T) {
	arrived, answer := make(chan string, 20), make(chan bool)
	server := answering(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		arrived <- r.URL.Path
		<-answer
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	theirs, ours := both(t, preface("", "LINE %HU %ST")+strings.ReplaceAll(`
frontend fe
  bind HTTP
  tcp-request content set-priority-class int(3) if { path /content/last }
  tcp-request content set-priority-class int(-3) if { path /content/first }
  tcp-request content set-priority-offset int(300000) if { path /content/later }
  tcp-request content set-priority-offset int(-300000) if { path /content/earlier }
  http-request set-priority-class int(4) if { path /request/last }
  http-request set-priority-class req.hdr_val(x-class) if { path /request/first }
  http-request set-priority-offset int(200000) if { path /request/later }
  http-request set-priority-offset int(-200000) if { path /request/earlier }
  default_backend be
backend be
  server s SERVER maxconn 1
`, "SERVER", server), nil)
	drive := func(s *subject) (got []string) {
		send := func(path string) {
			if _, err := io.WriteString(s.dial(s.addr), request(path, "X-Class: -4")); err != nil {
				t.Fatal(err)
			}
		}
		send("/served")
		got = append(got, <-arrived)
		queued := []string{
			"/request/last", "/content/last", "/request/later", "/content/later", "/plain", "/content/earlier", "/request/earlier", "/content/first", "/request/first",
		}
		for i, path := range queued {
			send(path)
			s.until("be/BACKEND", fmt.Sprintf("qcur=%d", i+1), "qcur")
		}
		for range queued {
			answer <- true
			got = append(got, <-arrived)
		}
		answer <- true
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "turn", want, got)
}

// TestCapturesOfEachStage: what rules of requests and answers keep for the log, in slots of their own and in declared ones.
func TestCapturesOfEachStage(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST %hr %hs %[capture.req.hdr(1)]")+`
frontend fe
  bind HTTP
  tcp-request inspect-delay 5s
  declare capture request len 6
  declare capture response len 9
  declare capture response len 3
  tcp-request content capture req.hdr(x-a) len 5
  tcp-request content capture req.hdr(x-a),upper len 4 if { path_end /upper }
  http-request return status 404 hdr X-Own yes if { path_beg /own }
  http-after-response capture res.hdr(x-backend) id 0
  http-after-response capture res.hdr(x-own) id 0
  http-after-response capture status id 1
  default_backend be
backend be
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		c := s.dial(s.addr)
		for _, path := range []string{"/r/a", "/r/upper", "/own", "/own/upper", "/status/404"} {
			got = append(got, c.do(request(path, "X-A: abcdefgh")))
		}
		return append(got, c.do(request("/r/a")))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestFilesEditedByAnswers: what http-response rules put into files of ACLs and maps, and take out of them, the next request sees.
func TestFilesEditedByAnswers(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST")+`
frontend fe
  bind HTTP
  acl known req.hdr(x) -f DIR/names.lst
  http-request set-var(txn.x) req.hdr(x)
  http-request set-var(txn.do) path
  http-request set-var(txn.before) req.hdr(x),map(DIR/all.map,none)
  http-request set-var(txn.known) str(yes) if known
  http-response add-acl(DIR/names.lst) %[var(txn.x)] if { var(txn.do) -m str /r/add }
  http-response del-acl(DIR/names.lst) %[var(txn.x)] if { var(txn.do) -m str /r/del }
  http-response set-map(DIR/all.map) %[var(txn.x)] "v %[res.hdr(x-backend)]" if { var(txn.do) -m str /r/set }
  http-response del-map(DIR/all.map) %[var(txn.x)] if { var(txn.do) -m str /r/unset }
  http-response set-header X-Before "%[var(txn.before)] %[var(txn.known)]"
  http-response set-header X-After %[var(txn.x),map(DIR/all.map,none)]
  default_backend be
backend be
  server s1 S1
`, map[string]string{"names.lst": "bob\n", "all.map": "bob old\n"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/r/no", "/r/add", "/r/add", "/r/no", "/r/set", "/r/no", "/r/del", "/r/no", "/r/unset", "/r/no", "/r/add", "/r/set"} {
			for _, name := range []string{"bob", "ann"} {
				got = append(got, path+" "+name+" "+s.get(path, "X: "+name))
			}
		}
		for _, command := range []string{"show acl DIR/names.lst", "show map DIR/all.map"} {
			got = append(got, regexp.MustCompile(`0x[0-9a-f]+`).ReplaceAllString(s.command(command), "0x"))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}

// TestLeavingRulesEarly: accept and allow pass over the other rules of their set, and over those alone.
func TestLeavingRulesEarly(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %f %ST %ts")+`
frontend connection
  bind HTTP
  tcp-request connection accept if { src 127.91.18.66 }
  tcp-request connection reject
  http-request set-header X-Passed yes
  default_backend be
frontend session
  bind HTTP2
  tcp-request session accept if { src 127.91.18.66 }
  tcp-request session reject
  default_backend be
frontend content
  bind HTTP3
  tcp-request content accept if { src 127.91.18.66 }
  tcp-request content reject
  default_backend be
frontend request
  bind HTTP4
  http-request allow if { src 127.91.18.66 }
  http-request deny
  default_backend be
backend be
  http-request set-var(txn.path) path
  http-request deny deny_status 410 if { path /headers/gone }
  tcp-response content accept if { var(txn.path) -m str /status/404 }
  tcp-response content reject if { var(txn.path) -m beg /status/4 }
  http-response allow if { status 200 }
  http-response set-header X-Other yes
  http-after-response allow if { status 200 }
  http-after-response set-header X-Late yes
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4"} {
			for _, path := range []string{"/headers", "/headers/gone", "/status/404", "/status/405", "/status/500"} {
				got = append(got, name+" "+path+" "+s.dialFrom("127.91.18.66", s.fill(name)).do(request(path)))
			}
			answer := "gone"
			if c := s.dialFrom("127.91.18.67", s.fill(name)); c != nil {
				answer = gone(c.do(request("/headers", "Connection: close")))
			}
			got = append(got, name+" "+answer)
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(22), ours.lines(22)) // of the connection and the session that are rejected there is none
}

// TestExpectNetScaler: the client's address from a NetScaler's header, where a rule expects one.
func TestExpectNetScaler(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ci %fi:%fp %HU %ST")+`
frontend fe
  bind HTTP
  tcp-request connection expect-netscaler-cip layer4 if { src 127.91.18.66 }
  option forwardfor
  error-log-format "LINE error %ci"
  default_backend be
backend be
  server s1 S1
`, nil)
	header := func(magic string) string {
		return magic + "\x00\x00\x00\x28" + "E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\xc0\x00\x02\x05\xc0\x00\x02\x06" + "\x04\xd2\x00\x50" + strings.Repeat("\x00", 16)
	}
	drive := func(s *subject) (got []string) {
		for _, from := range []string{"127.91.18.66", "127.91.18.67"} {
			for _, head := range []string{header("\x00\x00\x00\x00"), header("\x00\x00\x00\x4d"), ""} {
				if from == "127.91.18.67" && head != "" {
					continue // what is no request is another test's
				}
				got = append(got, fmt.Sprintf("%s %.4q %s", from, head, gone(s.dialFrom(from, s.addr).do(head+request("/headers", "Connection: close")))))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestStrictMode: a rule that makes a head too large is an error, unless an earlier rule of the set says that it may be left out.
func TestStrictMode(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST %tsc")+`
frontend fe
  bind HTTP
  http-request strict-mode off if { path /headers/request/off }
  http-request strict-mode on if { path /headers/request/on }
  http-request set-header X-Big %[req.hdr(x)]%[req.hdr(x)]%[req.hdr(x)]%[req.hdr(x)]%[req.hdr(x)]%[req.hdr(x)] if { path_beg /headers/request }
  http-request set-header X-Small yes
  http-request set-var(txn.x) req.hdr(x)
  http-request set-var(txn.path) path
  http-request del-header X
  http-request return status 202 if { path_beg /own }
  http-after-response strict-mode off if { var(txn.path) -m end /after/off }
  http-after-response strict-mode on if { var(txn.path) -m end /after/on }
  http-after-response set-header X-Big %[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)] if { var(txn.path) -m sub /after }
  http-after-response set-header X-After yes
  default_backend be
frontend file
  bind HTTP2
  errorfile 500 DIR/500
  http-request set-var(txn.x) req.hdr(x)
  http-request del-header X
  http-request return status 202 if { path_beg /own }
  http-after-response set-header X-Big %[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]
  default_backend be
backend be
  http-response strict-mode off if { var(txn.path) -m str /headers/response/off }
  http-response strict-mode on if { var(txn.path) -m str /headers/response/on }
  http-response set-header X-Big %[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)]%[var(txn.x)] if { var(txn.path) -m beg /headers/response }
  http-response set-header X-Response yes
  server s1 S1
`, map[string]string{"500": "HTTP/1.0 500 Own\r\nX-File: yes\r\n\r\nfile"})
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/headers", "/headers/request", "/headers/request/on", "/headers/request/off", "/headers/response", "/headers/response/on", "/headers/response/off", "/headers/after", "/headers/after/on", "/headers/after/off", "/own", "/own/after", "/own/after/on", "/own/after/off"} {
			got = append(got, path+" "+s.get(path, "X: "+strings.Repeat("x", 7000)))
		}
		for _, path := range []string{"/headers", "/own"} {
			got = append(got, "a file: "+s.dial(s.fill("HTTP2")).do(request(path, "Connection: close", "X: "+strings.Repeat("x", 7000))))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestWaitForHandshake: a request that comes before its handshake is over is answered after it.
func TestWaitForHandshake(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "site.pem")
	if _, err := rig.WriteCertificate(cert, "site.example"); err != nil {
		t.Fatal(err)
	}
	theirs, ours := both(t, strings.ReplaceAll(preface("", "LINE %HU %ST")+`
frontend fe
  bind HTTP ssl crt CERT allow-0rtt
  http-request wait-for-handshake
  http-request return status 200 hdr X-Early %[ssl_fc_has_early] hdr X-Resumed %[ssl_fc_is_resumed]
frontend plain
  bind HTTP2
  http-request wait-for-handshake
  http-request return status 201
`, "CERT", cert), nil)
	early := []byte(request("/early", "Connection: close"))
	drive := func(s *subject) (got []string) {
		if err := os.WriteFile(filepath.Join(s.dir, "early"), early, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range []string{"-sess_out SESSION", "-sess_in SESSION -early_data EARLY"} {
			got = append(got, s.earlyData(strings.NewReplacer("SESSION", filepath.Join(s.dir, "session"), "EARLY", filepath.Join(s.dir, "early")).Replace(args)))
		}
		return append(got, s.dial(s.fill("HTTP2")).do(request("/plain")))
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}

// earlyData is the answer that openssl s_client has. It sends a request after the handshake, unless the one before it was taken.
func (s *subject) earlyData(args string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", strings.Fields("s_client -connect "+s.addr+" -ign_eof -tls1_3 -servername site.example "+args)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var answer []string
	for r := bufio.NewScanner(out); r.Scan(); {
		switch line := strings.TrimSpace(r.Text()); {
		case strings.HasPrefix(line, "Early data was ") && !strings.HasSuffix(line, "accepted"):
			io.WriteString(in, request("/late", "Connection: close"))
		case strings.HasPrefix(line, "HTTP/1") || strings.HasPrefix(line, "x-"):
			answer = append(answer, line)
		}
	}
	cmd.Wait() // its status is that of the verification
	if ctx.Err() != nil {
		s.t.Errorf("%s: openssl does not end", s.name)
	}
	return strings.Join(answer, " ")
}
