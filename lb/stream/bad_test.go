package stream

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// TestBadMessagesAreKept: the last request and the last answer that could not be
// read, with the reason and the place.
func TestBadMessagesAreKept(t *testing.T) {
	srv := newRecorder(t, map[string]string{
		"/control": "HTTP/1.1 200 OK\r\nX-Odd: a\x1fb\r\nContent-Length: 2\r\n\r\nok",
		"/fold":    "HTTP/1.1 200 OK\r\nX-Odd: a\r\n b\r\n\r\n",
		"/chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"/101":     "HTTP/1.1 101 Switching\r\n\r\n",
		"/short":   "HTTP/1.1 200 OK\r\nConnection: close\r\nX: y",
		"/gzip":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	})
	r := newRig(t, true, []string{srv.addr}, func(r *rig) { r.be.Reuse = ReuseNever })
	if r.fe.Bad() != nil || r.be.Bad() != nil || r.BadMessages() != 0 {
		t.Fatal("there is a bad message already")
	}
	long := strings.Repeat("X-Long: "+strings.Repeat("x", 1000)+"\r\n", 10)
	for _, c := range []struct {
		request, reason, at string // at is what stands there
	}{
		{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "request target", " b HTTP"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX\x01: b\r\n\r\n", "header name", "\x01: b"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n", "control character", "\x01c"},
		{"GET / HTTP/1.1\r\nHost: a\r\n" + long + "X: b\x01c\r\n\r\n", "control character", "\x01c"},
		{"GET / HTTP/1.1\r\nX: b\r\n\r\n", "no Host", "GET"},
		{"GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n", "Host", "a:80"},
		{"GET / HTTP/3.1\r\nHost: a\r\n\r\n", "version", "3.1"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "differ", "4\r\n"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd", "chunk", "d"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("y", DefaultHead) + "\r\n\r\n", "larger than tune.bufsize", ""},
	} {
		talk(t, r.addr, c.request)
		m := r.fe.Bad()
		if m == nil || !strings.Contains(m.Reason, c.reason) || m.Answer || m.Frontend != "fe" || !m.Client.IsValid() {
			t.Errorf("%.60q: kept %+v", c.request, m)
			continue
		}
		if got := string(m.Bytes[m.At-m.From:]); !strings.HasPrefix(got, c.at) || len(m.Bytes) > maxBad {
			t.Errorf("%.60q: at %d of %d (from %d, %d kept) stands %.20q", c.request, m.At, m.Total, m.From, len(m.Bytes), got)
		}
	}
	requests := r.BadMessages()
	for _, c := range []struct{ path, version, reason, at string }{
		{"/control", "1", "control character", "\x1fb"},
		{"/fold", "1", "folded", " b\r\n"},
		{"/chunk", "1", "chunk size", "zz\r\n"},
		{"/101", "1", "101", "HTTP/1.1 101"},
		{"/short", "1", "middle of its answer's head", ""},
		{"/gzip", "0", "transfer coding", "HTTP/1.1 200"},
	} {
		got := talk(t, r.addr, "GET "+c.path+" HTTP/1."+c.version+"\r\nHost: a\r\nConnection: close\r\n\r\n")
		m := r.be.Bad()
		if m == nil || !strings.Contains(m.Reason, c.reason) || !m.Answer || m.Server != "s1" || !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%s: kept %+v, answered %.30q", c.path, m, got)
			continue
		}
		if got := string(m.Bytes[m.At-m.From:]); !strings.HasPrefix(got, c.at) {
			t.Errorf("%s: at %d stands %.20q", c.path, m.At, got)
		}
	}
	if n := r.BadMessages(); n != requests+6 || r.be.Bad().Event != n-1 {
		t.Errorf("%d events after %d", n, requests)
	}
	if got := talk(t, r.addr, "GET /gzip HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("a client that can be told of the coding got %q", got)
	}
}

// TestBadMessagesOverHTTP2: faults of a stream and of the connection are kept.
func TestBadMessagesOverHTTP2(t *testing.T) {
	r := newRig(t, true, []string{"127.0.0.1:1"}, nil)
	w := newWire(t, r.addr)
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(":method", "GET", ":scheme", "ht:tp", ":path", "/", ":authority", "a"), EndHeaders: true, EndStream: true})
	wait.Until(t, "the fault of a stream", func() bool { m := r.fe.Bad(); return m != nil && m.HTTP2 })
	w = newWire(t, r.addr)
	w.WriteRawFrame(http2.FrameData, 0, 0, nil)
	wait.Until(t, "the fault of a connection", func() bool {
		m := r.fe.Bad()
		return m != nil && strings.Contains(m.Reason, "DATA without a stream")
	})
}

// TestAbsoluteTargetIsTheHost: rules and servers see the host of an absolute
// target where HTTP/1.0 has no Host (F9).
func TestAbsoluteTargetIsTheHost(t *testing.T) {
	srv := newRecorder(t, map[string]string{"http://secret.example/": plainAnswer, "http://other.example/": plainAnswer})
	r := newRig(t, true, []string{srv.addr}, func(r *rig) {
		r.fe.Rules[rule.Request] = rules(t, rule.Request, "deny if { hdr(host) -i -m beg secret.example }")
	})
	for request, status := range map[string]string{
		"GET http://secret.example/ HTTP/1.0\r\n\r\n":          "403",
		"GET HTTP://SECRET.example/x HTTP/1.0\r\n\r\n":         "403",
		"CONNECT secret.example:443 HTTP/1.0\r\n\r\n":          "403",
		"GET http://secret.example/ HTTP/1.1\r\n\r\n":          "400", // RFC 9112 section 3.2: whatever the target is
		"CONNECT secret.example:443 HTTP/1.1\r\n\r\n":          "400",
		"OPTIONS * HTTP/1.1\r\n\r\n":                           "400",
		"GET http://secret.example/ HTTP/1.0\r\nHost:\r\n\r\n": "400",
	} {
		if got := talk(t, r.addr, request); !strings.HasPrefix(got, "HTTP/1.1 "+status) {
			t.Errorf("%q: %.80q, want %s", request, got, status)
		}
	}
	talk(t, r.addr, "GET http://other.example/ HTTP/1.0\r\n\r\n")
	if got := srv.last(); !strings.Contains(got, "\r\nHost: other.example\r\n") {
		t.Errorf("the server got %q", got)
	}
}

// TestResetReachesTheServer: of a client that resets its tunnel, or in the
// middle of its body, the server hears a reset and no end.
func TestResetReachesTheServer(t *testing.T) {
	for _, mode := range []string{"tunnel", "body"} {
		came, ended := make(chan struct{}), make(chan error, 1)
		srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
			br.ReadByte()
			close(came)
			_, err := io.Copy(io.Discard, br)
			ended <- err
		})
		r := newRig(t, mode == "body", []string{srv}, nil)
		cl := connect(t, r.addr)
		cl.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
		<-came
		cl.SetLinger(0)
		cl.Close()
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "reset") {
				t.Errorf("%s: the server hears %v", mode, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: the server hears nothing", mode)
		}
	}
}

// TestAbortOnClose: a client that has ended its side while its request waits for
// an answer takes the request with it, if the option says so.
func TestAbortOnClose(t *testing.T) {
	for _, option := range []bool{true, false} {
		asked, gone := make(chan struct{}), make(chan struct{})
		srv := script(t, func(c *net.TCPConn, br *bufio.Reader) {
			readHead(br)
			close(asked)
			if option {
				br.ReadByte()
				close(gone)
				return
			}
			io.WriteString(c, plainAnswer)
		})
		r := newRig(t, true, []string{srv}, func(r *rig) { r.be.AbortOnClose = option })
		cl := connect(t, r.addr)
		cl.say(get)
		cl.CloseWrite()
		<-asked
		if option {
			select {
			case <-gone:
			case <-time.After(20 * time.Second):
				t.Error("the server keeps the request")
			}
		} else if got, _ := io.ReadAll(cl.r); !strings.HasSuffix(string(got), "world") {
			t.Errorf("got %q", got)
		}
	}
}

// TestFaultsAreLogged: the line of a request that could not be read, and of one whose
// answer could not, names the reason (B21).
func TestFaultsAreLogged(t *testing.T) {
	srv := newRecorder(t, map[string]string{"/control": "HTTP/1.1 200 OK\r\nX-Odd: a\x1fb\r\nContent-Length: 2\r\n\r\nok"})
	lines, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	r := newRig(t, true, []string{srv.addr}, func(r *rig) {
		format, err := logformat.Parse("%ST %ts %[lb_fault]", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.fe.Access, r.fe.Logs = accesslog.Policy{Format: format, HTTP: true}, 0
		r.Targets = [][]syslog.Target{{{Network: "udp", Address: lines.LocalAddr().String(), Format: "raw", Len: 1024, Level: 7}}}
	})
	for _, c := range []struct{ request, want string }{
		{"GET /control HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "502 PH control character in a header value [5.5]"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n", "400 PR control character in a header value [5.5]"},
	} {
		talk(t, r.addr, c.request)
		b := make([]byte, 1024)
		lines.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := lines.ReadFrom(b)
		if got := string(b[:n]); err != nil || !strings.HasSuffix(strings.TrimSpace(got), c.want) {
			t.Errorf("%q, %v, want %q", got, err, c.want)
		}
	}
}
