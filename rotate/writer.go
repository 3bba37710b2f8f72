package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is what a Writer's methods return after Close.
var ErrClosed = errors.New("the log file is closed")

// Writer writes lines to a file and rotates it. Its methods may be called from several goroutines; each Write stays together.
type Writer struct {
	// Immutable after Open.
	path   string
	dir    string
	series series
	opt    Options
	cancel context.CancelFunc
	wake   chan struct{} // tells the janitor that there may be something to do
	news   chan struct{} // tells the Follower that there may be something to read
	// folder is the directory, open; nil while it cannot be opened.
	folder atomic.Pointer[folder]
	chain  *chained      // nil: none. Guarded by mu
	opened Position      // where the file ended when it was opened
	gone   chan struct{} // closed when this Writer and those before it are
	left   bool          // it is closed itself. Guarded by tenures.mu
	tasks  sync.WaitGroup

	// mu guards the fields below.
	mu      sync.Mutex
	closed  bool
	cur     *file
	midLine bool // the last write did not end in a newline: no rotation now
	clock   clock
	next    time.Time // when the schedule wants the next rotation; zero: never
	last    time.Time // stamp of the newest rotated file
	strange int       // how many looks in a row found another file at the path
	dirty   bool      // written to since the last sync
	stall   stall
	counts  Stats
	rarely  rarely // what was logged lately
	overdue bool   // a rotation by time could not be done yet

	straight bool // the path has no symbolic links in it, and nobody else can put one there
	janitor  janitor

	troubles troubles

	reader    reading
	abandoned []abandoned // files that are no longer where a Follower could find them, perhaps

	before    *Writer // had the path and is not closed yet, as far as is known
	succeeded bool    // another Writer was opened for the path

	settling map[identity]bool // files on their way out that are not closed yet

	// numbers is held while numbered files change their names, and by those who need them to stay. See freeze.
	numbers sync.Mutex
}

// A clock is what the keeper knows of the clock.
type clock struct {
	looked time.Time // when the keeper last looked
	ticked time.Time // the same, with a reading that is never set
	doubt  time.Time // until then the clock, which was set far ahead, is not believed about ages
}

// A reading is how far the Follower has come: it has released what was rotated up to floor, once followed says that there is one.
type reading struct {
	followed bool
	floor    time.Time
	gaveUp   time.Time // stamp of the newest file that the hold was too small for
}

// Open opens the file at path for appending, creating it and its directory when they are missing, and ends what an
// earlier process left unfinished: half a line, half a compression, a rotation that was due meanwhile. While this process has another
// Writer for the path, neither rotates; the new one begins with it when the other is closed.
func Open(path string, options Options) (*Writer, error) {
	w, err := openStill(path, options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.tasks.Go(func() { w.keep(ctx) })
	w.tasks.Go(func() { w.clean(ctx) })
	return w, nil
}

// openStill is Open without the goroutines.
func openStill(path string, options Options) (*Writer, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	opt := options.filled()
	if err := opt.check(); err != nil {
		return nil, err
	}
	if name := filepath.Base(path); len(name) > LongestName && (opt.Size > 0 || opt.Schedule != nil) {
		return nil, fmt.Errorf("%s has a name of %d bytes; to be rotated it may have %d", path, len(name), LongestName)
	}
	w := &Writer{
		path: path, dir: filepath.Dir(path), series: seriesOf(path), opt: opt,
		wake: make(chan struct{}, 1), news: make(chan struct{}, 1), settling: make(map[identity]bool), gone: make(chan struct{}),
	}
	if opt.Chain {
		w.chain = leaseChain(path)
	}
	w.succeed()
	if err := w.begin(); err != nil {
		w.leaveFolder() // the file may have been opened, and only the look around it failed
		w.leave()
		if w.chain != nil {
			err = errors.Join(err, w.chain.release(SyncNever))
		}
		return nil, err
	}
	w.mu.Lock()
	w.noticeClock() // for whoever looks next
	w.mu.Unlock()
	return w, nil
}

// begin opens the file and finds out where things stand.
func (w *Writer) begin() (err error) {
	opt := w.opt
	w.stall.ring.limit, w.stall.ring.memory = max(opt.Ring, 0), opt.Memory
	w.mu.Lock()
	w.cur, err = w.openCurrent()
	w.mu.Unlock()
	if err == nil {
		if err = w.arrive(); err != nil {
			err = errors.Join(err, w.cur.close(SyncNever))
		}
	}
	if err == nil || !opt.Late {
		return err
	}
	w.cur = &file{missing: err}
	w.hold(nil, err)
	return nil
}

// in is the directory, opened if need be. It is nil when it cannot be: its methods give an error then.
func (w *Writer) in() *folder {
	if in := w.folder.Load(); in != nil {
		return in
	}
	in, err := openFolder(w.dir, w.opt.Base, false)
	if err != nil {
		return nil
	}
	if !w.folder.CompareAndSwap(nil, in) {
		in.close()
	}
	return w.folder.Load()
}

// arrive finds out where things stand in the directory of the current file, which was just opened. What is wrong with other files is no reason
// for Options.Late not to write.
func (w *Writer) arrive() error {
	err := w.survey()
	if w.opt.Schedule != nil {
		w.next = w.opt.Schedule.Next(w.began())
	}
	if err != nil && w.opt.Late {
		if errors.Is(err, errNoFolder) {
			return nil // the file could not be opened for the same reason, which is reported
		}
		w.report(&w.troubles.clean, err, "tidy the rotated files of "+w.path)
		return nil
	}
	return err
}

func (w *Writer) survey() error {
	if w.opt.Naming == Numbered && w.before == nil {
		if err := w.tidyNumbers(); err != nil {
			return fmt.Errorf("the numbered files of %s: %w", w.path, err)
		}
		// Only a Follower goes by the times.
		if err := w.stampNewest(); err != nil && w.opt.Hold > 0 {
			return fmt.Errorf("the numbered files of %s: %w", w.path, err)
		}
	}
	backups, err := w.list()
	if err != nil {
		return fmt.Errorf("list %s: %w", w.dir, err)
	}
	for _, b := range backups {
		if w.opt.Hold > 0 || b.stamp.Sub(w.opt.Now()) <= setBack {
			w.last = b.stamp
		}
	}
	if w.opt.Hold > 0 {
		if err := w.noteOpened(); err != nil {
			return fmt.Errorf("follow %s: %w", w.path, err)
		}
	}
	w.warnOfSpace(backups)
	return nil
}

// noteOpened notes where a Follower without a position begins.
func (w *Writer) noteOpened() error {
	p := Position{Inode: w.cur.id.ino, Offset: w.cur.size, Checked: checked, Birth: birth(w.cur.own), After: w.last}
	before := make([]byte, p.window())
	if _, err := w.cur.own.ReadAt(before, p.Offset-int64(len(before))); err != nil {
		return err
	}
	p.Check = check(before)
	w.opened = p
	return nil
}

// began is when the current file got its last line: a boundary between then and now was missed while no process ran.
func (w *Writer) began() time.Time {
	now := w.opt.Now()
	if w.cur.size == 0 {
		return now
	}
	info, err := w.cur.own.Stat()
	if err != nil || info.ModTime().After(now) {
		return now
	}
	return info.ModTime().In(now.Location())
}

// Write appends p, which should be whole lines; a line may also come in several pieces, and then no rotation separates them.
// It returns an error only when the ring is off or p comes after Close: while the disk is full, p waits in the ring.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, ErrClosed
	}
	if w.stall.active {
		w.postpone(p)
		return len(p), nil
	}
	if err := w.unpark(); err != nil {
		if w.opt.Ring < 0 {
			return 0, err
		}
		w.cur = &file{missing: err, id: w.cur.id}
		w.hold(p, err)
		return len(p), nil
	}
	if w.timeIsUp() {
		w.rotateAlong("its time is over")
	}
	for rest := p; len(rest) > 0; {
		n := w.fitting(rest)
		if n == 0 {
			if w.alone() && w.rotateAlong("it is full") {
				continue
			}
			n = len(rest) // better one file too large than a line lost
		}
		kept, err := w.put(rest[:n])
		rest = rest[kept:]
		if err != nil && w.opt.Ring < 0 {
			return len(p) - len(rest), fmt.Errorf("write %s: %w", w.path, err)
		}
		if err != nil {
			w.hold(rest, err)
			return len(p), nil
		}
	}
	if w.opt.Sync == SyncAlways {
		return len(p), w.syncNow()
	}
	return len(p), nil
}

// syncNow is the sync of SyncAlways. The lines are in the file when it cannot be done, so that with a ring it is reported and no error of
// Write. Called with mu held.
func (w *Writer) syncNow() error {
	err := w.cur.sync()
	if w.chain != nil {
		w.chain.sync(w)
		w.reportChain()
	}
	if w.report(&w.troubles.sync, err, "sync "+w.path); err == nil {
		w.dirty = false
	}
	if err != nil && w.opt.Ring < 0 {
		return fmt.Errorf("sync %s: %w", w.path, err)
	}
	return nil
}

// fitting is how many bytes of p, as whole lines, the current file takes within its size; 0 means that it should be rotated
// first. A single line larger than the size gets a file to itself.
func (w *Writer) fitting(p []byte) int {
	room := w.opt.Size - w.cur.size
	if w.opt.Size <= 0 || int64(len(p)) <= room {
		return len(p)
	}
	if w.midLine {
		return endOfLine(p)
	}
	if room > 0 {
		if n := bytes.LastIndexByte(p[:room], '\n') + 1; n > 0 {
			return n
		}
	}
	if w.cur.size > 0 {
		return 0
	}
	return endOfLine(p)
}

// endOfLine is the length of the first line of p with its newline, or of p.
func endOfLine(p []byte) int {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

// append writes and counts. With an error, n bytes of p are in the file.
func (w *Writer) append(p []byte) (n int, err error) {
	n, err = w.cur.write(p)
	if n > 0 {
		w.counts.Bytes += uint64(n)
		w.counts.Lines += uint64(bytes.Count(p[:n], newline))
		w.midLine = p[n-1] != '\n'
		w.dirty = true
		if w.opt.Hold > 0 {
			select {
			case w.news <- struct{}{}:
			default:
			}
		}
	}
	return n, err
}

// newline is for bytes.Count, which wants a slice.
var newline = []byte{'\n'}

// timeIsUp says whether the schedule's moment has come, and sets the next one. Nothing is cut in the middle of a line. A rotation that could not
// be done then is due until it is.
func (w *Writer) timeIsUp() bool {
	if w.next.IsZero() || w.midLine || !w.alone() {
		return false
	}
	now := w.opt.Now()
	if !now.Before(w.next) {
		w.next = w.opt.Schedule.Next(now)
		w.overdue = w.cur.size > 0
	}
	return w.overdue && w.cur.size > 0
}

// Flush writes what waits in the ring and forces the file to the disk. It returns an error when either cannot be done now. A journal that cannot be
// written is none, as no line waits for it: Stats has it as ChainError.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	if w.stall.active && !w.resume() {
		return fmt.Errorf("%s takes no lines: %w", w.path, w.stall.cause)
	}
	if err := w.syncParked(); err != nil {
		return fmt.Errorf("sync %s: %w", w.path, err)
	}
	w.report(&w.troubles.sync, nil, "sync "+w.path)
	w.dirty = false
	if w.chain != nil {
		w.chain.sync(w)
		w.reportChain()
	}
	return nil
}

// Sync is Flush, under the name that zapcore.WriteSyncer has for it.
func (w *Writer) Sync() error { return w.Flush() }

// Close writes what waits in the ring if the disk takes it, syncs and closes the file, and ends the Writer's goroutines. A
// compression that is under way is given up; the next Open does it again.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.closed = true
	var err error
	if w.stall.active && !w.resume() {
		waiting := w.waitingLines()
		if waiting > 0 || w.stall.loss.Lines > 0 {
			err = fmt.Errorf("close %s: %d lines are lost: %w", w.path, waiting+int(w.stall.loss.Lines), w.stall.cause)
		}
		w.counts.Lost += uint64(waiting)
		w.counts.LostBytes += uint64(w.waitingBytes())
		w.stall.rest = nil
	}
	w.stall.ring.release()
	if w.parked() && w.dirty && w.opt.Sync != SyncNever {
		err = errors.Join(err, w.unpark())
	}
	if w.chain != nil {
		w.chain.checkpoint(w)
	}
	cur, chain := w.cur, w.chain
	w.mu.Unlock()

	w.cancel()
	w.tasks.Wait()
	err = errors.Join(err, cur.close(w.opt.Sync))
	if chain != nil {
		err = errors.Join(err, chain.release(w.opt.Sync))
	}
	w.leaveFolder()
	w.leave()
	return err
}
