package syslog_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"lbsyslogd/test/wait"
)

// hostile is every header of the first list with every rest of the second: the classes that have broken log daemons before, and
// those that make go-syslog panic.
func hostile() (messages []string) {
	headers := []string{
		"", "<13>", "<0>", "<191>", "<192>", "<999>", "<-1>", "<1234567890>", "<>", "<", "<13", "<13>>", "<<13>", "<013>", "<1 3>", "<+5>", "<0x1>",
		"<13>1", "<13>1 ", "<13>2 ", "<13>1 - - - - - ", "<13>1 - - - - - - ", "-5 ", "9223372036854775807 ", "99999999999999999999 <13>", "0 <13>",
		"<13>Nov 21 03:04:05 ", "<13>Nov 21 03:04:05", "<13>Nov 99 99:99:99 ", "<13>Feb 31 00:00:60 h a: ", "<13>99999-11-21T03:04:05Z h a: ",
		"<13>2026-11-21T03:04:05.999999999999Z h a: ", "<13>2026-11-21T03:04:05+99:99 h a: ", "<13>1 2026-13-45T99:99:99Z h a 1 2 [",
	}
	rests := []string{
		"", "\x00", "\n", "\r\n\r\n", "text", "a[", "a[]:", "a[1", "[", "]", ":", "a::", strings.Repeat("a", 3000), strings.Repeat("[", 500),
		"\x1b[2J\x1b]0;owned\x07", "one\n<13>Nov 21 03:04:05 h forged: two", "\xff\xfe\x80", "\u0085\u009b\u2028", "%s%n%x", "[x y=\"\\", "[x y=\"]\"]", "../../etc/passwd: x",
	}
	for _, h := range headers {
		for _, r := range rests {
			messages = append(messages, h+r)
		}
	}
	return messages
}

// TestHostileMessages sends them over every transport, each to every format. What was received is written or counted as empty, each
// message as one printable line, and the daemon lives.
func TestHostileMessages(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT, tcp://127.0.0.1:PORT, unix://DIR/dgram]
outputs:
  - {match: "*.*", file: DIR/a.log, rotate: never}
  - {match: "*.*", file: DIR/b.log, format: json, rotate: never}
  - {match: "*.*", file: DIR/c.log, format: rfc5424, rotate: never}
  - {match: "*.*", file: DIR/d.log, format: raw, rotate: never}
`)
	messages := hostile()
	send(t, filepath.Join(d.dir, "dgram"), messages...)
	udp, err := net.Dial("udp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Dial("tcp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, m := range messages {
		if _, err := udp.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(tcp, "%s\n%d %s", m, len(m), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tcp.Write([]byte("\n<13>the last of all\n")); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the last message", func() bool {
		text, err := os.ReadFile(filepath.Join(d.dir, "a.log"))
		return err == nil && bytes.Contains(text, []byte(" the last of all\n"))
	})
	d.do("flush")
	s := d.status()
	for _, in := range s.Inputs {
		if in.Received != in.Routed+in.Unmatched+in.Oversized+in.Denied+in.Limited+in.Undecodable {
			t.Errorf("%s: %d received, but %+v", in.Name, in.Received, in)
		}
		if in.Name[:3] != "tcp" && in.Received+in.KernelDrops != uint64(len(messages)) {
			t.Errorf("%s: %d received and %d dropped of %d", in.Name, in.Received, in.KernelDrops, len(messages))
		}
	}
	for _, out := range s.Outputs {
		text, err := os.ReadFile(out.File)
		if err != nil {
			t.Fatal(err)
		}
		if n := uint64(bytes.Count(text, []byte("\n"))); n != out.Written || out.Written != s.Total.Received-s.Total.Undecodable {
			t.Errorf("%s has %d lines; %d written, %d received, %d empty", out.File, n, out.Written, s.Total.Received, s.Total.Undecodable)
		}
		if i := bytes.IndexAny(text, "\x00\r\x1b\x07\x7f"); i >= 0 || !utf8.Valid(text) {
			t.Errorf("%s has a control character or bytes that are not UTF-8 (at %d)", out.File, i)
		}
	}
	t.Logf("%d messages by each of four ways, %d lines of each format", len(messages), s.Outputs[0].Written)
}
