package search

import (
	"bytes"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"lbsyslogd/rotate"
)

const (
	// smallFile is what is read whole: that costs less than it is worth to look where to begin.
	smallFile = 8 << 20
	// probeSize is what a probe reads, and probeLines how many times of lines it wants: the middle one of them counts, so that a few lines of
	// senders with wrong clocks lead nowhere.
	probeSize  = 16 << 10
	probeLines = 31
	// resolution is where the search ends.
	resolution = 512 << 10
)

// bisect is where in a plain file lines of the window can be, as far as lines are in order but for the slack. Both are beginnings of lines, or
// the end.
func (s *scan) bisect(f rotate.Stored) (start, end int64, err error) {
	end = f.Size
	if f.Current() && s.follow {
		end = math.MaxInt64 // as far as it goes
	}
	if f.Size <= s.small || s.query.Exact || !s.query.timed() {
		return 0, end, nil
	}
	if s.from != math.MinInt64 {
		at, err := s.find(f.File, f.Size, time.Unix(0, s.from).Add(-s.slack), false)
		if err != nil {
			return 0, 0, err
		}
		if start, err = lineAfter(f.File, at); err != nil {
			return 0, 0, err
		}
	}
	if s.before != math.MaxInt64 && end == f.Size {
		at, err := s.find(f.File, f.Size, time.Unix(0, s.before).Add(s.slack), true)
		if err != nil {
			return 0, 0, err
		}
		if end, err = lineAfter(f.File, at); err != nil {
			return 0, 0, err
		}
	}
	return start, max(start, end), nil
}

// find is a place near the first line that is not before t: at most the resolution before it, or, with after, behind it.
func (s *scan) find(file *os.File, size int64, t time.Time, after bool) (int64, error) {
	low, high := int64(0), size
	for high-low > min(resolution, s.small) {
		middle := low + (high-low)/2
		at, ok, err := s.probe(file, middle, high)
		if err != nil {
			return 0, err
		}
		switch {
		case !ok: // nothing from here to high has a time
			high = middle
			if after {
				return size, nil
			}
		case at.Before(t):
			low = middle
		default:
			high = middle
		}
	}
	if after {
		return high, nil
	}
	return low, nil
}

// probe is the middle one of the times of some lines from a place on.
func (s *scan) probe(file *os.File, at, end int64) (t time.Time, ok bool, err error) {
	var times []time.Time
	buf := make([]byte, probeSize)
	skip := true // the line that the place is in
	for at < end && len(times) == 0 {
		n, err := file.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return t, false, err
		}
		if n == 0 {
			break
		}
		text := buf[:n]
		if skip {
			i := bytes.IndexByte(text, '\n')
			if i < 0 {
				at += int64(n)
				continue
			}
			text, skip = text[i+1:], false
		}
		for len(times) < probeLines {
			line, rest, whole := bytes.Cut(text, newline)
			if !whole {
				break
			}
			if t, ok := s.reader.Time(line); ok {
				times = append(times, t)
			}
			text = rest
		}
		skip = true // what is left of the last line
		at += int64(n)
	}
	if len(times) == 0 {
		return t, false, nil
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[len(times)/2], true, nil
}

// lineAfter is where the first line begins at a place or after it.
func lineAfter(file *os.File, at int64) (int64, error) {
	if at == 0 {
		return 0, nil
	}
	buf := make([]byte, probeSize)
	for at--; ; {
		n, err := file.ReadAt(buf, at)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		at += int64(n)
		if err == io.EOF {
			return at, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
