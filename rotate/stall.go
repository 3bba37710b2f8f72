package rotate

import (
	"bytes"
	"fmt"
	"time"
)

// Loss says which lines never reached the file: they were the oldest when the ring was full.
type Loss struct {
	Lines, Bytes uint64
	From, To     time.Time // when the first and the last of them were dropped
	Cause        string    // what the disk said
}

// DefaultLossLine is "rotate: lost 12 lines (3456 bytes) between T and T: no space left on device".
func DefaultLossLine(dst []byte, l Loss) []byte {
	return fmt.Appendf(dst, "rotate: lost %d lines (%d bytes) between %s and %s: %s\n",
		l.Lines, l.Bytes, l.From.Format(time.RFC3339), l.To.Format(time.RFC3339), l.Cause)
}

// AppendLoss appends the line that Options.LossLine makes, for lines that were lost before they came to Write.
func (w *Writer) AppendLoss(dst []byte, l Loss) []byte {
	zone := w.opt.Now().Location()
	l.From, l.To = l.From.In(zone), l.To.In(zone)
	return w.opt.LossLine(dst, l)
}

// A stall is the state between a write that the disk refused and the moment when it takes everything again.
type stall struct {
	active  bool
	cause   error
	since   time.Time
	retryAt time.Time
	backoff time.Duration

	// owed: the file ends in the middle of a line, and rest is how it goes on. It is never dropped, and nothing else is
	// written before it.
	owed bool
	rest []byte
	ring ring
	loss Loss // since the last line that reported one

	waited, lost uint64 // lines, in all of this stall
	said         bool   // the log has heard of it
}

const (
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 2 * time.Second
	resumePiece  = 256 << 10
)

// put appends p and says how much of it the file now has for good. When the disk takes a part only, the half line at its end is
// cut off again; when even that cannot be done, midLine stays true and the rest of the line is owed.
func (w *Writer) put(p []byte) (kept int, err error) {
	if w.chain == nil {
		return w.putOnly(p)
	}
	// Another Writer of the path may write too: the journal has their lines in the order of the file.
	w.chain.mu.Lock()
	defer w.chain.mu.Unlock()
	kept, err = w.putOnly(p)
	w.chain.add(w, p[:kept])
	return kept, err
}

func (w *Writer) putOnly(p []byte) (kept int, err error) {
	before := w.midLine
	n, err := w.append(p)
	if err == nil {
		return n, nil
	}
	kept = bytes.LastIndexByte(p[:n], '\n') + 1
	half := n - kept
	if half > 0 && !w.cutOff(half) {
		return n, err
	}
	w.cur.size -= int64(half)
	w.cur.written -= int64(half)
	w.counts.Bytes -= uint64(half)
	w.midLine = before && kept == 0
	return kept, err
}

// cutOff takes the last n bytes off the current file. It does not when they are not where they should be: another Writer has appended
// since, or somebody has truncated the file. Called with mu held.
func (w *Writer) cutOff(n int) bool {
	info, err := w.cur.own.Stat()
	return err == nil && info.Size() == w.cur.size && w.cur.own.Truncate(w.cur.size-int64(n)) == nil
}

// hold starts a stall: p is what the disk did not take. Called with mu held.
func (w *Writer) hold(p []byte, cause error) {
	now := w.opt.Now()
	w.stall.active, w.stall.cause, w.stall.since = true, cause, now
	w.stall.backoff, w.stall.retryAt = firstBackoff, now.Add(firstBackoff)
	w.stall.owed = w.midLine
	w.stall.waited, w.stall.lost = 0, 0
	w.counts.Stalls++
	w.stall.said = false
	w.sayStalled(now)
	w.postpone(p)
	w.kick() // retention may find something to remove
}

// sayStalled logs that the disk takes no lines, once for a stall and rarely for those that come one after the other. Called with mu held.
func (w *Writer) sayStalled(now time.Time) {
	s := &w.stall
	if s.said || !w.rarely.may("stall", now) {
		return
	}
	s.said = true
	w.opt.Log.Error("the disk takes no lines; they wait in memory", "path", w.path, "ring", w.opt.Ring, "err", s.cause,
		"since_start", w.counts.Stalls)
}

// postpone keeps p for later. Called with mu held, in a stall.
func (w *Writer) postpone(p []byte) {
	s := &w.stall
	if s.owed && !bytes.HasSuffix(s.rest, newline) {
		n := endOfLine(p)
		s.rest = append(s.rest, p[:n]...)
		p = p[n:]
	}
	s.waited += uint64(bytes.Count(p, newline))
	lines, size := s.ring.push(p)
	if size == 0 {
		return
	}
	now := w.opt.Now()
	if s.loss.Bytes == 0 {
		s.loss.From = now
	}
	s.loss.To, s.loss.Cause = now, s.cause.Error()
	s.loss.Lines += uint64(lines)
	s.loss.Bytes += uint64(size)
	w.counts.Lost += uint64(lines)
	w.counts.LostBytes += uint64(size)
}

// resume tries to write what waits, in the order: the rest of a half line, the line that reports the loss, the ring. It
// returns false, and says when to try again, if the disk still refuses. Called with mu held.
func (w *Writer) resume() bool {
	s := &w.stall
	if w.cur.missing != nil {
		if _, err := w.swap(); err != nil {
			return w.still(err)
		}
	}
	for len(s.rest) > 0 {
		n, err := w.put(s.rest)
		s.rest = s.rest[n:]
		if err != nil {
			return w.still(err)
		}
	}
	s.rest, s.owed = nil, false
	if s.loss.Bytes > 0 {
		line := w.opt.LossLine(nil, s.loss)
		n, err := w.put(line)
		if n > 0 {
			s.lost += s.loss.Lines
			s.loss = Loss{}
		}
		if err != nil {
			return w.still(err)
		}
	}
	for s.ring.size() > 0 {
		n, err := w.put(s.ring.front(resumePiece))
		s.ring.pop(n)
		if err != nil {
			return w.still(err)
		}
	}
	s.ring.release()
	s.active, s.cause = false, nil
	about := []any{"path", w.path, "after", w.opt.Now().Sub(s.since).Round(time.Millisecond).String(), "waited", s.waited - s.lost}
	switch {
	case s.lost > 0:
		w.opt.Log.Warn("the disk takes lines again, but some were lost while it took none", append(about, "lost", s.lost)...)
	case s.said:
		w.opt.Log.Info("the disk takes lines again", about...)
	}
	return true
}

// still notes that the disk refuses as before. A half line that could not be cut off goes on from the ring.
func (w *Writer) still(err error) bool {
	s := &w.stall
	s.cause = err
	if w.midLine && len(s.rest) == 0 {
		s.owed = true
		line := s.ring.front(0)
		s.rest = append(s.rest, line...)
		s.ring.pop(len(line))
	}
	w.sayStalled(w.opt.Now())
	w.kick() // what retention could not remove before it perhaps can by now
	s.backoff = min(2*s.backoff, lastBackoff)
	s.retryAt = w.opt.Now().Add(s.backoff)
	return false
}
