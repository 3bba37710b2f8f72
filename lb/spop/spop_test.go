package spop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/accept"
)

// agent answers each question by a function of its own, which may end the connection.
func agent(t *testing.T, greeting func() []byte, reply func(c net.Conn, f frame)) *Agent {
	t.Helper()
	addr := accept.Each(t, "127.0.0.1:0", func(c net.Conn) {
		r := bufio.NewReader(c)
		if f, err := readFrame(r, 1<<16); err != nil || f.kind != hello {
			return
		}
		c.Write(greeting())
		for {
			f, err := readFrame(r, 1<<16)
			if err != nil {
				return
			}
			reply(c, f)
		}
	})
	a := &Agent{Dial: func(ctx context.Context) (net.Conn, func(), error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		return c, func() {}, err
	}}
	t.Cleanup(a.Close)
	return a
}

func text(s string) Value { return Value{Kind: String, Bytes: []byte(s)} }

func greet(capabilities string) func() []byte {
	return func() []byte {
		b := begin(nil, agentHello, 0, 0)
		b = AppendArg(b, "version", text("2.0"))
		b = AppendArg(b, "max-frame-size", Value{Kind: Uint32, Int: 4096})
		return end(AppendArg(b, "capabilities", text(capabilities)))
	}
}

// echo sets a variable to what the first message is called.
func echo(c net.Conn, f frame) {
	r := reader{b: f.payload}
	b := begin(nil, ack, f.stream, f.id)
	b = AppendText(append(b, 1, 3, 2), "name")
	b = AppendValue(b, Value{Kind: String, Bytes: r.text()})
	b = AppendText(append(b, 2, 2, 1), "gone")
	c.Write(end(b))
}

func TestAsk(t *testing.T) {
	for _, capabilities := range []string{"", "pipelining", "async, pipelining"} {
		a := agent(t, greet(capabilities), echo)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				name := fmt.Sprintf("message%d", i)
				got, code := a.Ask(AppendMessage(nil, name, 0))
				want := []Action{{Scope: "txn", Name: "name", Value: text(name)}, {Unset: true, Scope: "sess", Name: "gone"}}
				if code != OK || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %v, %d", name, got, code)
				}
			})
		}
		all.Wait()
	}
}

func TestAskFails(t *testing.T) {
	ask := func(a *Agent, want int) {
		t.Helper()
		if got, code := a.Ask(AppendMessage(nil, "m", 0)); code != want || got != nil {
			t.Errorf("%v, %d, want %d", got, code, want)
		}
	}
	nothing := func(net.Conn, frame) {}
	silent := agent(t, greet("pipelining"), nothing)
	silent.Processing = 20 * time.Millisecond
	ask(silent, TimedOut)
	ask(silent, TimedOut)
	mute := agent(t, func() []byte { return nil }, nothing)
	mute.Hello = 20 * time.Millisecond
	ask(mute, failed+statusTimeout)
	ask(agent(t, greet(""), func(c net.Conn, _ frame) { c.Close() }), failed+statusIO)
	ask(agent(t, greet(""), func(c net.Conn, _ frame) { c.Write([]byte{0, 0, 0, 200, 1}); c.Close() }), failed+statusIO)
	ask(agent(t, greet(""), func(c net.Conn, _ frame) { c.Write([]byte{255, 0, 0, 200, 1}) }), failed+statusInvalid)
	ask(agent(t, greet(""), func(c net.Conn, f frame) { c.Write(end(append(begin(nil, ack, f.stream, f.id), 9, 9))) }), failed+statusInvalid)
	ask(agent(t, greet(""), func(c net.Conn, f frame) {
		c.Write(end(AppendArg(begin(nil, agentDisconnect, 0, 0), "status-code", Value{Kind: Uint32, Int: 13})))
	}), failed+13)
	ask(agent(t, func() []byte { return end(AppendArg(begin(nil, agentHello, 0, 0), "version", text("3.0"))) }, nothing), failed+statusBadVersion)
	ask(agent(t, func() []byte { return end(AppendArg(begin(nil, agentHello, 0, 0), "version", text("2.0"))) }, nothing), failed+statusNoSize)
	big := agent(t, greet(""), echo)
	if _, code := big.Ask(AppendArg(AppendMessage(nil, "m", 1), "a", text(string(make([]byte, 5000))))); code != TooBig {
		t.Error(code)
	}
	if _, code := big.Ask(AppendMessage(nil, "m", 0)); code != OK {
		t.Error(code)
	}
	nobody := &Agent{Dial: func(context.Context) (net.Conn, func(), error) { return nil, nil, net.ErrClosed }}
	ask(nobody, failed+statusIO)
}

// TestVarint has the examples of the protocol's limits.
func TestVarint(t *testing.T) {
	for n, size := range map[uint64]int{0: 1, 239: 1, 240: 2, 2287: 2, 2288: 3, 264431: 3, 264432: 4, 1<<64 - 1: 10} {
		b := AppendVarint(nil, n)
		r := reader{b: b}
		if got := r.varint(); got != n || r.err != nil || len(r.b) != 0 || len(b) != size {
			t.Errorf("%d: %d in %d bytes, %v", n, got, len(b), r.err)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add(greet("pipelining")()[4:])
	b := begin(nil, ack, 300, 1)
	for _, v := range []Value{{}, {Kind: Bool, Int: 1}, {Kind: Int64, Int: -5}, {Kind: IPv4, Addr: netip.MustParseAddr("1.2.3.4")}, {Kind: IPv6, Addr: netip.MustParseAddr("::1")}, text("x"), {Kind: Binary, Bytes: []byte{0}}} {
		b = AppendValue(AppendText(append(b, 1, 3, 2), "v"), v)
	}
	f.Add(end(b)[4:])
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := parseFrame(b)
		if err != nil {
			return
		}
		parseList(fr.payload)
		actions, err := parseActions(fr.payload)
		if err != nil {
			return
		}
		var again []byte
		for _, a := range actions {
			for i, s := range scopes {
				if s == a.Scope && a.Unset {
					again = AppendText(append(again, 2, 2, byte(i)), a.Name)
				} else if s == a.Scope {
					again = AppendValue(AppendText(append(again, 1, 3, byte(i)), a.Name), a.Value)
				}
			}
		}
		same, err := parseActions(again)
		if err != nil || len(same) != len(actions) {
			t.Fatalf("%v, %v: %v", actions, same, err)
		}
		for i := range same {
			if same[i].Name != actions[i].Name || !bytes.Equal(same[i].Value.Bytes, actions[i].Value.Bytes) || same[i].Value.Int != actions[i].Value.Int {
				t.Fatalf("%v, %v", actions[i], same[i])
			}
		}
	})
}

// TestChecksAreJudged: the words for what is wrong with an agent's answer to a
// health check; TestChecksAsHAProxy of lb/assemble has the rest.
func TestChecksAreJudged(t *testing.T) {
	said := func(kind byte, args ...Value) []byte {
		b := begin(nil, kind, 0, 0)
		for i, name := range []string{"version", "max-frame-size"}[:len(args)] {
			b = AppendArg(b, name, args[i])
		}
		return end(b)
	}
	version, size := Value{Kind: String, Bytes: []byte("2.0")}, Value{Kind: Uint32, Int: 16380}
	good := said(agentHello, version, size)
	for i := range good {
		if whole, wrong := JudgeCheck(good[:i]); whole || wrong != "" {
			t.Errorf("%d bytes of %d: %v %q", i, len(good), whole, wrong)
		}
	}
	for _, row := range []struct {
		answer []byte
		want   string
	}{
		{good, ""},
		{said(agentHello, version), "max-frame-size value not found"},
		{said(agentHello, version, Value{Kind: Uint32, Int: 16381}), "max-frame-size too big or too small"},
		{said(hello, version, size), "invalid frame received"},
		{said(agentDisconnect), "normal"},
	} {
		if whole, wrong := JudgeCheck(row.answer); !whole || wrong != row.want {
			t.Errorf("%q: %v %q, want %q", row.answer, whole, wrong, row.want)
		}
	}
}
