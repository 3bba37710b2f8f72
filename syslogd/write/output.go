// Package write keeps lines between the readers, which must never wait for a disk, and the files.
//
//  1. a reader gives its Output a batch of lines, which costs a swap of two buffers or a copy,
//  2. the Output's goroutine takes all that piled up meanwhile and writes it in pieces of whole lines,
//  3. and rotate.Writer does the rest.
package write

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"lbsyslogd/rotate"
)

// Output is a file and the lines on the way to it.
type Output struct {
	// Immutable after New.
	name  string
	limit int
	file  *rotate.Writer
	wake  chan struct{}
	ended chan struct{}

	// mu guards the fields below.
	mu       sync.Mutex
	pending  []byte
	lines    int // in pending
	writing  int // lines taken from pending and not written yet
	given    uint64
	overflow uint64
	lostHere uint64        // lines that the file refused because it was closed
	late     bool          // a reader waited in vain: until there is room again, nobody waits
	closing  bool          // the goroutine ends when pending is empty
	room     chan struct{} // closed when the goroutine takes pending; nil when nobody waits
	done     uint64        // lines that are through, to compare with given
	idle     *sync.Cond    // done has changed
}

const (
	// piece is the most that is given to the file in one write: above it nothing is gained, and a rotation waits for it.
	piece = 256 << 10
	// patience is how long a reader waits for a slow disk before lines are dropped. Meanwhile the socket's buffer fills.
	patience = time.Second
	// keepBuffer is the largest buffer kept for the next batch; a larger one goes back after the burst that needed it.
	keepBuffer = 2 << 20
)

// New starts an Output that holds up to limit bytes on the way to file. The Writer belongs to the Output from then on.
func New(name string, file *rotate.Writer, limit int) *Output {
	o := &Output{name: name, limit: limit, file: file, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	o.idle = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// Name is what the configuration calls the output.
func (o *Output) Name() string { return o.name }

// File is where the lines go.
func (o *Output) File() *rotate.Writer { return o.file }

// Give takes lines and returns an empty buffer for the next ones. When the disk is so slow that there is no room, it waits a
// little; when that does not help the lines are dropped and counted, so that one output never holds up the others for long.
func (o *Output) Give(lines []byte, n int) []byte {
	if n == 0 {
		return lines[:0]
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given += uint64(n)
	if len(o.pending)+len(lines) > o.limit && !o.waitForRoom(len(lines)) {
		o.overflow += uint64(n)
		o.done += uint64(n)
		return lines[:0]
	}
	o.lines += n
	if len(o.pending) == 0 {
		o.pending, lines = lines, o.pending
	} else {
		o.pending = append(o.pending, lines...)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return lines[:0]
}

// waitForRoom is called with mu held and gives it up while it waits. A batch larger than the limit fits when nothing else waits.
func (o *Output) waitForRoom(size int) bool {
	fits := func() bool { return len(o.pending) == 0 || len(o.pending)+size <= o.limit }
	if fits() {
		return true
	}
	if o.late {
		return false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !fits() {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
			o.mu.Lock()
		case <-timer.C:
			o.mu.Lock()
			o.late = !fits()
			return !o.late
		}
	}
	return true
}

func (o *Output) run() {
	defer close(o.ended)
	var spare []byte
	for range o.wake {
		for {
			o.mu.Lock()
			batch, n := o.pending, o.lines
			if n > 0 {
				o.pending, o.lines, o.writing = spare[:0], 0, n
			}
			o.late = false
			if o.room != nil {
				close(o.room)
				o.room = nil
			}
			closing := o.closing
			o.mu.Unlock()
			if n == 0 {
				if closing {
					return
				}
				break
			}
			o.write(batch)
			spare = batch
			if cap(spare) > keepBuffer {
				spare = nil
			}
		}
	}
}

// write writes a batch in pieces of whole lines.
func (o *Output) write(batch []byte) {
	for len(batch) > 0 {
		n := len(batch)
		if n > piece {
			if n = bytes.LastIndexByte(batch[:piece], '\n') + 1; n == 0 {
				n = bytes.IndexByte(batch, '\n') + 1
			}
		}
		lines := bytes.Count(batch[:n], newline)
		_, err := o.file.Write(batch[:n])
		o.mu.Lock()
		if err != nil {
			o.lostHere += uint64(lines)
		}
		o.writing -= lines
		o.done += uint64(lines)
		o.idle.Broadcast()
		o.mu.Unlock()
		batch = batch[n:]
	}
}

// newline is for bytes.Count, which wants a slice.
var newline = []byte{'\n'}

// Drain returns when every line given before the call has gone to the file, or when ctx is done.
func (o *Output) Drain(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	until := o.given
	defer context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.idle.Broadcast()
	})()
	for o.done < until {
		if ctx.Err() != nil {
			return fmt.Errorf("output %s: %d lines still wait: %w", o.name, until-o.done, ctx.Err())
		}
		o.idle.Wait()
	}
	return nil
}

// Close writes what it was given and closes the file. Nobody may call Give any more.
func (o *Output) Close() error {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	<-o.ended
	return o.file.Close()
}

// Counts say what became of the lines. Given = Written + Overflow + Lost + Waiting.
type Counts struct {
	Given    uint64 // by the readers
	Written  uint64 // in the file
	Overflow uint64 // dropped because the disk was too slow for the queue
	Lost     uint64 // dropped because the disk refused for longer than the ring lasts
	Waiting  uint64 // in the queue or the ring
	File     rotate.Stats
}

// Counts is a look at the counters. While lines are on the way, a few of them may be counted as waiting and be written already.
func (o *Output) Counts() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	file := o.file.Stats()
	c := Counts{Given: o.given, Overflow: o.overflow, Lost: file.Lost + o.lostHere, File: file}
	c.Waiting = uint64(o.lines+o.writing) + uint64(file.WaitingLines)
	if gone := c.Overflow + c.Lost + c.Waiting; gone < c.Given {
		c.Written = c.Given - gone
	}
	return c
}
