package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// freeze keeps the numbers of rotated files as they are until the function that it returns is called. Dated names never change.
// Lock order: mu before numbers.
func (w *Writer) freeze() (thaw func()) {
	if w.opt.Naming != Numbered {
		return func() {}
	}
	w.numbers.Lock()
	return w.numbers.Unlock
}

// list is the rotated files of both kinds of names, oldest first, the plain one before the compressed one of the same name.
func (w *Writer) list() ([]backup, error) {
	defer w.freeze()()
	return w.listFrozen()
}

// listFrozen is list for those who have frozen the numbers.
func (w *Writer) listFrozen() ([]backup, error) {
	return w.series.list(w.in(), w.opt.step)
}

// list is the rotated files in a folder, in the order of Writer.list.
func (s series) list(in *folder, step func(name string)) ([]backup, error) {
	entries, err := in.list()
	if err != nil {
		return nil, err
	}
	step("list: read")
	var all []backup
	for _, e := range entries {
		b, ok := s.parse(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		st, err := in.stat(e.Name())
		if err != nil {
			continue // gone this very moment
		}
		b.id, b.size, b.time = identity{st.Dev, st.Ino}, st.Size, time.Unix(st.Mtim.Unix())
		if b.number > 0 {
			b.stamp = b.time
		}
		all = append(all, b)
	}
	orderNumbered(all)
	slices.SortStableFunc(all, func(a, b backup) int { return a.stamp.Compare(b.stamp) })
	return all, nil
}

// orderNumbered makes the stamps of numbered files say what their numbers do, where somebody has changed a file's time: a file is older
// than those with a lower number.
func orderNumbered(all []backup) {
	var numbered []*backup
	for i := range all {
		if all[i].number > 0 {
			numbered = append(numbered, &all[i])
		}
	}
	slices.SortStableFunc(numbered, func(a, b *backup) int { return a.number - b.number })
	var newer *backup
	for _, b := range numbered {
		switch {
		case newer == nil:
		case newer.number == b.number:
			b.stamp = newer.stamp
		case !b.stamp.Before(newer.stamp):
			b.stamp = newer.stamp.Add(-1)
		}
		newer = b
	}
}

// ours is those of all that compression and retention are for. With dated names, numbers are somebody else's: logrotate's, perhaps.
func (w *Writer) ours(all []backup) []backup {
	if w.opt.Naming == Numbered {
		return all
	}
	return slices.DeleteFunc(all, func(b backup) bool { return b.number > 0 })
}

// again finds a listed file under the name that it has by now. ok is false when it is gone. Called with the numbers frozen.
func (w *Writer) again(b backup) (now backup, ok bool, err error) {
	if id, err := w.in().identify(b.file()); err == nil && id == b.id {
		return b, true, nil
	}
	if b.number == 0 {
		return b, false, nil
	}
	all, err := w.listFrozen()
	if err != nil {
		return b, false, err
	}
	// The time too, because an inode may be another file's by now.
	i := slices.IndexFunc(all, func(o backup) bool { return o.id == b.id && o.time.Equal(b.time) })
	if i < 0 {
		return b, false, nil
	}
	return all[i], true, nil
}

// remove removes a rotated file for retention's sake.
func (w *Writer) remove(b backup) error {
	var number uint64
	c := w.chainNow()
	if c != nil {
		number = c.removing(w, b)
	}
	gone, err := w.removeOne(b)
	if gone && number > 0 {
		c.removed(number)
	}
	if gone {
		w.mu.Lock()
		w.counts.Removed++
		w.mu.Unlock()
	}
	return err
}

func (w *Writer) removeOne(b backup) (gone bool, err error) {
	defer w.freeze()()
	b, ok, err := w.again(b)
	if !ok || err != nil {
		return false, err
	}
	err = w.in().remove(b.file())
	return err == nil, ignoreMissing(err)
}

// moveAside renames the current file to a name that nothing has, plain or compressed. Called with mu held.
func (w *Writer) moveAside() (name string, err error) {
	if w.opt.Naming == Numbered {
		return w.moveToFirst()
	}
	stamp := nextStamp(w.opt.Now(), w.lastStamp())
	for range 1000 {
		name := w.series.dated(stamp)
		if !w.taken(name) {
			err := w.in().rename(w.series.base, name)
			if err == nil {
				w.last = stamp
				return name, nil
			}
			if !errors.Is(err, fs.ErrExist) {
				return "", err
			}
		}
		stamp = stamp.Add(time.Millisecond)
	}
	return "", fmt.Errorf("rotate %s: a thousand names around %s are taken", w.path, w.series.dated(stamp))
}

// lastStamp is what the next stamp must come after: that of the newest rotated file, unless that is from a time that has not come yet. A Follower
// goes by the order of the stamps, whatever the clock says. Called with mu held.
func (w *Writer) lastStamp() time.Time {
	if w.opt.Hold == 0 && w.last.Sub(w.opt.Now()) > setBack {
		return time.Time{}
	}
	return w.last
}

// taken says whether a compressed file of this name is there; the plain one is found out by the rename itself.
func (w *Writer) taken(name string) bool {
	for _, form := range []Compression{Gzip, Zstd} {
		if _, err := w.in().stat(name + form.suffix()); err == nil {
			return true
		}
	}
	return false
}

// moveToFirst renames the current file to number 1 and notes in its time when that was. Called with mu held.
func (w *Writer) moveToFirst() (name string, err error) {
	defer w.freeze()()
	n, err := w.makeRoom(1)
	if err != nil {
		return "", err
	}
	name = w.series.numbered(n)
	if err := w.in().rename(w.series.base, name); err != nil {
		return "", err
	}
	w.opt.step("rotate: stamp")
	stamp := nextStamp(w.opt.Now(), w.lastStamp())
	err = setTime(w.cur.own, stamp)
	if err != nil && w.opt.Hold > 0 {
		// A Follower tells by it what it has read.
		err = fmt.Errorf("note in %s when it was rotated: %w; it must belong to this process's user", name, err)
		return "", errors.Join(err, w.in().rename(name, w.series.base))
	}
	w.last = stamp // if the time could not be set, the file's own, which is a little earlier, does as well
	return name, nil
}

// makeRoom frees number n by moving what has it, and what is then in the way, one up. The highest goes first and nothing is ever
// replaced, so that a crash in between leaves a gap, which the next call fills, and nothing in another order. Called with the
// numbers frozen.
func (w *Writer) makeRoom(n int) (int, error) {
	entries, err := w.in().list()
	if err != nil {
		return 0, err
	}
	have := make(map[int][]backup) // whatever it is that has the name
	for _, e := range entries {
		if b, ok := w.series.parse(e.Name()); ok && b.number > 0 {
			have[b.number] = append(have[b.number], b)
		}
	}
	free := n
	for len(have[free]) > 0 {
		free++
	}
	for number := free - 1; number >= n; number-- {
		for _, b := range have[number] {
			w.opt.step("rotate: shift")
			to := b
			to.name = w.series.numbered(number + 1)
			err := w.in().rename(b.file(), to.file())
			if err := ignoreMissing(err); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// tidyNumbers makes sure that each number is one file's and that the newest's time is later than the others', which a crash may have
// prevented. A plain and a compressed file of one number and one time are what a crash at the end of a compression leaves: the plain one
// is the original and will be compressed again. With different times they are different files, and each gets its own number.
func (w *Writer) tidyNumbers() error {
	defer w.freeze()()
	for {
		all, err := w.listFrozen()
		if err != nil {
			return err
		}
		again := false
		for _, b := range all {
			// A rename in two steps that a crash came between: the file is where it was, too.
			if j := slices.IndexFunc(all, func(o backup) bool { return o.id == b.id && o.number < b.number && o.number > 0 }); j >= 0 {
				if err := w.in().remove(b.file()); err != nil {
					return err
				}
				again = true
				break
			}
			i := slices.IndexFunc(all, func(o backup) bool { return o.number == b.number && o.form == None })
			if b.number == 0 || b.form == None || i < 0 {
				continue
			}
			if b.time.Equal(all[i].time) {
				if err := w.in().remove(b.file()); err != nil {
					return err
				}
				continue
			}
			n, err := w.makeRoom(b.number + 1)
			if err != nil {
				return err
			}
			apart := b
			apart.name = w.series.numbered(n)
			if err := w.in().rename(b.file(), apart.file()); err != nil {
				return err
			}
			again = true // the list is not true any more
			break
		}
		if !again {
			return nil
		}
	}
}

// stampNewest gives the file with the lowest number a time later than the others', which a crash between its rename and its stamp may
// have prevented. Called by Open.
func (w *Writer) stampNewest() error {
	all, err := w.list()
	if err != nil {
		return err
	}
	var newest *backup
	var last time.Time
	for i, b := range all {
		if b.number == 0 {
			continue
		}
		if newest == nil || b.number < newest.number {
			newest = &all[i]
		}
	}
	if newest == nil {
		return nil
	}
	for _, b := range all {
		if b.number > newest.number && b.time.After(last) {
			last = b.time
		}
	}
	if newest.time.After(last) {
		return nil
	}
	file, err := w.in().read(newest.file())
	if err != nil {
		return err
	}
	defer file.Close()
	return setTime(file, nextStamp(newest.time, last))
}

// setTime sets a file's modification time. Only its owner may.
func setTime(file *os.File, to time.Time) error {
	at, err := unix.TimeToTimespec(to)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), []unix.Timespec{at, at}, 0)
}
