package rotate

import (
	"context"
	"path/filepath"
)

// What TestExplore, which cannot be in this package because it uses one that imports it, needs of its insides.

// Rare is rare.
const Rare = rare

// Still is a Writer without goroutines: its janitor works when Pass is called.
type Still struct {
	*Writer
	before *file // the current one when a rotation began
}

// OpenStill opens one. step is called before each step of a rotation and a compression.
func OpenStill(path string, o Options, step func(name string)) (*Still, error) {
	o.step = step
	w, err := openStill(path, o)
	if err != nil {
		return nil, err
	}
	w.cancel = func() {}
	return &Still{Writer: w}, nil
}

// Rotate is the Writer's.
func (s *Still) Rotate() error {
	s.before = s.cur
	_, err := s.Writer.Rotate()
	s.before = nil
	return err
}

// Current is the inode of the file that it writes to.
func (s *Still) Current() uint64 { return s.cur.id.ino }

// Pass is one pass of the janitor.
func (s *Still) Pass() error {
	_, err := s.pass(context.Background())
	return err
}

// Kill ends it as SIGKILL does: descriptors are closed, and nothing else is done.
func (s *Still) Kill() {
	tenures.mu.Lock()
	delete(tenures.last, s.path)
	tenures.mu.Unlock()
	if s.before != nil && s.before != s.cur { // killed in a rotation, after the new file was opened
		_ = s.before.close(SyncNever)
	}
	_ = s.cur.close(SyncNever)
	if in := s.folder.Load(); in != nil {
		_ = in.close()
	}
}

// A Place is a file of a log as a list has it: rotated ones, the oldest first, and the current one.
type Place struct {
	Name, File string // without and with what compression adds
	Inode      uint64
	Form       Compression
	Unfinished bool
}

// Places are the files of the log at path.
func Places(path string) (all []Place, err error) {
	in, err := openFolder(filepath.Dir(path), "", false)
	if err != nil {
		return nil, err
	}
	defer in.close()
	s := seriesOf(path)
	list, err := s.list(in, func(string) {})
	if err != nil {
		return nil, err
	}
	for _, b := range list {
		all = append(all, Place{b.name, b.file(), b.id.ino, b.form, b.tmp})
	}
	if id, err := in.identify(s.base); err == nil {
		all = append(all, Place{s.base, s.base, id.ino, None, false})
	}
	return all, nil
}
