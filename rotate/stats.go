package rotate

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

	// What went wrong last, empty when it went well since: writing, rotating, following, compressing or removing.
	WriteError, RotateError, ReopenError, CleanError string
}

// Stats is a consistent look at the counters.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.counts
	s.Size, s.Inode = w.cur.size, w.cur.id.ino
	s.Waiting, s.WaitingLines = w.waitingBytes(), w.waitingLines()
	if w.stall.cause != nil {
		s.WriteError = w.stall.cause.Error()
	}
	return s
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

// report logs err when it is news and remembers it in state; nil clears it. Called with mu held.
func (w *Writer) report(state *string, err error, doing string) {
	if err == nil {
		*state = ""
		return
	}
	if text := err.Error(); *state != text {
		*state = text
		w.opt.Log.Error(doing, "err", err)
	}
}
