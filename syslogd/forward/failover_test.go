package forward

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"lbsyslogd/syslogd/peers"
	"lbsyslogd/test/wait"
)

// only is the List of addresses.
func only(addresses ...string) *peers.List {
	l := &peers.List{Retry: 5 * time.Millisecond}
	for _, a := range addresses {
		l.Entries = append(l.Entries, peers.Entry{Address: a})
	}
	return l
}

// fixed is settings whatever the name is; nil stays nil.
func fixed(settings *tls.Config) func(string) *tls.Config {
	if settings == nil {
		return nil
	}
	return func(string) *tls.Config { return settings }
}

// TestFailoverAndBack kills the first of two peers while lines come, starts it again, and kills the second. Each loses what it has not written: all lines are
// at one or the other, since only what has settled counts, and the first is preferred whenever it is there.
func TestFailoverAndBack(t *testing.T) {
	a, b := newPeer(t, nil), newPeer(t, nil)
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := &Forwarder{Peers: only(a.address, b.address), Queue: queueOf(w), Session: 20 * time.Millisecond, Settle: 2 * saveTime, Backoff: 5 * time.Millisecond}
	f.Start()
	defer f.Close()
	write(t, w, 0, 1000)
	wait.Until(t, "the first peer to have them", func() bool { return f.Counts().Confirmed == 1000 })
	if got := f.Counts().Peer; got != a.address || b.took() > 0 {
		t.Errorf("with %s; the second has %d", got, b.took())
	}
	write(t, w, 1000, 1500)
	wait.Until(t, "some to be at the first peer", func() bool { return a.took() > 1000 })
	a.kill()
	write(t, w, 1500, 2000)
	wait.Until(t, "the second peer to have them", func() bool { return f.Counts().Confirmed == 2000 })
	if got := f.Counts().Peer; got != b.address {
		t.Errorf("with %s", got)
	}
	a.start()
	wait.Until(t, "the first peer to be preferred again", func() bool { return f.Counts().Peer == a.address })
	b.kill()
	write(t, w, 2000, 3000)
	wait.Until(t, "the first peer to have the others", func() bool { return f.Counts().Confirmed == 3000 })
	c := f.Counts()
	if c.Sent != c.Confirmed+c.Again || c.Error != "" {
		t.Errorf("%+v", c)
	}
	a.save()
	seen := make(map[string]bool)
	for _, p := range []*peer{a, b} {
		p.mu.Lock()
		for _, line := range p.disk {
			seen[line] = true
		}
		p.mu.Unlock()
	}
	if len(seen) != 3000 {
		t.Errorf("%d lines of 3000 are anywhere", len(seen))
	}
}

// TestMovedSendsAgain holds that what one peer has not settled goes to the next one.
func TestMovedSendsAgain(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	write(t, w, 0, 10)
	f := &Forwarder{Peers: only("127.0.0.1:1", "127.0.0.1:2"), Queue: queueOf(w)}
	if err := f.Queue.Begin(); err != nil {
		t.Fatal(err)
	}
	defer f.Queue.Close()
	defer f.leave()
	first, second := peers.Target{Address: "127.0.0.1:1"}, peers.Target{Address: "127.0.0.1:2", Rank: 1}
	if err := f.moved(first); err != nil {
		t.Fatal(err)
	}
	write(t, w, 10, 20)
	text, err := f.Queue.Read()
	if err != nil || len(text) == 0 {
		t.Fatal(err)
	}
	all := len(text)
	f.sent = 10
	f.settle(10)
	if err := f.moved(first); err != nil || len(f.settling) != 1 {
		t.Fatalf("the same peer: %v", err)
	}
	if err := f.moved(second); err != nil || len(f.settling) != 0 || f.Counts().Again != 10 {
		t.Fatalf("another peer: %v, %+v", err, f.Counts())
	}
	if text, err = f.Queue.Read(); err != nil || len(text) != all {
		t.Errorf("%d bytes are read again, %v; want %d", len(text), err, all)
	}
}
