package dialect

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// hello is what a client (1) or a server (2) of TLS 1.2 says first, up to the session's name, which lies where `payload_lv(43,1)` finds it, and a line.
func hello(kind byte, name string) string {
	body := "\x03\x03" + strings.Repeat("r", 32) + string(rune(len(name))) + name + "\x00\x2f\x00\n"
	return "\x16\x03\x03\x00" + string(rune(len(body)+4)) + string(rune(kind)) + "\x00\x00" + string(rune(len(body))) + body
}

// speaker runs a server that says what its client asks for: pieces between bars, and after the last one it ends, unless that is "stay". A client that
// says a TLS hello gets one, in pieces. A client that begins with "bad but" is heard of, and answered when it has said something more: the balancer has long done
// then what it does when it is connected.
func speaker(t *testing.T) (addr string, heard <-chan bool) {
	t.Helper()
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	hear := make(chan bool)
	speak := func(c net.Conn) {
		defer c.Close()
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			return
		}
		pieces := strings.Split(strings.TrimSpace(string(b[:n])), "|")
		if b[0] == 0x16 {
			said := hello(2, "the session")
			pieces = []string{said[:3], said[3:50], said[50:], "stay"}
		}
		if strings.HasPrefix(pieces[0], "bad but") {
			hear <- true
			c.Read(b)
		}
		for _, p := range pieces {
			if p == "stay" {
				io.Copy(io.Discard, c)
				return
			}
			if _, err := io.WriteString(c, p); err != nil {
				return
			}
			for unread(c) {
				time.Sleep(time.Millisecond)
			}
		}
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go speak(c)
		}
	}()
	return ln.Addr().String(), hear
}

// TestAnswers: in mode tcp rules look into what the server says first, and a TLS session's name in it is kept with its server.
func TestAnswers(t *testing.T) {
	server, heard := speaker(t)
	theirs, ours := both(t, preface("", "LINE %b/%s %ts %[var(txn.v)] %[var(txn.w)]")+`
listen sure
  mode tcp
  bind HTTP
  acl clienthello req_ssl_hello_type 1
  acl serverhello rep_ssl_hello_type 2
  tcp-request inspect-delay 20s
  tcp-request content accept if clienthello
  tcp-request content accept if { req.len gt 0 }
  tcp-response inspect-delay 20s
  tcp-response content set-var(txn.w) payload_lv(0,1),hex if { res.payload(0,1) -m bin 05 }
  tcp-response content set-var(txn.v) res.payload_lv(43,1) if serverhello
  tcp-response content accept if serverhello
  tcp-response content reject if { res.payload(0,3) -m str bad }
  tcp-response content close if { res.payload(0,3) -m str end }
  tcp-response content set-var(txn.v) str(long) if { res.len gt 10 }
  tcp-response content accept if { res.payload(0,0) -m sub magic }
  stick-table type binary len 32 size 100 expire 30m
  stick on payload_lv(43,1) if clienthello
  stick store-response payload_lv(43,1) if serverhello
  server s1 `+server+`
listen late
  mode tcp
  bind HTTP2
  tcp-response inspect-delay 500ms
  tcp-response content set-var(txn.v) str(none) if { res.len 0 }
  tcp-response content set-var(txn.v) res.payload(0,2) if { res.payload(0,2) -m found }
  tcp-response content accept if { res.ssl_hello_type 2 }
  tcp-response content reject if WAIT_END { res.payload(0,5) -m str after }
  server s1 `+server+`
listen atonce
  mode tcp
  bind HTTP3
  tcp-response content reject if { res.payload(0,3) -m str bad }
  stick-table type string len 32 size 100 expire 30m
  stick store-response dst_port,mod(1) if { res.len 0 }
  server s1 `+server+`
`, nil)
	drive := func(s *subject) (got []string) {
		ask := func(addr string, pieces ...string) {
			c := s.dial(addr)
			defer c.Close()
			what := strings.Join(pieces, "")
			for i, p := range pieces {
				if i > 0 && strings.HasPrefix(pieces[0], "bad but") {
					select {
					case <-heard:
					case <-time.After(time.Minute):
						t.Fatalf("%s: the server hears nothing", s.name)
					}
				}
				if _, err := io.WriteString(c, p); err != nil {
					t.Errorf("%s: %v", s.name, err)
				}
				s.taken(c)
			}
			text, err := c.r.ReadString('\n')
			said := strings.ReplaceAll(what, "\n", "")
			if err != nil {
				text += " and the end"
			}
			if said[0] == 0x16 {
				said = "hello"
			}
			got = append(got, said+": "+text)
		}
		greeting := hello(1, "the client's")
		ask(s.addr, greeting[:3], greeting[3:50], greeting[50:])
		for _, what := range []string{
			"this is mag|ic which passes\n|stay", "short|", "this is long and without it|", "b|a|d|stay", "end of it|", "end\n|stay", "\x05hello magic|", "|",
		} {
			ask(s.addr, what+"\n")
		}
		for _, what := range []string{"after|stay", "aft", "xy and no more\n|stay"} {
			ask(s.fill("HTTP2"), what+"\n")
		}
		ask(s.fill("HTTP3"), "bad but too late|", "\n")
		got = append(got, entryFacts.ReplaceAllString(s.command("show table sure"), ""))
		return append(got, entryFacts.ReplaceAllString(s.command("show table atonce"), ""))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(13), ours.lines(13))
}
