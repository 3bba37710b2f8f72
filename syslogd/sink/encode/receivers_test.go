package encode

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lbsyslogd/syslogd/sink"
)

// with makes an Encoding with options.
func with(t testing.TB, name string, o Options) Encoding {
	t.Helper()
	e, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// at is a record at a place.
func at(offset int64, line string) sink.Record {
	return sink.Record{Line: []byte(line), Place: sink.Place{Inode: 0xab, Birth: 0xcd, Offset: offset}}
}

func TestFieldsOfHAProxy(t *testing.T) {
	var got map[string]any
	if err := json.Unmarshal(mustNew(t, "ndjson").Append(nil, record(httpLine)), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"client_ip": "10.0.0.1", "client_port": 1234.0, "frontend_name": "in", "backend_name": "be", "server_name": "s1", "time_response": 2.0, "status_code": 200.0,
		"bytes_read": 1234.0, "termination_state": "----", "http_method": "GET", "http_uri": "/index.html", "trace_id": "0af7651916cd43dd8448eb211c80319c",
		"span_id": "b7ad6b7169203331", "host": "web1", "tag": "haproxy",
	} {
		if got[name] != want {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	// Fields of an earlier line are not another's.
	e := with(t, "ndjson", Options{})
	if out := string(e.Append(e.Append(nil, record(httpLine))[:0], record("<13>1 2026-11-21T03:04:05Z h t - - - text"))); strings.Contains(out, "client") {
		t.Errorf("%s", out)
	}
	if out := string(with(t, "ndjson", Options{Plain: true}).Append(nil, record(httpLine))); strings.Contains(out, "client_ip") {
		t.Errorf("%s", out)
	}
}

func TestElastic(t *testing.T) {
	e := with(t, "elasticsearch", Options{Origin: "web1"})
	got := string(e.Append(nil, []sink.Record{
		at(1, `<134>1 2026-11-21T03:04:05.123456+01:00 web1 app 42 id [a b="c"] "text"`), at(0x20, "<11>1 2026-11-21T03:04:05Z - - - - - x"),
	}))
	want := `{"create":{"_index":"logs-syslog-default","_id":"web1/ab-cd-1"}}
{"@timestamp":"2026-11-21T03:04:05.123456+01:00","host":{"name":"web1"},"process":{"name":"app","pid":42},"log":{"level":"info","syslog":{"facility":{"code":16,"name":"local0"},` +
		`"severity":{"code":6,"name":"info"},"procid":"42","msgid":"id"}},"structured_data":"[a b=\"c\"]","message":"\"text\""}
{"create":{"_index":"logs-syslog-default","_id":"web1/ab-cd-20"}}
{"@timestamp":"2026-11-21T03:04:05Z","log":{"level":"err","syslog":{"facility":{"code":1,"name":"user"},"severity":{"code":3,"name":"err"}}},"message":"x"}
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	e = with(t, "elasticsearch", Options{Index: "logs-%host%-%backend%-%Y.%m.%d"})
	got = string(e.Append(nil, record(strings.Replace(httpLine, "web1", "Web*1", 1))))
	if !strings.Contains(got, `"_index":"logs-web_1-be-2026.11.21"`) || !strings.Contains(got, `"trace":{"id":"0af7651916cd43dd8448eb211c80319c"},"span":{"id":"b7ad6b7169203331"}`) ||
		!strings.Contains(got, `"haproxy":{"kind":"http","client_ip":"10.0.0.1","client_port":1234`) {
		t.Errorf("%s", got)
	}
	for index, want := range map[string]string{
		"Logs": "lower case", "a b": "lower case", "-a": "does not begin with", "%nosuch%": "there is no field %nosuch%", "a%": "written %%",
	} {
		if _, err := New("elasticsearch", Options{Index: index}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", index, err)
		}
	}
}

// TestSendersTakeTurns holds that what is kept of one message's sender is not given to another's, in one request or the next.
func TestSendersTakeTurns(t *testing.T) {
	lines := []string{
		"<134>1 2026-11-21T03:04:05Z a app 1 - - x", "<134>1 2026-11-21T03:04:06Z a app 1 - - y", "<134>1 2026-11-21T03:04:06Z b app 1 - - y",
		"<134>1 2026-11-21T03:04:06Z b app 2 - - y", "<134>1 2026-11-21T03:04:06Z b app 2 m - y", "<135>1 2026-11-21T03:04:06Z b app 2 m - y",
		`<135>1 2026-11-21T03:04:06Z b app 2 m [a b="c"] y`, "no message", "<134>1 2026-11-21T03:04:06Z bb pp 2 m - y", "<134>1 2026-11-21T03:04:06Z bbp p 2 m - y",
	}
	for _, name := range []string{"elasticsearch", "ndjson", "victorialogs"} {
		e := mustNew(t, name)
		var together []sink.Record
		want := ""
		buffer := make([]byte, 100)
		for _, text := range lines {
			if text != "no message" { // its time is that of now
				together = append(together, record(text)...)
				want += string(mustNew(t, name).Append(nil, record(text)))
			}
			// The next request has its lines where the one before had them.
			line := buffer[:copy(buffer, text)]
			if got, alone := string(e.Append(nil, []sink.Record{{Line: line}})), string(mustNew(t, name).Append(nil, record(text))); text != "no message" && got != alone {
				t.Errorf("%s: %s\n got %s\nwant %s", name, text, got, alone)
			}
		}
		if got := string(e.Append(nil, together)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestBulkAnswers(t *testing.T) {
	e := mustNew(t, "elasticsearch")
	three := make([]sink.Record, 3)
	for _, row := range []struct {
		body    string
		verdict sink.Verdict
		again   []int
		refused []int
		err     string
	}{
		{`{"errors":false}`, sink.Taken, nil, nil, ""},
		{`{"took":1,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}},{"create":{"status":201}}]}`, sink.Taken, nil, nil, ""},
		{
			`{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}},` +
				`{"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"no"}}}]}`, sink.Taken, []int{1}, []int{2}, "status 429 es_rejected_execution_exception: full",
		},
		{
			`{"errors":true,"items":[{"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"there"}}},{"create":{"status":503}},{"create":{"status":404}}]}`,
			sink.Taken, []int{1, 2}, nil, "status 404",
		},
		{`{"errors":true,"items":[{"create":{"status":409}},{"create":{"status":409}},{"create":{"status":200}}]}`, sink.Taken, nil, nil, ""},
		{`{"errors":true,"items":[{"create":{"status":201}}]}`, sink.Later, nil, nil, "about 1 records of 3"},
		{`{"errors":tr`, sink.Later, nil, nil, "no bulk answer"},
		{`<html>`, sink.Later, nil, nil, "no bulk answer"},
		{`{}`, sink.Later, nil, nil, "no bulk answer"}, {`null`, sink.Later, nil, nil, "no bulk answer"}, {``, sink.Later, nil, nil, "no bulk answer"},
		{`{"error":{"type":"cluster_block_exception"},"status":200}`, sink.Later, nil, nil, "no bulk answer"},
		{`{"errors":true,"items":[{},{"create":{"status":201}},{"create":{"status":413}}]}`, sink.Taken, []int{0}, []int{2}, "no action"},
		{`{"errors":true,"items":[{"create":{"status":500}},{"create":{"status":201}},{"create":{"status":500}}]}`, sink.Taken, []int{0, 2}, nil, "status 500"},
		{`{"errors":true,"items":[{"create":{"status":500}},{"create":{"status":500}},{"create":{"status":429}}]}`, sink.Taken, []int{0, 1, 2}, nil, "status 429"},
		{`{"errors":true,"items":[{"create":{"status":500}},{"create":{"status":500}},{"create":{"status":500,"error":{"type":"script_exception"}}}]}`, sink.Faulty, nil, nil, "status 500"},
	} {
		a, decided := e.Read(200, []byte(row.body), three)
		if !decided || a.Verdict != row.verdict || !slices.Equal(a.Again, row.again) || !slices.Equal(a.Refused, row.refused) ||
			(a.Err == nil) != (row.err == "") || a.Err != nil && !strings.Contains(a.Err.Error(), row.err) {
			t.Errorf("%s: %+v", row.body, a)
		}
	}
	if _, decided := e.Read(429, []byte("x"), three); decided {
		t.Error("a status that says it all was read")
	}
}

func TestLoki(t *testing.T) {
	e := mustNew(t, "loki")
	got := string(e.Append(nil, []sink.Record{
		at(0, `<134>1 2026-11-21T03:04:05.5Z web1 app 42 id - "one"`), at(0, "<11>1 2026-11-21T03:04:06Z - - - - - two"), at(0, "<134>1 2026-11-21T03:04:07Z web1 app - - - three"),
	}))
	want := `{"streams":[{"stream":{"host":"web1","tag":"app"},"values":[["1795230245500000000","\"one\"",{"facility":"local0","level":"info","pid":"42","msgid":"id"}],` +
		`["1795230247000000000","three",{"facility":"local0","level":"info"}]]},{"stream":{"job":"syslogd"},"values":[["1795230246000000000","two",{"facility":"user","level":"err"}]]}]}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := string(e.Append(nil, record("<11>1 2026-11-21T03:04:06Z h - - - - again"))); strings.Count(got, `["`) != 1 || !strings.Contains(got, `{"host":"h"}`) {
		t.Errorf("the next request has %s", got)
	}
	e = with(t, "loki", Options{NoMeta: true, Labels: map[string]string{"where": "%frontend%/%backend%", "job": "100%%"}})
	if got := string(e.Append(nil, record(httpLine))); !strings.Contains(got, `{"stream":{"job":"100%","where":"in/be"},"values":[["1795226645123456000","10.0.0.1:1234 [`) ||
		strings.Contains(got, "{\"facility") {
		t.Errorf("%s", got)
	}
	for name, value := range map[string]string{"a-b": "x", "1a": "x", "a": "%pid%"} {
		if _, err := New("loki", Options{Labels: map[string]string{name: value}}); err == nil {
			t.Errorf("%s: %s is taken", name, value)
		}
	}
	if _, err := New("loki", Options{Labels: map[string]string{}}); err == nil {
		t.Error("no labels are taken")
	}
	for _, name := range []string{"ndjson", "otlp"} {
		if _, err := New(name, Options{Labels: map[string]string{"a": "b"}}); err == nil {
			t.Errorf("%s takes labels", name)
		}
		if _, err := New(name, Options{Index: "x"}); err == nil {
			t.Errorf("%s takes an index", name)
		}
	}
}

// TestMemoryOfStreams stays bounded when each request has another large stream.
func TestMemoryOfStreams(t *testing.T) {
	e := mustNew(t, "loki").(*loki)
	for large := range 50 {
		var list []sink.Record
		for host := range 50 {
			text := "x"
			if host == large {
				text = strings.Repeat("x", 1<<20)
			}
			list = append(list, at(0, fmt.Sprintf("<11>1 2026-11-21T03:04:05Z h%d - - - - %s", host, text)))
		}
		e.Append(nil, list)
		held := 0
		for i := range e.values {
			held += cap(e.values[i].values)
		}
		if held > 8<<20 {
			t.Fatalf("%d bytes are held", held)
		}
	}
}

// TestLinesTooOldForLoki are known by their times, and the others are sent again.
func TestLinesTooOldForLoki(t *testing.T) {
	e := mustNew(t, "loki")
	records := []sink.Record{at(0, "<11>1 2026-11-21T03:04:05Z h - - - - old"), at(0, "<11>1 2026-11-21T03:04:06Z h - - - - new"), at(0, "<11>1 2026-11-21T03:04:05.9Z h - - - - old")}
	for _, text := range []string{
		"entry for stream '{host=\"h\"}' has timestamp too old: 2026-11-21T03:04:05Z, oldest acceptable timestamp is: 2026-11-21T03:04:06Z",
		"entry with timestamp 2026-11-21 03:04:05 ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-21T03:04:05Z, oldest acceptable timestamp is: 2026-11-21T03:04:06Z',\n" +
			"user 'fake', total ignored: 2 out of 3 for stream: {host=\"h\"}",
	} {
		a, decided := e.Read(400, []byte(text), records)
		if !decided || a.Verdict != sink.Taken || !slices.Equal(a.Refused, []int{0, 2}) || !slices.Equal(a.Again, []int{1}) || a.Err == nil {
			t.Errorf("%+v", a)
		}
	}
	for status, text := range map[int]string{400: "max entry size exceeded", 204: "", 429: "oldest acceptable timestamp is: 2026-11-21T03:04:06Z"} {
		if _, decided := e.Read(status, []byte(text), records); decided {
			t.Errorf("%d %s is read", status, text)
		}
	}
}

// logRecord is what a receiver reads of a record of OTLP.
type logRecord struct {
	resource, attributes     map[string]any
	time                     uint64
	severity                 uint64
	level, body, trace, span string
	flags                    uint32
}

// each calls do for each field of a message of protocol buffers, in order.
func each(b []byte, do func(number uint64, n uint64, value []byte) error) error {
	for len(b) > 0 {
		key, size := binary.Uvarint(b)
		if size <= 0 {
			return errCut
		}
		b = b[size:]
		n, value := uint64(0), []byte(nil)
		switch key & 7 {
		case wireVarint:
			if n, size = binary.Uvarint(b); size <= 0 {
				return errCut
			}
		case wire64:
			if size = 8; len(b) >= size {
				n = binary.LittleEndian.Uint64(b)
			}
		case wire32:
			if size = 4; len(b) >= size {
				n = uint64(binary.LittleEndian.Uint32(b))
			}
		case wireBytes:
			length, k := binary.Uvarint(b)
			if k <= 0 || length > uint64(len(b)-k) {
				return errCut
			}
			size = k + int(length)
			value = b[k:size]
		default:
			return fmt.Errorf("wire type %d", key&7)
		}
		if size > len(b) {
			return errCut
		}
		b = b[size:]
		if err := do(key>>3, n, value); err != nil {
			return err
		}
	}
	return nil
}

// attribute reads a KeyValue into a map.
func attribute(to map[string]any, b []byte) error {
	key, _, err := field(b, attributeKey)
	if err != nil {
		return err
	}
	value, _, err := field(b, attributeValue)
	if err != nil {
		return err
	}
	return each(value, func(number, n uint64, text []byte) error {
		if !utf8.Valid(text) || !utf8.Valid(key) {
			return fmt.Errorf("%q: %q is no UTF-8", key, text)
		}
		if number == anyInt {
			to[string(key)] = int64(n)
		} else {
			to[string(key)] = string(text)
		}
		return nil
	})
}

// readOTLP reads a request.
func readOTLP(b []byte) (all []logRecord, err error) {
	err = each(b, func(number, _ uint64, resourceLogs []byte) error {
		resource := make(map[string]any)
		return each(resourceLogs, func(number, _ uint64, part []byte) error {
			if number == resourceLogsOf {
				return each(part, func(_, _ uint64, a []byte) error { return attribute(resource, a) })
			}
			return each(part, func(number, _ uint64, part []byte) error {
				if number != scopeLogsRecords {
					return nil
				}
				r := logRecord{resource: resource, attributes: make(map[string]any)}
				err := each(part, func(number, n uint64, value []byte) (err error) {
					switch number {
					case recordTime:
						r.time = n
					case recordSeverity:
						r.severity = n
					case recordSeverityText:
						r.level = string(value)
					case recordBody:
						value, _, err = field(value, anyString)
						if r.body = string(value); !utf8.Valid(value) {
							err = fmt.Errorf("%q is no UTF-8", value)
						}
					case recordAttributes:
						err = attribute(r.attributes, value)
					case recordFlags:
						r.flags = uint32(n)
					case recordTraceID:
						r.trace = hex.EncodeToString(value)
					case recordSpanID:
						r.span = hex.EncodeToString(value)
					}
					return err
				})
				all = append(all, r)
				return err
			})
		})
	})
	return all, err
}

// readOTLPJSON reads the same from JSON.
func readOTLPJSON(t *testing.T, b []byte) (all []logRecord) {
	t.Helper()
	type attributes []struct {
		Key   string
		Value struct {
			StringValue *string
			IntValue    json.Number
		}
	}
	mapOf := func(list attributes) map[string]any {
		m := make(map[string]any)
		for _, a := range list {
			if a.Value.StringValue != nil {
				m[a.Key] = *a.Value.StringValue
			} else {
				m[a.Key], _ = a.Value.IntValue.Int64()
			}
		}
		return m
	}
	var request struct {
		ResourceLogs []struct {
			Resource  struct{ Attributes attributes }
			ScopeLogs []struct {
				LogRecords []struct {
					TimeUnixNano   json.Number
					SeverityNumber uint64
					SeverityText   string
					Body           struct{ StringValue string }
					Attributes     attributes
					Flags          uint32
					TraceID        string
					SpanID         string
				}
			}
		}
	}
	if err := json.Unmarshal(b, &request); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	for _, of := range request.ResourceLogs {
		for _, scope := range of.ScopeLogs {
			for _, r := range scope.LogRecords {
				n, _ := r.TimeUnixNano.Int64()
				all = append(all, logRecord{mapOf(of.Resource.Attributes), mapOf(r.Attributes), uint64(n), r.SeverityNumber, r.SeverityText, r.Body.StringValue, r.TraceID, r.SpanID, r.Flags})
			}
		}
	}
	return all
}

func TestOTLP(t *testing.T) {
	records := []sink.Record{
		at(1, httpLine), at(2, strings.Replace(httpLine, "<134>", "<131>", 1)), at(3, `<13>1 2026-11-21T03:04:05Z h app - id [a b="c"] text`), at(4, "<13>1 2026-11-21T03:04:05Z h \xff - - - a\xffb"),
		at(5, "<8>1 2026-11-21T03:04:05Z - - - - - "),
	}
	got, err := readOTLP(mustNew(t, "otlp").Append(nil, records))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(records) {
		t.Fatalf("%d records", len(got))
	}
	first := got[0]
	when := uint64(time.Date(2026, 11, 21, 2, 4, 5, 123456000, time.UTC).UnixNano())
	if first.time != when || first.severity != 9 || first.level != "info" || !strings.HasPrefix(first.body, "10.0.0.1:1234 [") ||
		first.trace != "0af7651916cd43dd8448eb211c80319c" || first.span != "b7ad6b7169203331" || first.flags != 1 {
		t.Errorf("%+v", first)
	}
	if !reflect.DeepEqual(first.resource, map[string]any{"host.name": "web1", "service.name": "haproxy"}) || first.attributes["haproxy.status_code"] != int64(200) ||
		first.attributes["haproxy.client_ip"] != "10.0.0.1" || first.attributes["log.record.uid"] != "web1/ab-cd-1" || first.attributes["syslog.procid"] != "42" {
		t.Errorf("%+v", first)
	}
	if got[1].severity != 17 || got[4].severity != 21 || got[2].attributes["syslog.structured_data"] != `[a b="c"]` || got[3].body != "a\ufffdb" || len(got[4].resource) != 0 {
		t.Errorf("%+v", got[1:])
	}
	asJSON := readOTLPJSON(t, mustNew(t, "otlp-json").Append(nil, records))
	if !reflect.DeepEqual(got, asJSON) {
		t.Errorf("as JSON:\n%+v\nand not\n%+v", asJSON, got)
	}
}

func TestPartialSuccess(t *testing.T) {
	three := make([]sink.Record, 3)
	text := func(rejected uint64, why string) string {
		inner := binary.AppendUvarint([]byte{1<<3 | wireVarint}, rejected)
		inner = appendBytes(inner, 2, why)
		return string(appendBytes(nil, 1, inner))
	}
	for _, row := range []struct {
		encoding, body string
		verdict        sink.Verdict
		dropped        int
	}{
		{"otlp", "", sink.Taken, 0}, {"otlp", text(0, "a warning"), sink.Taken, 0}, {"otlp", text(2, "no"), sink.Taken, 2}, {"otlp", text(9, "no"), sink.Taken, 3},
		{"otlp", text(2, "no")[:3], sink.Later, 0}, {"otlp", "<html>", sink.Later, 0},
		{"otlp-json", "", sink.Taken, 0}, {"otlp-json", "{}", sink.Taken, 0}, {"otlp-json", `{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}`, sink.Taken, 2},
		{"otlp-json", `{"partialSuccess":{"rejectedLogRecords":2}}`, sink.Taken, 2}, {"otlp-json", `{"partialSucc`, sink.Later, 0},
		// Some receivers answer in one form whatever the request's was.
		{"otlp", `{"partialSuccess":{}}`, sink.Taken, 0}, {"otlp", " {}\n", sink.Taken, 0}, {"otlp", `{"partialSuccess":{"rejectedLogRecords":"2"}}`, sink.Taken, 2},
		{"otlp-json", text(2, "no"), sink.Taken, 2}, {"otlp-json", text(0, ""), sink.Taken, 0},
	} {
		a, decided := mustNew(t, row.encoding).Read(200, []byte(row.body), three)
		if !decided || a.Verdict != row.verdict || a.Dropped != row.dropped || (a.Err == nil) != (a.Verdict == sink.Taken && a.Dropped == 0) {
			t.Errorf("%s %q: %+v", row.encoding, row.body, a)
		}
		a, decided = mustNew(t, row.encoding).Read(202, []byte(row.body), three)
		if decided != (row.verdict == sink.Taken) || a.Dropped != row.dropped {
			t.Errorf("202 %s %q: %+v", row.encoding, row.body, a)
		}
	}
}

// TestLargeRequestsOfOTLP have no message whose length its four bytes cannot say: lines may be many and short, and what is made of them is longer.
func TestLargeRequestsOfOTLP(t *testing.T) {
	line := []byte("<13>1 2026-11-21T03:04:05Z h app - - - " + strings.Repeat("x", 2000))
	list := make([]sink.Record, 1<<16)
	for i := range list {
		list[i].Line = line
	}
	body, resources := mustNew(t, "otlp").Append(nil, list), 0
	for rest := body; len(rest) > 0; resources++ {
		size, n := binary.Uvarint(rest[1:])
		if n != 4 || size > 2*largest {
			t.Fatalf("a resource of %d bytes", size)
		}
		rest = rest[1+n+int(size):]
	}
	if resources < 2 {
		t.Errorf("%d bytes are in one resource", len(body))
	}
}

// FuzzRead: no answer makes more of the records than there are.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429}}]}`))
	f.Add([]byte("\x0a\x04\x08\x02\x12\x00"))
	f.Add([]byte("oldest acceptable timestamp is: 2026-11-21T03:04:06Z"))
	f.Fuzz(func(t *testing.T, body []byte) {
		two := []sink.Record{at(0, httpLine), at(1, "x")}
		for _, name := range Names() {
			for _, status := range []int{200, 204, 400} {
				a, _ := mustNew(t, name).Read(status, body, two)
				seen := append(slices.Clone(a.Again), a.Refused...)
				slices.Sort(seen)
				if len(slices.Compact(seen)) != len(a.Again)+len(a.Refused) || len(seen)+a.Dropped > 2 || len(seen) > 0 && (seen[0] < 0 || seen[len(seen)-1] > 1) {
					t.Errorf("%s: %+v", name, a)
				}
			}
		}
	})
}
