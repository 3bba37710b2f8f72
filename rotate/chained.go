package rotate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate/chain"
)

// With Options.Chain what is written to a file is noted in a journal, PATH.chain/00000001 and so on, a journal for each file of the log:
//
//  1. a write that has succeeded is added to the group of lines that the next record is of (put),
//  2. which is made when there are groupSize bytes of them, and otherwise at the keeper's next look, with Flush and with Close,
//  3. a file that is opened is compared with its journal, and what that does not have is adopted (begin),
//  4. a rotation ends the journal with the name that the file has from then on, and begins another,
//  5. retention notes what it removes before it does.
//
// A journal that cannot be written stops no line: it is reported, and from the time when it can be written again it goes on with what the file has.

// groupSize is how many bytes of lines a record is of when many come, and half of what one can be of.
const groupSize = 64 << 10

// chainSuffix makes the name of a log's directory of journals.
const chainSuffix = ".chain"

// chained is the chain of a path, for all Writers of this process that have it. mu guards the fields below it.
//
// Lock order: Writer.mu before chained.mu.
type chained struct {
	path string

	mu     sync.Mutex
	users  int
	in     *folder  // with the journals
	loaded bool     // number, head and ended say what the directory does
	file   *os.File // the journal of the current file; nil: there is none, or it cannot be written
	size   int64    // of the journal
	number uint64   // of the newest journal
	head   chain.Hash
	id     identity // of the file
	at     int64    // where the group begins in it
	group  chain.Group
	line   []byte
	lost   lostJournal
	failed error
	unsaid bool // whether it fails has changed, or it was tried in vain
	counts ChainStats
	to     leaving
	left   []*os.File // journals that are ended, to be forced to the disk
	ended  []segment  // oldest first
}

// lostJournal is the last one that could be written, should the directory have none any more: somebody has moved or removed it.
type lostJournal struct {
	strange int // looks in a row at which the current one was not there
	number  uint64
	head    chain.Hash // at which it ended
}

// leaving is what becomes of a file that is rotated.
type leaving struct {
	name  string
	stamp time.Time
}

// segment is a rotated file that has a journal.
type segment struct {
	number uint64
	leaving
}

// chains knows the chain of each path, which only the package can. mu guards of.
var chains struct {
	mu sync.Mutex
	of map[string]*chained
}

// leaseChain is the chain of a path. Every call needs a call of release.
func leaseChain(path string) *chained {
	chains.mu.Lock()
	defer chains.mu.Unlock()
	if chains.of == nil {
		chains.of = make(map[string]*chained)
	}
	c := chains.of[path]
	if c == nil {
		c = &chained{path: path}
		chains.of[path] = c
	}
	c.users++
	return c
}

// release gives up the chain; the last one to do so closes the journal.
func (c *chained) release(sync SyncPolicy) (err error) {
	chains.mu.Lock()
	defer chains.mu.Unlock()
	if c.users--; c.users > 0 {
		return nil
	}
	delete(chains.of, c.path)
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.settle(sync)
	if c.file != nil {
		if sync != SyncNever {
			err = errors.Join(err, c.file.Sync())
		}
		err = errors.Join(err, c.file.Close())
		c.file = nil
	}
	if c.in != nil {
		err = errors.Join(err, c.in.close())
	}
	return err
}

// enchain begins or goes on with the journal of a file that was just opened. Called with mu held, and with that of the Writers before.
func (w *Writer) enchain(f *file) {
	for before := w.before; before != nil; before = before.before {
		switch {
		case w.chain == nil && before.chain != nil: // it was switched off
			before.chain.checkpoint(before)
			before.dropChain()
		case w.chain != nil && before.chain == nil: // it was switched on, and the one before may still write
			before.chain = leaseChain(w.path)
		}
	}
	if c := w.chain; c != nil {
		c.mu.Lock()
		c.fail(c.begin(w, f))
		c.mu.Unlock()
		w.reportChain()
	}
}

// dropChain goes on without one. Called with mu held.
func (w *Writer) dropChain() {
	err := w.chain.release(w.opt.Sync)
	w.chain = nil
	w.report(&w.troubles.chain, err, "close the journal of "+w.path)
}

// chainNow is the chain.
func (w *Writer) chainNow() *chained {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chain
}

// reportChain reports a journal that cannot be written, or can again. Called with mu held.
func (w *Writer) reportChain() {
	w.chain.mu.Lock()
	err, unsaid := w.chain.failed, w.chain.unsaid
	w.chain.unsaid = false
	w.chain.mu.Unlock()
	if unsaid {
		w.report(&w.troubles.chain, err, "write the journal of "+w.path)
	}
}

// fail gives up the journal until it can be begun again. Called with mu held.
func (c *chained) fail(err error) {
	c.unsaid = c.unsaid || err != nil || c.failed != nil
	c.failed = err
	if err == nil {
		return
	}
	c.counts.Failures++
	if c.loaded {
		c.lost.number, c.lost.head = c.number, c.head
	}
	if c.file != nil {
		_ = c.file.Close() // the first error is the one that counts
		c.file = nil
	}
	c.loaded = false
	c.group.Reset()
}

// begin makes the journal that of f. Called with mu held.
func (c *chained) begin(w *Writer, f *file) error {
	if !c.loaded {
		if err := c.load(w, f); err != nil {
			return err
		}
	}
	if c.file != nil && c.id == f.id {
		return c.catchUp(w, f.own)
	}
	if err := c.end(w); err != nil {
		return err
	}
	if err := c.create(w, c.number+1); err != nil {
		return err
	}
	r := chain.Record{Kind: chain.Begin, Time: w.opt.Now(), Segment: c.number + 1, Inode: f.id.ino, Birth: birth(f.own), Prev: c.head}
	c.number++
	c.id, c.at = f.id, 0
	if err := c.append(&r); err != nil {
		return err
	}
	return c.catchUp(w, f.own)
}

// create makes a new journal.
func (c *chained) create(w *Writer, number uint64) (err error) {
	name := chain.FileName(number)
	c.file, err = c.in.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, w.opt.Mode)
	if err != nil {
		return err
	}
	c.size = 0
	_, err = setOwner(c.file, w.opt.Mode, w.opt.Owner) // what it refuses is the same as for the log, which reports it
	return err
}

// end ends the journal, if there is one.
func (c *chained) end(w *Writer) error {
	if c.file == nil {
		return nil
	}
	if err := c.note(w, chain.Lines); err != nil {
		return err
	}
	r := chain.Record{Kind: chain.End, Time: w.opt.Now(), Size: c.at, Name: c.to.name}
	if !c.to.stamp.IsZero() {
		r.Stamp = c.to.stamp.UnixNano()
	}
	if err := c.append(&r); err != nil {
		return err
	}
	c.ended = append(c.ended, segment{c.number, c.to})
	c.to = leaving{}
	c.left = append(c.left, c.file)
	c.file = nil
	c.group.Reset()
	return nil
}

// settle forces the journals that are ended to the disk.
func (c *chained) settle(sync SyncPolicy) (err error) {
	for _, file := range c.left {
		if sync != SyncNever {
			err = errors.Join(err, file.Sync())
		}
		err = errors.Join(err, file.Close())
	}
	c.left = nil
	return err
}

// append writes a record. When it cannot be written whole, nothing of it stays.
func (c *chained) append(r *chain.Record) error {
	line, head := chain.Append(c.line[:0], c.head, r)
	c.line = line
	if _, err := c.file.Write(line); err != nil {
		_ = c.file.Truncate(c.size) // else the next start cuts it
		return err
	}
	c.size += int64(len(line))
	c.head = head
	c.counts.Records++
	c.counts.Last = r.Time
	return nil
}

// note makes a record of the group, if there is anything in it.
func (c *chained) note(w *Writer, kind chain.Kind) error {
	if c.group.Size() == 0 {
		return nil
	}
	r := c.group.Take(c.at)
	r.Kind, r.Time = kind, w.opt.Now()
	if err := c.append(&r); err != nil {
		return err
	}
	c.at += r.Size
	c.counts.Lines += uint64(r.Lines)
	if kind == chain.Adopted {
		c.counts.Adopted += uint64(r.Lines)
	}
	return nil
}

// add takes what was written to the current file. Called with mu held.
func (c *chained) add(w *Writer, p []byte) {
	if c.file == nil || c.id != w.cur.id {
		return
	}
	for len(p) > 0 && c.file != nil {
		n := min(len(p), groupSize)
		c.group.Add(p[:n])
		if c.group.Size() >= groupSize {
			c.fail(c.note(w, chain.Lines))
		}
		p = p[n:]
	}
}

// catchUp makes records of what a file has and the journal has not: a process that was killed had written it, or something else.
func (c *chained) catchUp(w *Writer, own *os.File) error {
	if err := c.note(w, chain.Lines); err != nil {
		return err
	}
	info, err := own.Stat() // now, when no Writer of the path writes
	if err != nil {
		return err
	}
	size := info.Size()
	if size < c.at {
		r := chain.Record{Kind: chain.Cut, Time: w.opt.Now(), At: size, Size: c.at}
		if err := c.append(&r); err != nil {
			return err
		}
		c.at = size
		c.group.Reset()
		return nil
	}
	buf := make([]byte, min(size-c.at, groupSize))
	for c.at < size {
		n, err := own.ReadAt(buf[:min(size-c.at, groupSize)], c.at)
		if n == 0 && err != nil {
			return fmt.Errorf("read what the journal has not: %w", err)
		}
		c.group.Add(buf[:n])
		if err := c.note(w, chain.Adopted); err != nil {
			return err
		}
	}
	return nil
}

// load reads where the journals are. The newest may be of a file that a killed process has rotated and not noted: then it is found by its inode.
func (c *chained) load(w *Writer, f *file) error {
	if c.in == nil {
		in, err := openFolder(c.path+chainSuffix, w.opt.Base, true)
		if err != nil {
			return err
		}
		c.in = in
	}
	entries, err := c.in.list()
	if err != nil {
		return err
	}
	c.number, c.head, c.ended = 0, chain.Hash{}, nil
	var known []uint64
	for _, e := range entries {
		if n, ok := chain.Number(e.Name()); ok && e.Type().IsRegular() {
			known = append(known, n)
			c.number = max(c.number, n)
		}
	}
	for _, n := range known {
		if n != c.number {
			if to, ok := c.endOf(n); ok {
				c.ended = append(c.ended, segment{n, to})
			}
		}
	}
	c.loaded = true
	if c.number == 0 {
		c.number, c.head = c.lost.number, c.lost.head // so that Verify names the ones that are missing
		return nil
	}
	return c.resume(w, f)
}

// endOf is where the file of an older journal has gone.
func (c *chained) endOf(number uint64) (to leaving, ok bool) {
	file, err := c.in.read(chain.FileName(number))
	if err != nil {
		return to, false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return to, false
	}
	tail := make([]byte, min(info.Size(), 8<<10))
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return to, false
	}
	r, ok := chain.LastEnd(tail)
	if ok && r.Stamp != 0 {
		to = leaving{r.Name, time.Unix(0, r.Stamp)}
	}
	return to, ok
}

// resume goes on with the newest journal, which is read whole.
func (c *chained) resume(w *Writer, f *file) error {
	name := chain.FileName(c.number)
	file, err := c.in.open(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s := chain.ParseSegment(c.number, text)
	c.head = s.Head()
	if s.Bad != nil {
		// Somebody has changed it. What it says so far stays for Verify to see; the chain goes on in a new one.
		w.opt.Log.Error("the newest journal is damaged; another one is begun", "path", w.path, "journal", name, "err", s.Bad)
		return file.Close()
	}
	if s.Torn {
		if err := file.Truncate(s.Whole); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	if end, over := s.End(); over {
		to := leaving{name: end.Name}
		if end.Stamp != 0 {
			to.stamp = time.Unix(0, end.Stamp)
		}
		c.ended = append(c.ended, segment{c.number, to})
		return file.Close()
	}
	if len(s.Records) == 0 { // the process was killed before the first
		err := errors.Join(file.Close(), c.in.remove(name))
		if c.number--; err != nil || c.number == 0 {
			return err
		}
		return c.resume(w, f)
	}
	first := s.Records[0]
	c.counts.Last = s.Records[len(s.Records)-1].Time
	c.file, c.size, c.at, c.to = file, s.Whole, s.Covered(), leaving{}
	c.id = identity{f.id.dev, first.Inode}
	if c.id == f.id && (first.Birth == 0 || first.Birth == birth(f.own)) {
		return nil
	}
	return c.endMoved(w, first)
}

// endMoved ends the journal of a file that was moved while no process ran, or at the moment when one was killed.
func (c *chained) endMoved(w *Writer, first chain.Record) error {
	all, err := w.list()
	if err != nil {
		return err
	}
	for _, b := range all {
		if b.id != c.id || b.form != None {
			continue
		}
		moved, err := w.in().read(b.file())
		if err != nil {
			return err
		}
		defer moved.Close()
		if first.Birth != 0 && first.Birth != birth(moved) {
			continue
		}
		if err := c.catchUp(w, moved); err != nil {
			return err
		}
		c.to = leaving{b.name, b.stamp}
		break
	}
	return c.end(w)
}

// stats says how the chain is, and why its journal cannot be written. Called with the Writer's mu held.
func (c *chained) stats(w *Writer) (s ChainStats, failed error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.counts
	s.Kept = true
	switch {
	case c.file != nil && c.id == w.cur.id:
		s.Journal, s.Waiting = chain.FileName(c.number), c.group.Size()
	case c.id == w.cur.id: // so much was recorded before it failed
		s.Waiting = max(0, w.cur.size-c.at)
	default:
		s.Waiting = w.cur.size
	}
	return s, c.failed
}

// checkpoint makes a record of what has none yet, and tries again to begin a journal that could not be written. Called with the Writer's mu held.
func (c *chained) checkpoint(w *Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil && w.cur.missing == nil && w.troubles.chain.due(w.opt.Now()) {
		c.fail(c.begin(w, w.cur))
		return
	}
	if c.file != nil {
		c.fail(c.note(w, chain.Lines))
	}
}

// look begins another journal if the one there was is not at its path any more. Called with the Writer's mu held.
func (c *chained) look(w *Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.cur.missing != nil || !c.moved() {
		return
	}
	if w.rarely.may("journal moved", w.opt.Now()) {
		w.opt.Log.Error("the journal was moved or removed; another one is begun", "path", w.path, "journal", chain.FileName(c.number))
	}
	c.forsake()
	c.fail(c.begin(w, w.cur))
}

// moved says whether the journal is not at its path any more, as two looks in a row agree: somebody may be about to move it back.
func (c *chained) moved() bool {
	if c.file == nil {
		return false
	}
	at, err := identify(filepath.Join(c.path+chainSuffix, chain.FileName(c.number)))
	id, ownErr := identityOf(c.file)
	if ownErr != nil || err == nil && at == id || err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		c.lost.strange = 0
		return false
	}
	c.lost.strange++
	return c.lost.strange >= 2
}

// forsake leaves the journal and its directory as they are, wherever they are. What the current one does not have yet is adopted by the next.
func (c *chained) forsake() {
	c.lost = lostJournal{number: c.number, head: c.head}
	c.counts.Failures++
	_ = c.file.Close() // nobody can find it, or it is somebody else's
	_ = c.in.close()
	c.file, c.in, c.loaded = nil, nil, false
	c.group.Reset()
}

// sync is checkpoint, and forces the journal to the disk.
func (c *chained) sync(w *Writer) {
	c.checkpoint(w)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return
	}
	if err := c.file.Sync(); err != nil {
		c.fail(err)
	}
}

// force forces the journal to the disk.
func (c *chained) force() error {
	c.mu.Lock()
	file := c.file
	c.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.Sync(); !errors.Is(err, fs.ErrClosed) { // a rotation does it itself
		return err
	}
	return nil
}

// cutOff notes that somebody has cut the current file.
func (c *chained) cutOff(w *Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil && c.id == w.cur.id {
		c.fail(c.catchUp(w, w.cur.own))
	}
}

// leave says what becomes of the current file when the next one begins.
func (c *chained) leave(name string, stamp time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = leaving{name, stamp}
}

// removing notes that retention removes a file, on the disk, before it does.
func (c *chained) removing(w *Writer, b backup) (number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	is := func(s segment) bool {
		return s.name != "" && (b.number == 0 && s.name == b.name || b.number > 0 && s.stamp.Equal(b.time))
	}
	known := slices.ContainsFunc(c.ended, is)
	for i, s := range c.ended {
		// The oldest file goes first, which is the oldest journal's if its time was changed by whoever copied the log. A file from before the chain is older.
		if !is(s) && (known || b.number == 0 || i > 0 || !b.time.After(s.stamp)) {
			continue
		}
		if c.file == nil {
			return 0
		}
		r := chain.Record{Kind: chain.Removed, Time: w.opt.Now(), Segment: s.number, Name: b.file()}
		err := c.note(w, chain.Lines)
		if err == nil {
			err = c.append(&r)
		}
		if err == nil && w.opt.Sync != SyncNever {
			err = c.file.Sync()
		}
		if c.fail(err); err != nil {
			return 0
		}
		return s.number
	}
	return 0
}

// removed removes the journal of a file that is gone.
func (c *chained) removed(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.ended {
		if s.number == number {
			c.ended = append(c.ended[:i:i], c.ended[i+1:]...)
			_ = c.in.remove(chain.FileName(number)) // one that stays says nothing wrong
			return
		}
	}
}
