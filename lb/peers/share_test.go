package peers

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lbsyslogd/lb/stick"
	"lbsyslogd/test/wait"
)

// newCluster makes nodes of a cluster that know each other; they have begun when Begin is called.
func newCluster(t *testing.T, names ...string) (nodes []*node) {
	t.Helper()
	for _, name := range names {
		s := spec("t", stick.String, stick.ConnCur, stick.ConnCnt, stick.HTTPReqRate)
		s.Cluster = true
		for _, other := range names {
			if other != name {
				s.Nodes = append(s.Nodes, other)
			}
		}
		nodes = append(nodes, newNode(t, name, s))
	}
	for i := range nodes {
		for _, b := range nodes[i+1:] {
			meet(nodes[i], b)
		}
	}
	return nodes
}

// counts counts requests, and connections that stay open.
func (n *node) counts(key string, requests, connections int) {
	for range connections {
		n.tables[0].Track([]byte(key), stick.Now())
	}
	n.tables[0].CountKey([]byte(key), stick.HTTPReqCnt, stick.HTTPReqRate, uint64(requests), stick.Now())
}

// sees is what a node reads of a key some ms from now: the rate of requests and the connections.
func (n *node) sees(key string, after int64) string {
	now := stick.Now() + after
	rate, _ := n.tables[0].GetKey([]byte(key), stick.HTTPReqRate, now)
	connections, _ := n.tables[0].GetKey([]byte(key), stick.ConnCur, now)
	return fmt.Sprint(rate, " ", connections)
}

// see waits until nodes read that.
func see(t *testing.T, key, want string, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		wait.Until(t, n.Self+" to read "+want, func() bool { return n.sees(key, 0) == want })
	}
}

// shares counts what a node was sent of shares.
func (n *node) shares() (got uint64) {
	for _, p := range n.Peers {
		got += p.sharesGot.Load()
	}
	return got
}

// settled waits until all changes are acknowledged, and nobody asks for anything.
func settled(t *testing.T, nodes ...*node) {
	t.Helper()
	wait.Until(t, "all to be acknowledged", func() bool {
		for _, n := range nodes {
			for _, p := range n.Peers {
				adds := n.Self != "plain" && p.Name != "plain"
				if !n.isComplete() || adds && p.origin.Load() == 0 || p.tables[0].acked.Load() != n.tables[0].LastUpdate() {
					return false
				}
			}
		}
		return true
	})
}

// reloaded is the process that a reload has in the place of a node.
func reloaded(t *testing.T, old *node) *node {
	t.Helper()
	next, addr := old.again(t), old.addr()
	Set{next.Section}.Hold()
	old.tables[0].BeginTelling()
	move(t, old.tables[0], next.tables[0])
	old.End()
	move(t, old.tables[0], next.tables[0])
	b, err := json.Marshal(old.State())
	if err != nil {
		t.Fatal(err)
	}
	var told State
	if err := json.Unmarshal(b, &told); err != nil {
		t.Fatal(err)
	}
	next.listen(t, addr)
	next.Begin(&told)
	return next
}

// TestNodesAddUp: what three nodes count of a client at the same moment is read on each as the sum, whatever else is learned by the last writer's rule.
func TestNodesAddUp(t *testing.T) {
	all := newCluster(t, "a", "b", "c")
	all[0].counts("x", 30, 1) // before anybody is connected
	for _, n := range all {
		n.Begin(nil)
	}
	connected(t, all...)
	for round := range 10 {
		for i, n := range all {
			n.counts("x", i, 0)
			n.counts(fmt.Sprint("y", round), 1, 0)
		}
	}
	all[1].counts("x", 10, 1)
	held := all[1].tables[0].Track([]byte("x"), stick.Now())
	all[2].counts("x", 0, 3)
	see(t, "x", "70 6", all...) // 30 + 10 + 3 * (0 + 10 + 20) / 3
	for round := range 10 {
		see(t, fmt.Sprint("y", round), "3 0", all...)
	}
	if s := string(all[0].tables[0].AppendEntry(nil, []byte("x"), nil, stick.Now())); !strings.HasSuffix(s, " conn_cur=6 http_req_rate(600000)=70 here:conn_cur=1 here:http_req_rate(600000)=30\n") {
		t.Error(s)
	}
	wait.Until(t, "show peers to say that both are added", func() bool {
		s, _ := (Set{all[0].Section}).AppendShow(nil, "", false)
		return strings.Count(string(s), " state=added\n") == 2
	})

	// Connections that end leave the sum, and so do those of a node that stays away. What it has counted did happen.
	held.Release(stick.Now())
	see(t, "x", "70 5", all...)
	all[2].End()
	wait.Until(t, "c to be missed", func() bool { have, _ := all[0].Connected(); return have == 1 })
	for after, want := range map[int64]string{0: "70 5", 20_000: "70 2"} {
		if got := all[0].sees("x", after); got != want {
			t.Errorf("after %d ms: %s, not %s", after, got, want)
		}
	}
}

// TestClusterOverReloads: the next process of a node goes on with the shares of all, and the others notice nothing; nothing is sent again.
func TestClusterOverReloads(t *testing.T) {
	all := newCluster(t, "a", "b", "c")
	for _, n := range all {
		n.Begin(nil)
	}
	connected(t, all...)
	const entries = 500
	for _, n := range all {
		for i := range entries {
			n.counts(fmt.Sprint("k", i), 1, 0)
		}
		n.counts("x", 10, 1)
	}
	for i := range entries {
		see(t, fmt.Sprint("k", i), "3 0", all...)
	}
	see(t, "x", "30 3", all...)
	for round := range 3 {
		settled(t, all...)
		all[0] = reloaded(t, all[0])
		for i := range entries {
			if got := all[0].sees(fmt.Sprint("k", i), 0); got != "3 0" {
				t.Fatalf("the next process reads %s", got)
			}
		}
		connected(t, all...)
		for _, n := range all {
			n.counts("x", 1, 0)
		}
		see(t, "x", fmt.Sprint(30+3*(round+1), " 3"), all...)
		sent := all[0].shares() // by the others; these two may still be sending each other what they asked for at first
		for _, p := range all[0].Peers {
			sent += p.sharesSent.Load()
		}
		if sent > 100 {
			t.Errorf("%d shares were sent over a reload", sent)
		}
	}
}

// TestClusterOverRestarts: a node that begins with nothing learns the others' shares, and its own from them but for its connections.
func TestClusterOverRestarts(t *testing.T) {
	all := newCluster(t, "a", "b", "c")
	for _, n := range all {
		n.Begin(nil)
	}
	connected(t, all...)
	for i, n := range all {
		n.counts("x", 10*(i+1), i+1)
		n.counts("y"+n.Self, 5, 1)
	}
	see(t, "x", "60 6", all...)
	for _, key := range []string{"ya", "yb", "yc"} {
		see(t, key, "5 1", all...)
	}
	addr := all[0].addr()
	all[0].End()
	all[0] = all[0].again(t)
	all[0].listen(t, addr)
	all[0].Begin(nil)
	connected(t, all...)
	see(t, "x", "60 5", all...)
	see(t, "ya", "5 0", all...)
	see(t, "yb", "5 1", all...)
	all[0].counts("x", 1, 1)
	see(t, "x", "61 6", all...)
}

// TestClusterRestartsAmongRequests: what a node counts after a restart, before the others have given it back what it had counted before, is added to that.
func TestClusterRestartsAmongRequests(t *testing.T) {
	for _, names := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		all := newCluster(t, names...)
		for _, n := range all {
			n.Begin(nil)
		}
		connected(t, all...)
		const entries = 5000
		count := func(n *node, requests int) {
			for i := range entries {
				n.counts(fmt.Sprint("k", i), requests, 0)
			}
		}
		want := 0
		for i, n := range all {
			count(n, 10*(i+1))
			want += 10 * (i + 1)
		}
		seen := func() {
			t.Helper()
			for i := range entries {
				see(t, fmt.Sprint("k", i), fmt.Sprint(want, " 0"), all...)
			}
		}
		seen()
		for i := range all {
			addr := all[i].addr()
			all[i].End()
			all[i] = all[i].again(t)
			count(all[i], 3)
			want += 3
			all[i].listen(t, addr)
			all[i].Begin(nil)
			for other := range all {
				count(all[other], 1)
				want++
			}
			seen()
		}
	}
}

// TestOwnShareWaits: a node that has begun anew says what its share is only when it has got its former one back, which the other would forget for it; that is
// added once, to what was counted meanwhile.
func TestOwnShareWaits(t *testing.T) {
	cluster := spec("t", stick.String, stick.HTTPReqRate)
	cluster.Nodes = []string{"b"}
	tables, s, _ := reads(nil, cluster)
	s.p.section.young = true
	s.lanes[0].feed = tables[0].Follow(0, s.wake)
	x := []byte("x")
	tables[0].CountKey(x, stick.HTTPReqCnt, stick.HTTPReqRate, 5, stick.Now())
	says := func(what string, send func() bool, want bool) {
		t.Helper()
		s.buf = s.buf[:0]
		send()
		share := false
		for c := (cursor{rest: s.buf}); len(c.rest) > 0; c.bytes(c.number()) {
			share = share || c.bytes(2)[1] == kindShare
		}
		if share != want {
			t.Errorf("%s, it says its share: %v", what, share)
		}
	}
	hello := binary.BigEndian.AppendUint64(appendNumber(nil, sharesVersion), 1)
	back := func(n uint32) *cursor {
		return &cursor{rest: appendRate(append(appendNumber(nil, 0), 1, 'x'), 0, cluster.Period[stick.HTTPReqRate], n, 0)}
	}
	s.heard(&cursor{rest: hello})
	s.asked(&cursor{rest: appendNumber(nil, 0)})
	says("asked for it", s.fill, false)
	says("with changes that were about to be sent when the peer said hello", func() bool { return s.push(false) }, false)
	if err := s.define(appendDefinition(nil, 1, "t", tables[0], s.lanes[0].columns)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint32{10, 10, 20} {
		if n == 20 { // which it was not asked for: the peer has heard of what is here
			s.heardAll()
		}
		if err := s.share(back(n), true); err != nil {
			t.Fatal(err)
		}
		if has, _ := tables[0].GetKey(x, stick.HTTPReqRate, stick.Now()); has != 15 {
			t.Errorf("5 are counted, %d given back, and it has %d", n, has)
		}
	}
	says("with its former one", s.fill, true)

	// Two that both ask for what they had before would wait for each other.
	_, s, _ = reads(nil, cluster)
	s.p.section.young = true
	s.heard(&cursor{rest: hello})
	s.asked(&cursor{rest: appendNumber(nil, askRestore)})
	if !s.shares.sendAll || s.shares.giveBack {
		t.Errorf("a peer that has begun anew too is answered: %v, with what is known of it: %v", s.shares.sendAll, s.shares.giveBack)
	}
}

// TestClusterBesideOthers: a node that knows no shares, as HAProxy's, gets the sum for a value as any other, and teaches no rate: it holds what it has got.
func TestClusterBesideOthers(t *testing.T) {
	all := newCluster(t, "a", "b")
	plain := newNode(t, "plain", spec("t", stick.String, stick.ConnCur, stick.ConnCnt, stick.HTTPReqRate))
	for _, n := range all {
		s := n.tables[0].Spec
		s.Nodes = append(slices.Clone(s.Nodes), "plain")
		n.tables[0] = stick.New(s)
		n.Tables[0].Table = n.tables[0]
		meet(n, plain)
	}
	all = append(all, plain)
	for _, n := range all {
		n.Begin(nil)
	}
	connected(t, all...)
	settled(t, all...) // of what plain has the last writer wins, and whoever begins sends all it has
	all[0].counts("x", 10, 0)
	see(t, "x", "10 0", all...)
	settled(t, all...)
	all[1].counts("x", 20, 0)
	see(t, "x", "30 0", all...)
	settled(t, all...)
	plain.counts("x", 1, 1)
	see(t, "x", "31 1", plain)
	wait.Until(t, "that to be read", func() bool {
		return all[0].tables[0].AppendEntry(nil, []byte("x"), []stick.Filter{{Data: stick.ConnCnt, Op: stick.EQ, N: 1}}, stick.Now()) != nil
	})
	see(t, "x", "30 0", all[0], all[1])
	if n := all[0].shares(); n == 0 || plain.shares() != 0 {
		t.Errorf("%d shares, %d where nobody adds", n, plain.shares())
	}
}

// TestBytesOfAChange holds what docs/cluster.md says that a change of an entry with an address for its key and one rate takes on the wire.
func TestBytesOfAChange(t *testing.T) {
	for _, row := range []struct {
		nodes       []string
		least, most int
	}{{nil, 12, 17}, {[]string{"b"}, 24, 32}} {
		s := spec("t", stick.IP, stick.HTTPReqRate)
		s.Period[stick.HTTPReqRate], s.Nodes = 10_000, row.nodes
		tables, one, _ := reads(nil, s)
		one.shares.adds = row.nodes != nil
		const clients = 1000
		for i := range clients {
			key := []byte{192, 0, byte(i >> 8), byte(i)}
			for at := int64(8000); at >= 0; at -= 4000 {
				tables[0].CountKey(key, stick.HTTPReqCnt, stick.HTTPReqRate, uint64(1+i), stick.Now()-at)
			}
		}
		l := one.lanes[0]
		l.feed = tables[0].Follow(0, one.wake)
		size := 0
		for more := true; more; size += len(one.buf) {
			one.buf = one.buf[:0]
			more = one.push(one.shares.adds)
		}
		l.feed.Close()
		each := size / clients
		t.Logf("%d bytes each, other nodes %v", each, row.nodes)
		if each < row.least || each > row.most {
			t.Errorf("%d bytes each, other nodes %v", each, row.nodes)
		}
	}
}
