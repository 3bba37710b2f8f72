package rotate

import (
	"cmp"
	"time"
)

// Stats counts what a Writer did since Open. Lines given to Write = Lines + Lost + Waiting, once the loss lines, which are
// counted in Lines too, are left out.
type Stats struct {
	Lines, Bytes    uint64 // in the files
	Lost, LostBytes uint64 // dropped by the ring while the disk took nothing
	Waiting         int    // bytes in the ring now
	WaitingLines    int    // and the lines in it
	Stalls          uint64 // how often the disk began to refuse

	Rotations   uint64 // by size, by time and by Rotate
	Reopens     uint64 // by Reopen
	Followed    uint64 // reopened because somebody moved or deleted the file
	Truncations uint64 // somebody emptied the file
	Compressed  uint64 // rotated files
	Removed     uint64 // rotated files, by retention
	Unheld      uint64 // bytes of rotated files that the hold was too small for, before a Follower released them

	Size  int64  // of the current file
	Inode uint64 // of the current file

	// What went wrong last, empty when it went well since: writing, rotating, following, compressing or removing, forcing to the disk,
	// and writing the journal of Options.Chain.
	WriteError, RotateError, ReopenError, CleanError, SyncError, ChainError string
	// How often any of them but writing could not be done.
	Failures uint64

	Chain ChainStats // of Options.Chain
}

// ChainStats is how the chain of a log is. The Writers of a path share its chain, and the counters begin with the first of them that is open.
type ChainStats struct {
	Kept    bool   // there is one; without Options.Chain all else is zero
	Journal string // name of the current file's journal; empty while none can be written

	Records  uint64    // written to journals
	Lines    uint64    // that the records cover
	Adopted  uint64    // those of them that were found in the file without a record: their writer was killed, or the journal could not be written
	Last     time.Time // when the newest record was made, by an earlier process perhaps; zero: not known
	Waiting  int64     // bytes of the current file that no record covers yet
	Failures uint64    // how often a journal could not be written
}

// Stats is a consistent look at the counters.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.counts
	s.Size, s.Inode = w.cur.size, w.cur.id.ino
	s.Waiting, s.WaitingLines = w.waitingBytes(), w.waitingLines()
	t := &w.troubles
	s.ChainError = t.chain.text
	s.RotateError, s.ReopenError, s.CleanError, s.SyncError = t.rotate.text, t.reopen.text, t.clean.text, cmp.Or(t.sync.text, t.settle.text)
	s.Failures = t.rotate.times + t.reopen.times + t.clean.times + t.sync.times + t.settle.times + t.chain.times
	if w.stall.cause != nil {
		s.WriteError = w.stall.cause.Error()
	}
	if w.chain != nil {
		var failed error
		if s.Chain, failed = w.chain.stats(w); failed != nil {
			s.ChainError = failed.Error() // perhaps before it is reported
		}
	}
	return s
}

// A Condition is whether lines are where they belong.
type Condition struct {
	Stalled  bool   // the disk refuses: lines wait in the ring
	Unsynced bool   // SyncAlways could not force the last lines to the disk; Flush tries it again
	Closed   bool   // the Writer is closed
	Lost     uint64 // lines that the ring has dropped since Open

	SyncFailures uint64 // of SyncAlways, since Open
}

// Fine says whether all that Write has returned for is in the file, and forced to the disk if the policy is SyncAlways. What is Lost is lost.
func (c Condition) Fine() bool { return !c.Stalled && !c.Unsynced }

// Condition says how the file is.
func (w *Writer) Condition() Condition {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := Condition{Stalled: w.stall.active, Closed: w.closed, Lost: w.counts.Lost}
	if w.opt.Sync == SyncAlways {
		c.Unsynced, c.SyncFailures = w.troubles.sync.text != "", w.troubles.sync.times
	}
	return c
}

// Mark is which file is the current one, how large it is, and how many lines wait in the ring: what Stats says of these, for those who ask after
// each write.
func (w *Writer) Mark() (inode uint64, size int64, waiting int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cur.id.ino, w.cur.size, w.waitingLines()
}

// waitingBytes is how many bytes the disk has not taken yet. Called with mu held.
func (w *Writer) waitingBytes() int { return w.stall.ring.size() + len(w.stall.rest) }

// waitingLines is how many lines those are. Called with mu held.
func (w *Writer) waitingLines() int {
	if len(w.stall.rest) > 0 {
		return w.stall.ring.lines() + 1
	}
	return w.stall.ring.lines()
}

// Path is the absolute path of the current file.
func (w *Writer) Path() string { return w.path }

// A trouble is something that does not work: what it is, and when it is tried again.
type trouble struct {
	text    string // empty: it works
	said    bool   // the log has heard of it
	times   uint64 // how often it did not, since Open
	backoff time.Duration
	again   time.Time
}

// troubles are those of a Writer. Owned by the Writer, under its mu.
type troubles struct{ rotate, reopen, clean, sync, settle, chain trouble }

const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// due says whether to try now.
func (t *trouble) due(now time.Time) bool {
	return t.text == "" || !now.Before(t.again) || t.again.Sub(now) > lastPause // the clock was set back
}

// report notes how something went: nil is well. The log hears once that it does not work, and once that it works again, however often it is
// tried between and whatever the errors say. Called with mu held.
func (w *Writer) report(t *trouble, err error, doing string) {
	now := w.opt.Now()
	if err == nil {
		if t.said {
			w.opt.Log.Info("works again: "+doing, "times", t.times)
		}
		t.text, t.said, t.backoff = "", false, 0
		return
	}
	t.times++
	if !t.said && w.rarely.may(doing, now) {
		t.said = true
		w.opt.Log.Error(doing, "err", err, "since_start", t.times)
	}
	t.text = err.Error()
	t.backoff = min(max(2*t.backoff, firstPause), lastPause)
	t.again = now.Add(t.backoff)
}
