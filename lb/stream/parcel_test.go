package stream

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/sample"
	"lbsyslogd/test/wait"
)

// fullTunnel is the parcel of a tunnel with all that may stand in its buffers.
func fullTunnel(capture string) *moving {
	full := bytes.Repeat([]byte{0xff}, loop.BufferSize)
	return &moving{Parcel: Parcel{Kind: TunnelParcel, FDs: []int{1, 2}, Tunnel: &TunnelState{
		ToServer: full, ToClient: full,
		Record: sample.Record{Method: []byte("GET"), URI: full[:DefaultHead-100], ReqCaptures: []string{capture}},
	}}}
}

// TestBatchFitsIntoAMessage: a batch that is nearly full, and then the largest
// of parcels. One message too large would end the whole handover.
func TestBatchFitsIntoAMessage(t *testing.T) {
	small := &moving{Parcel: Parcel{Kind: ClientParcel, FDs: []int{1}, In: make([]byte, loop.BufferSize)}}
	m := &mover{}
	for _, v := range []*moving{small, fullTunnel(strings.Repeat("<", 4000)), fullTunnel("\x00"), small, small, small} {
		m.add(v)
	}
	for sent := 0; sent < 6; {
		batch := m.next()
		var parcels []*Parcel
		size := 0
		for _, v := range batch {
			parcels = append(parcels, &v.Parcel)
			size += v.size()
		}
		text, err := json.Marshal(parcels)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 || len(text) > maxBatch || len(text) > size {
			t.Fatalf("a batch of %d takes %d bytes, %d were expected, %d are allowed", len(batch), len(text), size, maxBatch)
		}
		sent += len(batch)
	}
	if m.fds != 0 || m.size != 0 || len(m.batch) != 0 {
		t.Errorf("left: %d parcels, %d descriptors, %d bytes", len(m.batch), m.fds, m.size)
	}
}

// TestTunnelTooLargeToMove stays, and does not keep the others from moving.
func TestTunnelTooLargeToMove(t *testing.T) {
	old, next, a := pair(t, false, echoServer(t))
	large, other := connect(t, old.addr), connect(t, old.addr)
	for _, c := range []*client{large, other} {
		c.say("before")
		c.hear("before")
	}
	old.Shards[0].Loop.Call(func() {
		sh := old.Shards[0]
		for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
			if int(s.peer.Port()) == large.port() {
				s.t.rec.ReqCaptures = []string{strings.Repeat("x", maxBatch)}
			}
		}
	})
	old.Handover(a.carry)
	wait.Until(t, "the other tunnel to move", func() bool { return old.Conns() == 1 && next.Conns() == 1 })
	for _, c := range []*client{large, other} {
		c.say("after")
		c.hear("after")
	}
	large.Close()
	awaitEmpty(t, old.Engine)
}
