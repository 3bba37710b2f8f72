package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"lbsyslogd/lb/stick"
	"lbsyslogd/test/wait"
)

// node is a node of a test: a section with a table or more.
type node struct {
	*Section
	tables []*stick.Table

	mu   sync.Mutex
	said []string
}

// spec is a table like most.
func spec(name string, kind stick.Type, stores ...stick.Data) stick.Spec {
	s := stick.Spec{Name: name, Type: kind, Len: kind.KeyLen(), Size: 200_000, Expire: 600_000, Shared: true}
	if s.Len == 0 {
		s.Len = 20
	}
	for _, d := range stores {
		s.Stores[d] = true
		if d.IsRate() {
			s.Period[d] = 600_000
		}
	}
	return s
}

// host is the nodes' address. A node that begins again listens where the one before has listened, and whoever connects to something comes from a port of
// 127.0.0.1, which may be that one.
const host = "127.91.38.5"

// newNode makes a node that listens; it has begun when Begin is called.
func newNode(t *testing.T, name string, specs ...stick.Spec) *node {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Section: &Section{Name: "p", Self: name, Listeners: []net.Listener{l}}}
	n.Report = func(text string, _ bool) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.said = append(n.said, text)
	}
	for _, s := range specs {
		table := stick.New(s)
		n.tables = append(n.tables, table)
		n.Tables = append(n.Tables, Table{s.Name, table})
	}
	t.Cleanup(func() { n.End() })
	return n
}

// knows adds another node at an address.
func (n *node) knows(name, addr string) {
	n.Peers = append(n.Peers, &Peer{Name: name, Addr: addr, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}})
}

func (n *node) addr() string { return n.Listeners[0].Addr().String() }

// meet makes two nodes each other's peers.
func meet(a, b *node) {
	a.knows(b.Self, b.addr())
	b.knows(a.Self, a.addr())
}

// connected waits until all nodes have connections to their peers.
func connected(t *testing.T, nodes ...*node) {
	t.Helper()
	wait.Until(t, "connections", func() bool {
		for _, n := range nodes {
			if have, _ := n.Connected(); have != len(n.Peers) {
				return false
			}
		}
		return true
	})
}

// shown is what a table shows, without what differs on each node.
func shown(t *stick.Table) string {
	var b strings.Builder
	now := stick.Now()
	for _, key := range t.Keys(nil, now) {
		line := string(t.AppendEntry(nil, key, nil, now))
		_, line, _ = strings.Cut(line, ": ")
		before, after, _ := strings.Cut(line, " exp=")
		_, after, _ = strings.Cut(after, " ")
		b.WriteString(before + " " + after)
	}
	return b.String()
}

// alike waits until a table is the same on both nodes.
func alike(t *testing.T, a, b *node) {
	t.Helper()
	for i := range a.tables {
		wait.Until(t, "table "+a.tables[i].Name+" to be the same on both", func() bool { return shown(a.tables[i]) == shown(b.tables[i]) })
	}
}

var everything = []stick.Data{stick.ServerID, stick.GPT0, stick.GPC0, stick.GPC0Rate, stick.ConnCnt, stick.SessRate, stick.HTTPReqRate, stick.BytesInCnt, stick.ServerKey, stick.HTTPFailRate}

// TestBothWays: what changes on one node is on the other a moment later, whatever the keys, and what was there before.
func TestBothWays(t *testing.T) {
	specs := []stick.Spec{
		spec("ip", stick.IP, everything...), spec("ipv6", stick.IPv6, everything...), spec("integer", stick.Integer, everything...),
		spec("string", stick.String, everything...), spec("binary", stick.Binary, everything...),
	}
	array := spec("array", stick.String, stick.ConnCnt)
	array.Arrays = stick.Arrays{GPT: true, GPC: true, GPCRate: true}
	for i := range int64(7) {
		for _, at := range []func(int64) (stick.Data, bool){stick.GPC, stick.GPCRate, stick.GPT} {
			d, _ := at(i)
			array.Stores[d], array.Period[d] = true, 600_000
		}
	}
	specs = append(specs, array)
	a, b := newNode(t, "a", specs...), newNode(t, "b", specs...)
	meet(a, b)
	fill := func(n *node, from int) {
		now := stick.Now()
		for _, table := range n.tables {
			for i := from; i < from+300; i++ {
				key := table.KeyBytes(nil, fmt.Appendf(nil, "%016d", i))
				if size := table.Type.KeyLen(); size > 0 {
					key = fmt.Appendf(nil, "%016d", i)[16-size:]
				}
				for d := range stick.NumData {
					if table.Stores[d] && !d.IsServer() {
						table.SetKey(key, d, uint64(i)*100+uint64(d), true, now)
					}
				}
				if table.Stores[stick.ServerKey] {
					table.Stick(key, fmt.Sprintf("s%d", i%200), i%200, now)
				}
			}
		}
	}
	fill(a, 0)
	a.Begin(nil)
	b.Begin(nil)
	connected(t, a, b)
	alike(t, a, b)
	fill(b, 200)
	alike(t, a, b)
	fill(a, 400)
	fill(b, 900)
	alike(t, a, b)
	if n := strings.Count(shown(b.tables[0]), "\n"); n != 1000 {
		t.Errorf("%d entries of 1000", n)
	}
}

// again is the node that comes after one: a new process with the same name, which has not begun.
func (n *node) again(t *testing.T) *node {
	t.Helper()
	var specs []stick.Spec
	for _, table := range n.tables {
		specs = append(specs, table.Spec)
	}
	next := newNode(t, n.Self, specs...)
	next.Listeners[0].Close()
	for _, p := range n.Peers {
		next.knows(p.Name, p.Addr)
	}
	return next
}

// listen has it listen where the one before has.
func (n *node) listen(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	n.Listeners[0] = l
}

// move moves a table's entries to the next process.
func move(t *testing.T, from, to *stick.Table) {
	t.Helper()
	for more := true; more; {
		var b []byte
		b, more = from.AppendChanges(nil)
		if err := stick.Load(b, func(string) *stick.Table { return to }, stick.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestartRelearns: a node that begins with nothing asks the other one for everything.
func TestRestartRelearns(t *testing.T) {
	a, b := newNode(t, "a", spec("t", stick.String, everything...)), newNode(t, "b", spec("t", stick.String, everything...))
	meet(a, b)
	a.Begin(nil)
	b.Begin(nil)
	connected(t, a, b)
	for i := range 2000 {
		a.tables[0].SetKey(fmt.Appendf(nil, "key%d", i), stick.GPC0, uint64(i), true, stick.Now())
	}
	alike(t, a, b)
	a.End()
	addr := a.addr()
	a = a.again(t)
	a.listen(t, addr)
	a.Begin(nil)
	alike(t, a, b)
	if a.isComplete(); !strings.Contains(shown(a.tables[0]), "key=key1999 ") {
		t.Error("not all was learned")
	}
	if n := b.Peers[0].walks.Load(); n == 0 {
		t.Error("nobody has asked for everything")
	}
}

// TestReloadSendsNothingTwice: the next worker goes on where the one before has stopped, also with what the peer has missed.
func TestReloadSendsNothingTwice(t *testing.T) {
	a, b := newNode(t, "a", spec("t", stick.String, everything...)), newNode(t, "b", spec("t", stick.String, everything...))
	meet(a, b)
	a.Begin(nil)
	b.Begin(nil)
	connected(t, a, b)
	for i := range 2000 {
		a.tables[0].SetKey(fmt.Appendf(nil, "key%d", i), stick.GPC0, uint64(i), true, stick.Now())
		b.tables[0].SetKey(fmt.Appendf(nil, "other%d", i), stick.GPC0, uint64(i), true, stick.Now())
	}
	alike(t, a, b)
	wait.Until(t, "all to be acknowledged", func() bool {
		return a.Peers[0].tables[0].acked.Load() == a.tables[0].LastUpdate() && b.Peers[0].tables[0].acked.Load() == b.tables[0].LastUpdate()
	})
	walks := b.Peers[0].walks.Load()
	for round := range 3 {
		late := func(n *node, what string) {
			for i := range 10 {
				n.tables[0].SetKey(fmt.Appendf(nil, "%s%d.%d", what, round, i), stick.GPC0, 1, true, stick.Now())
			}
		}
		old, next := a, a.again(t)
		addr := old.addr()
		Set{next.Section}.Hold()
		old.tables[0].BeginTelling()
		move(t, old.tables[0], next.tables[0]) // next begins to start
		late(old, "meanwhile")
		late(next, "early")
		old.End()
		late(old, "late")
		late(b, "unheard")
		move(t, old.tables[0], next.tables[0])
		late(old, "later")
		state, err := json.Marshal(old.State())
		if err != nil {
			t.Fatal(err)
		}
		var told State
		if err := json.Unmarshal(state, &told); err != nil {
			t.Fatal(err)
		}
		next.listen(t, addr)
		before := b.Peers[0].got.Load()
		next.Begin(&told)
		late(old, "last")
		late(next, "first")
		move(t, old.tables[0], next.tables[0])
		a = next
		connected(t, a, b)
		alike(t, a, b)
		wait.Until(t, "all to be acknowledged", func() bool { return a.Peers[0].tables[0].acked.Load() == a.tables[0].LastUpdate() })
		for _, what := range []string{"meanwhile", "early", "late", "unheard", "later", "last", "first"} {
			if got, want := strings.Count(shown(b.tables[0]), "key="+what+fmt.Sprint(round)+"."), 10; got != want {
				t.Errorf("reload %d: %d of %d entries '%s' are on the other node", round, got, want, what)
			}
		}
		if n := b.Peers[0].got.Load() - before; n > 100 {
			t.Errorf("%d entries were sent over a reload", n)
		}
		if n := a.Peers[0].got.Load(); n > 100 {
			t.Errorf("%d entries were learned over a reload", n)
		}
	}
	if b.Peers[0].walks.Load() != walks || a.Peers[0].walks.Load() != 0 {
		t.Error("everything was sent over a reload")
	}
}
