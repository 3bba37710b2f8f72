package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Rotation tells what Rotate did. To is empty when there was nothing to rotate.
type Rotation struct {
	To    string // path of the rotated file, before compression; a numbered one changes with the next rotation
	Bytes int64  // its size
}

// Reopening tells what Reopen did.
type Reopening struct {
	OldInode, NewInode uint64
	Bytes              int64 // how many bytes this Writer had written to the old file
}

// Rotate renames the current file and goes on in a new one. When it returns, the old file is complete, synced and closed; only what waits
// because the disk refuses it goes to the new one. An empty file is left alone. When the new file cannot be opened the old one stays where it was and lines still go to it.
func (w *Writer) Rotate() (Rotation, error) {
	limited, cancel := context.WithTimeout(context.Background(), successionTime)
	defer cancel()
	if err := w.await(limited); err != nil {
		return Rotation{}, fmt.Errorf("rotate %w", err)
	}
	w.mu.Lock()
	if !w.closed && !w.alone() {
		w.mu.Unlock()
		return Rotation{}, fmt.Errorf("rotate %s: another Writer of this process has it since", w.path)
	}
	if w.closed {
		w.mu.Unlock()
		return Rotation{}, ErrClosed
	}
	if w.cur.size == 0 {
		w.mu.Unlock()
		return Rotation{}, nil
	}
	if err := w.unpark(); err != nil {
		w.mu.Unlock()
		return Rotation{}, err
	}
	w.retry()
	if err := w.endLine(); err != nil {
		w.mu.Unlock()
		return Rotation{}, err
	}
	old, name, err := w.rotate()
	if err == nil {
		w.overdue = false
		w.report(&w.troubles.rotate, nil, "rotate "+w.path)
	}
	w.mu.Unlock()
	if err != nil {
		return Rotation{}, err
	}
	size := old.size
	err = w.settle(old, name)
	if name != "" {
		name = filepath.Join(w.dir, name)
	}
	return Rotation{To: name, Bytes: size}, err
}

// rotateAlong rotates on the path of a Write, which does not wait for the old file to be synced. It says whether it did: a rotation that cannot
// be done is reported once and tried again after a pause, and meanwhile the old file goes on. Called with mu held.
func (w *Writer) rotateAlong(why string) bool {
	t := &w.troubles.rotate
	if !t.due(w.opt.Now()) {
		return false
	}
	old, name, err := w.rotate()
	w.report(t, err, "rotate "+w.path)
	if err != nil {
		return false
	}
	w.overdue = false
	w.opt.Log.Debug("rotated", "path", w.path, "to", name, "why", why)
	w.tasks.Go(func() { w.settleAlong(old, name) })
	return true
}

// settleAlong is settle where nobody waits for it.
func (w *Writer) settleAlong(old *file, name string) {
	err := w.settle(old, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report(&w.troubles.settle, err, "close a rotated file of "+w.path)
}

// retry writes what waits in the ring to the file that is about to be left, if the disk takes it by now: the next attempt may be two
// seconds away. Called with mu held.
func (w *Writer) retry() {
	if w.stall.active {
		w.resume()
	}
}

// endLine ends a line that came in pieces and whose end has not come. Called with mu held.
func (w *Writer) endLine() error {
	if w.stall.owed {
		return fmt.Errorf("%s ends in the middle of a line that the disk refuses: %w", w.path, w.stall.cause)
	}
	if !w.midLine {
		return nil
	}
	_, err := w.put(newline)
	return err
}

// rotate moves the current file out of the way and opens a new one. The old file is returned with its new name, which is empty
// when somebody else had moved the file already. Called with mu held.
func (w *Writer) rotate() (old *file, name string, err error) {
	if !w.inPlace() {
		// The file at the path is not ours to rename. Ours was moved or deleted, which is a rotation already.
		old, err := w.swap()
		if err == nil {
			w.abandon(old)
		}
		return old, "", err
	}
	w.opt.step("rotate: rename")
	id := w.cur.id
	w.settling[id] = true // before it has a name that the janitor knows
	if name, err = w.moveAside(); errors.Is(err, fs.ErrNotExist) {
		delete(w.settling, id)
		old, err := w.swap() // somebody moved it this very moment
		return old, "", err
	}
	if err != nil {
		delete(w.settling, id)
		return nil, "", err
	}
	w.opt.step("rotate: open")
	if w.chain != nil {
		w.chain.leave(name, w.last)
	}
	old, err = w.swap()
	if err != nil {
		if w.chain != nil {
			w.chain.leave("", time.Time{})
		}
		err = errors.Join(err, w.in().rename(name, w.series.base))
		delete(w.settling, id)
		return nil, "", err
	}
	w.opt.step("rotate: swapped")
	w.counts.Rotations++
	return old, name, nil
}

// Reopen opens the path again and goes on there; it is what to call after something else has renamed the file. When it returns,
// the old file is complete, synced and closed, so it may be compressed or removed at once.
func (w *Writer) Reopen() (Reopening, error) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return Reopening{}, ErrClosed
	}
	w.retry()
	if err := w.endLine(); err != nil {
		w.mu.Unlock()
		return Reopening{}, err
	}
	if err := w.unpark(); err != nil { // so that what was written to it is forced to the disk
		w.mu.Unlock()
		return Reopening{}, err
	}
	old, err := w.swap()
	if err != nil {
		w.mu.Unlock()
		return Reopening{}, err
	}
	if old.id != w.cur.id {
		w.abandon(old)
	}
	w.counts.Reopens++
	result := Reopening{OldInode: old.id.ino, NewInode: w.cur.id.ino, Bytes: old.written}
	if old.id == w.cur.id {
		w.cur.written += old.written
	}
	w.mu.Unlock()
	return result, w.settle(old, "")
}

// swap opens the path and makes that the current file. Called with mu held.
func (w *Writer) swap() (old *file, err error) {
	fresh, err := w.openCurrent()
	if err != nil {
		return nil, err
	}
	old, w.cur = w.cur, fresh
	w.strange = 0
	if old.missing != nil && old.missing != errParked { // it could not be opened until now
		if err := w.arrive(); err != nil {
			w.cur = &file{missing: err}
			return nil, errors.Join(err, fresh.close(SyncNever))
		}
		w.kick()
	}
	return old, nil
}

// settle syncs and closes a file that was swapped out, and then lets the janitor have it.
func (w *Writer) settle(old *file, name string) error {
	err := old.close(w.opt.Sync)
	if c := w.chainNow(); c != nil {
		c.mu.Lock()
		err = errors.Join(err, c.settle(w.opt.Sync))
		c.mu.Unlock()
	}
	if name == "" {
		w.kick() // the name that somebody else gave it may be one of ours
		return err
	}
	if w.opt.Sync != SyncNever {
		err = errors.Join(err, w.in().sync())
	}
	w.mu.Lock()
	delete(w.settling, old.id)
	w.mu.Unlock()
	w.kick()
	return err
}

// inPlace says whether the current file is what stands at the path, and in the folder that we have open. Called with mu held.
func (w *Writer) inPlace() bool {
	if id, err := w.in().identify(w.series.base); err != nil || id != w.cur.id {
		return false
	}
	id, err := identify(w.path)
	return err == nil && id == w.cur.id
}

// identify is the identity of what stands at path, not of what a symlink there points at. It only looks.
func identify(path string) (identity, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return identity{}, err
	}
	return identity{st.Dev, st.Ino}, nil
}
