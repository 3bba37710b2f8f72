// Package queue makes a queue of a log file: what waits for a peer waits on the disk, and a position stored next to the file says how far the peer
// has got.
//
//  1. Begin goes on at the stored position, or where the file ended when it was opened (position.go),
//  2. Read returns whole lines in order and through rotations; rotate.Options.Hold keeps the files until they were confirmed,
//  3. Confirm stores the position up to which the peer has taken everything and lets retention have the files before it,
//  4. Rewind goes back to that position, for what was sent in vain,
//  5. Note reports what does not work once, and once that it works again.
package queue

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/seldom"
)

// Queue is a log file that is sent to a peer. Set the exported fields before Begin. Its methods belong to one goroutine, but for Note, Counts and
// File's own.
type Queue struct {
	File *rotate.Writer // opened with Options.Hold; it must stay open until Close
	Log  *slog.Logger
	To   string // what the log calls the peer
	// SyncEvery is how often the stored position is synced to the disk; 0: each time. A crash of the machine costs what was confirmed since, sent
	// again; one of the process costs nothing of that.
	SyncEvery time.Duration

	// Owned by the goroutine that reads.
	follower *rotate.Follower
	missed   rotate.Missed
	unstored bool      // the position in the file is older than ours
	unsynced bool      // the position in the file may be lost by a power cut
	tried    time.Time // when storing was last tried
	synced   time.Time // when it was last synced

	storing seldom.Trouble // of the file with the position
	gaps    seldom.Trouble // of lines that were gone before they were read

	// mu guards the fields below.
	mu       sync.Mutex
	position rotate.Position // confirmed
	counts   Counts
	anew     string // why everything is sent again, until the peer has taken something; empty: it is not
}

// Counts say how a Queue is.
type Counts struct {
	Missed      uint64 // times that a file was gone or emptied before it was read
	MissedBytes uint64 // how much that was, as far as it is known
	Behind      int64  // bytes that are not confirmed
	Error       string // what does not work right now; see Counts of Queue
	LastError   string // what did not work last
	LastErrorAt time.Time
}

// storeAgain is the time between attempts to store a position that could not be stored.
const storeAgain = 5 * time.Second

// Begun says whether Begin has found where to go on.
func (q *Queue) Begun() bool { return q.follower != nil }

// Begin finds where to go on. After an error it may be called again.
func (q *Queue) Begin() error {
	from, loadErr := Load(q.path())
	if loadErr != nil {
		// Where the last process was is not known. Nothing that waits is left out: lines may arrive again.
		from = new(rotate.Position)
		err := fmt.Errorf("the position cannot be read, so forwarding begins with the oldest file that is not compressed: %w", loadErr)
		q.mu.Lock()
		q.anew = err.Error()
		q.mu.Unlock()
		q.Note(&q.storing, err)
	}
	follower, found, err := q.File.Follow(from)
	if err != nil {
		return err
	}
	q.follower = follower
	q.mu.Lock()
	q.position = follower.Position()
	q.mu.Unlock()
	if !found && loadErr == nil {
		q.miss(1, 0)
	}
	// Without this a crash before anything was confirmed would begin anew where the file ends then.
	q.store(true)
	return nil
}

// Close stores what could not be stored before and closes the file that is being read. What was not confirmed stays for the next Begin.
func (q *Queue) Close() error {
	if q.follower == nil {
		return nil
	}
	if q.unstored || q.unsynced {
		q.store(true)
	}
	return q.follower.Close()
}

// Read is the next whole lines of the file, valid until the next call; none when there are none yet. Besides when there is News it should be called
// about once a second. What was gone before it could be read is counted.
func (q *Queue) Read() ([]byte, error) {
	text, err := q.follower.Next()
	if m := q.follower.Missed(); m != q.missed {
		q.miss(m.Times-q.missed.Times, m.Bytes-q.missed.Bytes)
		q.missed = m
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", q.File.Path(), err)
	}
	return text, nil
}

// News has a value when lines were written since it was last received from.
func (q *Queue) News() <-chan struct{} { return q.follower.News() }

// Bound has Read return so many lines at most; 0: no bound.
func (q *Queue) Bound(lines int) { q.follower.Bound(lines) }

// Position is after the lines that Read has returned.
func (q *Queue) Position() rotate.Position { return q.follower.Position() }

// Confirm notes that the peer has taken everything before p.
func (q *Queue) Confirm(p rotate.Position) {
	q.mu.Lock()
	q.position = p
	q.anew = ""
	q.mu.Unlock()
	q.store(time.Since(q.synced) >= q.SyncEvery)
	// Released even if it could not be stored, for want of space perhaps: then only this makes some. A crash before it is stored costs lines
	// that are sent again.
	q.follower.Release(p)
}

// Rewind goes back to the confirmed position.
func (q *Queue) Rewind() error {
	q.mu.Lock()
	p := q.position
	q.mu.Unlock()
	found, err := q.follower.Seek(p)
	if err == nil && !found {
		q.miss(1, 0)
	}
	return err
}

// StoreLate tries again what could not be stored, and syncs what was not synced yet. It should be called about once a second.
func (q *Queue) StoreLate(now time.Time) {
	if q.unstored && now.Sub(q.tried) >= storeAgain || !q.unstored && q.unsynced && now.Sub(q.synced) >= q.SyncEvery {
		q.store(true)
	}
}

// store writes the confirmed position to the disk.
func (q *Queue) store(sync bool) {
	q.mu.Lock()
	p := q.position
	q.mu.Unlock()
	q.tried = time.Now()
	err := store(q.path(), p, sync)
	q.unstored, q.unsynced = err != nil, err != nil || !sync
	if err != nil {
		err = fmt.Errorf("store the position: %w", err)
	} else if sync {
		q.synced = q.tried
	}
	q.Note(&q.storing, err)
}

// miss counts lines that were gone before they were read.
func (q *Queue) miss(times, bytes uint64) {
	q.mu.Lock()
	q.counts.Missed += times
	q.counts.MissedBytes += bytes
	all := q.counts
	q.mu.Unlock()
	if q.gaps.Due("missed") {
		q.Log.Error("the file that is forwarded is gone before all of it was sent; going on with the next one", "to", q.To,
			"path", q.File.Path(), "times", all.Missed, "bytes", all.MissedBytes)
	}
}

// Note notes what does not work, and logs it if that is news; nil: it works.
func (q *Queue) Note(t *seldom.Trouble, err error) {
	text := ""
	if err != nil {
		text = plain(err)
		q.mu.Lock()
		q.counts.LastError, q.counts.LastErrorAt = text, time.Now()
		q.mu.Unlock()
	}
	switch news, over := t.Note(text); {
	case news:
		q.Log.Warn("forwarding waits", "to", q.To, "path", q.File.Path(), "err", err)
	case over:
		q.Log.Info("forwarding", "to", q.To, "path", q.File.Path())
	}
}

// Storing is what is wrong with storing the position; empty: nothing.
func (q *Queue) Storing() string { return q.storing.Text() }

// Counts is a look at the counters. Their Error is the first of these that there is: worse, what is wrong with the position, other. With it comes
// why everything is sent again, if it is.
func (q *Queue) Counts(worse, other string) Counts {
	q.mu.Lock()
	c, p, anew := q.counts, q.position, q.anew
	q.mu.Unlock()
	c.Error = cmp.Or(worse, q.storing.Text(), other)
	if anew != "" && c.Error != "" {
		c.Error += "; "
	}
	c.Error += anew
	behind, err := q.File.Behind(p)
	if err != nil && c.Error == "" {
		c.Error = err.Error()
	}
	c.Behind = behind
	return c
}

func (q *Queue) path() string { return q.File.Path() + Suffix }

// plain is err without the port that was ours: that is another one each time.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		return strings.ReplaceAll(err.Error(), op.Source.String()+"->", "")
	}
	return err.Error()
}
