package encode

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lbsyslogd/syslogd/sink"
)

// httpLine is what option httplog logs, with a captured traceparent.
const httpLine = `<134>1 2026-11-21T03:04:05.123456+01:00 web1 haproxy 42 - - 10.0.0.1:1234 [21/Nov/2026:03:04:05.123] in be/s1 0/0/1/2/3 200 1234 - - ---- 1/1/0/0/0 0/0 ` +
	`{00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01} "GET /index.html HTTP/1.1"`

func record(line string) []sink.Record { return []sink.Record{{Line: []byte(line)}} }

func mustNew(t testing.TB, name string) Encoding {
	t.Helper()
	e, err := New(name, Options{Origin: "web1"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNDJSON(t *testing.T) {
	for _, row := range []struct{ encoding, line, want string }{
		{
			"ndjson", `<134>1 2026-11-21T03:04:05.123456+01:00 web1 haproxy 42 id [a b="c\"d"] GET "/x" \ #012`,
			`{"time":"2026-11-21T03:04:05.123456+01:00","host":"web1","facility":"local0","severity":"info","tag":"haproxy","pid":"42","msgid":"id",` +
				`"structured_data":"[a b=\"c\\\"d\"]","text":"GET \"/x\" \\ #012"}` + "\n",
		},
		{"ndjson", `<11>1 2026-11-21T03:04:05Z - - - - - `, `{"time":"2026-11-21T03:04:05Z","facility":"user","severity":"err","text":""}` + "\n"},
		{
			"victorialogs", `<13>1 2026-11-21T03:04:05Z h t - - - grüße`,
			`{"_time":"2026-11-21T03:04:05Z","host":"h","facility":"user","severity":"notice","tag":"t","_msg":"grüße"}` + "\n",
		},
	} {
		if got := string(mustNew(t, row.encoding).Append(nil, record(row.line))); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.line, got, row.want)
		}
	}
}

// TestALineThatIsNoMessage has the time of now.
func TestALineThatIsNoMessage(t *testing.T) {
	for _, text := range []string{"hello", "", "Nov 21 03:04:05 host app[1]: text"} {
		var got struct {
			Time time.Time `json:"time"`
			Text string    `json:"text"`
		}
		if err := json.Unmarshal(mustNew(t, "ndjson").Append(nil, record(text)), &got); err != nil || got.Time.IsZero() || !strings.Contains(text, got.Text) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestUnknownEncoding(t *testing.T) {
	if _, err := New("xml", Options{}); err == nil || !strings.Contains(err.Error(), `"xml" is not known; `) || !strings.Contains(err.Error(), "ndjson") {
		t.Error(err)
	}
}

// FuzzString compares with encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain text, and more", `"\`, "\x00\x1f\x7f\x80", "grüße\xff", "\u2028 <&>", "12345678\"", "1234567\\9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := appendString(nil, []byte(s))
		var back string
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); back != want && utf8.ValidString(s) {
			t.Errorf("%q became %q", s, back)
		}
		if !utf8.Valid(out) {
			t.Errorf("%q is not UTF-8", out)
		}
	})
}

// FuzzEncodings: whatever a line holds, each encoding makes something that can be read.
func FuzzEncodings(f *testing.F) {
	f.Add(`<134>1 2026-11-21T03:04:05.123456+01:00 web1 haproxy 42 id [a b="c"] text`)
	f.Add(httpLine)
	f.Add("hello")
	f.Add("<13>1 2026-11-21T03:04:05Z \xff \xfe - - - \xfd")
	f.Fuzz(func(t *testing.T, line string) {
		for _, name := range Names() {
			out := mustNew(t, name).Append(nil, append(record(line), record(line)...))
			switch name {
			case "otlp":
				if _, err := readOTLP(out); err != nil {
					t.Errorf("%s: %v: %q", name, err, out)
				}
			case "ndjson", "victorialogs", "elasticsearch":
				for each := range bytes.Lines(out) {
					if !json.Valid(each) {
						t.Errorf("%s: %q", name, each)
					}
				}
			default:
				if !json.Valid(out) {
					t.Errorf("%s: %q", name, out)
				}
			}
		}
	})
}

func TestAppendAllocatesNothing(t *testing.T) {
	for _, name := range Names() {
		e := mustNew(t, name)
		list := append(record(httpLine), record("<13>1 2026-11-21T03:04:05Z h app 1 id - other")...)
		buf := e.Append(nil, list)
		most := 0.0
		if name == "loki" { // the labels of two streams
			most = 2
		}
		if n := testing.AllocsPerRun(100, func() { buf = e.Append(buf[:0], list) }); n > most {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			e := mustNew(b, name)
			var list []sink.Record
			for range 1000 {
				list = append(list, record(httpLine)...)
			}
			buf := e.Append(nil, list)
			b.ReportAllocs()
			for b.Loop() {
				buf = e.Append(buf[:0], list)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/line")
		})
	}
}
