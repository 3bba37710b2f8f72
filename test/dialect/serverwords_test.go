package dialect

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// h2Server answers in HTTP/2 and HTTP/1.1, over TLS where there is a configuration, with the version that it was asked in; it takes WebSockets over HTTP/1.1.
func h2Server(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ErrorLog: log.New(io.Discard, "", 0), TLSConfig: cfg, Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked-In", r.Proto)
		if r.ProtoMajor == 1 && r.Header.Get("Upgrade") == "websocket" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
			w.WriteHeader(101)
		}
	})}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	if cfg != nil {
		go s.ServeTLS(l, "", "")
	} else {
		go s.Serve(l)
	}
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// TestServerWords: words of server lines, and a few of backends, by what clients and servers see of them.
func TestServerWords(t *testing.T) {
	pair, err := tls.LoadX509KeyPair("testdata/certs/site.pem", "testdata/certs/site.pem")
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("PLAINTWO", h2Server(t, nil), "KEPT", scripted(t, map[string]string{"/cached": "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nkept"}), "SECURE", h2Server(t, &tls.Config{Certificates: []tls.Certificate{pair}}))
	theirs, ours := both(t, preface("nbthread 1", "LINE %b/%s %ST %ts")+fill.Replace(`  retries 0
frontend fe
  bind HTTP
  http-response set-header X-Port %[bc_src_port]
  use_backend %[path,field(2,/)]
backend enabled
  default-server disabled
  server s1 S1
  server s2 S2 enabled
backend no-backup
  default-server backup
  server s1 S1
  server s2 S2 no-backup
backend stick
  default-server non-stick
  stick-table type string size 10
  stick on req.hdr(x-key)
  server s1 S1 weight 100
  server s2 S2 weight 100 stick
backend reuse
  http-reuse always
  server s S1
backend max-reuse
  http-reuse always
  server s PLAINTWO proto h2 max-reuse 2
backend max-reuse-none
  http-reuse always
  server s PLAINTWO proto h2 max-reuse 0
backend pool
  http-reuse always
  server s S1 pool-max-conn 0
backend ws-auto
  server s SECURE ssl verify none alpn h2,http/1.1 ws auto
backend ws-h1
  server s SECURE ssl verify none alpn h2,http/1.1 ws h1
backend ws-clear-h1
  server s S1 ws h1
backend cached
  filter cache kept
  http-request cache-use kept
  http-response cache-store kept
  http-after-response set-header X-Hit %[res.cache_hit,iif(1,0)]
  server s KEPT
cache kept
  total-max-size 4
  max-age 60
backend transparent
  http-request set-dst req.hdr(x-host)
  http-request set-dst-port req.hdr(x-port)
  option transparent
`), nil)
	web := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	n := 0
	drive := func(s *subject) (got []string) {
		n = 0
		ports := map[string]map[string]int{} // by path: the same connection has the same number
		ask := func(path string, headers ...string) {
			answer := s.get(path, headers...)
			n++
			if before, rest, ok := strings.Cut(answer, `X-Port=["`); ok {
				port, after, _ := strings.Cut(rest, `"]`)
				if ports[path] == nil {
					ports[path] = map[string]int{}
				}
				of := ports[path]
				if of[port] == 0 {
					of[port] = len(of) + 1
				}
				number := 0
				if strings.Contains(path, "reuse") || path == "/pool" {
					number = of[port]
				}
				answer = fmt.Sprintf("%sX-Port=%d%s", before, number, after)
			}
			got = append(got, path+": "+answer)
		}
		for range 3 {
			ask("/enabled")
			ask("/no-backup")
			ask("/cached")
		}
		for _, key := range []string{"a", "b", "c", "d"} {
			ask("/stick", "X-Key: "+key)
			ask("/stick", "X-Key: "+key)
		}
		got = append(got, entryFacts.ReplaceAllString(s.command("show table stick"), "*"))
		for _, path := range []string{"/reuse", "/max-reuse", "/max-reuse-none", "/pool"} {
			for range 7 {
				ask(path)
			}
		}
		addr, port, _ := net.SplitHostPort(s.fill("S2"))
		ask("/transparent", "X-Host: "+addr, "X-Port: "+port)
		for _, name := range []string{"ws-auto", "ws-h1", "ws-clear-h1"} {
			ask("/" + name)
			c := s.dial(s.addr)
			io.WriteString(c, request("/"+name, web...))
			r, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(s.name, name, err)
			}
			got = append(got, fmt.Sprintf("%s: %d %s %q", name, r.StatusCode, r.Header.Get("X-Asked-In"), r.Header.Get("Upgrade")))
			c.Close()
			n++
		}
		return got
	}
	same(t, "server", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(n), ours.lines(n))
}

// TestNeverLocal: what checks say of themselves in a PROXY header.
func TestNeverLocal(t *testing.T) {
	for _, global := range []string{"", "pp2-never-send-local"} {
		heads := func() (string, chan string) {
			l, err := net.Listen("tcp", host+":0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			first := make(chan string, 100)
			go func() { // ends with the listener
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.SetDeadline(time.Now().Add(20 * time.Second))
					head, _ := bufio.NewReader(c).Peek(16)
					first <- fmt.Sprintf("%q", head)
					c.Close()
				}
			}()
			return l.Addr().String(), first
		}
		theirAddr, their := heads()
		ourAddr, our := heads()
		text := preface(global, "LINE") + "backend b\n  server s SINK check inter 1s send-proxy-v2\n"
		theirs, _ := each(t, strings.ReplaceAll(text, "SINK", theirAddr), strings.ReplaceAll(text, "SINK", ourAddr), nil)
		same(t, global, seen(theirs, func(*subject) []string { return []string{<-their} }), []string{<-our})
	}
}
