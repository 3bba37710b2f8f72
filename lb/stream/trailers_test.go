package stream

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/syslog"
)

// TestTrailers passes trailers both ways, to clients of HTTP/1 and of HTTP/2: those of the request, which the server says back in its own.
func TestTrailers(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Got")
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
		w.Header().Set("X-Got", r.Trailer.Get("X-Sent"))
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "7")
	})
	for _, kind := range []protocol{http1Plain, http2Plain, http2TLS} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, true, []string{srv}, func(r *rig) { kind.adjust(t, r) })
			for _, body := range []string{"", "x", strings.Repeat("0123456789", 20_000)} {
				req, err := http.NewRequest("POST", kind.url(r), io.LimitReader(strings.NewReader(body), 1<<30))
				if err != nil {
					t.Fatal(err)
				}
				req.Trailer = http.Header{"X-Sent": {"yes"}}
				resp, err := kind.client(t).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != body {
					t.Fatalf("%d bytes of %d, %v", len(got), len(body), err)
				}
				if sent, status := resp.Trailer.Get("X-Got"), resp.Trailer.Get("Grpc-Status"); sent != "yes" || status != "7" {
					t.Errorf("%d bytes: trailers %v", len(body), resp.Trailer)
				}
			}
		})
	}
}

// TestTrailersOfAnswers: HTTP/2 has no fields about a connection, not even in trailers, and a capture finds there what the head does not have.
func TestTrailersOfAnswers(t *testing.T) {
	srv := script(t, func(c *net.TCPConn, in *bufio.Reader) {
		for readHead(in) != "" {
			for _, piece := range []string{
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Head: 1\r\n\r\n3\r\nabc\r\n0\r\nKeep-Alive: 1\r\nTE: x\r\nUpgr",
				"ade: y\r\nX-Trailer:  2 \r\nX-Head: 3\r\nX-Empty:\r\n\r", "\n",
			} {
				io.WriteString(c, piece)
			}
		}
	})
	for _, kind := range []protocol{http1Plain, http2Plain} {
		var line func() string
		r := newRig(t, true, []string{srv}, func(r *rig) {
			r.fe.ResCaptures = []Capture{{Header: "x-head", Len: 9}, {Header: "x-trailer", Len: 9}, {Header: "x-none", Len: 9}}
			line = logTo(t, r, "%hs")
		})
		if kind == http1Plain {
			c, _ := dial(t, r.addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got, _ := io.ReadAll(c)
			if log := line(); log != "{1|2|}" {
				t.Errorf("logged %q", log)
			}
			if !strings.HasSuffix(string(got), "\r\n\r\n3\r\nabc\r\n0\r\nKeep-Alive: 1\r\nTE: x\r\nUpgrade: y\r\nX-Trailer:  2 \r\nX-Head: 3\r\nX-Empty:\r\n\r\n") {
				t.Errorf("got %q", got)
			}
			continue
		}
		resp, err := kind.client(t).Get(kind.url(r))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if len(resp.Trailer) != 3 || resp.Trailer.Get("X-Trailer") != "2" || string(body) != "abc" || err != nil {
			t.Errorf("%q, %v, trailers %v", body, err, resp.Trailer)
		}
	}
}

// logTo has the rig log in a format; the function gives the next line.
func logTo(t *testing.T, r *rig, text string) (line func() string) {
	t.Helper()
	lines, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lines.Close() })
	format, err := logformat.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.fe.Access, r.fe.Logs = accesslog.Policy{Format: format, HTTP: true}, 0
	r.Targets = [][]syslog.Target{{{Network: "udp", Address: lines.LocalAddr().String(), Format: "raw", Len: 1024, Level: 7}}}
	return func() string {
		b := make([]byte, 1024)
		lines.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := lines.Read(b)
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSuffix(string(b[:n]), "\n")
	}
}
