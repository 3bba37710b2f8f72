package search

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"lbsyslogd/rotate"
)

// glance is how often Follow looks for new lines.
const glance = 200 * time.Millisecond

// Follow hands on what is written from the end of a Run that was to be followed on, until ctx is done or do returns false. Lines of several logs
// come as they are found. idle is called when there is nothing more for now.
func (r *Searcher) Follow(ctx context.Context, idle func(), do func(Line) bool) error {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		for _, s := range r.scans {
			if err := s.more(do); err == errEnough {
				return nil
			} else if err != nil {
				return err
			}
		}
		idle()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Close closes what Follow has open.
func (r *Searcher) Close() {
	for _, s := range r.scans {
		if s.current != nil {
			s.current.Close()
		}
	}
}

// more goes through what was written since.
func (s *scan) more(yield func(Line) bool) error {
	if s.current == nil {
		return s.goOn(nil, yield) // there was no file yet
	}
	info, err := s.current.Stat()
	if err != nil {
		return err
	}
	if info.Size() < s.offset { // somebody has emptied it
		s.offset = 0
	}
	at, err := os.Lstat(s.log.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	moved := err == nil && !os.SameFile(info, at)
	if !moved || !s.turned {
		// A file that has just been moved may be written to for a moment more.
		s.turned = moved
		return s.rest(s.current, false, yield)
	}
	s.turned = false
	if err := s.rest(s.current, true, yield); err != nil {
		return err
	}
	return s.goOn(info, yield)
}

// rest goes through what a plain file has after the offset.
func (s *scan) rest(file *os.File, ended bool, yield func(Line) bool) error {
	s.reader.In(time.Now())
	return s.stream(io.NewSectionReader(file, s.offset, math.MaxInt64-s.offset), ended, yield)
}

// goOn goes through the files that came after the one that was read to its end, which may be compressed by now, and stays in the current one.
func (s *scan) goOn(was fs.FileInfo, yield func(Line) bool) error {
	files, err := rotate.OpenStored(s.log.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(files) == 0 || !files[len(files)-1].Current()) {
		rotate.CloseStored(files)
		return nil // it is about to be made
	}
	if err != nil {
		return err
	}
	next := 0 // the first file that is new
	for i, f := range files {
		info, err := f.File.Stat()
		switch {
		case err == nil && was != nil && os.SameFile(info, was):
			next = i + 1
		case !f.Current() && !f.Rotated.After(s.last):
			next = i + 1
		}
	}
	if was != nil && next < len(files) && !files[next].Current() && files[next].Form != rotate.None && !s.known(files, was) {
		next++ // the oldest that is new, and compressed: what was read
	}
	if s.current != nil {
		s.current.Close()
		s.current = nil
	}
	for i, f := range files {
		if i >= next && err == nil {
			err = s.file(f, time.Time{}, yield)
		}
		if !f.Current() {
			s.last = f.Rotated
		}
		if f.File != s.current {
			f.File.Close()
		}
	}
	return err
}

// known says whether the file that was read is among some.
func (s *scan) known(files []rotate.Stored, was fs.FileInfo) bool {
	for _, f := range files {
		if info, err := f.File.Stat(); err == nil && os.SameFile(info, was) {
			return true
		}
	}
	return false
}
