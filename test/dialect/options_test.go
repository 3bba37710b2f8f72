package dialect

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestHeaderNames: fields with unusual names, and answers whose cookie a cache would keep.
func TestHeaderNames(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST %ts")+`
frontend fe
  bind HTTP
  option http-restrict-req-hdr-names reject
  http-request set-header a_b x if { path /add }
  http-request return status 200 hdr X-AB %[req.hdr(a_b)] if { path_beg /rules }
  default_backend be
backend be
  option http-restrict-req-hdr-names delete
  http-request set-header c_d y
  http-request set-path /headers
  server s1 S1
listen li
  bind HTTP2
  option http-restrict-req-hdr-names delete
  option checkcache
  http-request set-header c_d y
  http-request set-path /headers unless { path_beg /cookie }
  server s1 S1
  server s2 HTTP3 weight 0
  use-server s2 if { path_beg /cookie }
frontend app
  bind HTTP3
  no log
  http-request return status 200 hdr Set-Cookie a=b hdr Cache-Control max-age=5 if { path_end /kept }
  http-request return status 200 hdr Cache-Control max-age=5 if { path_end /none }
  http-request return status 200 hdr Set-Cookie a=b hdr Cache-Control private if { path_end /private }
  http-request return status 200 hdr Set-Cookie a=b
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, addr := range []string{s.addr, s.fill("HTTP2")} {
			for _, path := range []string{"/", "/add", "/rules", "/cookie/none", "/cookie/private", "/cookie/x"} {
				for _, field := range []string{"a_b: v", "a-b: v", "x.y: v", "Ab9: v"} {
					c := s.dial(addr)
					got = append(got, path+" "+field+" "+c.do(request(path, field, "Connection: close")))
					requests++
					c.Close()
				}
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
	// HAProxy 2.6.12 blocks the answer and sends its page for 200.
	c := ours.dial(ours.fill("HTTP2"))
	if got := c.do(request("/cookie/kept")); !strings.HasPrefix(got, "502 ") {
		t.Errorf("option checkcache: %s", got)
	}
}

// TestPersistRDP: the server that an RDP cookie names.
func TestPersistRDP(t *testing.T) {
	theirs, ours := both(t, "global\n  stats socket STATS mode 600 level admin\n  log LOG local0\ndefaults\n  mode tcp\n  log global\n  log-format \"LINE %s %ts\"\n  timeout connect 10s\n  timeout client 20s\n  timeout server 20s\n"+`
listen rdp
  bind HTTP
  tcp-request inspect-delay 5s
  tcp-request content accept if RDP_COOKIE
  tcp-request content accept if WAIT_END
  persist rdp-cookie
  server s1 S1
  server s2 S2 weight 0
  server s3 S3 weight 0 disabled
  server s4 DOWN weight 0
`, nil)
	drive := func(s *subject) (got []string) {
		cookie := func(server string, odd string) string {
			at := netip.MustParseAddrPort(s.fill(server))
			ip := at.Addr().As4()
			return fmt.Sprintf("msts=%d.%d.0000%s", binary.LittleEndian.Uint32(ip[:]), at.Port()>>8|at.Port()<<8, odd)
		}
		for _, value := range []string{cookie("S1", ""), cookie("S2", ""), cookie("S3", ""), cookie("S2", "x"), "msts=1.2.0000", "msts=abc", "msts=1.2", "mstshash=bob", strings.ReplaceAll(cookie("S2", ""), "msts", "Msts")} {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			text := "Cookie: " + value + "\r\n"
			fmt.Fprintf(c, "\x03\x00\x00%c%c\xe0\x00\x00\x00\x00\x00%s", 11+len(text), 6+len(text), text)
			c.(*net.TCPConn).CloseWrite()
			b := make([]byte, 1000)
			for err == nil {
				_, err = c.Read(b)
			}
			c.Close()
			got = append(got, s.readLines(1)[0])
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "line", want, got)
}
