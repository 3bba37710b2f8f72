package succession

import (
	"bytes"
	"testing"
	"time"
)

// TestChangesAreReadOnce: what was changed at run time comes as it was sent, in memory of its size.
func TestChangesAreReadOnce(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcde\n"), 10_000)
	g := begin(t)
	got := make(chan []byte, 1)
	room := 0
	g.Apply = func(text []byte) {
		room = cap(text)
		got <- bytes.Clone(text) // which is cleared
	}
	ours, theirs := pair(t)
	if err := g.sendChangesOf(&successor{link: theirs}, func() []byte { return bytes.Clone(sent) }); err != nil {
		t.Fatal(err)
	}
	var m message
	fds, err := ours.ReceiveWithin(&m, 20*time.Second)
	if err != nil || m.Kind != kindChanges {
		t.Fatal(m.Kind, err)
	}
	g.receiveChanges(fds)
	if text := <-got; !bytes.Equal(text, sent) || room != len(sent) {
		t.Errorf("%d bytes came in memory of %d, and %d were sent", len(text), room, len(sent))
	}
}
