package message

import (
	"fmt"
	"strings"
	"testing"
	"time"

	syslog "gopkg.in/mcuadros/go-syslog.v2/format"
)

// FuzzAgainstGoSyslog makes messages that say what they mean beyond doubt, from whatever fields the fuzzer thinks of, in both formats,
// and has go-syslog read them too. Where its parsers are known to be wrong (a host that is missing, the pid of RFC 3164, a broken time,
// spaces around the text, brackets in structured data, words for the host) there is nothing to compare, so such messages are not made.
func FuzzAgainstGoSyslog(f *testing.F) {
	f.Add(uint8(134), int64(1795230245), uint32(123456), "web1", "haproxy", "42", "ID47", `a@1 k="v"`, "GET / HTTP/1.1")
	f.Add(uint8(0), int64(0), uint32(0), "2001:db8::1", "a", "-", "-", "", "\xff\xfe \u0085 [x] <13>1 - -")
	f.Add(uint8(191), int64(-62135596800), uint32(999999), "-", "%SYS-5-CONFIG_I", "x[y]", "<>", `x y="\"" z="\\"`, "a[1]: b: c")
	f.Add(uint8(13), int64(253402300799), uint32(7), strings.Repeat("h", 300), strings.Repeat("t", 70), strings.Repeat("9", 200), "m", "x", "")
	f.Fuzz(func(t *testing.T, pri uint8, second int64, micro uint32, host, tag, pid, id, data, text string) {
		at := time.Unix(second%(1<<37), int64(micro%1_000_000)*1000).UTC()
		if at.Year() < 1 || at.Year() > 9999 {
			return
		}
		pri %= Facilities * Severities
		text = strings.Trim(text, " \r\n\x00")

		host5424, app, proc, msgID := printable(host, 255), printable(tag, 48), printable(pid, 128), printable(id, 32)
		if data = strings.Trim(strings.Map(only(func(r rune) bool { return r != ']' && r != '[' && r >= ' ' && r < 0x7f }), data), " "); data == "" ||
			strings.Count(data, `"`)%2 == 1 || strings.Contains(data, `\`) || !looksLikeData([]byte(data)) {
			data = "-"
		} else {
			data = "[" + data + "]"
		}
		raw := fmt.Sprintf("<%d>1 %s %s %s %s %s %s %s", pri, at.Format("2006-01-02T15:04:05.000000Z07:00"), host5424, app, proc, msgID, data, text)
		theirs := theyRead(t, &syslog.RFC5424{}, raw)
		var m Message
		m.Parse([]byte(raw))
		if !m.RFC5424 {
			t.Fatalf("%q is RFC 5424", raw)
		}
		same(t, raw, "host", nilled(m.Host), theirs["hostname"])
		same(t, raw, "tag", nilled(m.Tag), theirs["app_name"])
		same(t, raw, "pid", nilled(m.PID), theirs["proc_id"])
		same(t, raw, "msgid", nilled(m.MsgID), theirs["msg_id"])
		same(t, raw, "data", nilled(m.Data), theirs["structured_data"])
		same(t, raw, "text", string(m.Text), strings.TrimPrefix(theirs["message"].(string), "\ufeff"))
		same(t, raw, "priority", m.Priority, theirs["priority"])
		if when, ok := m.Time(time.Time{}); !ok || !when.Equal(theirs["timestamp"].(time.Time)) {
			t.Errorf("%q: time is %v; they say %v", raw, when, theirs["timestamp"])
		}

		host3164 := strings.TrimRight(printable(host, 255), ":]")
		tag = strings.Map(only(func(r rune) bool { return r > ' ' && r < 0x7f && r != ':' && r != '[' }), tag)
		if tag = tag[:min(len(tag), maxTag)]; tag == "" || digits([]byte(tag)) == len(tag) {
			return
		}
		switch plain, _ := isPlain([]byte(host3164)); {
		case !isName([]byte(host3164)), gluedTag([]byte(host3164)) > 0, plain && (isTextWord([]byte(host3164)) || isTextWord([]byte(tag))),
			len(skipZone([]byte(" "+host3164+" "))) == 1, strings.EqualFold(host3164, "z"), meridiem([]byte(" "+host3164)) > 0:
			return // docs/syslogd.md says that it is no host; the library believes everything
		}
		raw = fmt.Sprintf("<%d>%s %s %s: %s", pri, at.Format(time.Stamp), host3164, tag, text)
		theirs = theyRead(t, &syslog.RFC3164{}, raw)
		m.Parse([]byte(raw))
		same(t, raw, "host", string(m.Host), theirs["hostname"])
		same(t, raw, "tag", string(m.Tag), theirs["tag"])
		same(t, raw, "text", string(m.Text), theirs["content"])
		same(t, raw, "priority", m.Priority, theirs["priority"])
		same(t, raw, "time", string(m.Stamp), theirs["timestamp"].(time.Time).Format(time.Stamp))
	})
}

// theyRead is what go-syslog makes of a message that is right.
func theyRead(t *testing.T, f syslog.Format, raw string) syslog.LogParts {
	t.Helper()
	parser := f.GetParser([]byte(raw))
	if err := parser.Parse(); err != nil {
		t.Fatalf("go-syslog refuses %q: %v", raw, err)
	}
	return parser.Dump()
}

func same[T comparable](t *testing.T, raw, what string, ours T, theirs any) {
	t.Helper()
	if theirs != any(ours) {
		t.Errorf("%q: %s is %#v; they say %#v", raw, what, ours, theirs)
	}
}

// nilled is a field as RFC 5424 writes it: "-" when it is absent.
func nilled(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}

// printable makes a field of RFC 5424 of any text: PRINTUSASCII, at most so many bytes, "-" instead of nothing.
func printable(s string, most int) string {
	s = strings.Map(only(func(r rune) bool { return r > ' ' && r < 0x7f }), s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

func only(keep func(rune) bool) func(rune) rune {
	return func(r rune) rune {
		if keep(r) {
			return r
		}
		return -1
	}
}
