package dialect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestAddressesOfEachStage: rules that say where a client is from and where it went to are believed by samples, headers, logs and by a server that
// is wherever the client went to.
func TestAddressesOfEachStage(t *testing.T) {
	there, err := backend.Start("there", "127.91.18.6:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	ip, port, _ := net.SplitHostPort(there.Addr())
	theirs, ours := both(t, preface("", "LINE %f %ci:%cp %fi %[src]:%[src_port] %[dst] %b/%s %ST")+strings.NewReplacer("IP", ip, "PORT", port).Replace(`
  option forwardfor
listen connection
  bind HTTP
  tcp-request connection set-src src,ipmask(16)
  tcp-request connection set-src-port int(1001)
  tcp-request connection set-dst ipv4(IP)
  tcp-request connection set-dst-port int(PORT)
  http-request set-header X-Addresses %[src]:%[src_port]
  server s 0.0.0.0:0
listen session
  bind HTTP2
  tcp-request session set-src src,ipmask(16)
  tcp-request session set-src-port int(1002)
  tcp-request session set-dst ipv4(IP)
  tcp-request session set-dst-port int(PORT)
  http-request set-header X-Addresses %[src]:%[src_port]
  server s 0.0.0.0:0
listen content
  bind HTTP3
  tcp-request content set-src req.hdr(x-from)
  tcp-request content set-src-port req.hdr(x-port)
  tcp-request content set-dst ipv4(IP)
  tcp-request content set-dst-port int(PORT)
  http-request set-header X-Addresses %[src]:%[src_port]
  server s 0.0.0.0:0
listen request
  bind HTTP4
  http-request set-src req.hdr(x-from)
  http-request set-src-port req.hdr(x-port)
  http-request set-dst ipv4(IP)
  http-request set-dst-port int(PORT)
  http-request set-header X-Addresses %[src]:%[src_port]
  server s 0.0.0.0:0
`), nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4"} {
			c := s.dial(s.fill(name))
			for _, from := range []string{"192.0.2.7", "192.0.2.8"} { // of one connection: what the rules of its request say
				got = append(got, name+": "+c.do(request("/headers", "X-From: "+from, "X-Port: 1003")))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
}

// TestMarksOfEachStage: what rules of each stage have the kernel write into the packets to the client, and into no others.
func TestMarksOfEachStage(t *testing.T) {
	theirs, ours := both(t, preface("", "LINE %ST")+`
listen connection
  bind HTTP
  tcp-request connection set-tos 0x10
  tcp-request connection set-mark 0x101
  server s1 S1
listen session
  bind HTTP2
  tcp-request session set-tos 0x20
  tcp-request session set-mark 0x102
  server s1 S1
listen content
  bind HTTP3
  tcp-request content set-tos 0x28 if { path /r/a }
  tcp-request content set-mark 0x103 if { path /r/a }
  server s1 S1
listen request
  bind HTTP4
  http-request set-tos 0x30 if { path /r/a }
  http-request set-mark 0x104 if { path /r/a }
  server s1 S1
listen answer
  bind HTTP5
  http-request set-var(txn.path) path
  tcp-response content set-tos 0x38 if { var(txn.path) -m str /r/a }
  tcp-response content set-mark 0x105 if { var(txn.path) -m str /r/a }
  server s1 S1
listen response
  bind HTTP6
  http-response set-tos 0x40 if { status 200 }
  http-response set-mark 0x106 if { status 200 }
  server s1 S1
`, nil)
	drive := func(word string) func(s *subject) []string {
		return func(s *subject) (got []string) {
			for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5", "HTTP6"} {
				c := s.dial(s.fill(name))
				for _, path := range []string{"/status/404", "/r/a"} {
					c.do(request(path))
					client := c.LocalAddr().String() // another connection may have had it, to another port
					got = append(got, path+" "+strings.ReplaceAll(s.options(s.fill(name), client, word), client, "CLIENT-OF-"+name))
				}
			}
			return append(got, s.options("", s.fill("S1"), word))
		}
	}
	same(t, "field", seen(theirs, drive("tos")), drive("tos")(ours))
	if os.Geteuid() == 0 { // who is not root may not
		same(t, "mark", seen(theirs, drive("mark")), drive("mark")(ours))
	}
}

// TestSilenceOfEachStage: a client that is dropped in silence still thinks it is connected when nothing of the connection is left; one that is rejected
// does not.
func TestSilenceOfEachStage(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root may drop a connection without a packet")
	}
	theirs, ours := both(t, preface("", "LINE %f %ts")+`
listen connection
  bind HTTP
  tcp-request connection silent-drop if { src 127.91.18.66 }
  tcp-request connection reject if { src 127.91.18.67 }
  server s1 S1
listen session
  bind HTTP2
  tcp-request session silent-drop if { src 127.91.18.66 }
  tcp-request session reject if { src 127.91.18.67 }
  server s1 S1
listen content
  bind HTTP3
  mode tcp
  tcp-request inspect-delay 20s
  tcp-request content silent-drop if { req.len gt 0 } { src 127.91.18.66 }
  tcp-request content reject if { req.len gt 0 } { src 127.91.18.67 }
  tcp-request content accept if { req.len gt 0 }
  server s1 S1
listen request
  bind HTTP4
  http-request silent-drop if { src 127.91.18.66 }
  http-request reject if { src 127.91.18.67 }
  server s1 S1
listen answer
  bind HTTP5
  tcp-response content silent-drop if { src 127.91.18.66 }
  server s1 S1
listen response
  bind HTTP6
  http-response silent-drop if { src 127.91.18.66 }
  server s1 S1
`, nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"HTTP", "HTTP2", "HTTP3", "HTTP4", "HTTP5", "HTTP6"} {
			for _, from := range []string{"127.91.18.66", "127.91.18.67", "127.91.18.68"} {
				if name >= "HTTP5" && from == "127.91.18.67" {
					continue // there are no connections that are rejected after the server has answered: clients have a page
				}
				c := s.dialFrom(from, s.fill(name))
				if c == nil && from == "127.91.18.67" {
					continue // it is told
				}
				if from == "127.91.18.68" {
					got = append(got, name+" "+c.do(request("/r/a", "Connection: close")))
					c.Close()
					continue
				}
				if name > "HTTP2" { // before that a word would be answered with a reset
					io.WriteString(c, request("/r/a"))
				}
				if from == "127.91.18.66" {
					wait.Until(t, s.name+" to drop the connection to "+name, func() bool { return !s.established(c) })
					got = append(got, fmt.Sprint(name, " dropped, the client is told: ", c.told()))
					continue
				}
				wait.Until(t, s.name+" to reject the connection to "+name, c.told)
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "client", want, got)
	same(t, "line", theirs.lines(12), ours.lines(12)) // of connections and sessions that are refused there is none
}

// dialFrom is dial from an address of the client's choice; nil is a connection that was reset at once.
func (s *subject) dialFrom(from, addr string) *client {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(s.t.Context(), "tcp", addr)
	if errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	if err != nil {
		s.t.Fatalf("%s: %v", s.name, err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{s, c, bufio.NewReader(c)}
}

// told reports whether the kernel has heard of the connection's end.
func (c *client) told() (told bool) {
	c.s.t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) {
			var info *unix.TCPInfo
			info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			told = err == nil && info.State != unix.BPF_TCP_ESTABLISHED
		})
	}
	if err != nil {
		c.s.t.Fatal(err)
	}
	return told
}

// established reports whether the balancer's end of a connection is still one, as the kernel's list says.
func (s *subject) established(c net.Conn) bool {
	s.t.Helper()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(text), tcpEntry(c.RemoteAddr())+" "+tcpEntry(c.LocalAddr())+" 01 ")
}
