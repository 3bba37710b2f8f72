package rotate

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errParked is why a parked file is not open.
var errParked = errors.New("the log file is parked")

// Park closes the file until the next Write, Rotate, Reopen or Flush, for a program that has more of them than it wants open. It costs two system
// calls, and the next Write a few: nothing is forced to the disk, listed or started. It says whether it did: a Writer that is at something, or
// that a Follower reads, stays open.
func (w *Writer) Park() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.park()
}

// park is Park with mu held.
func (w *Writer) park() bool {
	if w.parked() {
		return true
	}
	if w.closed || w.cur.missing != nil || w.stall.active || w.midLine || w.janitor.cleaning || len(w.settling) > 0 || w.opt.Hold > 0 || !w.alone() {
		return false
	}
	if w.chain != nil {
		w.chain.checkpoint(w)
	}
	old := w.cur
	err := old.close(SyncNever)
	w.report(&w.troubles.settle, err, "close "+w.path)
	w.cur = &file{missing: errParked, id: old.id, size: old.size, written: old.written, cut: old.cut}
	w.leaveFolder()
	return true
}

func (w *Writer) parked() bool { return w.cur.missing == errParked }

// leaveFolder closes the directory; the next that needs it opens it again. Called with mu held.
func (w *Writer) leaveFolder() {
	if in := w.folder.Swap(nil); in != nil {
		in.close()
	}
}

// unpark opens a parked file again. Another that stands at the path by now is the file from then on. Called with mu held.
func (w *Writer) unpark() error {
	if !w.parked() {
		return nil
	}
	old := w.cur
	fresh, err := w.openStraight(old)
	if err != nil {
		if fresh, err = w.openCurrent(); err != nil {
			return err
		}
	}
	w.cur = fresh
	switch {
	case fresh.id != old.id:
		w.counts.Followed++
		w.dirty = false
	case fresh.size < old.size:
		w.counts.Truncations++
		fallthrough
	default:
		fresh.written = old.written
		fresh.cut = old.cut + max(old.size-fresh.size, 0)
	}
	return nil
}

// openStraight opens a file that was open before by its path, if that has no symbolic links in it.
func (w *Writer) openStraight(old *file) (*file, error) {
	if !w.straight {
		return nil, unix.ELOOP
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, w.path, &unix.OpenHow{
		Flags: unix.O_RDWR | unix.O_APPEND | unix.O_NONBLOCK | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, err
	}
	f := &file{own: os.NewFile(uintptr(fd), w.path)}
	if err := w.adopt(f, old); err != nil {
		f.own.Close()
		return nil, err
	}
	return f, nil
}

// syncParked forces what a parked file has to the disk. Called with mu held.
func (w *Writer) syncParked() error {
	if err := w.unpark(); err != nil {
		return err
	}
	return w.cur.sync()
}
