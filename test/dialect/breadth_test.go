package dialect

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
)

// TestParamsInBodies: balance url_param also looks into the body of a POST, for which it waits.
func TestParamsInBodies(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %s %HM %HU")+`
listen form
  bind HTTP
  balance url_param sid check_post 64
  server s1 S1
  server s2 S2
  server s3 S3
listen plain
  bind HTTP2
  balance url_param sid
  stick-table type string size 10
  stick match req.hdr(x-stick)
  use-server s2 if { path /two }
  server s1 S1
  server s2 S2
  server s3 S3
`, nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, addr := range []string{s.addr, s.fill("HTTP2")} {
			for _, method := range []string{"POST", "PUT"} {
				for _, path := range []string{"/small", "/small?sid=k1"} {
					for _, body := range []string{"sid=k2", "a=b&sid=k3", "sid=k4&a=b", "sid=k5\r\n", "xsid=k6&sid=k7", "asid=1", "sid", ""} {
						if method == "PUT" && path == "/small" { // round robin
							continue
						}
						c := s.dial(addr)
						head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", method, path, len(body))
						if method == "POST" && path == "/small" && (body == "asid=1" || body == "sid" || body == "") {
							continue // round robin too
						}
						// The head first: what follows is waited for.
						io.WriteString(c, head)
						got = append(got, c.do(body))
						requests++
						c.Close()
					}
				}
			}
		}
		// Nobody waits where the server is known.
		c := s.dial(s.fill("HTTP2"))
		io.WriteString(c, "POST /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
		got = append(got, c.do("abc"))
		requests++
		c.Close()
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}

// TestPeersTables: stick tables of a peers section, by rules, fetches and commands.
func TestPeersTables(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST %HU")+`
peers local
  peer me HTTP3
  table ips type ip size 100 expire 1h store http_req_cnt,gpc0
  table keys type string len 16 size 50 store gpc0
backend ips
  stick-table type ip size 10 store gpc0
frontend fe
  bind HTTP
  http-request track-sc0 src table local/ips
  http-request track-sc1 req.hdr(x-key) table local/keys if { req.hdr(x-key) -m found }
  http-request sc-inc-gpc0(1)
  http-request return status 200 hdr X-N %[sc_http_req_cnt(0)] hdr X-Src %[src_http_req_cnt(local/ips)] hdr X-K %[str(k),table_gpc0(local/keys)] hdr X-In %[str(k),in_table(local/keys)] hdr X-Own %[sc0_get_gpc0(ips)]
`, nil)
	drive := func(s *subject) (got []string) {
		for range 2 {
			got = append(got, s.get("/"), s.get("/", "X-Key: k"), s.get("/", "X-Key: more-than-sixteen-characters"))
		}
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	theirs.letGo("local/keys")
	ours.letGo("local/keys")
	for _, command := range []string{"show table local/keys data.gpc0 gt 1", "set table local/keys key z data.gpc0 7", "show table local/keys key z", "clear table local/keys key k", "show table keys", "show table"} {
		mask := func(s string) []string {
			return []string{entryFacts.ReplaceAllString(s, "*")}
		}
		same(t, command, mask(theirs.command(command)), mask(ours.command(command)))
	}
}

// TestStructuredData: log-format-sd, for lines in RFC 5424 alone.
func TestStructuredData(t *testing.T) {
	theirs, ours := both(t, `global
  log LOG len 2000 format rfc5424 local0
  log LOG format rfc3164 local1
  stats socket STATS mode 600 level admin
defaults
  mode http
  log global
  log-format "LINE %HU"
  log-format-sd [example@1234\ path="%HU"\ status="%ST"\ x="%{+Q,+E}[capture.req.hdr(0)]"]
  timeout connect 10s
  timeout client 20s
  timeout server 20s
frontend fe
  bind HTTP
  http-request capture req.hdr(x) len 20
  http-request return status 200
`, nil)
	drive := func(s *subject) (got []string) {
		mask := regexp.MustCompile(`^<\d+>1 \S+ \S+ \S+ \d+ |^<\d+>\w+ +\d+ \S+ \S+ \S+: `)
		for _, field := range []string{"X: y", `X: a"b]c\`, "Y: z"} {
			s.get("/path", field)
			var lines []string
			for len(lines) < 2 {
				text, ok := s.logged()
				if !ok {
					t.Fatalf("%s: no more lines than %q", s.name, lines)
				}
				if m := mask.FindString(text); m != "" && strings.Contains(text, "LINE") {
					lines = append(lines, text[len(m):])
				}
			}
			got = append(got, lines...)
		}
		return got
	}
	same(t, "line", seen(theirs, drive), drive(ours))
}

// TestProxyCertificates: what PROXY headers say of clients' certificates and of ours.
func TestProxyCertificates(t *testing.T) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	text := preface("", "LINE %ST") + `
frontend fe
  bind HTTP ssl crt DIR/site.pem verify optional ca-file DIR/ca.pem alpn http/1.1 ssl-max-ver TLSv1.2
  use_backend %[path,field(2,/)]
`
	names := []string{"cn", "all", "plain"}
	for i, line := range []string{"server s SINK send-proxy-v2-ssl-cn", "server s SINK send-proxy-v2 proxy-v2-options ssl,cert-cn,cert-key,cert-sig,ssl-cipher", "server s SINK send-proxy-v2-ssl-cn no-send-proxy-v2-ssl-cn send-proxy-v2-ssl"} {
		text += fmt.Sprintf("backend %s\n  %s\n", names[i], strings.Replace(line, "SINK", l.Addr().String(), 1))
	}
	theirs, ours := both(t, text, certificates(t))
	drive := func(s *subject) (got []string) {
		for _, name := range names {
			for _, show := range []string{"", "client.pem"} {
				cfg := &tls.Config{InsecureSkipVerify: true, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
				if show != "" {
					pair, err := tls.LoadX509KeyPair(filepath.Join("testdata/certs", show), filepath.Join("testdata/certs", show))
					if err != nil {
						t.Fatal(err)
					}
					cfg.Certificates = []tls.Certificate{pair}
				}
				c, err := tls.Dial("tcp", s.addr, cfg)
				if err != nil {
					t.Fatal(s.name, err)
				}
				io.WriteString(c, request("/"+name))
				head := begun(t, l)
				text, err := strconv.Unquote(head)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %s %q", name, show, text[:16]+text[28:])) // without the addresses
				c.Close()
			}
		}
		return got
	}
	same(t, "header", seen(theirs, drive), drive(ours))
}

// TestEarlyHints: responses 103 by rules, before any other.
func TestEarlyHints(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %HU %ST")+`
frontend fe
  bind HTTP
  http-request early-hint X-Link "<%[path]>; rel=preload" unless { path /two }
  http-request early-hint X-One 1 if { path /two }
  http-request early-hint X-Two 2 if { path /two }
  http-request early-hint X-Three 3 if { path_beg /t }
  http-request early-hint X-Four 4
  http-request set-header X-Own 1 if { path /none }
  http-request early-hint X-Five 5
  http-request early-hint X-Six 6
  http-request return status 200 content-type text/plain string "an answer of ours" if { path /own }
  default_backend be
backend be
  http-request early-hint X-Be 1 if { path /both }
  http-request set-path /headers
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, path := range []string{"/one", "/own", "/both", "/two", "/t"} {
			c := s.dial(s.addr)
			answer := c.do(request(path, "Connection: close"))
			for got = append(got, answer); strings.HasPrefix(answer, "103 "); got = append(got, answer) {
				answer = c.do("")
			}
			c.Close()
		}
		c := s.dial(s.addr)
		return append(got, c.do("GET /old HTTP/1.0\r\nHost: h\r\n\r\n"))
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
}

// TestSourcePorts: connections to servers come from a range of ports.
func TestSourcePorts(t *testing.T) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	first := ports[0]
	s := start(t, built.LB, strings.ReplaceAll(preface("", "LINE"), "mode http", "mode tcp")+fmt.Sprintf(`
listen li
  bind HTTP
  server s %s source %s:%d-%d
`, l.Addr(), host, first, first+20), nil)
	seen := map[string]bool{}
	for range 4 {
		c := s.dial(s.addr)
		to, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		from := to.RemoteAddr().(*net.TCPAddr)
		if from.Port < int(first) || from.Port > int(first)+20 || from.IP.String() != host || seen[from.String()] {
			t.Errorf("a connection from %s", from)
		}
		seen[from.String()] = true
		defer c.Close()
	}
}
