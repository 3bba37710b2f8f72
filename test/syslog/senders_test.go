package syslog_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/tape"
)

// TestLogger has the real logger send in every form it knows.
func TestLogger(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT, unix://DIR/dgram]
host: here
outputs: [{file: DIR/lb.log}]
`)
	sent := uint64(0)
	tcp := []string{"-T", "-n", "127.0.0.1", "-P", strings.TrimPrefix(d.addr(), "127.0.0.1:")}
	udp := []string{"-d", "-n", "127.0.0.1", "-P", strings.TrimPrefix(d.addr(), "127.0.0.1:")}
	logger := func(want string, args ...string) {
		t.Helper()
		if out, err := exec.Command(tape.Require(t, "logger"), args...).CombinedOutput(); err != nil {
			t.Fatalf("logger %q: %v: %s", args, err, out)
		}
		sent++
		d.do("flush") // what logger has sent is in the file then, over whichever transport
		if n := d.status().Total.Written; n != sent {
			t.Errorf("logger %q: %d lines are written; want %d", args, n, sent)
		}
		text, err := os.ReadFile(d.file())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if last := lines[len(lines)-1]; len(last) < 16 || !strings.HasSuffix(last[15:], want) {
			t.Errorf("logger %q left %q; want it to end in %q", args, last, want)
		}
	}
	logger(" app[7]: rfc5424 by default", append(udp, "-t", "app", "--id=7", "rfc5424 by default")...)
	logger(" app: with structured data", append(udp, "-t", "app", "--rfc5424", "--sd-id", "x@1", "--sd-param", `a="b"`, "with structured data")...)
	logger(" app: an old one", append(udp, "-t", "app", "--rfc3164", "an old one")...)
	logger(" app: over tcp", append(tcp, "-t", "app", "--rfc5424", "over tcp")...)
	logger(" app: an old one over tcp", append(tcp, "-t", "app", "--rfc3164", "an old one over tcp")...)
	logger(" app: counted", append(tcp, "-t", "app", "--octet-count", "counted")...)
	logger(" here app: over a unix socket", "-u", filepath.Join(d.dir, "dgram"), "-t", "app", "over a unix socket")
	logger(" here app[9]: with a pid", "-u", filepath.Join(d.dir, "dgram"), "-t", "app", "--id=9", "with a pid")
	logger(" app: tab#011and grüße", append(udp, "-t", "app", "--rfc3164", "tab\tand grüße")...)
}

// TestHalogReadsTheFile sends a line as HAProxy does and has HAProxy's own log analyser count it.
func TestHalogReadsTheFile(t *testing.T) {
	d := start(t, `
listen: [unix://DIR/dgram]
outputs: [{file: DIR/lb.log}]
`)
	const line = `<134>Nov 21 03:04:05 haproxy[42]: 127.0.0.1:4242 [21/Nov/2026:03:04:05.123] fe be/s1 0/0/0/1/1 200 1024 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"`
	send(t, filepath.Join(d.dir, "dgram"), line, line, line)
	d.do("flush")
	in, err := os.Open(d.file())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	halog := exec.Command(tape.Require(t, "halog"), "-srv", "-q")
	halog.Stdin = in
	out, err := halog.Output()
	if err != nil || !strings.Contains(string(out), "be/s1 0 3 0 0 0 0 3 3") {
		t.Errorf("halog: %v\n%s", err, out)
	}
}

// TestNumberedSender leaves out numbers as a lossy network does, and status says how many.
func TestNumberedSender(t *testing.T) {
	d := start(t, `
listen: [unix://DIR/dgram, tcp://127.0.0.1:PORT]
outputs: [{file: DIR/lb.log}]
`)
	for _, n := range []string{"1", "2", "5", "4", "9"} { // 3, 6, 7 and 8 are missing
		send(t, filepath.Join(d.dir, "dgram"), `<13>1 - web1 app - - [meta sequenceId="`+n+`"] text`)
	}
	d.do("flush")
	in := d.status().Inputs[0]
	if in.SequenceGaps != 5 || in.SequenceLate != 1 || len(in.Gaps) != 1 || in.Gaps[0] != (control.Sequence{Sender: "web1", Seen: 5, Missing: 4}) {
		t.Errorf("%+v", in)
	}
}
