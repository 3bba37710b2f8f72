package sink

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Suffix is what the name of the file ends with that has the lines which the receiver refuses; before it comes the name of the log file.
const Suffix = ".refused"

// asideMost is how large that file becomes. What is refused after that is only counted.
const asideMost = 16 << 20

// setAside writes a line that the peer refuses to a file of its own, counts it, and reports it.
func (s *Sender) setAside(r Record, why error) {
	s.count(func(c *Counts) { c.Refused++ })
	err := s.writeAside(r.Line)
	if err != nil {
		err = fmt.Errorf("keep a line that the receiver refuses: %w", err)
	}
	s.Queue.Note(&s.lost, err)
	if s.asides.Due("refused") {
		s.Queue.Log.Error("the receiver refuses a line, which is set aside", "to", s.Queue.To, "path", s.Queue.File.Path(), "err", why,
			"line", string(r.Line[:min(len(r.Line), 200)]), "since_start", s.refused())
	}
}

// dropped counts lines of which the receiver does not say which they were, and reports it.
func (s *Sender) dropped(lines int, why error) {
	s.count(func(c *Counts) { c.Refused += uint64(lines) })
	if s.asides.Due("refused") {
		s.Queue.Log.Error("the receiver has dropped lines", "to", s.Queue.To, "path", s.Queue.File.Path(), "err", why, "lines", lines,
			"since_start", s.refused())
	}
}

func (s *Sender) refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.Refused
}

// writeAside appends a line to the file. No symbolic link is followed, and no pipe waited for.
func (s *Sender) writeAside(line []byte) error {
	path := s.Queue.File.Path() + Suffix
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", path)
	case info.Size() >= asideMost:
		err = fmt.Errorf("%s is full with %d bytes; look at it and remove it", path, info.Size())
	default:
		_, err = f.Write(append(line[:len(line):len(line)], '\n'))
	}
	return errors.Join(err, f.Close())
}
