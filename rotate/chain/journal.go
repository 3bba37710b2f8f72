package chain

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// A Segment is what a journal says of one file.
type Segment struct {
	Number  uint64
	Records []Record
	Heads   []Hash // after each record
	// Whole is how many bytes of the journal are whole records. What comes after them in the newest journal is one that a crash has cut.
	Whole int64
	// Torn says that the journal does not end in a whole record.
	Torn bool
	// Bad is what is wrong with the first record that does not fit, and nil when all do; the ones before it are in Records.
	Bad error
}

// Head is the hash of the last record.
func (s *Segment) Head() (h Hash) {
	if n := len(s.Heads); n > 0 {
		h = s.Heads[n-1]
	}
	return h
}

// End is the record that ends the file's.
func (s *Segment) End() (r Record, ok bool) {
	for _, r := range slices.Backward(s.Records) {
		if r.Kind == End {
			return r, true
		}
	}
	return r, false
}

// Covered is how many bytes of the file have records.
func (s *Segment) Covered() (n int64) {
	for _, r := range s.Records {
		switch r.Kind {
		case Lines, Adopted:
			n = r.At + r.Size
		case Cut:
			n = r.At
		}
	}
	return n
}

// FileName is what the journal of a file is called.
func FileName(number uint64) string { return fmt.Sprintf("%08d", number) }

// Number is what the journal of this name is the journal of.
func Number(name string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(name, 10, 64)
	return n, err == nil && FileName(n) == name
}

// ParseSegment reads the journal of a file.
func ParseSegment(number uint64, text []byte) *Segment {
	s := &Segment{Number: number}
	var head Hash
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if !whole {
			s.Torn = true
			break
		}
		r, h, err := Parse(line, head)
		if err == nil && len(s.Records) == 0 && (r.Kind != Begin || r.Segment != number) {
			err = errors.New("the journal does not begin with the record of its file")
		}
		if err != nil {
			s.Bad = fmt.Errorf("record %d: %w", len(s.Records)+1, err)
			break
		}
		s.Records, s.Heads, head, text = append(s.Records, r), append(s.Heads, h), h, rest
		s.Whole += int64(len(line)) + 1
	}
	return s
}

// Read reads the journals in a directory, in order.
func Read(dir string) (all []*Segment, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries { // in the order of their names
		n, ok := Number(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed this very moment, with its file
		}
		if err != nil {
			return nil, err
		}
		all = append(all, ParseSegment(n, text))
	}
	slices.SortFunc(all, func(a, b *Segment) int { return int(int64(a.Number) - int64(b.Number)) })
	return all, nil
}

// LastEnd is the record that ends a file's, in the last bytes of its journal. It is not compared with the records before.
func LastEnd(tail []byte) (r Record, ok bool) {
	for line := range bytes.Lines(tail) {
		if one, _, err := Parse(bytes.TrimSuffix(line, []byte{'\n'}), Hash{}); (err == nil || errors.Is(err, errHash)) && one.Kind == End {
			r, ok = one, true
		}
	}
	return r, ok
}
