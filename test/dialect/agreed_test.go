package dialect

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
)

// agreedChecks are words about what checks speak, of servers that agree on HTTP/2 and HTTP/1.1 (BOTH) or one of them: what HAProxy's checks come to, lb's, and
// what the server has agreed on with lb. HAProxy 2.6 offers in checks what requests offer, and then speaks HTTP/1.1 unless check-alpn says otherwise.
var agreedChecks = []struct{ server, words, theirs, ours, agreed string }{
	{"BOTH", "", "L7OK", "L7OK", "//"},
	{"BOTH", "check-alpn h2", "L7OK", "L7OK", "/h2/"},
	{"BOTH", "alpn h2 check-alpn http/1.1", "L7OK", "L7OK", "/http/1.1/"},
	{"ONE", "alpn h2,http/1.1", "L7OK", "L7OK", "/http/1.1/"},
	{"BOTH", "alpn h2", "L7RSP", "L7OK", "//"},
	{"BOTH", "alpn h2 check-proto h1", "L7RSP", "L7OK", "//"},
	{"TWO", "alpn h2 check-proto h1", "L7RSP", "L7OK", "//"},
	{"BOTH", "alpn h2,http/1.1", "L7RSP", "L7OK", "/http/1.1/"},
	{"BOTH", "alpn h2,http/1.1 check-proto h1", "L7RSP", "L7OK", "/http/1.1/"},
	{"BOTH", "check-alpn h2 check-proto h1", "L7RSP", "L7OK", "//"},
	{"BOTH", "alpn h2 check-proto h2", "L7TOUT", "L7OK", "/h2/"},
	{"BOTH", "alpn h2,http/1.1 check-proto h2", "L7TOUT", "L7OK", "/h2/"},
}

// TestWhatChecksSpeak: over TLS checks speak what check-proto, check-alpn, proto and alpn come to. What HAProxy's checks find good lb's find, too; where
// HAProxy's speak another protocol than was agreed on, lb's do not.
func TestWhatChecksSpeak(t *testing.T) {
	servers := strings.NewReplacer("BOTH", agreeing(t, "h2", "http/1.1"), "TWO", agreeing(t, "h2"), "ONE", agreeing(t, "http/1.1"))
	text := preface("", "LINE") + "  option httpchk GET /\nfrontend fe\n  bind HTTP\n"
	for i, c := range agreedChecks {
		text += fmt.Sprintf("backend b%d\n  EXPECT%d\n  server s %s ssl verify none check inter 1s rise 1 fall 1 %s\n", i, i, servers.Replace(c.server), c.words)
	}
	var theirWords, ourWords []string
	for i, c := range agreedChecks {
		at := fmt.Sprintf("  EXPECT%d\n", i)
		theirWords, ourWords = append(theirWords, at, ""), append(ourWords, at, "  http-check expect hdr name x-seen value -m sub "+c.agreed+"\n")
	}
	theirs, ours := each(t, strings.NewReplacer(theirWords...).Replace(text), strings.NewReplacer(ourWords...).Replace(text), nil)
	drive := func(s *subject) (got []string) {
		for i, c := range agreedChecks {
			status := c.ours
			if s.name == "haproxy" {
				status = c.theirs
			}
			got = append(got, s.until(fmt.Sprintf("b%d/s", i), "check_status="+status, "check_status"))
		}
		return got
	}
	for i, row := range seen(theirs, drive) {
		if c := agreedChecks[i]; !strings.HasSuffix(row, "="+c.theirs) {
			t.Errorf("%s %s: %s", c.server, c.words, row)
		}
	}
	drive(ours)
}

// agreeing is a server over TLS that agrees on some protocols.
func agreeing(t *testing.T, protos ...string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	return secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protos})
}

// TestWebSocketNotOffered: a server that is to have WebSockets over HTTP/2 and does not offer them has answered badly.
func TestWebSocketNotOffered(t *testing.T) {
	at := agreeing(t, "h2")
	text := preface("", "LINE %ST %tsc %rc") + "  retries 2\nfrontend fe\n  bind HTTP\n  default_backend be\nbackend be\n  server s " + at + " ssl verify none alpn h2 ws h2\n"
	theirs, ours := both(t, text, nil)
	drive := func(s *subject) (got []string) {
		for range 2 {
			got = append(got, s.get("/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
		}
		return append(got, s.get("/plain"))
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(3), ours.lines(3))
}
