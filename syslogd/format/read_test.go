package format

import (
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/message"
)

// TestReadsWhatItWrites: of every format that has a field, the field of the message comes back.
func TestReadsWhatItWrites(t *testing.T) {
	const sent = `<131>1 2026-11-21T03:04:05.123456Z web1 app 77 id7 [x@1 a="b"] the text`
	at := time.Date(2026, 11, 21, 3, 4, 5, 123456000, time.UTC)
	row := func(name string, want Record) {
		t.Helper()
		r, err := NewReader(name, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		r.In(received)
		text := strings.TrimSuffix(line(t, name, sent), "\n")
		var got Record
		r.Read([]byte(text), &got)
		if !got.Time.Equal(want.Time) || string(got.Host) != string(want.Host) || string(got.Tag) != string(want.Tag) || string(got.PID) != string(want.PID) ||
			string(got.Text) != string(want.Text) || got.Priority != want.Priority {
			t.Errorf("%s: %q is read as %v %q %q %q %q %d", name, text, got.Time, got.Host, got.Tag, got.PID, got.Text, got.Priority)
		}
		for field, has := range map[string]bool{"time": !want.Time.IsZero(), "host": want.Host != nil, "tag": want.Tag != nil, "severity": want.Priority >= 0} {
			if r.Has(field) != has {
				t.Errorf("%s: has %s: %v", name, field, r.Has(field))
			}
		}
	}
	b := func(s string) []byte { return []byte(s) }
	full := Record{Time: at, Host: b("web1"), Tag: b("app"), PID: b("77"), Text: b("the text"), Priority: 131}
	row("rfc5424", full)
	row("json", full)
	row("raw", full)
	seconds := full
	seconds.Time, seconds.Priority = at.Truncate(time.Second), -1
	row("traditional", seconds)
	row(TemplatePrefix+"%time% %host% %tag%[%pid%] %pri%: %text%", full)
	row(TemplatePrefix+"%Y%m%d %received% %peer% %text%", Record{Time: received, Host: b("192.0.2.1"), Text: b("the text"), Priority: -1})
	row(TemplatePrefix+"%host% %text%", Record{Host: b("web1"), Text: b("the text"), Priority: -1})
	row(TemplatePrefix+"%tag%%text% %time%", Record{Priority: -1})
	row(TemplatePrefix+"%stamp%%host%", Record{Time: at.Truncate(time.Second), Host: b("web1"), Priority: -1})
	full.Priority = message.Priority(message.Local0, message.Err)
	full.Tag, full.PID = nil, nil
	row(TemplatePrefix+"%time% %facility%.%severity% %host% %text%", full)
}

// TestYearsComeFromTheFile: a line without one is in the year that makes it the nearest to when its file was written to last.
func TestYearsComeFromTheFile(t *testing.T) {
	r, err := NewReader("traditional", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	row := func(last time.Time, text string, want time.Time) {
		t.Helper()
		r.In(last)
		if got, ok := r.Time([]byte(text)); !ok || !got.Equal(want) {
			t.Errorf("%q in a file of %v is of %v", text, last, got)
		}
	}
	new := time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)
	row(new, "Dec 31 23:59:59 h x", time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC))
	row(new, "Jan  1 00:00:01 h x", time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC))
	row(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), "Feb 29 12:00:00 h x", time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC))
	for _, text := range []string{"", "Nov 21 03:04:05", "Nov 41 03:04:05 h x", "lost 12 lines", "Nov 21 03:04:05x y"} {
		if got, ok := r.Time([]byte(text)); ok {
			t.Errorf("%q has the time %v", text, got)
		}
	}
}

func TestReadingTimesAllocatesNothing(t *testing.T) {
	for name, text := range map[string]string{
		"traditional": "Nov 21 03:04:05 h x", "rfc5424": "<13>1 2026-11-21T03:04:05.123456Z h - - - - x", "json": `{"time":"2026-11-21T03:04:05Z","host":"h"}`,
		"raw": "<13>Nov 21 03:04:05 h app: x",
	} {
		r, err := NewReader(name, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(text)
		if n := testing.AllocsPerRun(100, func() { r.Time(b) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzReader(f *testing.F) {
	names := []string{"traditional", "rfc5424", "json", "raw", TemplatePrefix + "%stamp%%host% %tag%[%pid%]: %text%", TemplatePrefix + "%pri% %time% %text%|%severity%"}
	for _, seed := range []string{"Nov 21 03:04:05 h x[1]: y", "<13>1 2026-11-21T03:04:05Z h a - - - x", `{"time":"2026-11-21T03:04:05Z"}`, "13 2026-11-21T03:04:05Z x|err"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, name := range names {
			r, err := NewReader(name, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			var rec Record
			r.Read(in, &rec)
			first, ok := r.Time(in)
			second, again := r.Time(in)
			if ok != again || !first.Equal(second) || ok != !rec.Time.IsZero() && ok {
				t.Errorf("%s: %q is of %v and of %v", name, in, first, second)
			}
		}
	})
}
