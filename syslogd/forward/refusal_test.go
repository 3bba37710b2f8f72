package forward

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// TestPeerThatRefusesALine has a peer that resets the connection for some lines. All others arrive, and those are counted. One that closes it in
// good order has taken the line, as far as anybody can tell; it holds up nothing either.
func TestPeerThatRefusesALine(t *testing.T) {
	for _, resets := range []bool{true, false} {
		p := newPeer(t, nil, func(p *peer) {
			p.refuses = func(line string) bool { return strings.Contains(line, "poison") }
			p.resets = resets
		})
		w := open(t, filepath.Join(t.TempDir(), "a.log"))
		f := start(t, w, p, 20*time.Millisecond)
		write(t, w, 0, 300)
		for i := range 2 {
			if _, err := io.WriteString(w, fmt.Sprintf("<13>1 - - - - - - poison %d\n", i)); err != nil {
				t.Fatal(err)
			}
		}
		write(t, w, 300, 600)
		wait.Until(t, "all other lines", func() bool { return p.has(600) && f.Counts().Behind == 0 })
		c := f.Counts()
		if c.Refused+c.Confirmed != 602 || c.Missed != 0 || resets && c.Refused != 2 {
			t.Errorf("%+v", c)
		}
		p.inOrder(t, 600)
		f.Close()
		w.Close()
	}
}

// TestPeerThatEndsEverything refuses all connections after a moment, as a proxy does whose server is away: no line is to blame.
func TestPeerThatEndsEverything(t *testing.T) {
	p := newPeer(t, nil, func(p *peer) {
		p.refuses = func(string) bool { return true }
		p.brief = true
	})
	w := open(t, filepath.Join(t.TempDir(), "a.log"))
	defer w.Close()
	f := start(t, w, p, 5*time.Second) // far longer than the peer's moment, on a busy machine too
	defer f.Close()
	write(t, w, 0, 10)
	wait.Until(t, "many attempts", func() bool { return f.Counts().Connections > 12 })
	if c := f.Counts(); c.Refused != 0 || c.Confirmed != 0 {
		t.Errorf("%+v", c)
	}
}
