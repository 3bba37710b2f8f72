package search

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/rotate"
	"lbsyslogd/rotate/archive"
	"lbsyslogd/syslogd/format"
)

// A scan goes through the files of a log.
type scan struct {
	log     *Log
	query   *Query
	match   matcher
	reader  *format.Reader
	from    int64 // the window
	before  int64
	slack   time.Duration
	keyed   bool // lines need a time, for the merge
	records bool // lines need their fields
	small   int64

	carry int64 // the time of the last line that has one, or archive.NoTime
	key   int64 // the latest time of a line that was found: what the merge goes by
	rec   format.Record
	buf   []byte
	read  int64 // bytes that were looked at

	// Where Follow goes on.
	current *os.File // the current file, when there was one; the scan's
	offset  int64    // after the last whole line of it
	last    time.Time
	turned  bool // another file is at its path
	follow  bool // leave the current file open, and the half line at its end alone
}

func newScan(log *Log, q *Query, keyed, records bool) (*scan, error) {
	reader, err := format.NewReader(log.Format, log.Zone)
	if err != nil {
		return nil, err
	}
	s := &scan{
		log: log, query: q, match: newMatcher(q), reader: reader, slack: q.slack(), keyed: keyed, records: records,
		small: smallFile, carry: archive.NoTime, key: math.MinInt64,
	}
	s.from, s.before = q.window()
	return s, nil
}

// errEnough ends a scan whose caller wants no more lines.
var errEnough = errors.New("enough")

// files hands every line that is wanted to yield, in the order in which they are stored.
func (s *scan) files(yield func(Line) bool) error {
	files, err := rotate.OpenStored(s.log.Path)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			if f.File != s.current {
				f.File.Close()
			}
		}
	}()
	var before time.Time // when the file before was rotated
	for _, f := range files {
		if !f.Current() {
			s.last = f.Rotated
		}
	}
	for _, f := range files {
		if err := s.file(f, before, yield); err != nil {
			if err == errEnough {
				return nil
			}
			return fmt.Errorf("%s: %w", filepath.Join(filepath.Dir(s.log.Path), f.Name), err)
		}
		before = f.Rotated
	}
	return nil
}

// file goes through one file. before is when the one before it was rotated.
func (s *scan) file(f rotate.Stored, before time.Time, yield func(Line) bool) error {
	s.reader.In(f.Changed)
	s.carry, s.offset = archive.NoTime, 0
	if f.Current() && s.follow {
		s.current = f.File
	}
	if f.Form == rotate.Zstd {
		a, err := archive.Open(f.File)
		if err == nil {
			defer a.Close()
			if a.Indexed || !s.outside(f, before) {
				return s.archive(a, yield)
			}
			return nil
		}
		if !errors.Is(err, archive.ErrPlain) {
			return err
		}
	}
	if s.outside(f, before) {
		return nil
	}
	return s.unindexed(f, yield)
}

// outside says that a file without an index has no lines of the window: it was rotated long before, or begun long after.
func (s *scan) outside(f rotate.Stored, before time.Time) bool {
	if s.query.Exact || f.Current() && s.follow {
		return false
	}
	if !f.Current() && s.from != math.MinInt64 && f.Rotated.Add(s.slack).UnixNano() < s.from {
		return true
	}
	return !before.IsZero() && s.before != math.MaxInt64 && before.Add(-s.slack).UnixNano() >= s.before
}

func (s *scan) archive(a *archive.Archive, yield func(Line) bool) error {
	for i, b := range a.Blocks {
		if a.Indexed && s.query.timed() && !s.query.Exact && !b.Within(s.from, s.before) {
			continue
		}
		text, err := a.Read(i)
		if err != nil {
			return err
		}
		if a.Indexed {
			if s.match.none(text) { // the next block knows the time of its last line
				s.read += int64(len(text))
				continue
			}
			s.carry = b.Carry
		}
		if err := s.lines(text, yield); err != nil {
			return err
		}
	}
	return nil
}

// unindexed reads a file that has no index: plain, gzip, or zstd by something else.
func (s *scan) unindexed(f rotate.Stored, yield func(Line) bool) error {
	var from io.Reader = f.File
	switch f.Form {
	case rotate.Gzip:
		z, err := gzip.NewReader(f.File)
		if err != nil {
			return err
		}
		defer func() { _ = z.Close() }() // what it says was read
		from = z
	case rotate.Zstd:
		if _, err := f.File.Seek(0, io.SeekStart); err != nil {
			return err
		}
		z, err := zstd.NewReader(f.File, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		from = z
	default:
		start, end, err := s.bisect(f)
		if err != nil {
			return err
		}
		s.offset = start
		from = io.NewSectionReader(f.File, start, end-start)
	}
	return s.stream(from, !f.Current() || !s.follow, yield)
}

const (
	pieceSize = 256 << 10
	mostLine  = 32 << 20 // what is longer is handed on in pieces
)

// stream goes through the lines of a reader. ended says that what comes at its end without a newline is a line too.
func (s *scan) stream(from io.Reader, ended bool, yield func(Line) bool) error {
	if s.buf == nil {
		s.buf = make([]byte, pieceSize)
	}
	have := 0
	for {
		if have == len(s.buf) {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
		n, err := from.Read(s.buf[have:])
		have += n
		if err != nil && err != io.EOF {
			return err
		}
		end := bytes.LastIndexByte(s.buf[:have], '\n') + 1
		if end == 0 && have >= mostLine || err == io.EOF && ended {
			end = have
		}
		s.offset += int64(end)
		if problem := s.lines(s.buf[:end], yield); problem != nil {
			return problem
		}
		have = copy(s.buf, s.buf[end:have])
		if err == io.EOF {
			return nil
		}
	}
}

// lines compares each line of text with the query.
func (s *scan) lines(text []byte, yield func(Line) bool) error {
	s.read += int64(len(text))
	if !s.query.timed() && !s.keyed && s.match.none(text) {
		return nil
	}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, newline)
		text = rest
		if s.query.timed() || s.keyed {
			if t, ok := s.reader.Time(line); ok {
				s.carry = t.UnixNano()
			}
			if s.carry < s.from || s.carry >= s.before {
				continue
			}
		}
		if !s.match.wants(line) {
			continue
		}
		found := Line{Log: s.log, Text: line}
		if s.records || s.query.fielded() {
			s.reader.Read(line, &s.rec)
			if !s.query.wantsFields(&s.rec) {
				continue
			}
			found.Record = &s.rec
		}
		s.key = max(s.key, s.carry)
		if !yield(found) {
			return errEnough
		}
	}
	return nil
}

// newline is for bytes.Cut, which wants a slice.
var newline = []byte{'\n'}
