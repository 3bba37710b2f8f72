package chain

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// journal is one with every kind of record.
func journal() []byte {
	var g Group
	g.Add([]byte("one\ntw"))
	g.Add([]byte("o\n\nthr"))
	at := time.Unix(1_800_000_000, 123)
	var text []byte
	var head Hash
	for _, r := range []Record{
		{Kind: Begin, Time: at, Segment: 7, Inode: 1 << 63, Birth: 5, Prev: Hash{1, 2, 3}},
		g.Take(0),
		{Kind: Adopted, Time: at, At: 12, Size: 3, Lines: 1, Marks: []byte("ab")},
		{Kind: Cut, Time: at, At: 5, Size: 15},
		{Kind: Removed, Time: at, Segment: 3, Name: "a name with \"blanks\" \nand more"},
		{Kind: End, Time: at, Size: 5, Stamp: 9, Name: ""},
	} {
		text, head = Append(text, head, &r)
	}
	return text
}

// TestRecordsComeBack as they were.
func TestRecordsComeBack(t *testing.T) {
	// The first record's hash goes by what it says itself, so it is written after that.
	r := Record{Kind: Begin, Time: time.Unix(1_800_000_000, 123), Segment: 7, Inode: 1 << 63, Birth: 5, Prev: Hash{1, 2, 3}}
	text, head := Append(nil, r.Prev, &r)
	for line := range bytes.Lines(journal()) {
		if line[0] == 'b' {
			continue
		}
		one, _, err := Parse(bytes.TrimSuffix(line, []byte("\n")), Hash{})
		if err == nil || err != errHash {
			t.Fatalf("%q: %v", line, err)
		}
		text, head = Append(text, head, &one)
	}
	s := ParseSegment(7, text)
	if s.Bad != nil || s.Torn || len(s.Records) != 6 || s.Head() != head || s.Whole != int64(len(text)) {
		t.Fatalf("%+v", s)
	}
	if got := s.Records[4].Name; got != "a name with \"blanks\" \nand more" {
		t.Errorf("%q", got)
	}
	if l := s.Records[1]; l.Size != 12 || l.Lines != 3 || len(l.Marks) != 6 || s.Records[0].Inode != 1<<63 || s.Records[0].Prev != (Hash{1, 2, 3}) {
		t.Errorf("%+v", l)
	}
	if end, ok := s.End(); !ok || end.Stamp != 9 || s.Covered() != 5 {
		t.Errorf("%+v, %d covered", end, s.Covered())
	}
	if end, ok := LastEnd(text[len(text)/2:]); !ok || end.Stamp != 9 {
		t.Errorf("%+v", end)
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if s := ParseSegment(7, changed); s.Bad == nil && !s.Torn {
			t.Errorf("a change at %d is not noticed: %q", i, changed)
		}
	}
	if s := ParseSegment(7, text[:len(text)-9]); !s.Torn || s.Bad != nil || len(s.Records) != 5 {
		t.Errorf("%+v", s)
	}
}

// TestMarksGoByLines, however they come.
func TestMarksGoByLines(t *testing.T) {
	const text = "one\ntwo\n\nthree\nfour"
	for cut := range len(text) {
		var g Group
		g.Add([]byte(text[:cut]))
		g.Add([]byte(text[cut:]))
		if r := g.Take(0); string(r.Marks) != string(marksOf([]byte(text))) || r.Lines != 4 {
			t.Errorf("cut at %d: %q, %d lines", cut, r.Marks, r.Lines)
		}
	}
}

func FuzzParse(f *testing.F) {
	for line := range bytes.Lines(journal()) {
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, _, err := Parse(line, Hash{})
		if err != nil && err != errHash || bytes.IndexByte(line, '\n') >= 0 {
			return
		}
		again, _ := Append(nil, Hash{}, &r)
		second, _, err := Parse(bytes.TrimSuffix(again, []byte("\n")), Hash{})
		if err != nil && err != errHash || second.Name != r.Name || second.Size != r.Size || string(second.Marks) != string(r.Marks) && !strings.ContainsAny(string(r.Marks), " \n") {
			t.Errorf("%q is read as %+v, and then as %+v: %v", line, r, second, err)
		}
	})
}

// TestEveryChangeIsNamed: one line or a few, anywhere in a file of many records, as it is and in the file's first and last line.
func TestEveryChangeIsNamed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("line %d %s\n", i, strings.Repeat("x", r.IntN(100))))
	}
	s := &Segment{Number: 1, Records: []Record{{Kind: Begin, Segment: 1}}, Heads: make([]Hash, 1)}
	var g Group
	at := int64(0)
	take := func() {
		one := g.Take(at)
		one.Marks = bytes.Clone(one.Marks)
		at += one.Size
		s.Records, s.Heads = append(s.Records, one), append(s.Heads, Hash{})
	}
	for _, l := range lines {
		g.Add([]byte(l))
		if g.Size() > 8<<10 {
			take()
		}
	}
	take()
	s.Records, s.Heads = append(s.Records, Record{Kind: End, Size: at, Stamp: 1, Name: "a"}), append(s.Heads, Hash{})
	row := func(changed []string, want string) {
		t.Helper()
		f := File{Name: "a", Bare: "a", Rotated: 1, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(strings.Join(changed, ""))), nil }}
		report, err := Verify([]*Segment{s}, []File{f})
		got := ""
		for _, f := range report.Findings {
			got += f.String() + "\n"
		}
		if err != nil || got != want {
			t.Errorf("%v: %q; want %q", err, got, want)
		}
	}
	row(lines, "")
	for k := range 90 {
		i := r.IntN(len(lines))
		switch k {
		case 0, 1, 2:
			i = 0
		case 3, 4, 5:
			i = len(lines) - 1
		}
		n := 1 + r.IntN(5)
		switch k % 3 {
		case 0:
			row(slices.Concat(lines[:i], []string{"forged" + lines[i]}, lines[i+1:]), fmt.Sprintf("a:%d: this line was changed\n", i+1))
		case 1:
			n = min(n, len(lines)-i)
			want := fmt.Sprintf("a:%d: before this line %d lines were removed\n", i+1, n)
			if n == 1 {
				want = fmt.Sprintf("a:%d: before this line 1 line was removed\n", i+1)
			}
			if i+n == len(lines) {
				want = fmt.Sprintf("a:%d: the file ends before this line: %d lines were removed at its end\n", i+1, n)
			}
			row(slices.Concat(lines[:i], lines[i+n:]), want)
		case 2:
			forged := slices.Repeat([]string{fmt.Sprintf("forged %d\n", k)}, n)
			want := fmt.Sprintf("a:%d: %d lines were inserted here\n", i+1, n)
			if n == 1 {
				want = fmt.Sprintf("a:%d: 1 line was inserted here\n", i+1)
			}
			row(slices.Concat(lines[:i], forged, lines[i:]), want)
		}
	}
}
