package dialect

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

// elsewhere is a server on an address and port of its own that says where it was reached and from where.
func elsewhere(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: 20 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr)
		fmt.Fprintf(w, "at %s from %s for %s", r.Context().Value(http.LocalAddrContextKey), from.Addr(), r.Header["X-Forwarded-For"])
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
}

// TestDestinations: servers whose address or port is the client's own, a part of it or what rules make of it; where connections come from; and addresses
// that rules gave the client.
func TestDestinations(t *testing.T) {
	tape.Require(t, "haproxy")
	const other = "127.91.18.6"
	ports, err := rig.FreePorts(host, 4)
	if err != nil {
		t.Fatal(err)
	}
	high := max(ports[0], ports[1])
	low := min(ports[0], ports[1])
	elsewhere(t, fmt.Sprintf("%s:%d", other, low))
	elsewhere(t, fmt.Sprintf("%s:%d", other, high))
	run := func(program, own string) []string {
		fill := strings.NewReplacer("LOW", fmt.Sprint(low), "HIGH", fmt.Sprint(high), "DIFF", fmt.Sprint(high-low), "OTHER", other, "HOST", own)
		s := start(t, program, fill.Replace(preface("unix-bind mode 660", "LINE %ci %fi %fp %HU %s %ST")+`
frontend fe
  bind HOST:LOW
  option forwardfor
  http-request set-src req.hdr(x-src) if { req.hdr(x-src) -m found }
  http-request set-src-port int(4711)
  http-request set-header X-Seen %[src]:%[src_port]
  http-request set-dst str(OTHER) if { path_beg /dst }
  http-request set-dst-port int(HIGH) if { path_end /port }
  use_backend %[path,field(2,/)]
backend mapped
  server m OTHER
backend offset
  server o OTHER:+DIFF
backend dst
  server any 0.0.0.0:0
backend star
  server any *:HIGH source 127.91.18.9
  http-request set-dst str(OTHER)
backend fixed
  source 127.91.18.8
  server f OTHER:HIGH
backend kept
  server any *
  http-request set-dst ipv4(OTHER)
  http-request set-dst-port req.hdr(x-port)
`), nil)
		return seen(s, func(s *subject) (got []string) {
			s.addr = fmt.Sprintf("%s:%d", own, low)
			s.words = append(s.words, "HOST", own, "LOW", fmt.Sprint(low), "HIGH", fmt.Sprint(high))
			for _, path := range []string{"/mapped", "/offset", "/dst", "/dst/port", "/star", "/fixed"} {
				got = append(got, path+": "+s.get(path))
			}
			got = append(got, s.get("/mapped", "X-Src: 192.0.2.7"), s.get("/mapped", "X-Src: nonsense"), s.get("/mapped", "X-Src: 2001:db8::7"))
			c := s.dial(s.addr) // a kept connection may not serve another destination
			for _, port := range []int{low, high, high, low} {
				got = append(got, c.do(request("/kept", fmt.Sprintf("X-Port: %d", port))))
			}
			return append(got, s.lines(len(got))...)
		})
	}
	same(t, "answer", run("haproxy", host), run(built.LB, "127.91.18.4"))
}
