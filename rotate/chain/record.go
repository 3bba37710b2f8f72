package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

func (h Hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

func parseHash(text []byte) (h Hash, err error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(h)) {
		return h, errors.New("a hash is cut")
	}
	_, err = base64.RawURLEncoding.Strict().Decode(h[:], text)
	return h, err
}

// Kind says what a record is of.
type Kind byte

// The kinds of records.
const (
	Begin   Kind = 'b' // a file
	Lines   Kind = 'l' // lines of it
	Adopted Kind = 'a' // lines that were found in it: a process that was killed had written them, and no record of them
	Cut     Kind = 'c' // somebody, or a crash of the machine, has cut it off
	End     Kind = 'e' // nothing more is written to it
	Removed Kind = 'r' // an older file is removed by retention
)

// A Record is a line of a journal. In the text all fields of its kind stand in the order in which they stand here.
type Record struct {
	Kind Kind
	Time time.Time // when it was made

	Segment uint64 // Begin: the number of the file among those of the log; Removed: of that which goes
	Inode   uint64 // Begin
	Birth   int64  // Begin: when the file was made, in nanoseconds since 1970; 0 is unknown
	Prev    Hash   // Begin: the hash of the last record of the file before

	At    int64  // Lines, Adopted: where they begin; Cut: what is left of the file
	Size  int64  // Lines, Adopted: how many bytes; Cut, End: what the file had
	Lines int64  // Lines, Adopted: how many newlines
	Sum   Hash   // Lines, Adopted: of the bytes
	Marks []byte // Lines, Adopted: two letters for each line that ends there

	Stamp int64  // End: when the file was rotated, in nanoseconds since 1970; 0: somebody else took it away
	Name  string // End, Removed: the file's name from then on; empty: unknown
}

// Append appends a record as a line, after one whose hash is prev, and gives its own hash.
func Append(dst []byte, prev Hash, r *Record) ([]byte, Hash) {
	start := len(dst)
	dst = append(dst, byte(r.Kind))
	number := func(n int64) { dst = strconv.AppendInt(append(dst, ' '), n, 10) }
	hash := func(h Hash) { dst = base64.RawURLEncoding.AppendEncode(append(dst, ' '), h[:]) }
	name := func(text string) { dst = append(append(dst, ' ', '"'), url.QueryEscape(text)...) }
	number(r.Time.UnixNano())
	switch r.Kind {
	case Begin:
		number(int64(r.Segment))
		number(int64(r.Inode))
		number(r.Birth)
		hash(r.Prev)
	case Lines, Adopted:
		number(r.At)
		number(r.Size)
		number(r.Lines)
		hash(r.Sum)
		dst = append(append(dst, ' ', '"'), r.Marks...)
	case Cut:
		number(r.At)
		number(r.Size)
	case End:
		number(r.Size)
		number(r.Stamp)
		name(r.Name)
	case Removed:
		number(int64(r.Segment))
		name(r.Name)
	}
	h := next(prev, dst[start:])
	hash(h)
	return append(dst, '\n'), h
}

// next is the hash of a record's text after one whose hash is prev.
func next(prev Hash, text []byte) Hash {
	s := sha256.New()
	s.Write(prev[:])
	s.Write(text)
	var h Hash
	s.Sum(h[:0])
	return h
}

// mostSize bounds how many bytes a record can be of. The Writer's are smaller; a journal that somebody made up must not ask for more memory.
const mostSize = 1 << 20

var errRecord = errors.New("the record cannot be read")

// errHash is a record that does not fit the one before it.
var errHash = errors.New("the record or one before it was changed, removed or inserted")

// Parse reads a record, which is given without its newline, after one whose hash is prev. The marks are a view of the line.
func Parse(line []byte, prev Hash) (r Record, h Hash, err error) {
	end := bytes.LastIndexByte(line, ' ')
	if end < 1 {
		return r, h, errRecord
	}
	if h, err = parseHash(line[end+1:]); err != nil {
		return r, h, err
	}
	words := bytes.Split(line[:end], []byte{' '})[1:]
	number := func() (n int64) {
		var problem error
		if n, problem = strconv.ParseInt(string(word(&words)), 10, 64); problem != nil && err == nil {
			err = errRecord
		}
		return n
	}
	hash := func() (h Hash) {
		var problem error
		if h, problem = parseHash(word(&words)); problem != nil && err == nil {
			err = errRecord
		}
		return h
	}
	quoted := func() []byte {
		text, ok := bytes.CutPrefix(word(&words), []byte{'"'})
		if !ok && err == nil {
			err = errRecord
		}
		return text
	}
	name := func() string {
		text, problem := url.QueryUnescape(string(quoted()))
		if problem != nil && err == nil {
			err = errRecord
		}
		return text
	}
	r.Kind, r.Time = Kind(line[0]), time.Unix(0, number())
	switch r.Kind {
	case Begin:
		r.Segment, r.Inode, r.Birth, r.Prev = uint64(number()), uint64(number()), number(), hash()
		prev = r.Prev
	case Lines, Adopted:
		r.At, r.Size, r.Lines, r.Sum, r.Marks = number(), number(), number(), hash(), quoted()
		if r.At < 0 || r.Size < 0 || r.Size > mostSize || r.Lines < 0 || int64(len(r.Marks)) != r.Lines*markLen {
			err = errRecord
		}
	case Cut:
		r.At, r.Size = number(), number()
	case End:
		r.Size, r.Stamp, r.Name = number(), number(), name()
	case Removed:
		r.Segment, r.Name = uint64(number()), name()
	default:
		return r, h, fmt.Errorf("%q is not a kind of record", line[0])
	}
	if err == nil && (len(words) > 0 || line[1] != ' ') {
		err = errRecord
	}
	if err == nil && next(prev, line[:end]) != h {
		err = errHash
	}
	return r, h, err
}

// word takes the next of some words.
func word(words *[][]byte) (first []byte) {
	if len(*words) > 0 {
		first, *words = (*words)[0], (*words)[1:]
	}
	return first
}
