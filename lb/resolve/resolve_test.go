package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

type slot struct {
	at     netip.AddrPort
	weight int
}

func (s *slot) Now() netip.AddrPort { return s.at }
func (s *slot) Move(to netip.AddrPort, weight int) {
	s.at = to
	if weight >= 0 {
		s.weight = weight
	}
}

func group(n int) (*Group, []*slot) {
	g := &Group{Resolver: &Resolver{Hold: Hold{NX: time.Minute}}, Port: 80, gone: make([]time.Time, n), good: time.Unix(1000, 0)}
	var slots []*slot
	for range n {
		s := &slot{weight: 1}
		slots = append(slots, s)
		g.Slots = append(g.Slots, s)
	}
	return g, slots
}

func answer(addrs ...string) (list []Record) {
	for _, a := range addrs {
		list = append(list, Record{Addr: netip.MustParseAddr(a), Weight: -1})
	}
	return list
}

func shown(slots []*slot) (list []string) {
	for _, s := range slots {
		if s.at.IsValid() {
			list = append(list, s.at.Addr().String())
		} else {
			list = append(list, "-")
		}
	}
	return list
}

// Servers keep their addresses whatever the order of the answer, and only what is new or gone moves.
func TestSharingOut(t *testing.T) {
	g, slots := group(3)
	now := time.Unix(1000, 0)
	want := func(list ...string) {
		t.Helper()
		if got := shown(slots); !slices.Equal(got, list) {
			t.Errorf("%v, want %v", got, list)
		}
	}
	g.take(answer("10.0.0.1", "10.0.0.2"), now)
	want("10.0.0.1", "10.0.0.2", "-")
	g.take(answer("10.0.0.3", "10.0.0.2", "10.0.0.1"), now)
	want("10.0.0.1", "10.0.0.2", "10.0.0.3")
	g.take(answer("10.0.0.4", "10.0.0.3", "10.0.0.2"), now)
	want("10.0.0.4", "10.0.0.2", "10.0.0.3")
	g.fail(NX, now.Add(59*time.Second))
	want("10.0.0.4", "10.0.0.2", "10.0.0.3")
	g.fail(NX, now.Add(time.Minute))
	want("-", "-", "-")
	g.MayShare = true
	g.take(answer("10.0.0.9"), now)
	want("10.0.0.9", "10.0.0.9", "10.0.0.9")
	g.MayShare = false
	g.Networks = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
	g.take(answer("10.0.0.9", "10.0.0.8", "192.168.1.1"), now)
	want("10.0.0.9", "192.168.1.1", "10.0.0.8")
	g.take([]Record{{Addr: netip.MustParseAddr("10.0.0.9"), Port: 80, Weight: 7}}, now)
	if slots[0].weight != 7 {
		t.Errorf("weight %d", slots[0].weight)
	}
}

// serve is a name server that is asked over UDP and TCP on one port.
func serve(t *testing.T, answer func(q dns.Question, m *dns.Msg)) *Nameserver {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		answer(r.Question[0], m)
		if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
			m.Truncate(512)
		}
		_ = w.WriteMsg(m)
	})
	l, pc := bothListen(t)
	for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: pc, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return &Nameserver{ID: "n", Network: "udp", Address: l.Addr().String()}
}

// bothListen listens on TCP and UDP at one port.
func bothListen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return l, pc
		}
		l.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

func rr(t *testing.T, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Answers of every kind: both families, truncated ones, services with and without addresses, names that do not exist, dead servers.
func TestLookup(t *testing.T) {
	ns := serve(t, func(q dns.Question, m *dns.Msg) {
		add := func(format string, args ...any) { m.Answer = append(m.Answer, rr(t, fmt.Sprintf(format, args...))) }
		switch q.Name + dns.TypeToString[q.Qtype] {
		case "four.test.A", "both.test.A":
			add("%s 1 IN A 10.0.0.1", q.Name)
		case "both.test.AAAA":
			add("%s 1 IN AAAA 2001:db8::1", q.Name)
		case "alias.test.A":
			add("alias.test. 1 IN CNAME four.test.")
			add("four.test. 1 IN A 10.0.0.1")
		case "many.test.A":
			for i := range 100 {
				add("many.test. 1 IN A 10.0.1.%d", i)
			}
		case "_web._tcp.test.SRV":
			add("%s 1 IN SRV 0 65535 8080 four.test.", q.Name)
			add("%s 1 IN SRV 0 0 8081 extra.test.", q.Name)
			m.Extra = append(m.Extra, rr(t, "extra.test. 1 IN A 10.0.0.2"))
		case "refused.test.A", "refused.test.AAAA":
			m.Rcode = dns.RcodeRefused
		case "none.test.A", "none.test.AAAA":
			m.Rcode = dns.RcodeNameError
		}
	})
	dead, err := net.ListenPacket("udp", "127.0.0.1:0") // which never answers
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	r := &Resolver{Servers: []*Nameserver{{ID: "dead", Network: "udp", Address: dead.LocalAddr().String()}, ns}, Retry: 20 * time.Second, Payload: 512}
	look := func(q Question) ([]Record, Outcome) { return r.lookup(t.Context(), q) }
	for name, want := range map[string]string{"four.test": "10.0.0.1", "both.test": "2001:db8::1", "alias.test": "10.0.0.1"} {
		if got, o := look(Question{Name: name}); o != Valid || len(got) != 1 || got[0].Addr.String() != want {
			t.Errorf("%s: %v %v", name, got, o)
		}
	}
	if got, _ := look(Question{Name: "both.test", IPv4: true}); len(got) != 1 || got[0].Addr.String() != "10.0.0.1" {
		t.Errorf("IPv4 first: %v", got)
	}
	if got, o := look(Question{Name: "many.test", IPv4: true}); o != Valid || len(got) != 100 {
		t.Errorf("a truncated answer gave %d addresses, %v", len(got), o)
	}
	want := []Record{{netip.MustParseAddr("10.0.0.1"), 8080, 256}, {netip.MustParseAddr("10.0.0.2"), 8081, 0}}
	if got, o := look(Question{Name: "_web._tcp.test", Service: true, IPv4: true}); o != Valid || !slices.Equal(got, want) {
		t.Errorf("services %v, %v", got, o)
	}
	r.Servers, r.Retry = r.Servers[1:], 20*time.Second
	for name, want := range map[string]Outcome{"refused.test": Refused, "none.test": NX, "empty.test": NX} {
		if got, o := look(Question{Name: name}); o != want || len(got) != 0 {
			t.Errorf("%s: %v %v", name, got, o)
		}
	}
	r.Servers, r.Retry, r.Retries = []*Nameserver{{ID: "dead", Network: "udp", Address: dead.LocalAddr().String()}}, 10*time.Millisecond, 2
	if _, o := look(Question{Name: "four.test"}); o != Timeout || r.Servers[0].Sent.Load() != 6 {
		t.Errorf("a dead name server: %v after %d attempts", o, r.Servers[0].Sent.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.lookup(ctx, Question{Name: "four.test"}) // ends
}
