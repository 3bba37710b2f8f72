package resolve

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestNames: requests get addresses in turn, valid answers are kept, others are not, and whoever asks at the same time shares a question.
func TestNames(t *testing.T) {
	entered, answers := make(chan bool, 10), make(chan bool)
	ns := serve(t, func(q dns.Question, m *dns.Msg) {
		switch q.Name + dns.TypeToString[q.Qtype] {
		case "four.test.A":
			m.Answer = append(m.Answer, rr(t, "four.test. 1 IN A 10.0.0.1"), rr(t, "four.test. 1 IN A 10.0.0.2"))
		case "both.test.A":
			m.Answer = append(m.Answer, rr(t, "both.test. 1 IN A 10.0.0.1"))
		case "both.test.AAAA":
			m.Answer = append(m.Answer, rr(t, "both.test. 1 IN AAAA 2001:db8::1"))
		case "slow.test.A":
			entered <- true
			<-answers
			m.Answer = append(m.Answer, rr(t, "slow.test. 1 IN A 10.0.0.3"))
		case "none.test.A", "none.test.AAAA":
			m.Rcode = dns.RcodeNameError
		}
	})
	n := &Names{Resolver: &Resolver{Servers: []*Nameserver{ns}, Retry: 20 * time.Second, Hold: Hold{Valid: time.Hour}}}
	got := make(chan netip.Addr, 2)
	done := func(a netip.Addr) { got <- a }
	ask := func(name string, ipv4 bool) string {
		q, ok := Name(name, ipv4)
		if !ok {
			t.Fatal(name)
		}
		if a, ok := n.Kept(q); ok {
			return a.String() + " kept"
		}
		n.Ask(q, done)
		return (<-got).String()
	}
	for _, c := range []struct {
		name string
		ipv4 bool
		want string
	}{
		{"four.test", true, "10.0.0.1"},
		{"FOUR.test.", true, "10.0.0.2 kept"},
		{"four.test", true, "10.0.0.1 kept"},
		{"four.test", false, "10.0.0.1"}, // after AAAA was asked for
		{"both.test", false, "2001:db8::1"},
		{"both.test", true, "10.0.0.1"},
		{"none.test", true, "invalid IP"},
		{"none.test", true, "invalid IP"},
	} {
		if got := ask(c.name, c.ipv4); got != c.want {
			t.Errorf("%s, ipv4 %v: %s, want %s", c.name, c.ipv4, got, c.want)
		}
	}
	slow, _ := Name("slow.test", true)
	before := ns.Sent.Load()
	n.Ask(slow, done)
	<-entered
	n.Ask(slow, done)
	answers <- true
	for range 2 {
		if a := <-got; a.String() != "10.0.0.3" {
			t.Errorf("slow: %v", a)
		}
	}
	if asked := ns.Sent.Load() - before; asked != 1 {
		t.Errorf("two requests made %d questions", asked)
	}
	n.kept[slow].until = time.Now()
	if _, ok := n.Kept(slow); ok {
		t.Error("an answer is kept too long")
	}
}

// TestNamesGiveUp: a name server that never answers is waited for as often and as long as the section says, and no longer.
func TestNamesGiveUp(t *testing.T) {
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	ns := &Nameserver{Network: "udp", Address: dead.LocalAddr().String()}
	n := &Names{Resolver: &Resolver{Servers: []*Nameserver{ns}, Retry: 20 * time.Millisecond, Retries: 2}}
	got := make(chan netip.Addr)
	q, _ := Name("four.test", true)
	n.Ask(q, func(a netip.Addr) { got <- a })
	if a := <-got; a.IsValid() {
		t.Error(a)
	}
	if len(n.kept) != 0 {
		t.Error("a failure is kept")
	}
}

// TestNamesAreBounded: however many names clients ask for, what is over goes first.
func TestNamesAreBounded(t *testing.T) {
	n := &Names{Resolver: &Resolver{}}
	add := func(name string, until time.Time) {
		n.keep(Question{Name: name}, &held{addrs: []netip.Addr{netip.IPv4Unspecified()}, until: until})
	}
	later := time.Now().Add(time.Hour)
	add("good", later)
	for i := range maxKept - 1 {
		add(fmt.Sprint("old", i), time.Now())
	}
	add("new", later)
	if len(n.kept) != 2 || n.kept[Question{Name: "good"}] == nil {
		t.Errorf("%d are kept", len(n.kept))
	}
	for i := range maxKept {
		add(fmt.Sprint("more", i), later)
	}
	if len(n.kept) != maxKept {
		t.Errorf("%d are kept", len(n.kept))
	}
}

func FuzzName(f *testing.F) {
	for _, text := range []string{"a.test", "A.test.", "", ".", "..", "a..b", `a\.b`, "a b", "[::1]", "::1", "10.0.0.1", "fe80::1%eth0", strings.Repeat("a", 64), strings.Repeat("a.", 200), "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := Literal(text); ok && (!a.IsValid() || a.Zone() != "") {
			t.Errorf("%q is %v", text, a)
		}
		q, ok := Name(text, true)
		if !ok {
			return
		}
		if _, err := new(dns.Msg).SetQuestion(dns.Fqdn(q.Name), dns.TypeA).Pack(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if again, ok := Name(q.Name, true); !ok || again != q {
			t.Errorf("%q became %q, then %q", text, q.Name, again.Name)
		}
	})
}
