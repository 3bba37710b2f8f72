package syslog_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestLedger runs TestLedgerInANamespace, where a firewall may drop what it likes.
func TestLedger(t *testing.T) {
	tape.Require(t, "iptables")
	if os.Geteuid() != 0 {
		tape.Skipf(t, "only root makes a network namespace")
	}
	cmd := exec.Command("unshare", "-n", os.Args[0], "-test.run=^TestLedgerInANamespace$", "-test.v")
	cmd.Env = append(os.Environ(), "SYSLOGD_NAMESPACE=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestLedgerInANamespace") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A counting sender says how many lines it has sent, as lb does.
type countingSender struct {
	t          *testing.T
	conn       net.Conn
	pid        int
	end        string // of a line, over TCP
	sent, lost int
}

func (s *countingSender) write(text string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(text + s.end)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *countingSender) lines(n int) {
	s.t.Helper()
	for range n {
		s.write(fmt.Sprintf("<134>Nov 21 03:04:05 counting[%d]: line %d", s.pid, s.sent))
		s.sent++
	}
}

func (s *countingSender) beat(final int) {
	s.t.Helper()
	s.write(fmt.Sprintf(`<46>1 2026-11-21T03:04:05.000000Z - lb %d ledger [lb@32473 instance="%d" generation="%d" sent="%d" lost="%d" final="%d"] x`,
		s.pid, s.pid, s.pid, s.sent, s.lost, final))
}

// TestLedgerInANamespace has senders over UDP and TCP whose lines are rotated, reloaded around, and dropped by a firewall, a thousand of them: lines
// sent = lines received + those thousand, and lines received = lines on disk, also after syslogd was restarted and killed, and senders too.
func TestLedgerInANamespace(t *testing.T) {
	if os.Getenv("SYSLOGD_NAMESPACE") == "" {
		return
	}
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	run("ip", "link", "set", "lo", "up")
	d := start(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT]
outputs: [{match: "local0.*", file: DIR/lb.log, rotate: {size: 100kB, keep: 100, compress: none}}]
`)
	sender := func(network string, pid int) *countingSender {
		t.Helper()
		conn, err := net.Dial(network, d.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s := &countingSender{t: t, conn: conn, pid: pid}
		if network == "tcp" {
			s.end = "\n"
		}
		s.beat(0)
		return s
	}
	all := 0 // lines sent, by senders that are gone too
	balanced := func(what string, missing int) {
		t.Helper()
		d.do("flush")
		l := d.status().Ledger
		if l == nil {
			t.Fatalf("%s: there is no ledger", what)
		}
		files, err := filepath.Glob(filepath.Join(d.dir, "lb*.log"))
		if err != nil {
			t.Fatal(err)
		}
		disk := 0
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			disk += strings.Count(string(text), " counting[")
		}
		if l.Sent != uint64(all) || l.Received != uint64(all-missing) || disk != all-missing || l.Missing != uint64(missing) {
			t.Errorf("%s: %d sent, the ledger says %d; %d received, %d on disk, %d missing; want %d missing", what, all, l.Sent, l.Received, disk, l.Missing, missing)
		}
	}
	say := func(final int, senders ...*countingSender) {
		t.Helper()
		for _, s := range senders {
			s.lines(1000)
			all += 1000
			s.beat(final)
		}
	}
	udp, tcp := sender("udp", 41), sender("tcp", 42)
	say(0, udp, tcp)
	balanced("first", 0)
	d.do("rotate")
	say(0, udp, tcp)
	d.do("reload")
	say(0, udp, tcp)
	balanced("over a rotation and a reload", 0)

	rule := []string{"INPUT", "-p", "udp", "--dport", fmt.Sprint(d.port), "-j", "DROP"}
	run("iptables", append([]string{"-A"}, rule...)...)
	say(0, udp)
	run("iptables", append([]string{"-D"}, rule...)...)
	say(0, udp, tcp)
	balanced("after the firewall dropped a thousand", 1000)

	tcp.beat(1) // ends with its connection
	tcp.conn.Close()
	wait.Until(t, "the end of the connection", func() bool { return d.status().Inputs[1].Connections == 0 })
	d.stop()
	d.run()
	say(0, udp)
	balanced("after a restart", 1000)
	d.kill()
	d.run()
	balanced("after a SIGKILL", 1000)
	say(0, udp)
	second := sender("udp", 43) // the first is killed, and says no last word
	say(1, second)
	balanced("over a SIGKILL of the sender", 1000)
	if n := len(d.status().Ledger.Senders); n != 3 {
		t.Errorf("%d senders", n)
	}
}
