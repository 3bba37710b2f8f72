package dialect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// spellings are words that HAProxy had before 2.6 or got after it, on the left for lb, and beside them what 2.6 has for the same, on the right for it.
// The first word names the proxy; ; ends a line.
const spellings = `
old-times
clitimeout 500ms | timeout client 500ms
contimeout 50ms | timeout connect 50ms
srvtimeout 150ms | timeout server 150ms
timeout check 1s | timeout check 1s
server full FULL | server full FULL
server s HOLDER backup | server s HOLDER backup

silent
srvtimeout 100ms | timeout server 100ms
server s HOLDER | server s HOLDER

refused
contimeout 50ms | timeout connect 50ms
retries 0 | retries 0
server s FULL | server s FULL

old-close
option forceclose | option httpclose
server s S1 | server s S1

old-redispatch
no option redispatch | no option redispatch
redispatch | option redispatch
retries 1 | retries 1
server s1 DOWN cookie one | server s1 DOWN cookie one
server s2 S2 | server s2 S2
cookie C | cookie C

old-rules
reqadd X-Added:\ value | http-request add-header X-Added value
reqdel ^X-Gone:.* | http-request del-header X-Gone
reqidel ^x-also:.* | http-request del-header X-Also
rspadd X-Answer:\ value | http-response add-header X-Answer value
rspdel ^X-Backend:.* | http-response del-header X-Backend
server s S1 | server s S1

old-rules-again
rspidel ^x-backend:.* | http-response del-header X-Backend
server s S1 | server s S1

new-compression
compression algo-res gzip | compression algo gzip
compression type-res text/plain | compression type text/plain
compression direction response | compression offload
server s TEXTS | server s TEXTS

new-least-long
compression algo-res gzip | compression algo gzip
compression minsize-res 300 | option http-keep-alive
server s TEXTS | server s TEXTS

new-least-short
compression algo-res gzip | option http-keep-alive
compression minsize-res 300 | option http-keep-alive
server s TEXTS | server s TEXTS

new-unsafe
option accept-unsafe-violations-in-http-request | option accept-invalid-http-request
option accept-unsafe-violations-in-http-response | option accept-invalid-http-response
server s TEXTS | server s TEXTS

new-handshakes
timeout server-hs 100ms | timeout connect 100ms
retries 0 | retries 0
server s SILENT ssl verify none | server s SILENT ssl verify none

new-clients
timeout client-hs 100ms | timeout client 100ms
bind unix@DIR/new-clients-tls.sock ssl crt DIR/site.pem | bind unix@DIR/new-clients-tls.sock ssl crt DIR/site.pem
server s S1 | server s S1

new-hash
balance hdr(x-key) | balance hdr(x-key)
hash-type consistent | hash-type consistent
hash-preserve-affinity always | option http-keep-alive
server s1 S1 hash-key id init-state up | server s1 S1
server s2 S2 hash-key id | server s2 S2
server s3 S3 | server s3 S3

new-sni
server s SECURE ssl verify none sni-auto | server s SECURE ssl verify none sni req.hdr(host),host_only

new-sni-none
server s SECURE ssl verify none sni-auto no-sni-auto | server s SECURE ssl verify none
`

// newBinds are words of later bind lines in the same way.
const newBinds = `
crt DIR/site.pem default-crt DIR/client.pem | crt DIR/client.pem crt DIR/site.pem
crt DIR/site.pem alpn h2,http/1.1 no-alpn | crt DIR/site.pem
crt DIR/site.pem strict-sni no-strict-sni | crt DIR/site.pem
crt DIR/site.pem no-tls-tickets tls-tickets | crt DIR/site.pem
`

// TestOtherSpellings: words that HAProxy 2.6 no longer has, or has not yet, do what its own words for the same do.
func TestOtherSpellings(t *testing.T) {
	web, _, _ := holder(t)
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	text := func(n int) string { return strings.Repeat("0123456789", n/10) }
	texts := map[string]string{}
	for path, n := range map[string]int{"/long": 1000, "/short": 200} {
		for _, kind := range []string{"plain", "html"} {
			texts[path+"/"+kind] = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/%s\r\nContent-Length: %d\r\n\r\n%s", kind, n, text(n))
		}
	}
	texts["/bad"] = "HTTP/1.1 200 OK\r\nX-Bad(: 1\r\nContent-Length: 0\r\n\r\n"
	texts["/caf\xe9"] = "HTTP/1.1 200 OK\r\nX-Good: 1\r\nContent-Length: 0\r\n\r\n"
	silent, err := net.Listen("tcp", host+":0") // who connects is never met
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	fill := strings.NewReplacer("SILENT", silent.Addr().String(), "HOLDER", web, "FULL", fullQueue(t), "TEXTS", scripted(t, texts), "SECURE", secureServer(t, &tls.Config{Certificates: []tls.Certificate{pair}}))
	ourText := preface("", "LINE %f %b/%s %ST %tsc %HU")
	theirText := ourText
	for block := range strings.SplitSeq(fill.Replace(strings.TrimSpace(spellings)), "\n\n") {
		lines := rows(block)
		head := "listen " + lines[0] + "\n  bind unix@DIR/" + lines[0] + ".sock\n"
		ourText, theirText = ourText+head, theirText+head
		for _, line := range lines[1:] {
			mine, his, _ := strings.Cut(line, " | ")
			ourText, theirText = ourText+"  "+mine+"\n", theirText+"  "+his+"\n"
		}
	}
	for i, line := range rows(newBinds) {
		head := fmt.Sprintf("frontend new-bind-%d\n  http-request return status 200 hdr X-Seen \"%%[ssl_fc_alpn] %%[ssl_fc_is_resumed]\"\n  bind unix@DIR/new-bind-%d.sock ssl ", i, i)
		mine, his, _ := strings.Cut(line, " | ")
		ourText, theirText = ourText+head+mine+"\n", theirText+head+his+"\n"
	}
	theirs, ours := each(t, theirText, ourText, certificates(t))
	n := 0
	drive := func(s *subject) (got []string) {
		n = 0
		ask := func(name, text string) {
			c := s.dial(s.dir + "/" + name + ".sock")
			defer c.Close()
			got = append(got, fmt.Sprintf("%s %.40q: %s", name, text, c.do(text)))
			n++
		}
		ask("old-times", "GET / HTTP/1.1\r\n")
		ask("old-times", request("/", "Connection: close"))
		ask("silent", request("/hold", "Connection: close"))
		ask("refused", request("/", "Connection: close"))
		ask("new-handshakes", request("/", "Connection: close"))
		c := s.dial(s.dir + "/new-clients-tls.sock")
		_, err := c.r.ReadByte()
		got = append(got, fmt.Sprint("new-clients, silent: ", err))
		c = s.dial(s.dir + "/old-close.sock")
		got = append(got, "forceclose: "+c.do(request("/headers")))
		n++
		_, err = c.r.ReadByte()
		got = append(got, fmt.Sprint("and then: ", err))
		ask("old-redispatch", request("/", "Cookie: C=one", "Connection: close"))
		for _, name := range []string{"old-rules", "old-rules-again"} {
			ask(name, request("/headers", "X-Gone: 1", "X-Gone: 2", "X-Also: 3", "X-Stays: 4", "Connection: close"))
		}
		for _, name := range []string{"new-compression", "new-least-long", "new-least-short"} {
			for path := range texts {
				if strings.Count(path, "/") == 2 && (name == "new-compression" || strings.HasPrefix("/"+name, "/new-least"+strings.Replace(path[:strings.LastIndex(path, "/")], "/", "-", 1))) {
					got = append(got, name+path+": "+s.unpacked(s.dir+"/"+name+".sock", request(path, "Accept-Encoding: gzip", "Connection: close")))
					n++
				}
			}
		}
		for _, name := range []string{"new-unsafe", "new-compression"} {
			ask(name, request("/bad", "Connection: close"))
			ask(name, request("/caf\xe9", "Connection: close"))
			ask(name, request("/short/plain", "X(: 1", "Connection: close"))
		}
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			ask("new-hash", request("/", "X-Key: "+key, "Connection: close"))
		}
		for _, name := range []string{"new-sni", "new-sni-none"} {
			ask(name, request("/", "Connection: close"))
		}
		for i, line := range rows(newBinds) {
			sessions := tls.NewLRUClientSessionCache(1)
			for _, server := range []string{"site.test", "other.test", "site.test"} {
				cfg := &tls.Config{ServerName: server, MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ClientSessionCache: sessions}
				got = append(got, line+": "+server+": "+s.shake(fmt.Sprintf("new-bind-%d", i), cfg))
			}
		}
		slices.Sort(got)
		return got
	}
	same(t, "answer", seen(theirs, drive), drive(ours))
	n += 3 * len(rows(newBinds))
	same(t, "line", theirs.lines(n), ours.lines(n))
}

// fullQueue is an address where the queue is full, so that no connection is ever made.
func fullQueue(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	at := &unix.SockaddrInet4{Addr: netip.MustParseAddr(host).As4()}
	if err := errors.Join(unix.Bind(fd, at), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := net.JoinHostPort(host, strconv.Itoa(sa.(*unix.SockaddrInet4).Port))
	for range 4 {
		if c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return addr
}
