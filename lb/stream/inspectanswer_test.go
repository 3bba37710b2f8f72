package stream

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"lbsyslogd/lb/rule"
	"lbsyslogd/test/wait"
)

// answered counts what servers have said.
func answered(r *rig) (n uint64) {
	for _, sh := range r.Shards {
		n += sh.Read().Server[0].BytesOut
	}
	return n
}

// looksAtAnswers has rules of the backend look into what servers say.
func looksAtAnswers(t *testing.T, delay int64, lines ...string) func(*rig) {
	return func(r *rig) {
		r.be.InspectAnswer = delay
		r.be.Rules[rule.TCPResponse] = rules(t, rule.TCPResponse, lines...)
	}
}

// What a server says is held until rules have decided on it: the client gets all of it or none.
func TestAnswersLookedInto(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 16_000)
	for _, test := range []struct {
		name, server, want string
		delay              int64
		lines              []string
	}{
		{"accepted", "hello and more", "hello and more", 60_000, []string{"accept if { res.payload(0,5) -m str hello }", "reject"}},
		{"refused", "bad", "", 60_000, []string{"accept if { res.payload(0,3) -m str god }", "reject"}},
		{"the server ends before they have decided", "ba", "ba", 60_000, []string{"reject if { res.payload(0,3) -m str bad }"}},
		{"nothing but the end", "", "", 60_000, []string{"accept if { res.len gt 3 }"}},
		{"no more fits", large, large, 60_000, []string{"accept if { res.len gt 1000000 }"}},
		{"no delay", "hello", "hello", 0, []string{"reject if { res.payload(0,6) -m str hello! }"}},
		{"closed", "end", "end", 60_000, []string{"close if { res.len gt 2 }"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := script(t, func(c *net.TCPConn, br *bufio.Reader) {
				if _, err := br.ReadByte(); err == nil {
					io.WriteString(c, test.server)
					if test.name == "closed" {
						io.Copy(io.Discard, br) // until the balancer closes
					}
				}
			})
			r := newRig(t, false, []string{server}, looksAtAnswers(t, test.delay, test.lines...))
			c := connect(t, r.addr)
			c.say("x")
			if got, err := io.ReadAll(c.r); string(got) != test.want || err != nil && test.want != "" {
				t.Errorf("got %d bytes (%.20q), %v, want %d (%.20q)", len(got), got, err, len(test.want), test.want)
			}
		})
	}
}

// When the delay is over, what is there passes, and so does all that follows.
func TestAnswersLookedIntoForAWhile(t *testing.T) {
	r := newRig(t, false, []string{echoServer(t)}, looksAtAnswers(t, 50, "reject if { res.payload(0,6) -m str hello! }"))
	c := connect(t, r.addr)
	c.say("hello")
	c.hear("hello")
	c.say("!")
	c.hear("!")
}

// A tunnel whose server is looked into stays over a reload until rules have decided, and moves then; nothing that was held is lost.
func TestHandoverWhileAnswersAreLookedInto(t *testing.T) {
	server := echoServer(t)
	looks := looksAtAnswers(t, 60_000, "accept if { res.payload(0,6) -m found }")
	old, next := newRig(t, false, []string{server}, looks), newRig(t, false, []string{server}, looks)
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
	held, free := connect(t, old.addr), connect(t, old.addr)
	free.say("123456")
	free.hear("123456")
	held.say("hel")
	wait.Until(t, "the server's bytes are there", func() bool { return answered(old) == 9 })
	old.Handover(a.carry)
	wait.Until(t, "the tunnel that is decided has moved", func() bool { return a.moved(TunnelParcel) == 1 })
	held.say("lo and more")
	held.hear("hello and more")
	awaitEmpty(t, old.Engine)
	held.say("after")
	held.hear("after")
	if n := a.moved(TunnelParcel); n != 2 {
		t.Errorf("%d tunnels moved, want 2", n)
	}
}

// A tunnel that rules have let pass costs what one without rules does.
func TestAnswersLookedIntoDoNotAllocate(t *testing.T) {
	r := newRig(t, false, []string{echoServer(t)}, looksAtAnswers(t, 60_000, "accept if { res.payload(0,2) -m str he }"))
	c := connect(t, r.addr)
	b := []byte("hello")
	turn := func() {
		if _, err := c.Write(b); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c.TCPConn, b); err != nil {
			t.Error(err)
		}
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n > 0 {
		t.Errorf("%v allocations for each turn", n)
	}
}
