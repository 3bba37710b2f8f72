package dialect

import (
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestUniqueIDs: the id that a server sees is the one in the log; it is there as well where no server was reached.
func TestUniqueIDs(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ID %[unique-id] %ST %HU")+`
frontend fe
  bind HTTP
  unique-id-format %[req.hdr(x-id)]-%{+X}ci-%HM-%{+Q}[hdr(nope)]
  unique-id-header X-Unique-ID
  http-request set-header X-Early %[unique-id] if { path /headers/early }
  http-request deny if { path /denied }
  http-request set-header X-ID later if { path_beg /headers }
  http-response set-header X-Answer %[unique-id]
  default_backend be
backend be
  http-request return status 403 if { path /own }
  server s1 S1
frontend plain
  bind HTTP2
  unique-id-format %{+X}o\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Unique-ID
  default_backend be
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/headers", "/headers/early", "/denied", "/own"} {
			got = append(got, s.get(path))
			if strings.HasPrefix(path, "/h") { // of a request that it answers itself, HAProxy has forgotten the fields
				got = append(got, s.get(path, "X-ID: first"))
			}
		}
		c := s.dial(s.addr)
		return append(got, c.do("GET / HTTP/1.1 and more\r\n\r\n"))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))

	// The manual's own format: as long as HAProxy's, and never the same twice.
	form := regexp.MustCompile(`(?i)x-unique-id: 7F000001:[0-9A-F]{4}_7F5B1205:[0-9A-F]{4}_[0-9A-F]{8}_[0-9A-F]{4}:[0-9A-F]{4,}\n`)
	seen := map[string]bool{}
	for _, s := range []*subject{theirs, ours} {
		if !s.tape.Live() {
			continue
		}
		for range 3 {
			c := s.dial(s.fill("HTTP2"))
			for range 3 {
				a := strings.ReplaceAll(c.do(request("/headers")), `\n`, "\n")
				id := form.FindString(a)
				if id == "" || seen[id] {
					t.Errorf("%s: the id is %q in %s", s.name, id, a)
				}
				seen[id] = true
			}
		}
	}
}

// TestAddressesAndCounts: %lc counts the frontend's lines, and rules of the statistics page see the address that the client connected to, which
// nothing else asks for.
func TestAddressesAndCounts(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE lc=%lc %HU")+`
frontend fe
  bind HTTP
  default_backend be
backend be
  server s1 S1
listen page
  bind HTTP2
  no log
  stats uri /st
  stats http-request deny if { path /st;1 } { dst 127.91.18.5 }
  stats http-request auth if { path /st;2 } { dst 127.0.0.0/8 }
  stats http-request deny if { path /st;3 } { dst_port 1 }
  stats http-request allow
`, nil)
	drive := func(s *subject) (got []string) {
		for range 3 {
			got = append(got, s.get("/x"))
		}
		for _, path := range []string{"/st;1", "/st;2", "/st;3"} {
			c := s.dial(s.fill("HTTP2"))
			got = append(got, c.do(request(path, "Connection: close"))[:3])
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(3), ours.lines(3))
}

// TestMonitor: monitor-uri fails when a condition holds, and is not logged.
func TestMonitor(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %HU")+`
frontend fe
  bind HTTP
  monitor-uri /alive
  acl dead nbsrv(be) lt 2
  monitor fail if dead
  monitor fail if { req.hdr(x-sick) 1 }
  http-request return status 202 hdr X-Nbsrv "%[nbsrv(be)] %[nbsrv(spare)] %[srv_is_up(be/s1)] %[srv_is_up(be/s2)] %[queue(be)] %[avg_queue(be)] %[connslots(be)] %[connslots(spare)] %[srv_conn(be/s1)] %[srv_weight(be/s2)]" if { path /numbers }
  http-request return status 202 hdr X-Conns "%[fe_conn] %[be_conn(be)]" if { path /conns }
  default_backend be
backend be
  server s1 S1
  server s2 S2 weight 7
  server s3 S3 disabled
backend spare
  server s1 S1 disabled
  server s2 S2 backup maxconn 10 maxqueue 5
  server s3 S3 backup maxconn 10 maxqueue 5
`, nil)
	drive := func(s *subject) (got []string) {
		for _, command := range []string{"", "disable server be/s2", "enable server be/s2", "disable server spare/s2", "disable server spare/s3"} {
			if command != "" {
				s.command(command)
			}
			got = append(got, s.get("/alive"), s.get("/alive", "X-Sick: 1"), s.get("/numbers"))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(5), ours.lines(5)) // of the numbers alone
	for _, s := range []*subject{theirs, ours} {
		if !s.tape.Live() {
			continue
		}
		wait.Until(t, "the other connections to be gone", func() bool { return strings.Contains(s.get("/conns"), `"1 0"`) })
	}
}

// TestErrorFormat: a handshake that fails is logged in its own format; a tag names the proxy.
func TestErrorFormat(t *testing.T) {
	cert := filepath.Join(t.TempDir(), "site.pem")
	if _, err := rig.WriteCertificate(cert, "site.example"); err != nil {
		t.Fatal(err)
	}
	theirs, ours := both(t, strings.ReplaceAll(preface("", "LINE fine %ST %HU")+`
  error-log-format "LINE error %ci %f %ts"
frontend fe
  bind HTTP
  log-tag shop
  http-request deny if { path /denied }
  default_backend be
backend be
  server s1 S1
frontend other
  bind HTTP2 ssl crt CERT
  default_backend be
`, "CERT", cert), nil)
	drive := func(s *subject) (got []string) {
		logged := func(what string) {
			text, ok := s.logged()
			if !ok {
				t.Fatalf("%s: %s is not logged", s.name, what)
			}
			got = append(got, what+" "+regexp.MustCompile(`^<\d+>.{15} (\w+)\[\d+\]: `).ReplaceAllString(strings.TrimSpace(text), "$1: "))
		}
		for _, path := range []string{"/", "/status/500", "/denied"} {
			s.get(path)
			logged(path)
		}
		s.dial(s.fill("HTTP2")).do("no handshake at all, only text that is long enough\r\n\r\n")
		logged("handshake")
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

// TestLogAsap: the line comes with the answer's head.
func TestLogAsap(t *testing.T) {
	echo, err := backend.StartEcho(host + ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	theirs, ours := both(t, strings.ReplaceAll(preface("", "LINE %ST %tsc %s %TR/%Tw/%Tc/%Td %HU")+`
  option logasap
frontend fe
  bind HTTP
  http-request deny if { path /denied }
  default_backend be
backend be
  server s1 S1
frontend sizes
  bind HTTP2
  log-format "LINE %ST %B %U %Tt %Ta %HU"
  default_backend be
frontend tunnel
  bind HTTP3
  mode tcp
  log-format "LINE %ts %s %f"
  default_backend tcp
backend tcp
  mode tcp
  server echo ECHO
`, "ECHO", echo.Addr()), nil)
	drive := func(s *subject) (lines []string) {
		c := s.dial(s.addr)
		io.WriteString(c, request("/drip/500")) // five seconds
		lines = append(lines, s.lines(1)...)
		c.Close()
		s.get("/denied")
		lines = append(lines, s.lines(1)...)
		s.get("/status/404")
		lines = append(lines, s.lines(1)...)
		tcp, err := net.Dial("tcp", s.fill("HTTP3"))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, s.lines(1)...)
		tcp.Close()
		s.get("/")
		return append(lines, s.lines(1)...) // and none more of those before
	}
	timers := regexp.MustCompile(`\b\d+/\d+/\d+/\d+ `) // how many ms passed is chance
	mask := func(lines []string) (masked []string) {
		for _, line := range lines {
			masked = append(masked, timers.ReplaceAllString(line, "N/N/N/N "))
		}
		return masked
	}
	same(t, "line", mask(seen(theirs, drive)), mask(drive(ours)))
	early := func(s *subject) string {
		s.dial(s.fill("HTTP2")).do(request("/bytes/5000"))
		return regexp.MustCompile(`\d+`).ReplaceAllString(s.lines(1)[0], "N")
	}
	if g, w := early(ours), seen(theirs, early); g != w {
		t.Errorf("lb: %s, haproxy: %s", g, w)
	}
}
