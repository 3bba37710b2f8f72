package logformat_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

func record() *sample.Record {
	r := &sample.Record{
		Parties: sample.Parties{Frontend: "web", Backend: "app", Server: "s1", Client: netip.MustParseAddrPort("192.0.2.1:5000")},
		Timers:  sample.Timers{TR: 1, Tw: -1, Tc: 3, Tr: 4, Ta: 5}, Load: sample.Load{ActConn: 7}, Status: 200, Term: [4]byte{'-', '-', '-', '-'}, Sent: 123,
		Method: []byte("GET"), URI: []byte(`/a\b"c`), Minor: 1, ReqCaptures: []string{`a\b|"`, ""}, Cookie: `k="v"`, Asap: true,
	}
	r.Accept, r.Request, r.Redispatched, r.Retries = time.Unix(1e9, 71e6), time.Unix(1e9, 0), true, 2
	return r
}

func TestJSON(t *testing.T) {
	row := func(format, want string) {
		t.Helper()
		var uses sample.Uses
		f, err := logformat.Parse(format, &uses)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			return
		}
		got := string(f.Append([]byte("before "), &sample.Ctx{Rec: record()}))
		if got != "before "+want {
			t.Errorf("%s\n gives %s\n want  %s", format, got, want)
		}
		if f.JSON() != strings.HasPrefix(want, "{\"") && want != "{}" {
			t.Errorf("%s: JSON() is %t", format, f.JSON())
		}
	}
	// What has no name is left out, as the text is; numbers are numbers, and +, which says that they are not final, is no part of them.
	row(`%{+json}o %(client_ip)ci:%(port)cp text %f %(b)B %(rc)rc %(Ta)Ta %(Tw)Tw`, `{"client_ip": "192.0.2.1", "port": 5000, "b": 123, "rc": 2, "Ta": 5, "Tw": -1}`)
	row(`%{+json}o`, `{}`)
	row(`%{+json}o %(ms)ms %(m){+X}ms %(s:str)ST %(bool:bool)ST %(int:sint)ST`, `{"ms": 71, "m": "47", "s": "200", "bool": true, "int": 200}`)
	// Texts: escaped as in other lines, then for JSON; nothing to show is null, an empty text is one.
	row(`%{+json}o %(r)r %(q){+Q}r %(cc)CC %(cs)CS %(hr)hr %(hs)hs`,
		`{"r": "GET /a\\b#22c HTTP/1.1", "q": "GET /a\\b#22c HTTP/1.1", "cc": "k=\"v\"", "cs": "", "hr": "{a\\b#7C#22|}", "hs": null}`)
	row(`%{+json}o %(l)hrl %(q){+Q}hrl %(s)hsl`, `{"l": ["a\\b#7C#22", "-"], "q": ["a\\b#7C#22", ""], "s": null}`)
	row(`%{+json}o %(absent)bp %(si)si`, `{"absent": "", "si": ""}`)
	// Samples keep their types.
	row(`%{+json}o %(i)[int(5)] %(s)[str(x)] %(t)[bool(true)] %(c:str)[int(5)] %(n:sint)[str(12)] %(b:bool)[int(2)] %(none)[var(txn.none)]`,
		`{"i": 5, "s": "x", "t": true, "c": "5", "n": 12, "b": true, "none": ""}`)
	// One part as JSON, and names that nothing needs.
	row(`uri=%{+json}HU st=%(x)ST`, `uri="/a\\b#22c" st=200`)
	row(`%{+json}o %(a)ST %{-json}o %(b)ST`, `200 200`)
}

func TestJSONIsRefused(t *testing.T) {
	for format, want := range map[string]string{
		`%{+json}o %(a b)ci`:   "invalid character ' ' in the name 'a b'",
		`%{+json}o %(a:int)ST`: "unexpected type 'int' of 'a'; the types are str, sint and bool",
		`%{+json}o %(a`:        "a ')' is missing",
		`%{+cbor}o %(a)ci`:     "flag '+cbor' is supported by HAProxy only",
		`%(a)%`:                "variable name",
	} {
		var uses sample.Uses
		if _, err := logformat.Parse(format, &uses); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", format, err, want)
		}
	}
	var uses sample.Uses
	if _, err := logformat.ParseAt("%{+json}[src]", sample.InRequest, &uses); err == nil || !strings.Contains(err.Error(), "is for log lines") {
		t.Errorf("in a header: %v", err)
	}
}

// Whatever a cookie or a sample has in it, the line is JSON.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{"", "a", `"\`, "\x00\x1f\x7f", "é😀", "\xff\xe2\x82", "\xf0\xe2\x82\xac\"", strings.Repeat(`"`, 100)} {
		f.Add(seed)
	}
	var uses sample.Uses
	format, err := logformat.Parse(`%{+json}o %(c)CC %(s)[var(txn.x)] %(r)r`, &uses)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := record()
		r.Cookie = text
		line := format.Append(nil, &sample.Ctx{Rec: r})
		var got struct{ C string }
		if !json.Valid(line) || json.Unmarshal(line, &got) != nil {
			t.Fatalf("%q gives %q", text, line)
		}
		if utf8.ValidString(text) && got.C != text {
			t.Fatalf("%q gives %q, which is %q", text, line, got.C)
		}
	})
}

func TestJSONAllocates(t *testing.T) {
	for _, text := range []string{logformat.HTTPLogJSON, logformat.TCPLogJSON} {
		var uses sample.Uses
		f, err := logformat.Parse(text, &uses)
		if err != nil {
			t.Fatal(err)
		}
		x, dst := &sample.Ctx{Rec: record()}, make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { dst = f.Append(dst[:0], x) }); n != 0 {
			t.Errorf("%v allocations: %s", n, dst)
		}
		if !json.Valid(dst) {
			t.Errorf("no JSON: %s", dst)
		}
	}
}
