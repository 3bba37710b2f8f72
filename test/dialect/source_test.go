package dialect

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// answering answers each connection that is accepted with what answer gives.
func answering(t *testing.T, answer func(c net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

// inNamespace calls f on a thread that is in a network namespace.
func inNamespace(name string, f func() error) error {
	there, err := os.Open("/run/netns/" + name)
	if err != nil {
		return err
	}
	defer there.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// TestNamespaces: listening sockets, servers and their checks in another network namespace.
func TestNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root can make a namespace")
	}
	name := fmt.Sprintf("lb-dialect-%d", os.Getpid())
	for _, words := range []string{"netns add " + name, "-n " + name + " link set lo up"} {
		if out, err := exec.Command("ip", strings.Fields(words)...).CombinedOutput(); err != nil {
			tape.Skipf(t, "ip %s: %v: %s", words, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("%s:%d", host, ports[0])
	err = inNamespace(name, func() error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-There", r.URL.Path) })}
		t.Cleanup(func() { srv.Close() })
		go srv.Serve(l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := both(t, preface("", "LINE %ST %b %ts %HU")+strings.NewReplacer("NAMESPACE", name, "THERE", addr).Replace(`
frontend fe
  bind HTTP
  bind HTTP2 namespace NAMESPACE
  use_backend %[path,field(2,/)]
backend there
  option httpchk GET /checked
  server s THERE namespace NAMESPACE check inter 100ms
backend here
  retries 0
  option httpchk GET /checked
  server s THERE check inter 100ms rise 1 fall 1
backend source
  server s THERE namespace NAMESPACE source 127.91.18.7
`), nil)
	drive := func(s *subject) (got []string) {
		s.until("here/s", "status=DOWN", "status")
		s.until("there/s", "status=UP check_status=L7OK", "status", "check_status")
		got = append(got, s.get("/there"), s.get("/here"), s.get("/source"))
		if _, err := net.Dial("tcp", s.fill("HTTP2")); err == nil {
			got = append(got, "it listens here")
		}
		err := inNamespace(name, func() error {
			raw, err := net.Dial("tcp", s.fill("HTTP2"))
			if err != nil {
				return err
			}
			defer raw.Close()
			c := &client{s, raw, bufio.NewReader(raw)}
			got = append(got, "from there: "+c.do(request("/there", "Connection: close")))
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		return got
	}
	same(t, "namespace", seen(theirs, drive), drive(ours))
	same(t, "line", theirs.lines(4), ours.lines(4))
}

// TestUseSource: connections to servers come from the client's address, from one that a field names, or from another one.
func TestUseSource(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may take others' addresses")
	}
	from := answering(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			peer, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-From: %s\r\nConnection: close\r\n\r\n", peer)
		}
	})
	theirs, ours := both(t, preface("", "LINE %ST %ts %b/%s %rc")+strings.ReplaceAll(`
frontend fe
  bind HTTP
  use_backend %[path,field(2,/)]
backend clientip
  server s FROM source 0.0.0.0 usesrc clientip
backend client
  retries 0
  source 0.0.0.0 usesrc client
  server s FROM
backend fixed
  server s FROM source 0.0.0.0 usesrc 127.91.18.77
backend field
  server s FROM source 127.91.18.5 usesrc hdr_ip(x-from)
backend second
  server s FROM source 127.91.18.5 usesrc hdr_ip(x-from,2)
backend last
  source 0.0.0.0 usesrc hdr_ip(x-from,-1)
  server s FROM
`, "FROM", from), nil)
	ask := func(s *subject, path string, fields ...string) string {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.91.18.99")}}
		raw, err := d.DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{s, raw, bufio.NewReader(raw)}
		defer c.Close()
		return fmt.Sprint(path, fields, c.do(request("/"+path, append(fields, "Connection: close")...)))
	}
	drive := func(s *subject) (got []string) {
		got = append(got, ask(s, "client")) // whose port is taken, by itself
		for _, fields := range [][]string{{"X-From: 127.91.18.78, 127.91.18.79"}, {"X-From: 127.91.18.79", "X-From: 127.91.18.80"}, {"X-From: 127.91.18.1, 127.91.18.2, 127.91.18.3"}} {
			for _, path := range []string{"clientip", "fixed", "field", "second", "last"} {
				got = append(got, ask(s, path, fields...))
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "source", want, got)
	same(t, "line", theirs.lines(len(want)), ours.lines(len(got)))
	// Where there is no such value the manual has HAProxy bind nothing; 2.6.12 answers 500.
	for _, fields := range [][]string{nil, {"X-From: nonsense"}} {
		if got := ask(ours, "second", fields...); !strings.Contains(got, `200 OK X-From=["127.91.18.5"]`) {
			t.Errorf("no address: %s", got)
		}
	}
}

// TestResolveWords: which of a name's addresses servers take.
func TestResolveWords(t *testing.T) {
	pc, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := q.Question[0].Name
		add := func(text string) {
			r, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, r)
		}
		switch q.Question[0].Qtype {
		case dns.TypeA:
			if name != "one.test." {
				add(name + " 60 IN A 10.1.2.3")
			}
			add(name + " 60 IN A 127.91.18.41")
		case dns.TypeSRV:
			add(name + " 60 IN SRV 1 100 80 one.test.")
			r, err := dns.NewRR("one.test. 60 IN A 127.91.18.41")
			if err != nil {
				t.Error(err)
			}
			m.Extra = append(m.Extra, r)
		}
		w.WriteMsg(m)
	})}
	go names.ActivateAndServe()
	t.Cleanup(func() { names.Shutdown() })
	theirs, ours := both(t, fmt.Sprintf(`resolvers r
  nameserver a %s
  resolve_retries 2
  timeout resolve 200ms
  timeout retry 300ms
`, pc.LocalAddr())+preface("", "LINE")+`
frontend fe
  bind HTTP
  default_backend net
backend net
  default-server resolvers r init-addr none resolve-prefer ipv4
  server s two.test:80 resolve-net 127.0.0.0/8
  server other two.test:80 resolve-net 192.0.2.0/24,10.0.0.0/8
backend opts
  default-server resolvers r init-addr none resolve-prefer ipv4
  server-template dup 2 one.test:80 resolve-opts allow-dup-ip
  server-template srv 1 _x._tcp.test resolve-opts ignore-weight weight 7
  server-template weighed 1 _y._tcp.test
backend alone
  server-template alone 2 one.test:80 resolvers r init-addr none resolve-prefer ipv4 resolve-opts prevent-dup-ip
`, nil)
	state := regexp.MustCompile(`(?m)^\d+ (\S+) \d+ (\S+) (\S+) \d+ \d+ (\d+) (\d+) `)
	drive := func(s *subject) (got []string) {
		wait.Until(t, "the names to be resolved", func() bool {
			text, err := s.Command("show servers state")
			if err != nil {
				t.Fatal(err)
			}
			got = got[:0]
			missing := 0
			for _, m := range state.FindAllStringSubmatch(text, -1) {
				got = append(got, strings.Join(m[1:], " "))
				if m[3] == "-" {
					missing++
				}
			}
			return missing == 1 && len(got) == 8
		})
		return got
	}
	same(t, "server", seen(theirs, drive), drive(ours))
}
