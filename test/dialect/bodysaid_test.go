package dialect

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestBodiesSaid: http-response rules wait for bodies, and look into them.
func TestBodiesSaid(t *testing.T) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	parts := map[string][]string{ // with a turn of the client between them
		"/whole":   {"Content-Length: 5\r\n\r\nhello"},
		"/two":     {"Content-Length: 10\r\n\r\nhello", "world"},
		"/deny":    {"Content-Length: 10\r\n\r\nhello", "world"},
		"/least":   {"Content-Length: 15\r\n\r\nhello", "world", "again"},
		"/chunks":  {"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nworld\r\n", "0\r\n\r\n"},
		"/close":   {"Connection: close\r\n\r\nhello", "world"},
		"/cut":     {"Content-Length: 100\r\n\r\nhello"},
		"/nothing": {"Content-Length: 0\r\n\r\n"},
		"/never":   {"Content-Length: 10\r\n\r\nhello", "wait"},
	}
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				text := "HTTP/1.1 200 OK\r\n"
				for _, part := range parts[r.URL.Path] {
					if part == "wait" {
						io.Copy(io.Discard, c)
						return
					}
					io.WriteString(c, text+part)
					text = ""
				}
			}()
		}
	}()
	theirs, ours := both(t, preface("", "LINE %HM %HU %ST %ts")+`
frontend fe
  bind HTTP
  http-request set-var(txn.path) path
  http-response wait-for-body time 20s at-least 6 if { var(txn.path) -m str /least }
  http-response wait-for-body time 20s if !{ var(txn.path) -m str /least /never }
  http-response wait-for-body time 100ms if { var(txn.path) -m str /never }
  http-response set-header X-Size %[res.body_size]
  http-response set-header X-Body "%[res.body_len] %[res.body]" unless { var(txn.path) -m str /least }
  http-response set-header X-Least yes if { res.body_len ge 6 }
  http-response deny if { var(txn.path) -m str /deny } { res.body -m sub loworl }
  default_backend be
backend be
  http-response set-header X-Early yes if { res.body -m beg hello }
  http-response wait-for-body time 20s at-least 2 if { var(txn.path) -m str /chunks }
  server s `+l.Addr().String()+`
`, nil)
	paths := []string{"/whole", "/two", "/deny", "/least", "/chunks", "/close", "/nothing", "/never"}
	drive := func(s *subject) (got []string) {
		for _, path := range paths {
			got = append(got, path+" "+s.get(path))
		}
		c := s.dial(s.addr)
		defer c.Close()
		io.WriteString(c, request("/cut", "Connection: close"))
		r, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(s.name, err)
		}
		body, err := io.ReadAll(r.Body)
		return append(got, r.Header.Get("X-Body"), string(body), err.Error())
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(paths)+1), ours.lines(len(paths)+1))
}
