package succession

import (
	"crypto/tls"
	"testing"
)

// TestTicketKeysAreInherited compares keys, of which the newest is the same.
func TestTicketKeysAreInherited(t *testing.T) {
	a, b := &Tickets{}, &Tickets{}
	for _, x := range []*Tickets{a, b} {
		x.binds = append(x.binds, &ticketBind{ticketKeys: ticketKeys{Bind: "tcp:1"}, cfg: &tls.Config{}})
		x.binds[0].turn()
	}
	b.take(a.all())
	if b.binds[0].Keys[0] != a.binds[0].Keys[0] {
		t.Error("the key is another")
	}
	a.binds[0].turn()
	a.binds[0].turn()
	a.binds[0].turn()
	if n := len(a.binds[0].Keys); n != ticketKeep {
		t.Errorf("%d keys are kept, want %d", n, ticketKeep)
	}
}
