package chain

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// A File is a file of the log as it is now.
type File struct {
	Name    string // as it is called
	Bare    string // without what compression has added
	Rotated int64  // in nanoseconds since 1970; 0: it is the current one
	// Numbered says that its name is another one after each rotation, a higher number, and that Rotated is the file's time, which anybody may have changed.
	Numbered bool
	// Open gives what was written to it, decompressed.
	Open func() (io.ReadCloser, error)
}

// A Finding is something that is not as it was written.
type Finding struct {
	File string `json:"file"`           // its name, or that of a journal
	Line int64  `json:"line,omitempty"` // the first line that it is about, from 1; 0: the whole file
	What string `json:"what"`
}

func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.What)
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What)
}

// A Report is what Verify has found.
type Report struct {
	Findings []Finding
	Notes    []Finding // what is no finding by itself, and what somebody may want to look at

	Files, Lines, Bytes int64 // that are as they were written
	Head                Hash  // of the chain
	Segment             uint64
	Records             int
}

func (r *Report) find(file string, line int64, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{file, line, fmt.Sprintf(format, args...)})
}

func (r *Report) note(file string, line int64, format string, args ...any) {
	r.Notes = append(r.Notes, Finding{file, line, fmt.Sprintf(format, args...)})
}

// Verify compares the files of a log with its journals. The files are in the order in which they were written, the current one last.
func Verify(journal []*Segment, files []File) (*Report, error) {
	v := verifier{Report: new(Report), journal: journal, files: files, taken: make(map[string]bool), removed: make(map[uint64]bool)}
	if len(journal) == 0 {
		return v.Report, nil
	}
	v.chain()
	if err := v.assign(); err != nil {
		return v.Report, err
	}
	v.order()
	for i, s := range journal {
		if err := v.segment(i, s); err != nil {
			return v.Report, err
		}
	}
	for _, f := range files {
		if v.taken[f.Name] {
			continue
		}
		if f.Rotated != 0 && f.Rotated <= v.began() {
			v.note(f.Name, 0, "was rotated before the chain began")
			continue
		}
		v.find(f.Name, 0, "no journal knows this file: it was put there, or written without a chain")
	}
	slices.SortStableFunc(v.Findings, func(a, b Finding) int { return v.place(a.File) - v.place(b.File) })
	return v.Report, nil
}

type verifier struct {
	*Report
	journal []*Segment
	files   []File
	of      []int           // which of the files a segment has; -1: none of that name
	taken   map[string]bool // files that belong to a segment
	removed map[uint64]bool // segments whose files retention has removed
}

// place is where a file stands among all.
func (v *verifier) place(name string) int {
	i := slices.IndexFunc(v.files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return len(v.files)
	}
	return i
}

// began is when the oldest file that a journal knows was begun.
func (v *verifier) began() int64 {
	if len(v.journal[0].Records) == 0 {
		return 0
	}
	return v.journal[0].Records[0].Time.UnixNano()
}

// chain looks at the journals themselves.
func (v *verifier) chain() {
	for i, s := range v.journal {
		name := FileName(s.Number)
		newest := i == len(v.journal)-1
		switch {
		case s.Bad != nil:
			v.find(name, 0, "the journal was changed: %v", s.Bad)
		case s.Torn && newest:
			v.note(name, 0, "the journal ends in half a record, as a process that is killed leaves it")
		case s.Torn:
			v.find(name, 0, "the journal is cut")
		}
		for _, r := range s.Records {
			if r.Kind == Removed {
				v.removed[r.Segment] = true
			}
		}
		if len(s.Records) == 0 || i == 0 {
			continue
		}
		before := v.journal[i-1]
		switch {
		case s.Number != before.Number+1 && !v.allRemoved(before.Number+1, s.Number):
			v.find(name, 0, "the journals %s to %s before it are missing", FileName(before.Number+1), FileName(s.Number-1))
		case s.Number == before.Number+1 && s.Records[0].Prev != before.Head():
			v.find(name, 0, "the journal does not go on where the one before it ends: that was cut or changed")
		}
	}
	last := v.journal[len(v.journal)-1]
	v.Head, v.Segment, v.Records = last.Head(), last.Number, len(last.Records)
	if first := v.journal[0].Number; first > 1 && !v.removed[first-1] {
		v.find(FileName(first), 0, "the journals and files before it are missing, and retention has not removed them")
	}
}

func (v *verifier) allRemoved(from, before uint64) bool {
	for n := from; n < before; n++ {
		if !v.removed[n] {
			return false
		}
	}
	return true
}

// assign finds the file of each segment: by its name, if that does not change, or by when it was rotated. Numbered ones whose time somebody has changed
// are known by how they begin, and what is changed there too by the files next to them.
func (v *verifier) assign() error {
	v.of = make([]int, len(v.journal))
	for i, s := range v.journal {
		end, over := s.End()
		v.give(i, slices.IndexFunc(v.files, func(f File) bool {
			switch {
			case v.taken[f.Name]:
				return false
			case !over:
				return f.Rotated == 0 && i == len(v.journal)-1
			}
			return f.Rotated != 0 && end.Stamp != 0 && (f.Bare == end.Name && !f.Numbered || f.Rotated == end.Stamp)
		}))
	}
	for i, s := range v.journal {
		for k, f := range v.files {
			if !v.lost(i) || !f.Numbered || v.taken[f.Name] {
				continue
			}
			same, err := v.begins(s, f)
			if err != nil {
				return err
			}
			if same {
				v.give(i, k)
			}
		}
	}
	v.assignByOrder()
	return nil
}

// give notes which file a segment has; -1: none.
func (v *verifier) give(segment, file int) {
	v.of[segment] = file
	if file >= 0 {
		v.taken[v.files[file].Name] = true
	}
}

// lost says whether a segment should have a file and has none yet.
func (v *verifier) lost(i int) bool {
	end, over := v.journal[i].End()
	return v.of[i] < 0 && over && end.Stamp != 0 && !v.removed[v.journal[i].Number]
}

// assignByOrder gives numbered files that nothing else tells to segments between the same neighbours, if there are as many of these.
func (v *verifier) assignByOrder() {
	for from := 0; from < len(v.journal); from++ {
		if !v.lost(from) {
			continue
		}
		to := from
		var segments []int
		for ; to < len(v.journal) && v.of[to] < 0; to++ {
			if v.lost(to) {
				segments = append(segments, to)
			}
		}
		first, last := 0, len(v.files)
		if from > 0 {
			first = v.of[from-1] + 1 // 0 without one
		}
		if to < len(v.journal) {
			last = v.of[to]
		}
		var files []int
		for k := first; k < last; k++ {
			if f := v.files[k]; f.Numbered && !v.taken[f.Name] {
				files = append(files, k)
			}
		}
		if len(files) == len(segments) {
			for n, i := range segments {
				v.give(i, files[n])
			}
		}
		from = to
	}
}

// order finds numbered files that are not in the order in which they were written.
func (v *verifier) order() {
	newest := -1
	for _, k := range v.of {
		if k < 0 || !v.files[k].Numbered {
			continue
		}
		if k < newest {
			v.find(v.files[k].Name, 0, "holds what was written after what %s holds: the files were swapped or renamed", v.files[newest].Name)
		}
		newest = max(newest, k)
	}
}

// segment compares a file with its journal.
func (v *verifier) segment(i int, s *Segment) error {
	if len(s.Records) == 0 {
		return nil
	}
	if v.of[i] < 0 {
		return v.absent(s)
	}
	f := v.files[v.of[i]]
	findings := len(v.Findings)
	other, err := v.compare(s, f)
	if err != nil {
		return err
	}
	if other != "" {
		v.Findings = v.Findings[:findings]
		v.find(f.Name, 0, "holds what was written to %s: the files were swapped or renamed", other)
	}
	return nil
}

// nameOf is what the file of a segment should be called. Numbers are given again and again.
func (v *verifier) nameOf(s *Segment) string {
	end, over := s.End()
	if !over {
		return "the current file"
	}
	again := func(o *Segment) bool { e, _ := o.End(); return o != s && e.Name == end.Name }
	if end.Name == "" || slices.ContainsFunc(v.journal, again) {
		return "the file of journal " + FileName(s.Number)
	}
	return end.Name
}

// absent is for a segment that has no file of its name.
func (v *verifier) absent(s *Segment) error {
	if v.removed[s.Number] {
		v.note(v.nameOf(s), 0, "was removed by retention")
		return nil
	}
	for _, f := range v.files {
		if v.taken[f.Name] {
			continue
		}
		if same, err := v.begins(s, f); !same || err != nil {
			continue
		}
		v.taken[f.Name] = true
		if end, over := s.End(); over && end.Name != "" {
			v.find(f.Name, 0, "was called %s when it was rotated", end.Name)
		} else {
			v.note(f.Name, 0, "was renamed by something else than the one who wrote it")
		}
		_, err := v.compare(s, f)
		return err
	}
	if s.Covered() == 0 {
		return nil // nothing was in it
	}
	if copied, err := v.copied(s); copied || err != nil {
		return err
	}
	var lines int64
	for _, r := range s.Records {
		lines += r.Lines
	}
	v.find(v.nameOf(s), 0, "is missing, with %d lines of %d bytes", lines, s.Covered())
	return nil
}

// copied looks for a file that begins with all that a segment's file had. When a log is restored from a copy its current file is another one for the
// Writer, whose next journal adopts what it has.
func (v *verifier) copied(s *Segment) (bool, error) {
	if end, over := s.End(); over && end.Name != "" {
		return false, nil // its name says where it went
	}
	for _, f := range v.files {
		if same, err := v.begins(s, f); !same || err != nil {
			continue
		}
		whole := verifier{Report: new(Report), journal: v.journal, files: v.files}
		if _, err := whole.compare(s, f); err != nil {
			return false, err
		}
		if whole.Files == 0 {
			continue
		}
		v.note(f.Name, 1, "the first %d lines are those of journal %s, unchanged: the file was copied while nobody wrote it, as when a log is restored", whole.Lines, FileName(s.Number))
		return true, nil
	}
	return false, nil
}

// groups is what a file should consist of, as far as it is known: the records of lines, without what was cut off.
func (v *verifier) groups(s *Segment, name string) (groups []Record) {
	var line int64
	for _, r := range s.Records {
		switch r.Kind {
		case Lines, Adopted:
			if r.Kind == Adopted && r.Size > 0 {
				v.adopted(name, line, r)
			}
			groups = append(groups, r)
			line += r.Lines
		case Cut:
			for len(groups) > 0 && groups[len(groups)-1].At+groups[len(groups)-1].Size > r.At {
				last := groups[len(groups)-1]
				line -= last.Lines
				groups = groups[:len(groups)-1]
				if last.At < r.At && last.Size <= mostSize { // what is left of it cannot be proved
					groups = append(groups, Record{At: last.At, Size: r.At - last.At, Lines: -1})
				}
			}
			v.find(name, line+1, "the file was cut off here, from %d to %d bytes, by somebody or by a crash of the machine; it was noticed %s", r.Size, r.At, r.Time.UTC().Format(time.RFC3339))
		}
	}
	return groups
}

// adopted notes lines without a proof of when they were written; those that come one after the other are one note.
func (v *verifier) adopted(name string, line int64, r Record) {
	const what = "%d lines were found in the file when it was opened at %s, and are proved from then on: a process that was killed had written them, or somebody else"
	if n := len(v.Notes); n > 0 && v.Notes[n-1].File == name {
		var before int64
		var at string
		if k, _ := fmt.Sscanf(v.Notes[n-1].What, "%d lines were found in the file when it was opened at %s", &before, &at); k == 2 && v.Notes[n-1].Line+before == line+1 {
			v.Notes[n-1].What = fmt.Sprintf(what, before+r.Lines, r.Time.UTC().Format(time.RFC3339))
			return
		}
	}
	v.note(name, line+1, what, r.Lines, r.Time.UTC().Format(time.RFC3339))
}

// begins says whether a file begins with the first lines of a segment.
func (v *verifier) begins(s *Segment, f File) (bool, error) {
	i := slices.IndexFunc(s.Records, func(r Record) bool { return (r.Kind == Lines || r.Kind == Adopted) && r.Size > 0 })
	if i < 0 {
		return false, nil
	}
	content, err := f.Open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	text := make([]byte, s.Records[i].Size)
	n, err := io.ReadFull(content, text)
	if err != nil {
		text = text[:n] // a damaged file is none
	}
	return sha256.Sum256(text) == s.Records[i].Sum, nil
}

// compare finds the first line of a file that is not as it was written. other is the name of the file whose lines it has instead.
func (v *verifier) compare(s *Segment, f File) (other string, err error) {
	content, err := f.Open()
	if err != nil {
		v.find(f.Name, 0, "cannot be read: %v", err)
		return "", nil
	}
	defer content.Close()
	in := bufio.NewReaderSize(content, 1<<20)
	groups := v.groups(s, f.Name)
	var buf []byte
	var line, size int64
	for i, g := range groups {
		if int64(cap(buf)) < g.Size {
			buf = make([]byte, g.Size)
		}
		n, err := io.ReadFull(in, buf[:g.Size])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			v.find(f.Name, line+1, "cannot be read from here on: %v", err)
			return "", nil
		}
		if g.Lines < 0 { // unknown
			continue
		}
		if int64(n) == g.Size && sha256.Sum256(buf[:n]) == g.Sum {
			line += g.Lines
			size += g.Size
			continue
		}
		if i == 0 {
			if other := v.whose(s, f); other != "" {
				return other, nil
			}
		}
		v.locate(f.Name, line, groups[i:], buf[:n], in)
		return "", nil
	}
	v.Files++
	v.Lines += line
	v.Bytes += size
	v.rest(s, f.Name, line, in)
	return "", nil
}

// rest looks at what a file has after the last record.
func (v *verifier) rest(s *Segment, name string, line int64, in io.Reader) {
	counter := &Group{}
	n, err := io.Copy(writer{counter}, in)
	if err != nil {
		v.find(name, line+1, "cannot be read from here on: %v", err)
		return
	}
	if n == 0 {
		return
	}
	if _, over := s.End(); over {
		v.find(name, line+1, "%d lines of %d bytes were added at the end, after the file was rotated", counter.lines, n)
	} else {
		v.note(name, line+1, "%d lines of %d bytes have no record yet: they are younger than a second, or nobody keeps the journal", counter.lines, n)
	}
}

type writer struct{ *Group }

func (w writer) Write(p []byte) (int, error) {
	w.size += int64(len(p))
	for _, c := range p {
		if c == '\n' {
			w.lines++
		}
	}
	return len(p), nil
}

// whose is the name of another segment's file whose first lines a file has; empty: none.
func (v *verifier) whose(s *Segment, f File) string {
	for _, o := range v.journal {
		if same, err := v.begins(o, f); same && err == nil && o != s {
			return v.nameOf(o)
		}
	}
	return ""
}

const (
	// lookAhead is how many lines after a difference are compared to tell what it is.
	lookAhead = 16
	// mostShift is how many lines may have been removed or inserted in one place for it to be told.
	mostShift = 256
	// mostText is how much of a file is looked at for that.
	mostText = 1 << 20
)

// locate finds the first line that differs in text, which in continues, from what groups say.
func (v *verifier) locate(name string, line int64, groups []Record, text []byte, in io.Reader) {
	more, _ := io.ReadAll(io.LimitReader(in, mostText)) // what cannot be read differs
	text = append(slices.Clip(text), more...)
	ended := len(more) < mostText
	var want, have []byte
	for _, g := range groups {
		if g.Lines < 0 || len(want) > 2*mostText/16 {
			break
		}
		want = append(want, g.Marks...)
	}
	have = marksOf(text)
	i := 0
	for i+markLen <= min(len(want), len(have)) && string(want[i:i+markLen]) == string(have[i:i+markLen]) {
		i += markLen
	}
	n := line + int64(i/markLen) + 1
	want, have = want[i:], have[i:]
	first := groups[0]
	switch {
	case int64(i/markLen) >= first.Lines && first.Lines > 0:
		v.find(name, line+1, "one of the lines from here to %d was changed", line+first.Lines)
		return
	case len(have) == 0 && len(want) > 0 && ended:
		var lost int64
		for _, g := range groups {
			lost += g.Lines
		}
		v.find(name, n, "the file ends before this line: %d lines were removed at its end", lost-int64(i/markLen))
		return
	}
	if alike(want[min(len(want), markLen):], have[min(len(have), markLen):]) {
		v.find(name, n, "this line was changed")
		return
	}
	for d := 1; d <= mostShift; d++ {
		if k := d * markLen; k <= len(have) && alike(want, have[k:]) {
			v.find(name, n, "%s inserted here", lines(d, "was", "were"))
			return
		}
		if k := d * markLen; k <= len(want) && alike(want[k:], have) {
			v.find(name, n, "before this line %s removed", lines(d, "was", "were"))
			return
		}
	}
	v.find(name, n, "from this line on the file is not what was written")
}

func lines(n int, one, many string) string {
	if n == 1 {
		return "1 line " + one
	}
	return fmt.Sprintf("%d lines %s", n, many)
}

// alike compares the first marks of two files.
func alike(a, b []byte) bool {
	n := min(len(a), len(b), lookAhead*markLen)
	return string(a[:n]) == string(b[:n]) && (n > 0 || len(a) == len(b))
}

// marksOf is the marks of the lines of text.
func marksOf(text []byte) (marks []byte) {
	for len(text) > 0 {
		end := 0
		for end < len(text) && text[end] != '\n' {
			end++
		}
		if end == len(text) {
			break
		}
		marks = mark(marks, xxhash.Sum64(text[:end]))
		text = text[end+1:]
	}
	return marks
}
