package dialect

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"lbsyslogd/test/wait"
)

// clientHello is what Go's client sends first for a name and protocols.
func clientHello(t *testing.T, name string, protos ...string) string {
	t.Helper()
	a, b := net.Pipe()
	go func() {
		tls.Client(a, &tls.Config{ServerName: name, NextProtos: protos, InsecureSkipVerify: true}).Handshake()
		a.Close()
	}()
	defer b.Close()
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, body); err != nil {
		t.Fatal(err)
	}
	return string(head) + string(body)
}

// exchange sends pieces, each when the balancer has read the one before, and gives what is answered until the end: its first line.
func (s *subject) exchange(addr string, pieces ...string) string {
	s.t.Helper()
	c := s.dial(addr)
	defer c.Close()
	for i, p := range pieces {
		if i > 0 {
			s.taken(c)
		}
		if _, err := io.WriteString(c, p); err != nil {
			return "not sent"
		}
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	line, err := bufio.NewReader(c).ReadString('\n')
	if line == "" && err != nil {
		return "closed"
	}
	return strings.TrimSpace(line)
}

// taken waits until the balancer has read what was sent to it, which the kernel's list of sockets says.
func (s *subject) taken(c net.Conn) {
	s.t.Helper()
	wait.Until(s.t, s.name+" to read", func() bool { return !unread(c) })
}

// unread reports whether the process at the other end of c, of this machine, has yet to read some of what was sent to it.
func unread(c net.Conn) bool {
	local, remote := tcpEntry(c.LocalAddr()), tcpEntry(c.RemoteAddr())
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		panic(err)
	}
	open := false
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 4 && f[1] == remote && f[2] == local {
			return !strings.HasSuffix(f[4], ":00000000")
		}
		open = open || len(f) > 4 && f[1] == local && f[2] == remote
	}
	return open
}

// tcpEntry is an address as /proc/net/tcp has it.
func tcpEntry(a net.Addr) string {
	at := a.(*net.TCPAddr)
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(at.IP.To4()), at.Port)
}

// TestContent: in mode tcp rules look into what the client sends first, whole or in pieces, and a server is chosen by it.
func TestContent(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %b/%s %ts %[var(txn.v)]")+`
frontend fe
  mode tcp
  bind HTTP
  acl isweb req.proto_http
  tcp-request inspect-delay 2s
  tcp-request content set-var(txn.v) req_len if { req.len gt 0 } { req_len lt 20 }
  tcp-request content set-var(txn.v) req.payload(0,4),hex if { req.payload(0,0) -m sub magic }
  tcp-request content set-var(txn.v) req.payload_lv(4,1) if { req.payload(0,4) -m bin 4c454e3a }
  tcp-request content set-var(txn.v) req.ssl_sni if { req.ssl_hello_type 1 }
  tcp-request content set-var(txn.v) req.ssl_alpn if { req.ssl_alpn -m found }
  tcp-request content set-var(txn.v) rdp_cookie(mstshash) if { rdp_cookie(mstshash) -m found }
  tcp-request content reject if { req.payload(0,3) -m bin 424144 }
  tcp-request content accept if { req.ssl_hello_type 1 }
  tcp-request content accept if isweb
  tcp-request content accept if { req.payload(0,4) -m str SSH- }
  tcp-request content accept if { rdp_cookie_cnt gt 0 }
  tcp-request content reject if { req.payload(0,5) -m str after } WAIT_END
  use_backend tls3 if { req.ssl_sni -i three.example } { req_ssl_ver gt 3 }
  use_backend tls if { req_ssl_sni -m end .example }
  use_backend anytls if { req.ssl_hello_type 1 }
  use_backend web if isweb { hdr(host) -i site.example }
  use_backend otherweb if isweb
  use_backend ssh if { req.payload(0,4) -m str SSH- }
  use_backend rdp if { rdp_cookie -m beg ann }
  default_backend other
backend tls
  mode tcp
  server s1 S1
backend tls3
  mode tcp
  server s1 S1
backend anytls
  mode tcp
  server s1 S1
backend web
  mode tcp
  server s1 S1
backend otherweb
  mode tcp
  server s2 S2
backend ssh
  mode tcp
  server s1 S1
backend rdp
  mode tcp
  server s1 S1
backend other
  mode tcp
  tcp-request inspect-delay 300ms
  tcp-request content reject if { req.payload(0,6) -m str reject }
  server s3 S3
`, nil)
	hello := clientHello(t, "one.example", "h2", "http/1.1")
	third := clientHello(t, "Three.example")
	unnamed := clientHello(t, "")
	get := "GET /x HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n"
	drive := func(s *subject) (got []string) {
		for _, pieces := range [][]string{
			{hello}, {hello[:3], hello[3:60], hello[60:]}, {third}, {unnamed},
			{get}, {get[:10], get[10:]}, {strings.Replace(get, "site", "else", 1)},
			{"SSH-2.0-OpenSSH_9.2\r\n"}, {"SS", "H-2.0-x\r\n"},
			{"\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: mstshash=anna\r\n\x01\x00\x08\x00\x03\x00\x00\x00"},
			{"LEN:\x05hello and more of it, for it to be long"}, {"this is magic, which is found"}, {"BADly"}, {"reject this"}, {"after all"}, {""},
		} {
			got = append(got, s.exchange(s.addr, pieces...))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}
