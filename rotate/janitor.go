package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const (
	patrol     = time.Hour   // the janitor comes at least so often, for files that grow old
	retryClean = time.Minute // and again after a failure
)

// A janitor is what clean remembers from one pass to the next.
type janitor struct {
	cleaning bool // it is at work. Guarded by the Writer's mu
	kept     kept // rotated files that it leaves plain
}

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
	if w.await(ctx) != nil {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		if !w.mayClean() {
			continue // whoever succeeds does it, or wakes us when it goes
		}
		again, err := w.tidy(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			again = retryClean
		}
		if errors.Is(err, errNoFolder) {
			timer.Reset(again) // whoever writes has the reason, and reports it
			continue
		}
		w.mu.Lock()
		w.report(&w.troubles.clean, err, "tidy the rotated files of "+w.path)
		w.mu.Unlock()
		timer.Reset(again)
	}
}

// tidy is a pass, in which the directory stays open.
func (w *Writer) tidy(ctx context.Context) (again time.Duration, err error) {
	w.mu.Lock()
	w.janitor.cleaning = true
	w.mu.Unlock()
	again, err = w.pass(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.janitor.cleaning = false
	if w.parked() {
		w.leaveFolder()
	}
	return again, err
}

func (w *Writer) mayClean() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alone()
}

// pass does all there is to do now and says when there may be more.
func (w *Writer) pass(ctx context.Context) (again time.Duration, err error) {
	again = patrol
	all, err := w.list()
	if err != nil {
		return again, ignoreMissing(err) // the directory was removed, which is reported where the file is opened anew
	}
	all = w.ours(all)
	var problems []error
	for _, b := range all {
		if b.tmp { // only the janitor writes these, and it is not at it
			problems = append(problems, ignoreMissing(w.in().remove(b.file())))
		}
	}
	problems = append(problems, w.reconcile(all), w.prune())
	if w.opt.Compress == None {
		return again, summary(problems)
	}
	rest, err := w.list()
	problems = append(problems, err)
	rest = w.ours(rest)
	held := w.holds(rest)
	for _, b := range rest {
		if b.form != None || w.unsettled(b.id) || held[b.id] {
			continue
		}
		if wait := w.opt.CompressAfter - w.age(b); wait > 0 {
			again = min(again, wait)
			continue
		}
		if err := w.janitor.kept.reason(w.in(), b.id); err != nil {
			problems = append(problems, err)
			continue
		}
		done, err := w.compress(ctx, b)
		problems = append(problems, err)
		if done {
			w.mu.Lock()
			w.counts.Compressed++
			w.mu.Unlock()
		}
	}
	problems = append(problems, w.prune())
	return again, summary(problems)
}

// unsettled says whether a file with a rotated one's name may still be written to: it is on its way out, or somebody else has renamed the
// current one.
func (w *Writer) unsettled(id identity) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.settling[id] || w.cur.id == id
}

// reconcile finds rotated files that are there both plain and compressed, as a crash between the two last steps of a
// compression leaves them, and makes one of the two.
func (w *Writer) reconcile(all []backup) error {
	if w.opt.Naming == Numbered {
		if err := w.tidyNumbers(); err != nil {
			return err
		}
	}
	var problems []error
	plain := make(map[string]backup)
	for _, b := range all {
		if b.form == None && b.number == 0 {
			plain[b.name] = b
		}
	}
	for _, b := range all {
		twin, ok := plain[b.name]
		if b.form == None || b.tmp || !ok || w.janitor.kept.reason(w.in(), twin.id) != nil {
			continue
		}
		same, err := sameContent(w.in(), b.name, b.file(), b.form)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		surplus := twin
		if !same {
			surplus = b // the plain file is the original
		}
		problems = append(problems, w.settleTwins(twin, b, surplus))
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
	all = w.ours(all)
	var problems []error
	var total int64
	kept := 0
	held := w.holds(all)
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		if b.tmp || w.unsettled(b.id) {
			continue
		}
		total += b.size
		if held[b.id] || (w.opt.Keep == 0 || kept < w.opt.Keep) && (w.opt.MaxAge == 0 || w.age(b) <= w.opt.MaxAge) &&
			(w.opt.MaxTotal == 0 || total <= w.opt.MaxTotal) {
			kept++
			continue
		}
		problems = append(problems, w.remove(b))
	}
	return errors.Join(append(problems, w.makeFree(all, held))...)
}

// age is how long ago a file was rotated. Where its name cannot be true it counts from the file's own time, and where that cannot be either from
// now on: a clock that was wrong neither keeps a file for ever nor removes one at once.
func (w *Writer) age(b backup) time.Duration {
	w.mu.Lock()
	now := w.noticeClock() // which may have been set since the keeper has looked
	jumped := time.Now().Before(w.clock.doubt)
	w.mu.Unlock()
	switch {
	case now.Year() <= 2000 || jumped:
		return 0 // nothing is known now
	case plausible(b.stamp, now):
		return now.Sub(b.stamp)
	case plausible(b.time, now):
		return now.Sub(b.time)
	}
	if w.opt.Hold == 0 { // a Follower goes by the times
		if file, err := w.in().read(b.file()); err == nil {
			_ = setTime(file, now) // not ours: then it is kept
			file.Close()
		}
	}
	return 0
}

// makeFree removes files, oldest first, until as much of the file system is free as Options.MinFree wants: first those that nobody waits for,
// then those that a Follower has not released. New lines are worth more than the oldest.
func (w *Writer) makeFree(all []backup, held map[identity]bool) error {
	if w.opt.MinFree == 0 {
		return nil
	}
	var problems []error
	for _, waiting := range []bool{false, true} {
		for _, b := range all {
			if b.tmp || w.unsettled(b.id) || held[b.id] != waiting {
				continue
			}
			if free, err := w.in().free(); err != nil || free >= w.opt.MinFree {
				return errors.Join(problems...)
			}
			if waiting {
				w.giveUp(b, fmt.Sprintf("less than min_free, %d bytes, is free", w.opt.MinFree))
			}
			problems = append(problems, w.remove(b))
		}
	}
	return errors.Join(problems...)
}

// warnOfSpace says at the start what the file system has no room for.
func (w *Writer) warnOfSpace(all []backup) {
	free, err := w.in().free()
	if w.opt.Hold == 0 || err != nil {
		return
	}
	room := free - w.opt.MinFree
	for _, b := range all {
		if b.form == None {
			room += b.size // waits already, perhaps
		}
	}
	if room >= w.opt.Hold {
		return
	}
	then := "new lines are lost while it is full; set min_free or a smaller hold"
	if w.opt.MinFree > 0 {
		then = "the oldest are given up then, so that min_free stays free"
	}
	w.opt.Log.Warn("the file system has no room for all that may wait to be read", "path", w.path, "hold", w.opt.Hold, "room", max(room, 0),
		"min_free", w.opt.MinFree, "then", then)
}

// pruning does something that may take long, and has retention have its way meanwhile: the disk must not fill because a compression waits
// for the processor.
func (w *Writer) pruning(do func() error) error {
	done := make(chan struct{})
	var pruner sync.WaitGroup
	pruner.Go(func() {
		ticker := time.NewTicker(glance)
		defer ticker.Stop()
		asked, woken := false, false
		last := time.Now()
		for {
			select {
			case <-done:
				if woken {
					w.kick() // there may be more to do than that
				}
				return
			case <-w.wake:
				asked, woken = true, true
			case now := <-ticker.C:
				if asked || now.Sub(last) >= retryClean {
					asked, last = false, now
					_ = w.prune() // it comes again at the end of the pass, which reports what fails
				}
			}
		}
	})
	err := do()
	close(done)
	pruner.Wait()
	return err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
