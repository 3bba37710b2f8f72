package format

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	syslog "gopkg.in/mcuadros/go-syslog.v2/format"

	"lbsyslogd/syslogd/message"
)

var received = time.Date(2026, 11, 21, 9, 8, 7, 0, time.UTC)

func line(t *testing.T, name, in string) string {
	t.Helper()
	return lineAt(t, received, name, in)
}

func lineAt(t *testing.T, received time.Time, name, in string) string {
	t.Helper()
	f, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	var m message.Message
	m.Parse([]byte(in))
	e := Envelope{Received: received, Peer: "192.0.2.1", Host: "192.0.2.1", Raw: []byte(in), Size: len(in)}
	return string(f.Append(nil, &m, &e))
}

func TestTraditional(t *testing.T) {
	row := func(in, want string) {
		t.Helper()
		if got := line(t, "traditional", in); got != want+"\n" {
			t.Errorf("%q is written %q; want %q", in, got, want)
		}
	}
	row("<134>Nov 21 03:04:05 haproxy[42]: 1.2.3.4:5 text", "Nov 21 03:04:05 192.0.2.1 haproxy[42]: 1.2.3.4:5 text")
	row("<134>Nov 21 03:04:05 web1 haproxy[42]: text", "Nov 21 03:04:05 web1 haproxy[42]: text")
	row("<134>1 2026-11-21T03:04:05Z web1 app 7 - - text", "Nov 21 03:04:05 web1 app[7]: text")
	row("<134>1 - - - - - - text", "Nov 21 09:08:07 192.0.2.1 text")
	row("<134>app[7]: text", "Nov 21 09:08:07 192.0.2.1 app[7]: text")
	row(`<14>1 2026-11-21T03:04:05Z srx-a RT_FLOW - DENY [junos@2636.1 source-address="10.0.0.1"]`, `Nov 21 03:04:05 srx-a RT_FLOW: [junos@2636.1 source-address="10.0.0.1"]`)
	row("<14>1 2026-11-21T03:04:05Z n-a slurmd 8 - [77123] job starts", "Nov 21 03:04:05 n-a slurmd[8]: [77123] job starts")
	row("<134>1 2026-11-21T03:04:05+00:00 host-a app-b web.3 - State is up", "Nov 21 03:04:05 host-a app-b[web.3]: State is up")
	row("<13>Nov 21 2025 03:04:05 h a: x", "Nov 21 03:04:05 h a: x")
	row("<38>Jul 7 2:42:43 app-a sshd[3086]: x", "Jul  7 02:42:43 app-a sshd[3086]: x")
	row("no header at all", "Nov 21 09:08:07 192.0.2.1 no header at all")
	row("<13>a: one\nNov 21 03:04:05 root su: forged", "Nov 21 09:08:07 192.0.2.1 a: one#012Nov 21 03:04:05 root su: forged")
}

func TestRFC5424(t *testing.T) {
	row := func(in, want string) {
		t.Helper()
		if got := line(t, "rfc5424", in); got != want+"\n" {
			t.Errorf("%q is written %q; want %q", in, got, want)
		}
	}
	row("<134>Nov 21 03:04:05 haproxy[42]: text", "<134>1 2026-11-21T03:04:05.000000Z 192.0.2.1 haproxy 42 - - text")
	row(`<134>1 2026-11-21T03:04:05.5+01:00 web1 app 7 id [x@1 a="b"] text`, `<134>1 2026-11-21T02:04:05.500000Z web1 app 7 id [x@1 a="b"] text`)
	row("<134>Dec 31 23:59:59 web1 app: text", "<134>1 2026-12-31T23:59:59.000000Z web1 app - - - text")
	row("text", "<13>1 2026-11-21T09:08:07.000000Z 192.0.2.1 - - - - text")
	// What a strict peer would refuse.
	const head = "<13>1 2026-11-21T03:04:05.000000Z "
	long := strings.Repeat("t", 60)
	row("<13>Nov 21 03:04:05 h-a "+long+": x", head+"h-a "+long[:48]+" - - - "+long+" x")
	far := strings.Repeat("h", 300)
	row("<13>1 2026-11-21T03:04:05Z "+far+" a - - - x", head+far[:255]+" a - - - "+far+" x")
	row("<13>Nov 21 03:04:05 h-a app[a b]: x", head+"h-a app a_b - - x")
	row("<13>1 2026-11-21T03:04:05.123456789Z h a - - - x", "<13>1 2026-11-21T03:04:05.123456Z h a - - - x")
	row("<13>1 2026-11-21T03:04:05Z h a - - [x@1 y=\"a\x01b\"] x", head+"h a - - [x@1 y=\"a#001b\"] x")
	row("<13>Nov 21 03:04:05 büro-a app: x", head+"b__ro-a app - - - x")
	row("<13>1 2026-11-21T03:04:05Z h "+long+" "+strings.Repeat("9", 200)+" "+long+" - x", head+"h "+long[:48]+" "+strings.Repeat("9", 128)+" "+long[:32]+
		" - "+long+" "+strings.Repeat("9", 200)+" "+long+" x")
	row(`<13>1 2026-11-21T03:04:05Z h a - - [action:"Drop"; msg:"a ] b"] x`, head+`h a - - - [action:"Drop"; msg:"a ] b"] x`)
	for _, odd := range []string{`[x y="1" ]`, `[x@1 y="a\b"]`, `[x@1 y="a]b"]`, `[x@1 y=z]`, `[x@1  y="z"]`, `[x@1 y="z"`, "[]"} {
		row("<13>1 2026-11-21T03:04:05Z h a - - "+odd+" x", head+"h a - - - "+odd+" x")
	}
	for _, fine := range []string{`[x@1]`, `[x y="1"]`, `[x@1 a="\]\"\\"][z b=""]`} {
		row("<13>1 2026-11-21T03:04:05Z h a - - "+fine+" x", head+"h a - - "+fine+" x")
	}
}

func TestRaw(t *testing.T) {
	if got := line(t, "raw", "<134>Nov 21 03:04:05 a: b\tc\n"); got != "<134>Nov 21 03:04:05 a: b#011c\n" {
		t.Errorf("got %q", got)
	}
}

func TestJSON(t *testing.T) {
	row := func(in string, want record) {
		t.Helper()
		var got record
		text := line(t, "json", in)
		if err := json.Unmarshal([]byte(text), &got); err != nil || strings.Count(text, "\n") != 1 {
			t.Errorf("%q is written %q: %v", in, text, err)
		}
		want.Received, want.Peer = "2026-11-21T09:08:07Z", "192.0.2.1"
		if got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", in, got, want)
		}
	}
	// What go-syslog alone gets wrong: the host of a host-less line, the pid, a time with Z, leading spaces, further lines.
	row("<134>Nov 21 03:04:05 haproxy[42]: a <b> & c", record{
		Time: "2026-11-21T03:04:05.000000Z", Host: "192.0.2.1", Facility: "local0", Severity: "info", Tag: "haproxy", PID: "42", Text: "a <b> & c",
	})
	row("<134>2026-11-21T03:04:05.5Z web1 app: x\ny", record{
		Time: "2026-11-21T03:04:05.500000Z", Host: "web1", Facility: "local0", Severity: "info", Tag: "app", Text: "x\ny",
	})
	row(`<134>1 2026-11-21T03:04:05.5Z web1 app 7 id [x@1 a="b"] text`, record{
		Time: "2026-11-21T03:04:05.500000Z", Host: "web1", Facility: "local0", Severity: "info", Tag: "app", PID: "7", MsgID: "id",
		Data: `[x@1 a="b"]`, Text: "text",
	})
	for _, data := range []string{`[x@1 p="one \] two" q="3"]`, `[x@1 p="a] b"]`} {
		row("<13>1 2026-11-21T03:04:05Z h a 1 m "+data+" hi", record{
			Time: "2026-11-21T03:04:05.000000Z", Host: "h", Facility: "user", Severity: "notice", Tag: "a", PID: "1", MsgID: "m", Data: data, Text: "hi",
		})
	}
	// The year comes from the time of receipt in each format.
	for _, form := range []string{"json", "rfc5424", TemplatePrefix + "%time%"} {
		for _, times := range [][3]string{
			{"2026-12-31T23:59:59Z", "Jan  1 00:00:00", "2027-01-01T00:00:00.000000Z"}, {"2029-01-05T00:00:00Z", "Feb 29 10:00:00", "2028-02-29T10:00:00.000000Z"},
			{"2027-01-01T00:00:00Z", "Dec 31 23:59:60", "2027-01-01T00:00:00.000000Z"},
		} {
			at, err := time.Parse(time.RFC3339, times[0])
			if err != nil {
				t.Fatal(err)
			}
			if got := lineAt(t, at, form, "<13>"+times[1]+" h a: x"); !strings.Contains(got, times[2]) {
				t.Errorf("%s of %q, received at %s: %s; want the time %s", form, times[1], times[0], got, times[2])
			}
		}
	}
	row("\xff", record{Time: "2026-11-21T09:08:07.000000Z", Host: "192.0.2.1", Facility: "user", Severity: "notice", Text: "#377"})
}

// TestWhatMakesGoSyslogPanic shows that the bare library does, so that the day it does not any more this test says so, and that every
// format makes a line of it.
func TestWhatMakesGoSyslogPanic(t *testing.T) {
	panics := func(f syslog.Format, in string) (did bool) {
		defer func() { did = recover() != nil }()
		f.GetParser([]byte(in)).Parse()
		return false
	}
	splits := func(f syslog.Format, in string) (did bool) {
		defer func() { did = recover() != nil }()
		f.GetSplitFunc()([]byte(in), true)
		return false
	}
	for _, in := range []string{"<13>", "<134>"} {
		if !panics(&syslog.RFC3164{}, in) || !panics(&syslog.Automatic{}, in) {
			t.Errorf("the bare library parses %q", in)
		}
	}
	for _, in := range []string{"-5 abc", "9223372036854775807 x"} {
		if !splits(&syslog.RFC6587{}, in) || !splits(&syslog.Automatic{}, in) {
			t.Errorf("the bare library splits %q", in)
		}
	}
	for _, in := range []string{"<13>", "<134>", "-5 abc", "9223372036854775807 x", "<134>1 "} {
		for _, name := range []string{"traditional", "rfc5424", "raw", "json", "template:%text%"} {
			if got := line(t, name, in); strings.Count(got, "\n") != 1 {
				t.Errorf("%s makes %q of %q", name, got, in)
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := New("xml"); err == nil || !strings.Contains(err.Error(), "traditional") {
		t.Errorf("New(xml): %v", err)
	}
}

// FuzzFormats holds that every format makes exactly one printable line of anything, and that nothing panics: go-syslog does, for
// some of the seeds.
func FuzzFormats(f *testing.F) {
	for _, seed := range []string{
		"<13>", "-5 abc", "9223372036854775807 x", "<134>Nov 21 03:04:05 haproxy[42]: x", "<165>1 2026-11-21T03:04:05Z h a 7 id [x@1 a=\"b\"] t",
		"<165>1 2026-11-21T03:04:05Z h a 7 id [x@1 a=\"b\"", "<13>Nov 21 03:04:05 ", "<13>1 2026-11-21T03:04:05.1234567Z - - - - - ", "\xff\n\u0085",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, name := range []string{"traditional", "rfc5424", "raw", "json", TemplatePrefix + "%host% %tag% %pid% %data% %time% %text%"} {
			out := line(t, name, string(in))
			if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || !utf8.ValidString(out) || strings.ContainsAny(out, "\x1b\x00\x7f\r") {
				t.Errorf("%s of %q is %q", name, in, out)
			}
		}
	})
}
