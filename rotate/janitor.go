package rotate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	patrol     = time.Hour   // the janitor comes at least so often, for files that grow old
	retryClean = time.Minute // and again after a failure
)

// kick lets the janitor look soon. It never blocks: one request stands for all.
func (w *Writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// clean is the janitor. It keeps no queue: what is to do is read from the directory each time, so that it does the same after
// a crash as without one.
func (w *Writer) clean(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		again, err := w.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			again = retryClean
		}
		w.mu.Lock()
		w.report(&w.counts.CleanError, err, "tidy the rotated files of "+w.path)
		w.mu.Unlock()
		timer.Reset(again)
	}
}

// pass does all there is to do now and says when there may be more.
func (w *Writer) pass(ctx context.Context) (again time.Duration, err error) {
	again = patrol
	all, err := w.list()
	if err != nil {
		return again, err
	}
	var problems []error
	for _, b := range all {
		if b.tmp { // only the janitor writes these, and it is not at it
			problems = append(problems, ignoreMissing(os.Remove(filepath.Join(w.dir, b.file()))))
		}
	}
	problems = append(problems, w.reconcile(all), w.prune())
	if w.opt.Compress == None {
		return again, errors.Join(problems...)
	}
	rest, err := w.list()
	problems = append(problems, err)
	held := w.holds(rest)
	for _, b := range rest {
		if b.form != None || w.unsettled(b.name) || held[b.name] {
			continue
		}
		if wait := w.opt.CompressAfter - w.opt.Now().Sub(b.stamp); wait > 0 {
			again = min(again, wait)
			continue
		}
		if err := w.compress(ctx, b); err != nil {
			problems = append(problems, err)
			continue
		}
		w.mu.Lock()
		w.counts.Compressed++
		w.mu.Unlock()
	}
	problems = append(problems, w.prune())
	return again, errors.Join(problems...)
}

// list is the rotated files, oldest first, the plain one before the compressed one of the same name.
func (w *Writer) list() ([]backup, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var all []backup
	for _, e := range entries {
		if b, ok := w.naming.parse(e.Name()); ok && e.Type().IsRegular() {
			all = append(all, b)
		}
	}
	slices.SortStableFunc(all, func(a, b backup) int { return a.stamp.Compare(b.stamp) })
	return all, nil
}

func (w *Writer) unsettled(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settling[name]
}

// reconcile finds rotated files that are there both plain and compressed, as a crash between the two last steps of a
// compression leaves them, and makes one of the two.
func (w *Writer) reconcile(all []backup) error {
	var problems []error
	plain := make(map[string]bool)
	for _, b := range all {
		if b.form == None {
			plain[b.name] = true
		}
	}
	for _, b := range all {
		if b.form == None || b.tmp || !plain[b.name] {
			continue
		}
		same, err := sameContent(filepath.Join(w.dir, b.name), filepath.Join(w.dir, b.file()), b.form)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		surplus := b.name
		if !same {
			surplus = b.file() // the plain file is the original
		}
		problems = append(problems, ignoreMissing(os.Remove(filepath.Join(w.dir, surplus))))
	}
	return errors.Join(problems...)
}

// prune removes what retention does not keep, oldest first.
func (w *Writer) prune() error {
	if w.opt.Keep == 0 && w.opt.MaxAge == 0 && w.opt.MaxTotal == 0 && w.opt.MinFree == 0 {
		return nil
	}
	all, err := w.list()
	if err != nil {
		return err
	}
	var problems []error
	var total int64
	now := w.opt.Now()
	kept := 0
	held := w.holds(all)
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		info, err := os.Lstat(filepath.Join(w.dir, b.file()))
		if err != nil || b.tmp || w.unsettled(b.name) {
			continue
		}
		total += info.Size()
		if held[b.name] || (w.opt.Keep == 0 || kept < w.opt.Keep) && (w.opt.MaxAge == 0 || now.Sub(b.stamp) <= w.opt.MaxAge) &&
			(w.opt.MaxTotal == 0 || total <= w.opt.MaxTotal) {
			kept++
			continue
		}
		problems = append(problems, w.remove(b))
	}
	for _, b := range all {
		if w.opt.MinFree == 0 || b.tmp || w.unsettled(b.name) || held[b.name] {
			continue
		}
		var fs unix.Statfs_t
		if err := unix.Statfs(w.dir, &fs); err != nil || int64(fs.Bavail)*fs.Bsize >= w.opt.MinFree {
			break
		}
		problems = append(problems, w.remove(b))
	}
	return errors.Join(problems...)
}

func (w *Writer) remove(b backup) error {
	err := os.Remove(filepath.Join(w.dir, b.file()))
	if err == nil {
		w.mu.Lock()
		w.counts.Removed++
		w.mu.Unlock()
	}
	return ignoreMissing(err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
