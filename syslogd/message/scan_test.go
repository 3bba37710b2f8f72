package message

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	row := func(in string, pri int, kind StampKind, stamp, host, tag, pid, text string) {
		t.Helper()
		var m Message
		m.Parse([]byte(in))
		if m.Priority != pri || m.Kind != kind {
			t.Errorf("Parse(%q): priority %d, kind %d; want %d, %d", in, m.Priority, m.Kind, pri, kind)
		}
		got := []string{string(m.Stamp), string(m.Host), string(m.Tag), string(m.PID), string(m.Text)}
		want := []string{stamp, host, tag, pid, text}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("Parse(%q):\n got %q\nwant %q", in, got, want)
		}
	}
	const bsd = "Nov 21 03:04:05"
	// The shapes of RFC 3164 found in the wild.
	row("<134>Nov 21 03:04:05 haproxy[42]: 1.2.3.4:5 [x] f b/s", 134, BSDStamp, bsd, "", "haproxy", "42", "1.2.3.4:5 [x] f b/s")
	row("<134>Nov 21 03:04:05 web1 haproxy[42]: text", 134, BSDStamp, bsd, "web1", "haproxy", "42", "text")
	row("<13>Nov 21 03:04:05 root: hello\n", 13, BSDStamp, bsd, "", "root", "", "hello")
	row("<13>Nov 21 03:04:05 web1 root: hello", 13, BSDStamp, bsd, "web1", "root", "", "hello")
	row("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", 34, BSDStamp, "Oct 11 22:14:15", "mymachine", "su", "", "'su root' failed")
	row("<13>Nov  1 03:04:05 fe80::1 app: x", 13, BSDStamp, "Nov  1 03:04:05", "fe80::1", "app", "", "x")
	row("<13>Nov  1 03:04:05 2001:db8:: app[1]: x", 13, BSDStamp, "Nov  1 03:04:05", "2001:db8::", "app", "1", "x")
	row("<13>Nov 01 03:04:05 h a: x", 13, BSDStamp, "Nov 01 03:04:05", "h", "a", "", "x")
	row("<189>Nov 21 03:04:05: %SYS-5-CONFIG_I: Configured", 189, BSDStamp, bsd, "", "%SYS-5-CONFIG_I", "", "Configured")
	row("<189>29: *Nov 21 03:04:05.483 UTC: %SYS-5-CONFIG_I: Done", 189, BSDStamp, bsd+".483", "", "%SYS-5-CONFIG_I", "", "Done")
	row("<13>2026-11-21T03:04:05.123Z web1 app[7]: x", 13, ISOStamp, "2026-11-21T03:04:05.123Z", "web1", "app", "7", "x")
	row("<38>2026-11-21T03:04:05 localhost prg00000[1234]: x", 38, LocalStamp, "2026-11-21T03:04:05", "localhost", "prg00000", "1234", "x")
	row("<13>2026-11-21T03:04:05.5 web1 app: x", 13, LocalStamp, "2026-11-21T03:04:05.5", "web1", "app", "", "x")
	row("<13>2026-11-21T03:04:05. web1 app: x", 13, NoStamp, "", "", "", "", "2026-11-21T03:04:05. web1 app: x")
	row("<13>2026-11-21T03:04:05+01:00 web1 app: x", 13, ISOStamp, "2026-11-21T03:04:05+01:00", "web1", "app", "", "x")
	// Parts left out.
	row("hello world", 13, NoStamp, "", "", "", "", "hello world")
	row("<134>", 134, NoStamp, "", "", "", "", "")
	row("<134>hello world", 134, NoStamp, "", "", "", "", "hello world")
	row("<134>app[3]: x", 134, NoStamp, "", "", "app", "3", "x")
	row("<134>Nov 21 03:04:05", 134, BSDStamp, bsd, "", "", "", "")
	row("<134>Nov 21 03:04:05 word", 134, BSDStamp, bsd, "", "", "", "word")
	row("", 13, NoStamp, "", "", "", "", "")
	row("\n\r\n\x00", 13, NoStamp, "", "", "", "", "")
	row("<13>http://x/ is down", 13, NoStamp, "", "", "", "", "http://x/ is down")
	row("<13>  leading space", 13, NoStamp, "", "", "", "", "  leading space")
	// PRI out of bounds stays in the text, where somebody will see it.
	row("\xef\xbb\xbf<11>Nov 21 03:04:05 h-a app: x", 11, BSDStamp, bsd, "h-a", "app", "", "x") // a byte order mark hides none
	row("<192>x", 13, NoStamp, "", "", "", "", "<192>x")
	row("<0134>x", 13, NoStamp, "", "", "", "", "<0134>x")
	row("<01>x", 13, NoStamp, "", "", "", "", "<01>x")
	row("<-1>x", 13, NoStamp, "", "", "", "", "<-1>x")
	row("<>x", 13, NoStamp, "", "", "", "", "<>x")
	row("<99999999999999999999>x", 13, NoStamp, "", "", "", "", "<99999999999999999999>x")
	row("<0>x", 0, NoStamp, "", "", "", "", "x")
	row("<191>x", 191, NoStamp, "", "", "", "", "x")
	// What killed or confused the library's parsers.
	row("<13>", 13, NoStamp, "", "", "", "", "")
	row("-5 abc", 13, NoStamp, "", "", "", "", "-5 abc")
	row("9223372036854775807 x", 13, NoStamp, "", "", "", "", "9223372036854775807 x")
	// Times that are not.
	row("<13>Nov 32 03:04:05 h a: x", 13, LooseStamp, "Nov 32 03:04:05", "h", "a", "", "x") // its form counts: docs/syslogd.md
	row("<13>Nov 21 24:04:05 h a: x", 13, LooseStamp, "Nov 21 24:04:05", "h", "a", "", "x")
	row("<13>Foo 21 03:04:05 h a: x", 13, NoStamp, "", "", "", "", "Foo 21 03:04:05 h a: x")
	row("<13>9999999999-11-21T03:04:05Z h a: x", 13, NoStamp, "", "", "", "", "9999999999-11-21T03:04:05Z h a: x")
	// RFC 5424.
	row("<165>1 2026-11-21T03:04:05.000003Z web1 app 77 ID47 [a@1 k=\"v\"] \xef\xbb\xbfhello", 165, ISOStamp,
		"2026-11-21T03:04:05.000003Z", "web1", "app", "77", "hello")
	row("<165>1 - - - - - -", 165, NoStamp, "", "", "", "", "")
	row("<165>1 - h a - - - text", 165, NoStamp, "", "h", "a", "", "text")
	row(`<165>1 - h a - - [x y="\"]\\"][z] text`, 165, NoStamp, "", "h", "a", "", "text")
	row("<165>1 - h a - - [x text", 165, NoStamp, "", "h", "a", "", "[x text")
	row("<165>1 yesterday h a - - - text", 165, NoStamp, "", "", "", "", "1 yesterday h a - - - text")
}

func TestParse5424Parts(t *testing.T) {
	var m Message
	m.Parse([]byte(`<165>1 2026-11-21T03:04:05Z h app 7 ID47 [a@1 k="v"][meta sequenceId="9"] text`))
	if !m.RFC5424 || string(m.MsgID) != "ID47" || string(m.Data) != `[a@1 k="v"][meta sequenceId="9"]` || string(m.Content) != "text" {
		t.Errorf("got %+v", m)
	}
	if m.Facility() != 20 || m.Severity() != Notice {
		t.Errorf("165 is %v.%v; want local4.notice", m.Facility(), m.Severity())
	}
}

func TestAppendStamp(t *testing.T) {
	east := time.FixedZone("east", 3600)
	received := time.Date(2026, 11, 21, 9, 0, 0, 0, east)
	row := func(in, want string) {
		t.Helper()
		var m Message
		var a, b Stamper
		m.Parse([]byte(in))
		if got := string(m.AppendStamp(nil, &a, &b, received)); got != want {
			t.Errorf("the time of %q is %q; want %q", in, got, want)
		}
	}
	row("<13>Nov 21 03:04:05 h a: x", "Nov 21 03:04:05")
	row("<13>Nov 01 03:04:05 h a: x", "Nov  1 03:04:05")
	row("<13>2026-11-21T03:04:05.5Z h a: x", "Nov 21 04:04:05")
	row("<13>1 2026-11-21T03:04:05-01:30 h a - - - x", "Nov 21 05:34:05")
	row("<13>x", "Nov 21 09:00:00")
}

func TestISOAgreesWithTheStandardLibrary(t *testing.T) {
	for _, s := range []string{
		"2026-11-21T03:04:05Z", "2026-11-21t03:04:05z", "2026-11-21T03:04:05.1Z", "2026-11-21T03:04:05.123456789-11:30",
		"1999-02-28T23:59:59+14:00", "2026-13-21T03:04:05Z", "2026-11-21T03:04:05.Z", "20x6-11-21T03:04:05Z", "2026-02-29T03:04:05Z", "2026-11-31T03:04:05Z",
		"2026-11-21T03:04:61Z",
	} {
		m := Message{Stamp: []byte(s)}
		n, kind := isoStamp(m.Stamp)
		m.Kind = kind
		got, ok := m.Time(time.Time{})
		ok = ok && n == len(s) && kind == ISOStamp
		want, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
		if ok != (err == nil) || ok && !got.Equal(want) {
			t.Errorf("%q is %v, %v; want %v, %v", s, got, ok, want, err)
		}
	}
}

func TestAppendEscaped(t *testing.T) {
	row := func(in, want string) {
		t.Helper()
		if got := string(AppendEscaped(nil, []byte(in))); got != want {
			t.Errorf("AppendEscaped(%q) = %q; want %q", in, got, want)
		}
	}
	row("", "")
	row("plain text of more than eight bytes", "plain text of more than eight bytes")
	row("two\nlines", "two#012lines")
	row("a tab\tand a NUL\x00 and DEL\x7f", "a tab#011and a NUL#000 and DEL#177")
	row("\x1b[31mred", "#033[31mred")
	row("grüße, 世界 and more text", "grüße, 世界 and more text")
	row("bad \xff\xfe bytes", "bad #377#376 bytes")
	row("C1 \u0085 next line", "C1 #302#205 next line")
	row("cut off \xe4\xb8", "cut off #344#270")
}

func TestParseAndEscapeAllocateNothing(t *testing.T) {
	lines := [][]byte{
		[]byte("<134>Nov 21 03:04:05 haproxy[42]: 127.0.0.1:4242 [21/Nov/2026:03:04:05.123] fe be/s1 0/0/0/1/1 200 1024"),
		[]byte("<165>1 2026-11-21T03:04:05.000003Z web1 app 77 ID47 [a@1 k=\"v\"] hello\x01"),
	}
	buf := make([]byte, 0, 1024)
	var m Message
	var a, b Stamper
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		for _, line := range lines {
			m.Parse(line)
			buf = m.AppendStamp(buf[:0], &a, &b, now)
			buf = AppendEscaped(buf, m.Content)
		}
	}); n != 0 {
		t.Errorf("two messages cost %v allocations; want 0", n)
	}
}

func BenchmarkParseHAProxyLine(b *testing.B) {
	line := []byte("<134>Nov 21 03:04:05 haproxy[4711]: 127.0.0.1:42424 [21/Nov/2026:03:04:05.123] fe_http be_app/s1 0/0/0/1/1 200 " +
		"1024 - - ---- 1/1/0/0/0 0/0 \"GET /some/path?with=query HTTP/1.1\" and a bit more")
	buf := make([]byte, 0, 1024)
	var m Message
	var p Parser
	var s, r Stamper
	now := time.Now()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		p.Parse(&m, line)
		buf = m.AppendStamp(buf[:0], &s, &r, now)
		buf = AppendEscaped(buf, m.Content)
	}
}
