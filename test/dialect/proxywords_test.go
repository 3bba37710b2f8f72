package dialect

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/wait"
)

// holder is a server that holds back answers to paths that begin with /hold, until release is called, and ends none of the connections to tcp that its
// clients shut.
func holder(t *testing.T) (web, tcp string, release func()) {
	t.Helper()
	held := make(chan struct{})
	gates := make(chan struct{})
	b, err := backend.StartWith(backend.Options{Name: "holder", Addr: host + ":0", Meet: func(_, path string, _ []byte) backend.Deed {
		if strings.HasPrefix(path, "/hold") {
			select {
			case <-gates:
			case <-held:
			}
		}
		return backend.Answer
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(held); b.Close() })
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, "hello\n")
				if line, _ := bufio.NewReader(c).ReadString('\n'); line == "end\n" { // with its side alone
					c.(*net.TCPConn).CloseWrite()
				}
				<-held
			}()
		}
	}()
	return b.Addr(), l.Addr().String(), func() { gates <- struct{}{} }
}

// TestProxyWords: keywords of proxies that say which servers get what, how many at a time, and for how long somebody is waited for.
func TestProxyWords(t *testing.T) {
	web, tcp, release := holder(t)
	fill := strings.NewReplacer("HOLDER", web, "SHUT", tcp)
	theirs, ours := both(t, preface("", "LINE %f %b/%s %ST %ts %HU")+fill.Replace(`
frontend fe
  bind HTTP
  http-request set-log-level silent if { path /gone }
  use_backend %[path,field(2,/)]
listen dispatched
  bind HTTP2
  dispatch S1
frontend off
  bind HTTP3
  disabled
  default_backend spare
frontend on
  bind HTTP4
  disabled
  enabled
  rate-limit sessions 1000
  default_backend spare
backend gone
  disabled
  server s S1
backend spare
  option allbackups
  server b1 S1 backup
  server b2 S2 backup
backend first
  option allbackups
  no option allbackups
  server b1 S1 backup
  server b2 S2 backup
backend hold
  timeout queue 100ms
  server s HOLDER maxconn 1
listen abort
  bind unix@DIR/abort.sock
  log-format "LINE %f %b/%s %ts %HU"
  http-request set-path /hold
  option abortonclose
  server s HOLDER maxconn 1
listen keep
  bind HTTP5
  timeout http-keep-alive 50ms
  server s S1
listen plain
  bind HTTP6
  option httpclose
  option http-keep-alive
  option disable-h2-upgrade
  server s S1
listen shutclient
  mode tcp
  log-format "LINE %f %b/%s %ts"
  bind HTTP7
  timeout client-fin 50ms
  server s SHUT
listen shutserver
  mode tcp
  log-format "LINE %f %b/%s %ts"
  bind HTTP8
  timeout server-fin 50ms
  server s SHUT
listen full
  mode tcp
  log-format "LINE %f %b/%s %ts"
  bind unix@DIR/full.sock
  fullconn 3
  server s SHUT minconn 1 maxconn 9
listen scarce
  mode tcp
  log-format "LINE %f %b/%s %ts"
  bind unix@DIR/scarce.sock
  fullconn 100
  server s SHUT minconn 1 maxconn 9
listen remember
  bind HTTP9
  stick-table type string size 10 expire 1h
  stick store-request req.hdr(x-key) if { path_beg /store }
  server s1 S1
  server s2 S2
`), nil)
	drive := func(s *subject) (got []string) {
		say := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
		at := func(name, path string) string {
			c := s.dial(s.fill(name))
			defer c.Close()
			return c.do(request(path, "Connection: close"))
		}
		say("dispatch: %s", at("HTTP2", "/"))
		if c, err := net.Dial("tcp", s.fill("HTTP3")); err == nil {
			c.Close()
			say("disabled, and it listens")
		}
		say("enabled: %s %s", at("HTTP4", "/"), s.columns("on/FRONTEND", "rate_lim", "status"))
		say("disabled: %s %s", s.get("/gone"), s.columns("gone", "status"))
		for range 4 {
			say("allbackups: %s", s.get("/spare"))
			say("no allbackups: %s", s.get("/first"))
		}

		held := s.dial(s.addr)
		io.WriteString(held, request("/hold"))
		s.until("hold/s", "scur=1", "scur")
		say("timeout queue: %s", s.get("/hold"))
		release()
		say("released: %s", held.do(""))
		var asking []net.Conn
		for n, row := range []string{"abort/s", "abort/BACKEND"} { // the second waits for the first
			c, err := net.Dial("unix", s.dir+"/abort.sock")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			io.WriteString(c, request("/abort"))
			s.until(row, []string{"scur=1", "qcur=1"}[n], []string{"scur", "qcur"}[n])
			asking = append(asking, c)
		}
		asking[1].Close()
		say("abortonclose, in the queue: %s", s.until("abort/BACKEND", "qcur=0", "qcur"))
		asking[0].Close()
		say("abortonclose, at the server: %s", s.until("abort/s", "scur=0", "scur"))
		release()

		c := s.dial(s.fill("HTTP5"))
		say("kept: %s", c.do(request("/")))
		_, err := c.r.ReadByte()
		say("timeout http-keep-alive: %v", err)
		c = s.dial(s.fill("HTTP6"))
		say("http-keep-alive: %s %s", c.do(request("/")), c.do(request("/headers")))
		c = s.dial(s.fill("HTTP6"))
		say("disable-h2-upgrade: %.3s", c.do("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
		for _, name := range []string{"HTTP7", "HTTP8"} {
			c := s.dial(s.fill(name))
			c.r.ReadString('\n')
			if name == "HTTP7" {
				io.WriteString(c, "end\n")
			} else {
				c.Conn.(*net.TCPConn).CloseWrite()
			}
			_, err := c.r.ReadByte()
			say("shut: %v", err)
		}
		for name, want := range map[string][2]string{"full": {"scur=4", "qcur=0"}, "scarce": {"scur=1", "qcur=3"}} {
			for n := range 4 {
				c, err := net.Dial("unix", s.dir+"/"+name+".sock")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				wait.Until(t, "a connection", func() bool { // one after the other
					return strings.HasSuffix(s.columns(name+"/BACKEND", "stot")[0], fmt.Sprintf("stot=%d", n+1))
				})
			}
			s.until(name+"/s", want[0], "scur")
			s.until(name+"/BACKEND", want[1], "qcur")
		}
		for _, path := range []string{"/store", "/store", "/"} {
			c := s.dial(s.fill("HTTP9"))
			say("store-request: %s", c.do(request(path, "X-Key: "+path+"k", "Connection: close")))
		}
		say("%s", entryFacts.ReplaceAllString(s.command("show table remember"), "*"))
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(23), ours.lines(23))
}

// TestLogWords: which lines are logged, how severe, and in which form.
func TestLogWords(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %HU")+`
listen quiet
  bind HTTP
  option dontlog-normal
  option log-separate-errors
  server s1 S1
listen loud
  bind HTTP2
  option log-separate-errors
  server s1 S1
listen https
  bind HTTP3
  option httpslog
  http-request capture req.hdr(x-kept) len 5
  server s1 S1
`, nil)
	numbers := regexp.MustCompile(`\d+/Nov/\S+|\[\d+/[A-Z][^]]*\]|\b\d+\b`)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3"} {
			for _, path := range []string{"/status/200", "/status/500", "/status/404"} {
				c := s.dial(s.fill(name))
				got = append(got, c.do(request(path, "X-Kept: keepers", "Connection: close")))
				c.Close()
				if name == "HTTP" && path != "/status/500" {
					continue
				}
				text, ok := s.logged()
				if !ok {
					t.Fatalf("%s: no line of %s %s", s.name, name, path)
				}
				priority, text, _ := strings.Cut(text, ">")
				_, text, _ = strings.Cut(text, "]: ")
				status := regexp.MustCompile(` (200|404|500) `).FindString(text)
				got = append(got, fmt.Sprintf("%s %s> %s %s", name, priority, status, numbers.ReplaceAllString(strings.TrimSpace(text), "N")))
			}
		}
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

// TestPageWords: what stats lines make of the statistics page.
func TestPageWords(t *testing.T) {
	theirs, ours := both(t, preface("node here\ndescription a test of\\ pages", "LINE %ST %HU")+`
frontend full
  bind HTTP
  stats uri /page
  stats realm The\ realm
  stats auth user:secret
  stats auth other:word
  stats refresh 7s
  stats show-legends
  stats show-node
  stats show-desc The text
  default_backend be
frontend bare
  bind HTTP2
  stats enable
  stats uri /page
  stats hide-version
  stats show-node elsewhere
  stats show-desc
  default_backend be
backend be
  cookie C insert
  server s1 S1 cookie c1
`, nil)
	drive := func(s *subject) (got []string) {
		version := strings.TrimPrefix(s.info("Version")[0], "Version: ")
		for _, ask := range []struct{ name, user, password string }{{"HTTP", "", ""}, {"HTTP", "user", "secret"}, {"HTTP", "user", "word"}, {"HTTP", "other", "word"}, {"HTTP2", "", ""}} {
			for _, path := range []string{"/page", "/page;csv", "/page;norefresh"} {
				r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.fill(ask.name)+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if ask.user != "" {
					r.SetBasicAuth(ask.user, ask.password)
				}
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				line := fmt.Sprint(ask, path, answer.StatusCode, answer.Header["Www-Authenticate"], answer.Header["Refresh"], strings.TrimSuffix(answer.Header.Get("Content-Type"), "; charset=utf-8"))
				if answer.StatusCode == 200 && path != "/page;csv" {
					for _, word := range []string{`\bhere\b`, `\belsewhere\b`, `a test of pages`, `The text`, regexp.QuoteMeta(s.fill("S1"))} {
						line += fmt.Sprintf(" %s:%v", s.mask(strings.ReplaceAll(word, `\.`, ".")), regexp.MustCompile(word).Match(body))
					}
					line += fmt.Sprintf(" version:%v", strings.Contains(string(body), version))
				}
				got = append(got, line)
			}
		}
		return got
	}
	same(t, "page", seen(theirs, drive), drive(ours))
}
