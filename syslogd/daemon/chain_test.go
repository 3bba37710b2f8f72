package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/wait"
)

// TestChainStatus: status says how far the chain of each output is, over a reload, and that a journal cannot be written until it can.
func TestChainStatus(t *testing.T) {
	dir := t.TempDir()
	const config = "listen: unix://DIR/in\noutputs:\n" +
		"- {name: a, match: \"user.*\", file: DIR/a.log, chain: yes, rotate: {size: %s}}\n" +
		"- {name: b, match: \"user.*\", file: DIR/b.log, chain: yes, rotate: never}\n" +
		"- {name: c, match: \"user.*\", file: DIR/c.log, rotate: never}\n"
	where := filepath.Join(dir, "b.log.chain")
	if err := os.WriteFile(where, nil, 0o600); err != nil { // where the directory of the journals belongs
		t.Fatal(err)
	}
	socket := run(t, dir, fmt.Sprintf(config, "1MB"))
	conn, err := net.Dial("unixgram", filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := uint64(0)
	send := func(n int) {
		t.Helper()
		for range n {
			if _, err := fmt.Fprint(conn, "<13>app: a line"); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		wait.Until(t, "the lines to have records", func() bool {
			if ask(t, socket, "flush") == "" { // also while one of the journals cannot be written
				t.Error("flush failed")
			}
			s := statusOf(t, socket)
			a, b := s.Outputs[0].Chain, s.Outputs[1].Chain
			return a.Lines == sent && (b.Lines == sent || b.State != "ok") && s.Total.Written == 3*sent
		})
	}
	chains := func() (a, b, c *control.Chain) {
		t.Helper()
		s := statusOf(t, socket)
		if len(s.Outputs) != 3 {
			t.Fatalf("%+v", s)
		}
		return s.Outputs[0].Chain, s.Outputs[1].Chain, s.Outputs[2].Chain
	}

	send(10)
	a, b, c := chains()
	if a == nil || a.State != "ok" || a.Journal != "00000001" || a.Lines != 10 || a.Waiting != 0 || a.Last.IsZero() || a.Failures != 0 {
		t.Errorf("%+v", a)
	}
	if b == nil || b.State != "failed" || b.Error == "" || b.Lines != 0 || b.Waiting == 0 || b.Failures == 0 {
		t.Errorf("%+v", b)
	}
	if c != nil {
		t.Errorf("an output without a chain has one: %+v", c)
	}

	if err := os.Remove(where); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the journal to be written again", func() bool { _, b, _ := chains(); return b.State == "ok" })
	configure(t, dir, fmt.Sprintf(config, "2MB"))
	if ask(t, socket, "reload") == "" {
		t.Fatal("the reload failed")
	}
	send(5)
	a, b, _ = chains()
	if a.State != "ok" || a.Journal != "00000001" || a.Lines != 15 || a.Adopted != 0 {
		t.Errorf("%+v", a)
	}
	if b.State != "ok" || b.Lines != 15 || b.Adopted != 10 || b.Error != "" || b.Waiting != 0 {
		t.Errorf("%+v", b)
	}
}
