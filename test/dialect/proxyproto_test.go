package dialect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/proxyproto"
)

func v2(from, to string, tlvs ...proxyproto.TLV) string {
	return string(proxyproto.AppendV2(nil, netip.MustParseAddrPort(from), netip.MustParseAddrPort(to), tlvs, true))
}

// TestProxyFromClients: whom a PROXY header says the client is, in rules, headers and logs; and connections without a right one.
func TestProxyFromClients(t *testing.T) {
	const form = "LINE %ci:%cp %fi:%fp %[src]:%[src_port]/%[dst]:%[dst_port] %[fc_rcvd_proxy] %[fc_pp_authority] %[fc_pp_unique_id] %HU %ST"
	theirs, ours := both(t, preface("", form)+`
frontend fe
  bind HTTP accept-proxy
  option forwardfor
  tcp-request connection reject if { src 192.0.2.66 }
  tcp-request session reject if { src 192.0.2.77 }
  http-request deny if { src 192.0.2.88 }
  http-request set-header X-To %[dst]:%[dst_port]
  error-log-format "LINE error %ci"
  default_backend be
frontend expects
  bind HTTP2
  tcp-request connection expect-proxy layer4 if { src 127.0.0.0/8 }
  error-log-format "LINE error %ci"
  default_backend be
backend be
  server s1 S1
`, nil)
	cip := "\x00\x00\x00\x4d\x00\x00\x00\x28" + "E\x00\x00\x28\x00\x00\x00\x00\x40\x06\x00\x00\xc0\x00\x02\x05\xc0\x00\x02\x06" + "\x04\xd2\x00\x50" + strings.Repeat("\x00", 16)
	drive := func(s *subject) (got []string) {
		for _, head := range []string{
			"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n",
			"PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n",
			"PROXY UNKNOWN\r\n",
			v2("192.0.2.1:1", "192.0.2.2:2"),
			v2("[2001:db8::1]:1", "[2001:db8::2]:2", proxyproto.TLV{Type: proxyproto.TypeAuthority, Value: []byte("a.test")}, proxyproto.TLV{Type: proxyproto.TypeUniqueID, Value: []byte("unique")}),
			string(proxyproto.AppendV2(nil, netip.AddrPort{}, netip.AddrPort{}, nil, false)),
			v2("192.0.2.66:1", "192.0.2.2:2"),
			v2("192.0.2.77:1", "192.0.2.2:2"),
			v2("192.0.2.88:1", "192.0.2.2:2"),
			"PROXY TCP4 192.0.2.1 192.0.2.2 1111\r\n",
			"PROXY TCP4 nonsense 192.0.2.2 1111 2222\r\n",
			"",
			"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x02xx",
			cip,
		} {
			for _, cut := range []int{0, len(head)} { // with the request, and before it
				c := s.dial(s.addr)
				io.WriteString(c, head[:cut])
				got = append(got, fmt.Sprintf("%.20q %d: %s", head, cut, gone(c.do(head[cut:]+request("/headers")))))
				c.Close()
			}
		}
		c := s.dial(s.fill("HTTP2"))
		return append(got, c.do("PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n"+request("/headers")), c.do(request("/headers")))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)

	// HAProxy takes only headers that come in one piece, and of UNKNOWN only the shortest form.
	for _, head := range []string{"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", v2("192.0.2.1:1", "192.0.2.2:2")} {
		for cut := range head {
			c := ours.dial(ours.addr)
			io.WriteString(c, head[:cut])
			if got := c.do(head[cut:] + request("/headers")); !strings.HasPrefix(got, "200 ") || !strings.HasPrefix(head, "PROXY U") && !strings.Contains(got, "x-forwarded-for: 192.0.2.1") {
				t.Errorf("%q cut at %d: %s", head, cut, got)
			}
			c.Close()
		}
	}

	// Whom a connection is from goes along with a reload.
	c := ours.dial(ours.addr)
	head := v2("192.0.2.1:1", "192.0.2.2:2", proxyproto.TLV{Type: proxyproto.TypeAuthority, Value: []byte("a.test")})
	before := c.do(head + request("/headers"))
	if out, err := ours.Reload(t.Context()); err != nil {
		t.Fatal(err, out)
	}
	if after := c.do(request("/headers")); after != before || !strings.Contains(after, "x-to: 192.0.2.2:2") {
		t.Errorf("before the reload %s\nafter it %s", before, after)
	}
}

// gone is one word for a connection that was closed, however that showed.
func gone(answer string) string {
	switch answer {
	case "not sent", "no answer", "closed":
		return "gone"
	}
	return answer
}

// TestProxyToServers: the header that servers get, byte for byte, with its addresses and further information.
func TestProxyToServers(t *testing.T) {
	sinks := map[string]net.Listener{}
	text := preface("", "LINE %HU %ST") + `
frontend fe
  bind HTTP accept-proxy
  unique-id-format id-%[path]
  http-request set-src ipv4(192.0.2.9) if { path /none/moved }
  use_backend %[path,field(2,/)]
`
	for name, line := range map[string]string{
		"v1": "server s SINK send-proxy", "v2": "server s SINK send-proxy-v2", "v2ssl": "server s SINK send-proxy-v2-ssl", "crc": "server s SINK send-proxy-v2 proxy-v2-options crc32c",
		"id": "server s SINK send-proxy-v2 proxy-v2-options unique-id,authority", "all": "server s SINK send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl,ssl-cipher",
		"not": "server s SINK send-proxy no-send-proxy", "not2": "server s SINK send-proxy-v2 no-send-proxy-v2", "notssl": "server s SINK send-proxy-v2-ssl no-send-proxy-v2-ssl",
	} {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		sinks[name] = l
		text += fmt.Sprintf("backend %s\n  %s\n", name, strings.Replace(line, "SINK", l.Addr().String(), 1))
	}
	theirs, ours := both(t, text, nil)
	drive := func(s *subject) (got []string) {
		for _, name := range []string{"v1", "v2", "v2ssl", "crc", "id", "all", "not", "not2", "notssl"} {
			for _, head := range []string{
				"PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n", "PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n",
				v2("192.0.2.1:1", "192.0.2.2:2", proxyproto.TLV{Type: proxyproto.TypeAuthority, Value: []byte("a.test")}),
			} {
				c := s.dial(s.addr)
				io.WriteString(c, head+request("/"+name))
				got = append(got, name+": "+begun(t, sinks[name]))
				got = append(got, c.do(""))
				// The same client again may have the connection again.
				c.Close()
			}
		}
		return got
	}
	same(t, "header", seen(theirs, drive), drive(ours))
}

// begun answers one request and gives what stood before it.
func begun(t *testing.T, l net.Listener) string {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	var all []byte
	for !bytes.HasSuffix(all, []byte("\r\n\r\n")) || !bytes.Contains(all, []byte("HTTP/1.1")) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%v after %q", err, all)
		}
		all = append(all, b)
	}
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	head, _, _ := bytes.Cut(all, []byte("GET /"))
	if len(head) > 16 && head[0] == '\r' && int(binary.BigEndian.Uint16(head[14:])) != len(head)-16 {
		return fmt.Sprintf("%q with a wrong length", head)
	}
	return fmt.Sprintf("%q", head)
}
