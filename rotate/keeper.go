package rotate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// glance is how often the keeper looks. Two looks in a row must agree before it follows, because logrotate leaves the path
// empty for a moment between its rename and its create, and would find our file in its way.
const glance = 400 * time.Millisecond

// keep does what is due without a Write: retries, rotations by time, following the path, syncing.
func (w *Writer) keep(ctx context.Context) {
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look()
		}
	}
}

func (w *Writer) look() {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	w.noticeClock()
	if w.parked() {
		if w.dirty && w.opt.Sync == SyncInterval {
			err := w.syncParked()
			w.report(&w.troubles.sync, err, "sync "+w.path)
			w.dirty = err != nil
			w.park()
		}
		w.mu.Unlock()
		return
	}
	if w.stall.active && !w.opt.Now().Before(w.stall.retryAt) {
		w.resume()
	}
	if !w.stall.active && w.timeIsUp() {
		w.rotateAlong("its time is over")
	}
	w.follow()
	c := w.chain
	if c != nil {
		c.look(w)
		c.checkpoint(w)
		w.reportChain()
	}
	var unsynced *os.File
	if w.dirty && w.opt.Sync == SyncInterval {
		unsynced, w.dirty = w.cur.own, false
	}
	w.mu.Unlock()

	if unsynced == nil {
		return
	}
	// Outside mu, because a sync takes as long as the disk does. A rotation meanwhile syncs and closes the file itself.
	err := unsynced.Sync()
	if errors.Is(err, fs.ErrClosed) {
		return
	}
	if c != nil {
		err = errors.Join(err, c.force())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.report(&w.troubles.sync, err, "sync "+w.path)
}

// noticeClock has the schedule begin anew when the clock was set back: the next rotation may be years away, if the clock was wrong when
// the last one came. It says what time it is. Called with mu held.
func (w *Writer) noticeClock() (now time.Time) {
	now = w.opt.Now().Round(0) // without the monotonic reading, which is never set
	tick := time.Now()
	if !w.next.IsZero() && now.Before(w.clock.looked) {
		if next := w.opt.Schedule.Next(now); next.Before(w.next) {
			w.next = next
		}
	}
	if ahead := now.Sub(w.clock.looked) - tick.Sub(w.clock.ticked); !w.clock.looked.IsZero() && ahead > jump {
		w.clock.doubt = tick.Add(doubtTime)
		if w.opt.MaxAge > 0 && w.rarely.may("clock", tick) {
			w.opt.Log.Warn("the clock was set far ahead; no file is removed for its age for a while", "path", w.path,
				"by", ahead.Round(time.Second).String(), "while", doubtTime.String())
		}
	}
	w.clock.looked, w.clock.ticked = now, tick
	return now
}

const (
	// jump is how far ahead a clock that is set may make every file old at once. A machine that slept looks the same.
	jump = 24 * time.Hour
	// doubtTime is for how long such a clock is not believed: somebody may set it right.
	doubtTime = time.Hour
)

// follow compares the file we write to with what stands at the path. Called with mu held.
func (w *Writer) follow() {
	if w.cur.missing != nil {
		return // resume opens it
	}
	id, err := identify(w.path)
	if err == nil && id == w.cur.id {
		w.strange = 0
		if w.troubles.reopen.text != "" {
			w.report(&w.troubles.reopen, nil, "follow the log file "+w.path)
		}
		w.noticeTruncation()
		return
	}
	if w.strange++; w.strange < 2 || w.midLine || w.stall.owed {
		return
	}
	old, err := w.swap()
	if err != nil && w.leaveDeleted(err) {
		return
	}
	w.report(&w.troubles.reopen, err, "follow the log file, which was moved or deleted: open "+w.path)
	if err != nil {
		return
	}
	w.abandon(old)
	w.counts.Followed++
	if w.rarely.may("follow", w.opt.Now()) {
		w.opt.Log.Warn("the log file was moved or deleted; writing to a new one", "path", w.path,
			"old_inode", old.id.ino, "new_inode", w.cur.id.ino, "since_start", w.counts.Followed)
	}
	w.tasks.Go(func() { w.settleAlong(old, "") })
}

// leaveDeleted leaves the current file if it has no name any more, and no other can be opened in its place: lines that nobody could ever read wait in
// the ring instead, and count. It says whether it did. Called with mu held.
func (w *Writer) leaveDeleted(why error) bool {
	var st unix.Stat_t
	if w.opt.Ring < 0 || unix.Fstat(int(w.cur.own.Fd()), &st) != nil || st.Nlink > 0 {
		return false
	}
	why = fmt.Errorf("the log file was deleted, and no other can be opened: %w", why)
	old := w.cur
	w.abandon(old)
	w.cur = &file{missing: why, id: old.id}
	w.counts.Followed++
	w.report(&w.troubles.reopen, nil, "follow the log file "+w.path)
	if w.stall.active {
		w.stall.cause = why
	} else {
		w.hold(nil, why)
	}
	w.tasks.Go(func() { w.settleAlong(old, "") })
	return true
}

// noticeTruncation keeps the size right after somebody emptied the file. Nothing else is to do: O_APPEND goes on at the end. Called with mu
// held.
func (w *Writer) noticeTruncation() {
	if w.cur.missing != nil {
		return
	}
	info, err := w.cur.own.Stat()
	if err != nil || info.Size() == w.cur.size {
		return
	}
	if info.Size() > w.cur.size { // another Writer has it too
		w.cur.size = info.Size()
		return
	}
	w.cur.cut += w.cur.size - info.Size()
	if w.chain != nil {
		w.chain.cutOff(w)
	}
	w.counts.Truncations++
	if w.rarely.may("truncation", w.opt.Now()) {
		w.opt.Log.Warn("the log file was truncated by somebody", "path", w.path, "from", w.cur.size, "to", info.Size(),
			"since_start", w.counts.Truncations)
	}
	w.cur.size = info.Size()
}
