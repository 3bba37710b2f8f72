package syslog

import (
	"bytes"
	"encoding/binary"
	"maps"
	"strings"
	"testing"

	"lbsyslogd/syslogd/message"
)

// fieldsOf reads a datagram as the journal does.
func fieldsOf(t testing.TB, b []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte{'\n'})
		name, value, text := bytes.Cut(line, []byte{'='})
		if !text && len(rest) >= 8 {
			n := binary.LittleEndian.Uint64(rest)
			if rest = rest[8:]; n >= uint64(len(rest)) || rest[n] != '\n' {
				t.Fatalf("a field of %d bytes, of %q", n, rest)
			}
			value, rest, ok = rest[:n], rest[n+1:], true
		} else if !text {
			t.Fatalf("a field without a value: %q", line)
		}
		if !ok {
			t.Fatalf("a field without an end: %q", line)
		}
		if strings.Trim(string(name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || len(name) > fieldName || len(name) == 0 || name[0] == '_' {
			t.Fatalf("a field's name is %q", name)
		}
		fields[string(name)] = string(value)
		b = rest
	}
	return fields
}

// journalDatagram is what a target of format journal sends of one line.
func journalDatagram(t testing.TB, length int, data, msg string) []byte {
	t.Helper()
	s, err := NewSender(Target{Network: "unixgram", Address: "/nowhere", Format: "journal", Len: length, Facility: 16, Level: 7, Tag: "haproxy", Pid: 41})
	if err != nil {
		t.Fatal(err)
	}
	s.LogData(message.Warning, []byte(data), []byte(msg))
	return s.targets[0].lines.line(0)
}

func TestJournalFields(t *testing.T) {
	usual := map[string]string{"PRIORITY": "4", "SYSLOG_FACILITY": "16", "SYSLOG_IDENTIFIER": "haproxy", "SYSLOG_PID": "41"}
	for _, c := range []struct {
		data, msg string
		length    int
		want      map[string]string
	}{
		{"", "hello", 0, map[string]string{"MESSAGE": "hello"}},
		{"", "hello", 3, map[string]string{"MESSAGE": "hel"}},
		{"", "hello\nPRIORITY=0\nx", 0, map[string]string{"MESSAGE": "hello\nPRIORITY=0\nx"}},
		{`[http@1 status="200" client-ip="::1"][more@1 _path="/a\"b\\c\]d"]`, "m", 0, map[string]string{"MESSAGE": "m", "LB_STATUS": "200", "LB_CLIENT_IP": "::1", "LB__PATH": `/a"b\c]d`}},
		{"[a@1 b=\"x\nPRIORITY=0\" c=\"\"]", "m", 0, map[string]string{"MESSAGE": "m", "LB_B": "x\nPRIORITY=0", "LB_C": ""}},
		{`[a@1 b="1" c`, "m", 0, map[string]string{"MESSAGE": "m", "LB_B": "1"}},
		{`[a@1 b="1" c="\`, "m", 0, map[string]string{"MESSAGE": "m", "LB_B": "1"}},
		{`-`, "m", 0, map[string]string{"MESSAGE": "m"}},
		{`[a@1 ` + strings.Repeat("n", 100) + `="1"]`, "m", 0, map[string]string{"MESSAGE": "m", "LB_" + strings.Repeat("N", 61): "1"}},
	} {
		maps.Copy(c.want, usual)
		if got := fieldsOf(t, journalDatagram(t, c.length, c.data, c.msg)); !maps.Equal(got, c.want) {
			t.Errorf("of %q and %q come %q; want %q", c.data, c.msg, got, c.want)
		}
	}
}

// FuzzJournal: whatever clients have in their requests, it makes no field but its own.
func FuzzJournal(f *testing.F) {
	f.Add(`[a@1 b="x"]`, "hello")
	f.Add("[a@1 b=\"x\ny\\\"\"][c]", "he\nllo")
	f.Add(`[[ ="" a="\`, "\n")
	f.Fuzz(func(t *testing.T, data, msg string) {
		fields := fieldsOf(t, journalDatagram(t, 4096, data, msg))
		want := strings.TrimSuffix(msg[:min(len(msg), 4096)], "\n")
		if len(msg) <= 4096 && fields["MESSAGE"] != want || fields["PRIORITY"] != "4" {
			t.Errorf("of %q and %q come %q", data, msg, fields)
		}
		for name := range fields {
			switch name {
			case "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "MESSAGE":
			default:
				if !strings.HasPrefix(name, "LB_") {
					t.Errorf("of %q and %q comes a field %q", data, msg, name)
				}
			}
		}
	})
}

func TestJournalAllocatesNothing(t *testing.T) {
	h, err := newHeader(&Target{Format: "journal", Tag: "haproxy", Pid: 41})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	data, msg := []byte(`[http@1 status="200" path="/a\"b"]`), []byte("hello")
	if n := testing.AllocsPerRun(100, func() { buf = h.appendJournal(buf[:0], message.Info, data, msg, 1024) }); n > 0 {
		t.Errorf("%v allocations for a line", n)
	}
}
