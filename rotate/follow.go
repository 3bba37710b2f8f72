package rotate

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Position is a place between two lines of a log. Rotations do not change it. It may be stored as JSON and given to Follow after a
// restart.
type Position struct {
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"`
	// Check is a checksum of the Checked bytes before Offset, because an inode alone may be another file's by now; Checked is 0 for the 64 of
	// earlier versions.
	Check   uint32 `json:"check"`
	Checked int64  `json:"checked,omitempty"`
	// Birth is when the file was made, in nanoseconds since 1970, where the file system knows.
	Birth int64 `json:"birth,omitempty"`
	// After is a stamp: files that were rotated later hold this position or what comes after it.
	After time.Time `json:"after"`
}

const (
	// checked is how many bytes before a Position its Check covers: several lines, with their times.
	checked = 4 << 10
	// checkedBefore is the same of positions that earlier versions have stored.
	checkedBefore = 64
)

// window is how many bytes before p its Check covers.
func (p Position) window() int64 {
	n := p.Checked
	if n <= 0 || n > checked {
		n = checkedBefore
	}
	return min(n, p.Offset)
}

// Missed says what a Follower could not read, because somebody emptied the file or took it away.
type Missed struct {
	Times uint64
	Bytes uint64 // of those times at which it is known how much there was
}

// A Follower reads what a Writer writes, in order and through rotations, as whole lines. It belongs to one goroutine.
//
//  1. Next reads on from its offset in the file it has open, as far as the last newline,
//  2. at the end of a file that the Writer writes to no more it goes on to the next newer one, and at last to the current one,
//  3. Release lets retention have what the reader does not need again.
//
// The Writer must have Options.Hold, which keeps files from being compressed or removed before they were released.
type Follower struct {
	w        *Writer
	file     *os.File
	id       identity
	pos      Position
	finished bool // the Writer writes to another file: the end of this one is its end
	buf      []byte
	most     int   // lines of a Next; 0: as many as there are
	cut      int64 // what had been cut off the file when we began to read it
	missed   Missed
}

const (
	firstRead = 64 << 10
	mostRead  = 16 << 20 // a line that is larger is handed on in pieces
)

// Follow begins to read at p; nil is where the file ended when the Writer opened it. found is false when the file that p is in is no
// longer there: then the Follower begins with the oldest file after it. A Writer has one Follower at a time.
func (w *Writer) Follow(p *Position) (f *Follower, found bool, err error) {
	if w.opt.Hold <= 0 {
		return nil, false, errors.New("follow a log file without Options.Hold: rotated files would be compressed before they are read")
	}
	w.mu.Lock()
	missing := w.cur.missing
	w.mu.Unlock()
	if missing != nil {
		return nil, false, fmt.Errorf("follow %s: it is not open: %w", w.path, missing)
	}
	f = &Follower{w: w, buf: make([]byte, checked+firstRead)}
	if p == nil {
		p = &w.opened
	}
	found, err = f.Seek(*p)
	if err != nil {
		return nil, found, err
	}
	f.Release(f.pos)
	return f, found, nil
}

// News has a value when lines were written since it was last received from.
func (f *Follower) News() <-chan struct{} { return f.w.news }

// Position is after the lines that Next has returned.
func (f *Follower) Position() Position { return f.pos }

// Missed is what could not be read since Follow.
func (f *Follower) Missed() Missed { return f.missed }

// Close closes the file that is being read. What was not released stays held.
func (f *Follower) Close() error { return f.file.Close() }

// Release lets retention have everything before p.
func (f *Follower) Release(p Position) {
	f.w.mu.Lock()
	f.w.reader.floor, f.w.reader.followed = p.After, true
	f.w.abandoned = slices.DeleteFunc(f.w.abandoned, func(a abandoned) bool { return a.last.Before(p.After) })
	f.w.mu.Unlock()
	f.w.kick()
}

// Seek goes to p, or if the file that it is in is gone, which found reports, to the oldest file after it.
func (f *Follower) Seek(p Position) (found bool, err error) {
	for range seekTries { // rotations may come in between
		file, sure, err := f.w.find(p)
		if err != nil {
			return false, err
		}
		if file != nil {
			return true, f.adopt(file, p)
		}
		if sure {
			f.finished = true
			if err := f.advance(p.After, identity{}, p.Inode); !errors.Is(err, errTurned) {
				return false, err
			}
		}
		time.Sleep(time.Millisecond)
	}
	return false, fmt.Errorf("follow %s: it is rotated faster than it can be opened", f.w.path)
}

// seekTries bounds how often a rotation may come between two looks.
const seekTries = 1000

// adopt goes on in file, which belongs to the Follower from then on.
func (f *Follower) adopt(file *os.File, p Position) error {
	id, err := identityOf(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if f.file != nil {
		f.file.Close()
	}
	p.Inode, p.Birth = id.ino, birth(file)
	f.file, f.id, f.pos, f.finished = file, id, p, false
	f.cut, _ = f.w.cutOf(id)
	return nil
}

// Next is the next whole lines, and nothing when there are none yet. They are valid until the next call. Besides when there is News,
// it should be called about once a second, for the sake of files that somebody else moves.
func (f *Follower) Next() ([]byte, error) {
	for {
		// The bytes before come along, because somebody may have emptied the file, and it may have grown to more than it was.
		before := int(min(checked, f.pos.Offset))
		n, err := f.file.ReadAt(f.buf, f.pos.Offset-int64(before))
		if err != nil && err != io.EOF {
			return nil, err
		}
		if !f.continues(f.buf[:min(n, before)], before) {
			continue
		}
		fresh := f.buf[before:n]
		end := bytes.LastIndexByte(fresh, '\n') + 1
		switch {
		case end == 0 && n == len(f.buf) && n < mostRead:
			larger := make([]byte, 2*n)
			f.buf = larger
			continue
		case end == 0 && (n == len(f.buf) || f.finished):
			end = len(fresh)
		}
		if f.most > 0 {
			end = firstLines(fresh[:end], f.most)
		}
		if end > 0 {
			f.pos.Offset += int64(end)
			f.pos.Check, f.pos.Checked = check(f.buf[:before+end]), checked
			return fresh[:end], nil
		}
		if f.finished {
			err := f.advance(f.pos.After, f.id, f.id.ino)
			if errors.Is(err, errTurned) {
				return nil, nil // the caller comes again
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if f.current() {
			return nil, nil
		}
		f.finished = true // nobody writes to it from now on, but somebody may have since we read
	}
}

// firstLines is the length of the first lines of text, at most n.
func firstLines(text []byte, n int) (end int) {
	for ; n > 0 && end < len(text); n-- {
		end += endOfLine(text[end:])
	}
	return end
}

// Bound has Next return so many lines at most; 0: no bound.
func (f *Follower) Bound(lines int) { f.most = lines }

// continues says whether what was just read goes on from our position: before is what stands there before it. If it does not, somebody has
// emptied the file, and its beginning is what comes next.
//
// It looks after the read, so that a truncation in the middle of it is noticed too.
func (f *Follower) continues(before []byte, want int) bool {
	same := len(before) == want && check(before[want-int(f.pos.window()):]) == f.pos.Check
	cut, known := f.w.cutOf(f.id)
	if same && (!known || cut == f.cut) {
		return true
	}
	lost := max(cut-f.cut, 0) // what was cut off since, read or not
	if !known {
		lost = 0
	}
	f.cut = cut
	if !same {
		lost = max(lost-f.pos.Offset, 0)
		f.pos.Offset, f.pos.Check, f.pos.Checked = 0, 0, checked
	}
	if lost > 0 || !known {
		f.missed.Times++
		f.missed.Bytes += uint64(lost)
	}
	return false
}

// cutOf is how many bytes somebody has cut off a file since the Writer opened it; known is false when it is not the current one.
func (w *Writer) cutOf(id identity) (cut int64, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cur.id != id {
		return 0, false
	}
	w.noticeTruncation()
	return w.cur.cut, true
}

// current says whether the Writer still writes to the file that we read.
func (f *Follower) current() bool {
	return f.w.current().id == f.id
}

// errTurned says that a rotation came between two looks.
var errTurned = errors.New("the log file was rotated meanwhile")

// advance goes on to the oldest file after a stamp that is not the given one, or to the current one. known is the inode of the file that the
// caller has read, or counts as missed.
func (f *Follower) advance(after time.Time, but identity, known uint64) error {
	f.w.mu.Lock()
	cur, last := f.w.cur, f.w.last
	f.w.mu.Unlock()
	f.w.opt.step("follow: list")
	// Every rotation up to last has its name by now, so what the directory does not show is the current file.
	b, read, left, err := f.oldest(after, but, cur.id)
	if err != nil {
		return err
	}
	// Of the rotations that came since, the list may show a later one and not the one before it.
	if f.w.current() != cur && (b.name == "" || b.stamp.After(last)) {
		return errTurned
	}
	if b.name != "" {
		file, err := f.w.in().read(b.name)
		if errors.Is(err, fs.ErrNotExist) {
			return errTurned
		}
		if err != nil {
			return err
		}
		if id, err := identityOf(file); err != nil || id != b.id {
			file.Close()
			return errTurned // renumbered since
		}
		f.countAbandoned(after, read, b, known, left)
		return f.adopt(file, Position{After: b.stamp.Add(-1)})
	}
	if read.After(last) { // somebody else moved the file that was read
		last = read
	}
	file, err := f.w.in().read(f.w.series.base)
	if errors.Is(err, fs.ErrNotExist) {
		return errTurned // the Writer makes a new one within a second
	}
	if err != nil {
		return err
	}
	if id, err := identityOf(file); err != nil || id != cur.id {
		file.Close()
		return errTurned
	}
	f.countAbandoned(after, read, b, known, left)
	return f.adopt(file, Position{After: last})
}

// An abandoned file is one that the Writer has left because it was not at its path any more.
type abandoned struct {
	id   identity
	size int64
	last time.Time // the newest rotated file was this one's elder
}

// mostAbandoned bounds what is known of them.
const mostAbandoned = 1000

// abandon notes that the Writer goes on in another file. Called with mu held.
func (w *Writer) abandon(old *file) {
	if w.opt.Hold > 0 && old.missing == nil && len(w.abandoned) < mostAbandoned {
		w.abandoned = append(w.abandoned, abandoned{old.id, old.size, w.last})
	}
}

// countAbandoned counts what nobody can read of the files between where the Follower was, after a stamp (read, if the file has one by now), and the
// file to, or the current one. left says which files are still to be found.
func (f *Follower) countAbandoned(after, read time.Time, to backup, known uint64, left func(id identity) bool) {
	if read.After(after) {
		after = read
	}
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.w.abandoned = slices.DeleteFunc(f.w.abandoned, func(a abandoned) bool {
		between := !a.last.Before(after) && (to.name == "" || to.stamp.After(a.last))
		if !between || left(a.id) {
			return false
		}
		if a.id.ino == known {
			return true
		}
		f.missed.Times++
		f.missed.Bytes += uint64(a.size)
		return true
	})
}

// oldest is the oldest plain file after a stamp that is neither the given one nor the current one; without a name: there is none. read is
// the stamp of the given one, if it is a rotated file by now.
//
// What somebody else renames while the directory is read may be missing: it had its old name no more and its new one not yet. Nobody renames
// a file twice in so short a time, so it looks twice.
func (f *Follower) oldest(after time.Time, but, cur identity) (b backup, read time.Time, left func(id identity) bool, err error) {
	defer f.w.freeze()()
	var looks [2]backup
	var all []backup
	for i := range looks {
		if all, err = f.w.listFrozen(); err != nil {
			return b, read, nil, err
		}
		for _, o := range all {
			switch {
			case o.id == but:
				read = o.stamp
			case looks[i].name == "" && o.form == None && o.stamp.After(after) && o.id != cur:
				looks[i] = o
			}
		}
	}
	if looks[0].id != looks[1].id {
		return b, read, nil, errTurned
	}
	left = func(id identity) bool {
		return id == cur || slices.ContainsFunc(all, func(b backup) bool { return b.id == id })
	}
	return looks[1], read, left, nil
}

// find opens the file that p is in, under whichever name it has now. It returns nothing when there is none; sure is false when that
// may be for a rotation that came while the directory was read: the file had its old name no more and its new one not yet.
func (w *Writer) find(p Position) (file *os.File, sure bool, err error) {
	before := w.current()
	file, other, err := w.search(p)
	if file == nil && err == nil && !other {
		file, other, err = w.search(p) // the rotation may have been somebody else's, of which we know nothing
	}
	if file != nil || err != nil {
		return file, true, err
	}
	after := w.current()
	return nil, other || before == after && after.id.ino != p.Inode, nil
}

// search looks for the file that p is in. other says that p's inode is another file's by now.
func (w *Writer) search(p Position) (file *os.File, other bool, err error) {
	defer w.freeze()()
	entries, err := w.in().list()
	if err != nil {
		return nil, false, err
	}
	w.opt.step("list: read")
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if id, err := w.in().identify(e.Name()); err != nil || id.ino != p.Inode {
			continue
		}
		file, err := w.in().read(e.Name())
		if err != nil {
			continue // gone this very moment
		}
		id, err := identityOf(file)
		if err != nil || id.ino != p.Inode { // another one has its name since we looked
			file.Close()
			continue
		}
		if isAt(file, p) {
			return file, false, nil
		}
		file.Close()
		other = true
	}
	return nil, other, nil
}

// current is the file that the Writer writes to. It is to be compared and for its id only.
func (w *Writer) current() *file {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cur
}

// Behind is how many bytes there are after p.
func (w *Writer) Behind(p Position) (int64, error) {
	w.mu.Lock()
	cur, size := w.cur.id, w.cur.size
	w.mu.Unlock()
	total := size
	if cur.ino == p.Inode {
		return max(size-p.Offset, 0), nil
	}
	backups, err := w.list()
	if err != nil {
		return 0, err
	}
	for _, b := range backups {
		if b.form != None || !b.stamp.After(p.After) {
			continue
		}
		total += b.size
		if b.id.ino == p.Inode {
			total -= min(p.Offset, b.size)
		}
	}
	return total, nil
}

// holds says which rotated files are kept as they are for the Follower: those it has not released, from the newest back as
// long as they are within the hold. It counts what it gives up for that.
func (w *Writer) holds(all []backup) map[identity]bool {
	if w.opt.Hold <= 0 {
		return nil
	}
	w.mu.Lock()
	floor, followed := w.reader.floor, w.reader.followed
	w.mu.Unlock()
	held := make(map[identity]bool)
	var given []backup // the newest first
	var total int64
	for i := len(all) - 1; i >= 0; i-- {
		b := all[i]
		if b.form != None || followed && !b.stamp.After(floor) {
			continue
		}
		if total += b.size; total <= w.opt.Hold {
			held[b.id] = true
		} else if followed {
			given = append(given, b)
		} else {
			held[b.id] = true // whether it was read already is not known yet
		}
	}
	for _, o := range slices.Backward(given) {
		w.giveUp(o, fmt.Sprintf("hold is %d bytes", w.opt.Hold))
	}
	return held
}

// giveUp counts a file that is not held though it was not released, once: files come in the order of their stamps.
func (w *Writer) giveUp(b backup, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !b.stamp.After(w.reader.gaveUp) {
		return
	}
	w.reader.gaveUp = b.stamp
	w.counts.Unheld += uint64(b.size)
	if w.rarely.may("give up", w.opt.Now()) {
		w.opt.Log.Error("a rotated file is given up before it was read, because more waits than may be held", "path", w.path,
			"file", b.name, "bytes", b.size, "since_start", w.counts.Unheld, "why", why)
	}
}

func identityOf(file *os.File) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return identity{}, err
	}
	return identity{st.Dev, st.Ino}, nil
}

func check(before []byte) uint32 {
	return crc32.ChecksumIEEE(before[max(len(before)-checked, 0):])
}

// isAt says whether file is the one that p is in.
func isAt(file *os.File, p Position) bool {
	if b := birth(file); b != 0 && p.Birth != 0 && b != p.Birth {
		return false
	}
	before := make([]byte, p.window())
	_, err := file.ReadAt(before, p.Offset-int64(len(before)))
	return err == nil && check(before) == p.Check
}

// birth is when a file was made, 0 if the file system does not know.
func birth(file *os.File) int64 {
	var st unix.Statx_t
	err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return 0
	}
	return st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
}
