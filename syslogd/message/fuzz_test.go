package message

import (
	"bytes"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzParse holds that every part is a view of the input, that the priority is in range, and that what is written for a
// message is one printable line which reads as the same message again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"<134>Nov 21 03:04:05 haproxy[42]: 1.2.3.4:5 [x] f b/s", "<13>", "-5 abc", "9223372036854775807 x", "<999>x", "",
		"<165>1 2026-11-21T03:04:05.000003Z web1 app 77 ID47 [a@1 k=\"v\"] \xef\xbb\xbfhello", "<165>1 - - - - - -",
		"<189>29: *Nov 21 03:04:05.483 UTC: %SYS-5-CONFIG_I: Done", "<13>Nov 21 03:04:05 h a[", "<1>1 - - - - - [\\", "<13>Nov  1 03:04:05",
		"<13>2026-11-21T03:04:05.123Z web1 app[7]: x\x00\n", "<13>\xff\xfe\u0085", "<189>: 2026 Nov 21 03:04:05 UTC: %E-5-I: up", "<189>30: 000028: .Nov 21 03:04:05 UTC: %L-3-U: x",
		"<189>83: 1w2d: %SYS-5-C: x", "<13>Sat, 21 Nov 2026 3:04:05,5 +0000 h a: x", "<30>Nov 21 03:04:05 (\"U7LT,788a20aabbcc,v4\") hostapd: x", "<13>2026/11/21 03:04:05 +0100 h a: x",
		"<38>Nov 21 03:04:05 Message forwarded from aix-a: sshd[99]: x", "<134>Nov 21 03:04:05 slot1/b notice tmm[1]: x", "<13>Nov 21 03:04:05 GMT+1: CEF:0|x", "<13>21/Nov/2026:03:04:05 h a: x",
	} {
		f.Add([]byte(seed))
	}
	now := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, in []byte) {
		var m Message
		var a, b Stamper
		m.Parse(in)
		if m.Priority < 0 || m.Priority >= Facilities*Severities {
			t.Fatalf("priority %d", m.Priority)
		}
		for _, part := range [][]byte{m.Stamp, m.Host, m.Tag, m.PID, m.MsgID, m.Data, m.Text, m.Content} {
			if len(part) > 0 && !bytes.Contains(in, part) {
				t.Fatalf("%q is not a part of %q", part, in)
			}
		}
		stamp := m.AppendStamp(nil, &a, &b, now)
		if bsdStamp(stamp) != stampLen {
			t.Fatalf("%q is written as %q", m.Stamp, stamp)
		}
		line := AppendEscaped(nil, m.Content)
		if !utf8.Valid(line) || bytes.ContainsAny(line, "\n\r\x00\x1b\x7f") {
			t.Fatalf("%q is written as %q", m.Content, line)
		}
		if again := AppendEscaped(nil, line); !bytes.Equal(again, line) {
			t.Fatalf("escaping twice gives %q then %q", line, again)
		}
		if len(m.Tag) > 0 && !m.RFC5424 {
			var second Message
			second.Parse(append([]byte("<13>Nov 21 03:04:05 host "), m.Content...))
			if !bytes.Equal(second.Tag, m.Tag) || !bytes.Equal(second.PID, m.PID) {
				t.Fatalf("%q gives tag %q[%q], then %q[%q]", in, m.Tag, m.PID, second.Tag, second.PID)
			}
		}
	})
}
