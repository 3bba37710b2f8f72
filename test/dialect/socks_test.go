package dialect

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// socksReplies are what SOCKS4 proxies answer, by the backend that uses them; the connection is made only by those that grant it.
var socksReplies = []struct{ name, reply string }{
	{"good", "\x00\x5a\x00\x00\x00\x00\x00\x00"},
	{"four", "\x04\x5a\x12\x34\x7f\x00\x00\x01"}, // a version that it should not have
	{"slow", "\x00\x5a\x00\x00\x00\x00\x00\x00"}, // in pieces
	{"rejected", "\x00\x5b\x00\x00\x00\x00\x00\x00"},
	{"identd", "\x00\x5c\x00\x00\x00\x00\x00\x00"},
	{"http", "HTTP/1.1 400 Bad Request\r\n\r\n"},
	{"closes", ""},
	{"silent", ""},
}

// socksProxy is a SOCKS4 proxy on loopback. Requests are what it was asked, in hexadecimal digits.
type socksProxy struct {
	addr     string
	requests chan string
}

func newSocksProxy(t *testing.T, name, reply string) *socksProxy {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &socksProxy{l.Addr().String(), make(chan string, 100)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, name, reply)
		}
	}()
	return p
}

// serve does what one client asks.
func (p *socksProxy) serve(c net.Conn, name, reply string) {
	defer c.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(c, head); err != nil {
		return
	}
	to := &net.TCPAddr{IP: net.IP(head[4:8]), Port: int(head[2])<<8 | int(head[3])}
	asked := hex.EncodeToString(head[:2]) + " PORT IP "
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return
		}
		if one[0] == 0 {
			break
		}
		asked += string(one)
	}
	select {
	case p.requests <- asked:
	default:
	}
	if name == "silent" {
		io.Copy(io.Discard, c)
		return
	}
	server, err := net.DialTCP("tcp", nil, to)
	if err != nil {
		return
	}
	defer server.Close()
	n := len(reply)
	if name == "slow" {
		n = 3
	}
	io.WriteString(c, reply[:n])
	if name == "slow" {
		time.AfterFunc(20*time.Millisecond, func() { io.WriteString(c, reply[n:]) })
	}
	if len(reply) < 2 || reply[1] != 0x5a {
		if reply != "" {
			io.Copy(io.Discard, c)
		}
		return
	}
	go func() {
		io.Copy(server, c)
		server.CloseWrite()
	}()
	io.Copy(c, server)
}

// TestSOCKS4: requests, tunnels and checks go through a SOCKS4 proxy, what else is said to a server follows its reply, and a proxy that does not grant the way is
// like a server that does not take connections.
func TestSOCKS4(t *testing.T) {
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	secure := secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	var names []string
	for _, r := range socksReplies {
		names = append(names, r.name)
	}
	names = append(names, "secure", "six", "path", "down", "pp", "check-direct", "good")
	theirProxies, theirText := throughSOCKS(t, secure)
	ourProxies, ourText := throughSOCKS(t, secure)
	theirs, ours := each(t, theirText, ourText, nil)
	drive := func(s *subject) (got []string) {
		proxies := ourProxies
		if s == theirs {
			proxies = theirProxies
		}
		for _, name := range names {
			got = append(got, name+": "+strings.ReplaceAll(s.get("/"+name), secure, "SECURE"))
		}
		c := s.dial(s.fill("HTTP2"))
		got = append(got, "tunnel: "+c.do(request("/tunnel")))
		c.Close()
		for _, r := range socksReplies {
			if len(proxies[r.name].requests) > 0 {
				got = append(got, r.name+" was asked "+<-proxies[r.name].requests)
			}
		}
		for _, row := range []string{
			"good L4OK", "four L4OK", "slow L4OK", "rejected SOCKERR", "identd SOCKERR", "http SOCKERR", "closes SOCKERR", "silent L7TOUT", "direct L4OK", "none L4OK", "secure L6OK",
			"step SOCKERR", "page L7STS",
		} {
			name, status, _ := strings.Cut(row, " ")
			backend := "check-" + name
			if proxies[name] != nil {
				backend = "checked-" + name
			}
			got = append(got, s.until(backend+"/s", "check_status="+status, "check_status"))
		}
		return got
	}
	same(t, "through SOCKS4", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(len(names)+1), ours.lines(len(names)+1)) // and the tunnel's
}

// throughSOCKS makes proxies for one subject alone, by their names, and a configuration that uses them.
func throughSOCKS(t *testing.T, secure string) (map[string]*socksProxy, string) {
	t.Helper()
	var text strings.Builder
	text.WriteString(preface("", "LINE %b %ST %tsc %rc") + "  retries 0\n  timeout connect 2s\nfrontend fe\n  bind HTTP\n  http-response set-header X-To %[bc_dst]:%[bc_dst_port]\n  use_backend %[path,field(2,/)]\n")
	proxies := map[string]*socksProxy{}
	for _, r := range socksReplies {
		p := newSocksProxy(t, r.name, r.reply)
		proxies[r.name] = p
		fmt.Fprintf(&text, "backend %s\n  server s S1 socks4 %s\n", r.name, p.addr)
		fmt.Fprintf(&text, "backend checked-%s\n  server s S1 socks4 %s check check-via-socks4 inter 1s rise 1 fall 1\n", r.name, p.addr)
	}
	good := proxies["good"].addr
	for _, line := range []string{
		"secure " + secure + " ssl verify none socks4 " + good, "six [::1]:80 socks4 " + good, "path /nonexistent socks4 " + good, "down S1 socks4 DOWN",
		"check-direct S1 socks4 DOWN check inter 1s", "check-none S1 check check-via-socks4 inter 1s", "check-secure " + secure + " ssl verify none check check-via-socks4 inter 1s socks4 " + good,
	} {
		name, server, _ := strings.Cut(line, " ")
		fmt.Fprintf(&text, "backend %s\n  server s %s\n", name, server)
	}
	fmt.Fprintf(&text, `backend pp
  server s HTTP4 socks4 %[1]s send-proxy
frontend back
  bind HTTP4 accept-proxy
  http-request return status 200 hdr X-Path %%[path]/%%[fc_pp_authority,length]
backend check-page
  option httpchk GET /chk
  server s S1 socks4 %[1]s check check-via-socks4 inter 1s
backend check-step
  option tcp-check
  tcp-check connect via-socks4
  tcp-check send-lf "GET /step HTTP/1.0\r\n\r\n"
  tcp-check expect string s1
  server s S1 socks4 %[2]s check inter 1s rise 1 fall 1
listen tunnel
  mode tcp
  bind HTTP2
  server s S1 socks4 %[1]s
`, good, proxies["rejected"].addr)
	return proxies, text.String()
}

// TestSOCKS4OverReloads: tunnels and idle connections through a proxy go along with a reload; a server that gets a proxy, or another, is reached anew.
func TestSOCKS4OverReloads(t *testing.T) {
	one, two := newSocksProxy(t, "good", "\x00\x5a\x00\x00\x00\x00\x00\x00"), newSocksProxy(t, "good", "\x00\x5a\x00\x00\x00\x00\x00\x00")
	config := preface("nbthread 1", "LINE") + "listen fe\n  bind HTTP\n  http-reuse always\n  server s S1 VIA\nlisten tunnel\n  mode tcp\n  bind HTTP2\n  server s S1 VIA\n"
	with := func(via string) string { return strings.ReplaceAll(config, "VIA", via) }
	s := start(t, built.LB, with("socks4 "+one.addr), nil)
	plain, tunnel := s.dial(s.addr), s.dial(s.fill("HTTP2"))
	ask := func(what string, asked int, of *socksProxy) {
		t.Helper()
		if got := plain.do(request("/a")); !strings.Contains(got, "Answer") {
			t.Errorf("%s: %s", what, got)
		}
		if got := tunnel.do(request("/t")); !strings.Contains(got, "Answer") {
			t.Errorf("%s: the tunnel: %s", what, got)
		}
		if got := len(of.requests); got != asked {
			t.Errorf("%s: the proxy was asked %d times, want %d", what, got, asked)
		}
	}
	ask("at first", 2, one)
	reload := func(config string) {
		t.Helper()
		if err := s.Configure(s.fill(config)); err != nil {
			t.Fatal(err)
		}
		if out, err := s.Reload(t.Context()); err != nil {
			t.Fatal(err, out)
		}
		wait.Until(t, "the worker before to leave", func() bool { _, leaving, err := s.Workers(); return err == nil && len(leaving) == 0 })
	}
	reload(with("socks4 " + one.addr))
	ask("after a reload", 2, one)
	tunnel.Close()
	reload(with("socks4 " + two.addr))
	if got := s.get("/b"); !strings.Contains(got, "Answer") || len(two.requests) != 1 || len(one.requests) != 2 {
		t.Errorf("with another proxy: %s, which was asked %d times, and the one before %d", got, len(two.requests), len(one.requests))
	}
}
