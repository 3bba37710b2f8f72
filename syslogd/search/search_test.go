package search

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/rotate"
	"lbsyslogd/rotate/archive"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/wait"
)

// A made log is one whose files a test has written, and all its lines in order.
type made struct {
	Log
	text [][]byte // of each file
	last []time.Time
}

var begin = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// lineAt is a line of a format.
func lineAt(form string, at time.Time, i int, r *rand.Rand) string {
	host, tag := fmt.Sprintf("web%d", i%3), []string{"app", "db", "cron"}[i%3]
	switch form {
	case "rfc5424":
		return fmt.Sprintf("<%d>1 %s %s %s %d - - text %d\n", 128+i%8, at.Format("2006-01-02T15:04:05.000000Z07:00"), host, tag, i%5, i)
	case "json":
		return fmt.Sprintf(`{"time":%q,"received":%q,"host":%q,"facility":"local0","severity":%q,"tag":%q,"text":"text %d"}`+"\n",
			at.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano), host, message.Severity(i%8), tag, i)
	}
	return fmt.Sprintf("%s %s %s[%d]: text %d %s\n", at.Format(time.Stamp), host, tag, i%5, i, strings.Repeat("x", r.IntN(80)))
}

// makeLog writes a log of several files in all forms of storage, whose lines are out of order by less than the slack.
func makeLog(t *testing.T, dir, name, form string, r *rand.Rand, size int) *made {
	t.Helper()
	m := &made{Log: Log{Output: name, Path: filepath.Join(dir, name+".log"), Format: form, Zone: time.UTC}}
	now, n := begin.Add(time.Duration(r.IntN(60))*time.Second), 0
	forms := []rotate.Compression{rotate.Zstd, rotate.Gzip, rotate.None, rotate.Zstd, "foreign"}
	r.Shuffle(len(forms), func(i, j int) { forms[i], forms[j] = forms[j], forms[i] })
	for i := range len(forms) + 1 {
		var b bytes.Buffer
		for b.Len() < size/2+r.IntN(size) {
			now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
			if r.IntN(50) == 0 && b.Len() > 0 {
				fmt.Fprintf(&b, "a line without a time %d\n", n)
			} else {
				b.WriteString(lineAt(form, now.Add(-time.Duration(r.IntN(60))*time.Second), n, r))
			}
			n++
		}
		path := m.Path
		if i < len(forms) {
			path = filepath.Join(dir, name+"-"+now.Format("2006-01-02T15-04-05.000")+".log")
			store(t, path, forms[i], b.Bytes(), form, now)
		} else if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		m.text, m.last = append(m.text, b.Bytes()), append(m.last, now)
		now = now.Add(time.Duration(r.IntN(100)) * time.Second)
	}
	return m
}

func store(t *testing.T, path string, form rotate.Compression, text []byte, lines string, last time.Time) {
	t.Helper()
	var out bytes.Buffer
	switch form {
	case rotate.None:
		out.Write(text)
	case rotate.Gzip:
		path += ".gz"
		z := gzip.NewWriter(&out)
		z.Write(text)
		z.Close()
	case rotate.Zstd:
		path += ".zst"
		reader, err := format.NewReader(lines, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		reader.In(last)
		if err := archive.Write(&out, bytes.NewReader(text), reader.Time); err != nil {
			t.Fatal(err)
		}
	default: // zstd by another program
		path += ".zst"
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		z.Write(text)
		z.Close()
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, last, last); err != nil {
		t.Fatal(err)
	}
}

// naive is what a query has to find, by reading everything.
func naive(t *testing.T, logs []*made, q Query) []string {
	t.Helper()
	type hit struct {
		key  int64
		text string
	}
	var all []hit
	from, before := q.window()
	for _, m := range logs {
		key := int64(-1 << 63)
		for i, text := range m.text {
			r, err := format.NewReader(m.Format, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			r.In(m.last[i])
			carry := int64(archive.NoTime)
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				var rec format.Record
				r.Read([]byte(line), &rec)
				if !rec.Time.IsZero() {
					carry = rec.Time.UnixNano()
				}
				if q.timed() && (carry < from || carry >= before) || q.Pattern != nil && q.Pattern.MatchString(line) == q.Invert ||
					q.Hosts != nil && !slices.Contains(q.Hosts, string(rec.Host)) || q.Tags != nil && !slices.Contains(q.Tags, string(rec.Tag)) ||
					q.Rated && (rec.Priority < 0 || rec.Priority%8 > int(q.Severity)) {
					continue
				}
				key = max(key, carry)
				all = append(all, hit{key, line})
			}
		}
	}
	if len(logs) > 1 {
		slices.SortStableFunc(all, func(a, b hit) int { return cmp.Compare(a.key, b.key) })
	}
	var lines []string
	for _, h := range all {
		lines = append(lines, h.text)
	}
	return lines
}

// search runs a query, with a binary search in all but tiny files, and says how many bytes it looked at.
func search(t *testing.T, logs []*made, q Query) (lines []string, read int64) {
	t.Helper()
	s := Searcher{Query: q, small: 4 << 10}
	for _, m := range logs {
		s.Logs = append(s.Logs, m.Log)
	}
	if err := s.Run(false, func(l Line) bool { lines = append(lines, string(l.Text)); return true }); err != nil {
		t.Fatal(err)
	}
	for _, scan := range s.scans {
		read += scan.read
	}
	return lines, read
}

// TestFindsWhatANaiveScanFinds over random files and queries.
func TestFindsWhatANaiveScanFinds(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		dir := t.TempDir()
		logs := []*made{makeLog(t, dir, "a", []string{"traditional", "rfc5424", "json"}[seed%3], r, 20_000)}
		if seed%2 == 1 {
			logs = append(logs, makeLog(t, dir, "b", "rfc5424", r, 10_000))
		}
		for range 8 {
			q := Query{Slack: 70 * time.Second}
			at := begin.Add(time.Duration(r.IntN(1200)) * time.Second)
			if r.IntN(4) > 0 {
				q.Since = at
			}
			if r.IntN(4) > 0 {
				q.Until = at.Add(time.Duration(r.IntN(300)) * time.Second)
			}
			switch r.IntN(6) {
			case 0:
				q.Pattern = regexp.MustCompile("text 1")
			case 1:
				q.Pattern = regexp.MustCompile("text [12].*3")
			case 2:
				q.Pattern, q.Invert = regexp.MustCompile("text 1"), true
			case 3:
				q.Hosts, q.Tags = []string{"web1", "web2"}, []string{"db"}
			case 4:
				if logs[0].Format != "traditional" {
					q.Severity, q.Rated = message.Warning, true
				}
			}
			want := naive(t, logs, q)
			got, _ := search(t, logs, q)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, %+v: %d lines, want %d\ngot  %.300q\nwant %.300q", seed, q, len(got), len(want), got, want)
			}
		}
	}
}

// TestAMinuteIsFoundWithoutReadingTheRest of a log that has hours.
func TestAMinuteIsFoundWithoutReadingTheRest(t *testing.T) {
	m := makeLog(t, t.TempDir(), "a", "rfc5424", rand.New(rand.NewPCG(3, 3)), 1_500_000)
	var size int64
	for _, text := range m.text {
		size += int64(len(text))
	}
	for i, last := range m.last {
		q := Query{Since: last.Add(-time.Minute), Until: last, Slack: 2 * time.Minute}
		want := naive(t, []*made{m}, q)
		got, read := search(t, []*made{m}, q)
		if !slices.Equal(got, want) {
			t.Errorf("%d lines of the last minute of file %d; want %d", len(got), i, len(want))
		}
		if read > size/2 {
			t.Errorf("for the last minute of file %d it looked at %d of %d bytes", i, read, size)
		}
	}
}

// TestWrongClocksDoNotLeadAstray: a binary search goes by the middle one of several lines.
func TestWrongClocksDoNotLeadAstray(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	for i := range 40_000 {
		at := begin.Add(time.Duration(i) * 100 * time.Millisecond)
		if i%4 == 0 {
			at = at.AddDate(0, i%3-1, 0)
		}
		b.WriteString(lineAt("rfc5424", at, i, nil))
	}
	m := &made{Log: Log{Output: "a", Path: filepath.Join(dir, "a.log"), Format: "rfc5424"}, text: [][]byte{[]byte(b.String())}, last: []time.Time{begin}}
	if err := os.WriteFile(m.Path, m.text[0], 0o600); err != nil {
		t.Fatal(err)
	}
	q := Query{Since: begin.Add(30 * time.Minute), Until: begin.Add(31 * time.Minute), Slack: time.Minute}
	got, read := search(t, []*made{m}, q)
	if want := naive(t, []*made{m}, q); !slices.Equal(got, want) || len(got) < 400 || read > int64(b.Len())/4 {
		t.Errorf("%d lines, want %d, by looking at %d of %d bytes", len(got), len(want), read, b.Len())
	}
}

func TestUnsearchable(t *testing.T) {
	dir := t.TempDir()
	s := Searcher{Logs: []Log{{Output: "x", Path: filepath.Join(dir, "x.log"), Format: format.TemplatePrefix + "%text%"}}, Query: Query{Since: begin, Rated: true}}
	err := s.Run(false, func(Line) bool { return true })
	var u Unsearchable
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "%time%") || !strings.Contains(err.Error(), "severity") {
		t.Errorf("%v", err)
	}
}

// TestLogs finds the files of outputs whose messages choose the file.
func TestLogs(t *testing.T) {
	dir := t.TempDir()
	c, err := config.Parse("x", []byte("listen: udp://:1\noutputs: [{file: "+dir+"/one.log}, {name: many, file: "+dir+"/hosts/%host%/%tag%.log}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if logs, err := Logs(c, ""); err != nil || len(logs) != 1 {
		t.Errorf("%v: %v", logs, err)
	}
	for _, name := range []string{"a/app.log", "a/app-2026-11-21T03-04-05.678.log.zst", "b/app-2026-11-21T03-04-05.678.log", "b/db.log", "b/db.log.1", "b/x.2", "b/.hidden",
		"b/db-2026-11-21T03-04-05.678.log.zst.tmp"} {
		path := filepath.Join(dir, "hosts", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := Logs(c, "many")
	var names []string
	for _, l := range logs {
		name, _ := filepath.Rel(dir+"/hosts", l.Path)
		names = append(names, name)
	}
	if want := []string{"a/app.log", "b/app.log", "b/db.log", "b/x.2"}; err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), want) {
		t.Errorf("%q: %v; want %q", names, err, want)
	}
	if _, err := Logs(c, "none"); err == nil || !strings.Contains(err.Error(), "many") {
		t.Errorf("%v", err)
	}
}

// TestFollow goes on over rotations, however many come between two looks, and over compressions.
func TestFollow(t *testing.T) {
	for _, form := range []rotate.Compression{rotate.None, rotate.Zstd} {
		path := filepath.Join(t.TempDir(), "a.log")
		w, err := rotate.Open(path, rotate.Options{Compress: form})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		n := 0
		write := func(rotations int) {
			for i := range rotations + 1 {
				for range 3 {
					fmt.Fprintf(w, "line %d\n", n)
					n++
				}
				if i < rotations {
					if _, err := w.Rotate(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		write(1)
		s := Searcher{Logs: []Log{{Output: "a", Path: path, Format: "raw"}}}
		var got []string
		take := func(l Line) bool { got = append(got, string(l.Text)); return true }
		if err := s.Run(true, take); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for round := range 12 {
			write(round % 4)
			if form != rotate.None && round%3 == 2 { // until all of it is compressed
				wait.Until(t, "all files are compressed", func() bool { s := w.Stats(); return s.Compressed == s.Rotations })
			}
			wait.Until(t, "all lines are found", func() bool {
				if err := s.scans[0].more(take); err != nil {
					t.Fatal(err)
				}
				return len(got) >= n
			})
			var want []string
			for i := range n {
				want = append(want, fmt.Sprintf("line %d", i))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s, round %d: %d lines, want %d: %q", form, round, len(got), n, got[max(0, len(got)-20):])
			}
		}
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 8, 7, 0, time.FixedZone("x", 3600))
	for text, want := range map[string]string{
		"now": "2026-11-21T09:08:07+01:00", "today": "2026-11-21T00:00:00+01:00", "yesterday": "2026-11-20T00:00:00+01:00", "03:04": "2026-11-21T03:04:00+01:00",
		"2026-11-20T02:04Z": "2026-11-20T02:04:00Z", "03:04:05": "2026-11-21T03:04:05+01:00", "2026-11-20": "2026-11-20T00:00:00+01:00", "2026-11-20 03:04": "2026-11-20T03:04:00+01:00",
		"2026-11-20T03:04:05Z": "2026-11-20T03:04:05Z", "90m": "2026-11-21T07:38:07+01:00", "-90m": "2026-11-21T07:38:07+01:00", "3d": "2026-11-18T09:08:07+01:00",
	} {
		if got, err := ParseTime(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "25:00", "2026-13-01", "3w"} {
		if got, err := ParseTime(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
