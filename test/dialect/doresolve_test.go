package dialect

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lbsyslogd/test/rig"
)

// nameserver answers for four names: two of servers' addresses, one of an inner address, and one that is never answered.
func nameserver(t *testing.T) (addr string) {
	t.Helper()
	pc, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		addr := map[string]string{"one.test.": first, "two.test.": second, "inner.test.": "10.1.2.3"}[q.Question[0].Name]
		switch {
		case q.Question[0].Name == "dead.test.":
			return
		case addr == "":
			m.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			r, _ := dns.NewRR(q.Question[0].Name + " 1 IN A " + addr)
			m.Answer = append(m.Answer, r)
		}
		w.WriteMsg(m)
	})}
	go names.ActivateAndServe()
	t.Cleanup(func() { names.Shutdown() })
	return pc.LocalAddr().String()
}

const first, second = "127.91.18.41", "127.91.18.42" // of servers whose names are asked for

// resolved starts a server at each of the two addresses, on one port, and the name server. resolvers is the section that names it, r.
func resolved(t *testing.T) (resolvers string, port int) {
	t.Helper()
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{first, second} {
		elsewhere(t, fmt.Sprintf("%s:%d", a, ports[0]))
	}
	return fmt.Sprintf("resolvers r\n  nameserver a %s\n  timeout retry 300ms\n  resolve_retries 2\n", nameserver(t)), ports[0]
}

// TestDoResolve: requests go where name servers say that their names are.
func TestDoResolve(t *testing.T) {
	resolvers, port := resolved(t)
	theirs, ours := both(t, fmt.Sprintf(resolvers+preface("", "LINE %%HU %%ST %%ts %%b %%s %%[var(txn.ip)]")+`
frontend fe
  bind HTTP
  http-request do-resolve(txn.ip,r,ipv4) hdr(x-name),lower,host_only unless { path /both }
  http-request do-resolve(txn.ip,r) hdr(x-name),lower if { path /both }
  http-request deny deny_status 502 unless { var(txn.ip) -m found }
  http-request set-dst-port int(%d)
  default_backend be
backend be
  http-request deny if { var(txn.ip) -m ip 10.0.0.0/8 }
  http-request set-dst var(txn.ip)
  server s 0.0.0.0:0
`, port), nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, path := range []string{"/", "/both"} {
			for _, name := range []string{"one.test", "ONE.test", "two.test", "inner.test", "none.test", "dead.test", "a..b"} {
				requests++
				answer := s.get(path, "X-Name: "+name)
				got = append(got, path+" "+name+": "+withoutPort(answer, port))
			}
		}
		requests++
		return append(got, s.get("/"))
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}

// TestDoResolveContent: connections, and requests, go where tcp-request content rules have asked for their names: as long as inspect-delay lets them.
func TestDoResolveContent(t *testing.T) {
	resolvers, port := resolved(t)
	theirs, ours := both(t, fmt.Sprintf(resolvers+preface("", "LINE %%HU %%ST %%ts %%b %%s %%[var(txn.ip)]")+`
frontend fe
  bind HTTP
  tcp-request inspect-delay 5s
  tcp-request content do-resolve(txn.ip,r,ipv4) hdr(x-name),lower,host_only
  tcp-request content set-dst var(txn.ip) if { var(txn.ip) -m found }
  http-request deny deny_status 502 unless { var(txn.ip) -m found }
  http-request set-dst-port int(%d)
  default_backend be
backend be
  tcp-request inspect-delay 5s
  tcp-request content do-resolve(txn.other,r,ipv4) hdr(x-other)
  tcp-request content reject if { var(txn.other) -m ip 10.0.0.0/8 }
  http-request return hdr X-Other %%[var(txn.other)] if { path /other }
  server s 0.0.0.0:0
listen tcp
  mode tcp
  log-format "LINE %%ts %%b %%s %%[var(txn.ip)]"
  bind HTTP2
  tcp-request inspect-delay 5s
  tcp-request content reject unless { req.proto_http }
  tcp-request content do-resolve(txn.ip,r,ipv4) req.hdr(x-name)
  tcp-request content reject unless { var(txn.ip) -m found }
  tcp-request content set-dst var(txn.ip)
  tcp-request content set-dst-port int(%d)
  server s 0.0.0.0:0
listen hasty
  mode tcp
  log-format "LINE %%ts %%b %%s %%[var(txn.ip)]"
  bind HTTP3
  tcp-request content do-resolve(txn.ip,r,ipv4) str(two.test)
  tcp-request content do-resolve(txn.ip,r,ipv4) str(10.1.2.9) unless { var(txn.ip) -m found }
  tcp-request content reject if { var(txn.ip) -m ip 10.1.2.9 }
  server s S1
`, port, port), nil)
	requests := 0
	drive := func(s *subject) (got []string) {
		requests = 0
		for _, to := range []string{s.addr, s.fill("HTTP2"), s.fill("HTTP3")} {
			for _, name := range []string{"one.test", "two.test", "none.test", "dead.test", "a..b", "192.0.2.999"} {
				for _, other := range []string{"", "inner.test", "one.test"} {
					if to != s.addr && other != "" || to != s.addr && name == "192.0.2.999" {
						continue
					}
					requests++
					c := s.dial(to)
					path := "/"
					if other != "" {
						path = "/other"
					}
					answer := c.do(request(path, "X-Name: "+name, "X-Other: "+other, "Connection: close"))
					c.Close()
					got = append(got, name+" "+other+": "+withoutPort(answer, port))
				}
			}
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	same(t, "line", theirs.lines(requests), ours.lines(requests))
}

// TestDoResolveIsHasty: a rule of mode tcp resolves the name that is there when its turn comes. It waits for no bytes; a condition does, and at the end of
// inspect-delay nobody is asked. The server speaks first, so that whoever waits for a client's bytes is seen to.
func TestDoResolveIsHasty(t *testing.T) {
	names := nameserver(t)
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, "hello\n")
				io.Copy(io.Discard, c)
			}()
		}
	}()
	listener := func(name, bind, delay, rules string) string {
		return fmt.Sprintf("listen %s\n  mode tcp\n  bind %s\n  tcp-request inspect-delay %s\n%s  server s %s\n",
			name, bind, delay, indent(rules), l.Addr())
	}
	const resolve = "tcp-request content do-resolve(txn.ip,r,ipv4) req.hdr(x-name)"
	theirs, ours := both(t, fmt.Sprintf("resolvers r\n  nameserver a %s\n", names)+preface("", "LINE %b %[var(txn.ip)]")+
		listener("alone", "HTTP", "19s", resolve)+
		listener("condition", "HTTP2", "19s", resolve+" if { req.hdr(x-name) -m found }")+
		listener("end", "HTTP3", "100ms", "tcp-request content set-var(txn.x) int(1) if WAIT_END\n"+resolve), nil)
	drive := func(s *subject) (got []string) {
		for _, step := range []struct{ name, addr, bytes string }{
			{"alone, silent", s.addr, ""}, // served at once
			{"condition", s.fill("HTTP2"), request("/", "X-Name: one.test")},
			{"end", s.fill("HTTP3"), request("/", "X-Name: one.test")},
		} {
			c := s.dial(step.addr)
			io.WriteString(c, step.bytes)
			line, err := c.r.ReadString('\n')
			c.Close()
			got = append(got, fmt.Sprintf("%s: %q %v", step.name, line, err))
		}
		return got
	}
	want, got := seen(theirs, drive), drive(ours)
	same(t, "answer", want, got)
	lines := ours.lines(3)
	same(t, "line", theirs.lines(3), lines)
	same(t, "documented line", []string{"alone -", "condition " + first, "end -"}, lines)
}

func withoutPort(answer string, port int) string {
	return strings.ReplaceAll(answer, fmt.Sprintf(":%d", port), ":PORT")
}
