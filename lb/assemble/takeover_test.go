package assemble

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/stream"
)

// before has g take over from a worker whose part the test plays.
func before(t *testing.T, g *generation) *handoff.Conn {
	t.Helper()
	ours, theirs, err := handoff.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	link, err := handoff.NewConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	g.generation.Follow(link)
	return ours
}

// words are a message between workers, as far as the tests need one (package succession).
type words struct {
	Kind    string           `json:"kind"`
	Total   *struct{}        `json:"total,omitempty"`
	Parcels []*stream.Parcel `json:"parcels,omitempty"`
	FDs     []int            `json:"fds,omitempty"`
	Taken   []bool           `json:"taken,omitempty"`
}

func send(t *testing.T, c *handoff.Conn, l words, fds ...int) {
	t.Helper()
	if err := c.Send(l, fds, 20*time.Second); err != nil {
		t.Fatal(err)
	}
}

// serveless is a generation whose server nobody asks anything.
func serveless(t *testing.T) (g *generation, addr string) {
	t.Helper()
	addr = freeAddr(t)
	return begin(t, configFor(addr, "127.0.0.1:1", "weight 10"), nil), addr
}

// TestNoRoomForTables: a worker that has no descriptor left for a table's memory
// answers only for connections. One answer too many, and the worker before would
// take it for that to the next batch: both would go on with what is in it.
func TestNoRoomForTables(t *testing.T) {
	g, addr := serveless(t)
	old := before(t, g)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	accepted.Close()

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	send(t, old, words{Kind: "tables"}, int(f.Fd()))
	send(t, old, words{Kind: "counts", Total: &struct{}{}})
	g.told(t) // it has read both
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	parcel := &stream.Parcel{Kind: stream.ClientParcel, Frontend: "fe", Listener: addr, Accepted: time.Now(), Began: -1}
	send(t, old, words{Kind: "move", Parcels: []*stream.Parcel{parcel}, FDs: []int{1}}, int(f.Fd()))
	var answer words
	if _, err := old.ReceiveWithin(&answer, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if answer.Kind != "taken" || len(answer.Taken) != 1 || !answer.Taken[0] {
		t.Errorf("to a batch of one connection it answers %+v", answer)
	}
}
