// Package write keeps lines between the readers and the files.
//
//  1. A reader gives its Output a batch of lines. When nothing else is on the way, it writes them itself: that costs no wake-up, and
//     an ordinary write only copies into the page cache.
//  2. When a write is under way, or a recent one took long, the lines go to a queue, and the Output's goroutine writes them,
//  3. in pieces of whole lines that rotate.Writer takes.
package write

import (
	"bytes"
	"context"
	"sync"
	"time"

	"lbsyslogd/rotate"
)

// Output is a file and the lines on the way to it.
type Output struct {
	// Immutable after New.
	name    string
	limit   int
	memory  *rotate.Memory // of all outputs together
	file    *rotate.Writer
	witness Witness // nil: nobody wants to know
	wake    chan struct{}
	ended   chan struct{}

	// mu guards the fields below.
	mu       sync.Mutex
	queue    [][]byte  // buffers of lines, oldest first
	size     int       // bytes in queue
	held     int       // bytes of memory that the buffers in queue have
	charged  int       // of those, what was taken from memory
	lines    int       // in queue
	free     [][]byte  // empty buffers
	spare    int       // bytes of memory that they have
	busy     bool      // somebody writes
	writing  int       // lines that he has not written yet
	direct   time.Time // readers do not write themselves before
	mistrust time.Duration
	given    uint64
	overflow uint64
	loss     rotate.Loss   // of the overflow, what the file does not report yet: it comes after the queue
	lostHere uint64        // lines that the file refused because it was closed
	late     bool          // a reader waited in vain: until there is room again, nobody waits
	closing  bool          // the goroutine ends when the queue is empty
	room     chan struct{} // closed when the goroutine takes the queue; nil when nobody waits
	taken    uint64        // lines that were not dropped before they came to the queue or a write
	done     uint64        // of those, which go through in their order, the ones that are through
	idle     *sync.Cond    // done or busy has changed
}

const (
	// piece is the most that is given to the file in one write: above it nothing is gained, and a rotation waits for it.
	piece = 256 << 10
	// patience is how long a reader waits for a slow disk before lines are dropped. Meanwhile the socket's buffer fills.
	patience = time.Second
	// slowWrite is how long a write may take before readers leave writing to the goroutine for a while. One such write may only mean
	// that the processor was taken from us, so the while is short, and doubles with each slow write that comes soon after it.
	slowWrite     = 20 * time.Millisecond
	firstMistrust = 100 * time.Millisecond
	lastMistrust  = 10 * time.Second
	// ownQueue is how many bytes an Output may hold whatever the others do.
	ownQueue = 256 << 10
	// keepFree is how many empty buffers wait for the next batches, of ownQueue bytes together; what a burst needed besides goes back.
	keepFree = 8
)

// New starts an Output that holds up to limit bytes on the way to file, and above ownQueue as many as memory, which may be nil, has left. The
// Writer belongs to the Output from then on.
func New(name string, file *rotate.Writer, limit int, memory *rotate.Memory) *Output {
	o := &Output{name: name, limit: limit, memory: memory, file: file, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	o.idle = sync.NewCond(&o.mu)
	go o.run()
	return o
}

// A Witness is told what an Output has taken and what the file has of it, so that somebody knows should the process be killed.
type Witness interface {
	Take(lines uint64)                           // so many have been taken
	Mark(inode uint64, size int64, lines uint64) // so many are through, and the file has this size
	Release()                                    // the Output is closed
}

// Watch has the Output tell a Witness, before anybody gives it lines.
func (o *Output) Watch(w Witness) {
	o.witness = w
	o.mark()
}

// take notes that lines are on their way. Called with mu held.
func (o *Output) take(n int) {
	o.taken += uint64(n)
	if o.witness != nil {
		o.witness.Take(o.taken)
	}
}

// mark tells the Witness how far the file is. Lines in the ring of a file whose disk refuses are not through. Called while nobody writes.
func (o *Output) mark() {
	if o.witness != nil {
		inode, size, waiting := o.file.Mark()
		o.witness.Mark(inode, size, o.done-min(o.done, uint64(waiting)))
	}
}

// Name is what the configuration calls the output.
func (o *Output) Name() string { return o.name }

// File is where the lines go.
func (o *Output) File() *rotate.Writer { return o.file }

// Each does something with the Output; it is what a Set does with each of its own.
func (o *Output) Each(do func(o *Output) error) error { return do(o) }

// Busy says whether a write is under way.
func (o *Output) Busy() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy
}

// Park closes the file until the next line, unless some are on the way to it, and says whether it did.
func (o *Output) Park() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.busy && len(o.queue) == 0 && o.file.Park()
}

// Give takes lines and returns an empty buffer for the next ones. When the disk is so slow that the queue is full, it waits a
// little; when that does not help the lines are dropped and counted, so that one output never holds up the others for long. The
// exception is the one write that finds the disk hanging: its reader hangs too, and the socket's buffer fills meanwhile.
func (o *Output) Give(lines []byte, n int) []byte {
	if n == 0 {
		return lines[:0]
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given += uint64(n)
	if o.writeNow(lines, n) {
		return lines[:0]
	}
	if o.size+len(lines) > o.limit && !o.waitForRoom(len(lines)) || !o.charge(lines) {
		o.overflow += uint64(n)
		o.lose(n, len(lines))
		return lines[:0]
	}
	return o.enqueue(lines, n)
}

// writeNow writes lines if nothing else is on the way and the disk is not slow. Called with mu held.
func (o *Output) writeNow(lines []byte, n int) bool {
	now := time.Now()
	if o.busy || len(o.queue) > 0 || !now.After(o.direct) {
		return false
	}
	o.take(n)
	o.write(lines, n)
	if end := time.Now(); end.Sub(now) > slowWrite {
		if end.Sub(o.direct) > lastMistrust {
			o.mistrust = 0
		}
		o.mistrust = min(max(2*o.mistrust, firstMistrust), lastMistrust)
		o.direct = end.Add(o.mistrust)
	}
	if len(o.queue) > 0 {
		o.ring() // lines that came meanwhile
	}
	return true
}

// enqueue puts lines into the queue and returns an empty buffer. Called with mu held.
func (o *Output) enqueue(lines []byte, n int) []byte {
	o.take(n)
	o.lines += n
	o.size += len(lines)
	o.ring()
	if o.fitsLast(lines) {
		k := len(o.queue) - 1
		o.queue[k] = append(o.queue[k], lines...)
		return lines[:0]
	}
	if copied(lines) > 0 {
		o.queue = append(o.queue, append(make([]byte, 0, copied(lines)), lines...))
		return lines[:0]
	}
	o.queue = append(o.queue, lines)
	if k := len(o.free) - 1; k >= 0 {
		lines, o.free = o.free[k], o.free[:k]
		o.spare -= cap(lines)
		return lines
	}
	return make([]byte, 0, cap(lines))
}

// fitsLast says whether lines go into the last buffer of the queue.
func (o *Output) fitsLast(lines []byte) bool {
	k := len(o.queue) - 1
	return k >= 0 && cap(o.queue[k])-len(o.queue[k]) >= len(lines)
}

// copied is how large a buffer of their own lines are copied to, because their large one would be held for little; 0: they stay in it.
func copied(lines []byte) int {
	if len(lines) >= cap(lines)/2 {
		return 0
	}
	return min(max(2*len(lines), 4<<10), cap(lines))
}

// charge takes what the queue holds above an Output's own part from the memory of all. Called with mu held.
func (o *Output) charge(lines []byte) bool {
	more := 0
	if !o.fitsLast(lines) {
		if more = copied(lines); more == 0 {
			more = cap(lines)
		}
	}
	above := max(o.held+more-ownQueue, 0) - o.charged
	if above > 0 && !o.memory.Take(above) {
		return false
	}
	o.held += more
	o.charged += max(above, 0)
	return true
}

// lose notes a loss for the line that stands where the lines are missing. Called with mu held.
func (o *Output) lose(lines, size int) {
	now := time.Now()
	if o.loss.Lines == 0 {
		o.loss.From = now
	}
	o.loss.To, o.loss.Cause = now, "the disk is too slow, and the queue is full"
	o.loss.Lines += uint64(lines)
	o.loss.Bytes += uint64(size)
}

// ring tells the goroutine that there is something to do. It never blocks: one ring stands for all.
func (o *Output) ring() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// waitForRoom is called with mu held and gives it up while it waits. A batch larger than the limit fits when nothing else waits.
func (o *Output) waitForRoom(size int) bool {
	fits := func() bool { return o.size == 0 || o.size+size <= o.limit }
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
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for o.busy { // a reader writes
			o.idle.Wait()
		}
		if len(o.queue) == 0 {
			if o.closing {
				return
			}
			o.mu.Unlock()
			<-o.wake
			o.mu.Lock()
			continue
		}
		o.writeQueue()
	}
}

// writeQueue takes the whole queue and writes it. Called with mu held and not busy.
func (o *Output) writeQueue() {
	queue, rest, loss, charged := o.queue, o.lines, o.loss, o.charged
	o.loss = rotate.Loss{}
	o.queue, o.size, o.held, o.charged, o.lines, o.late = nil, 0, 0, 0, 0, false
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	for i, buf := range queue {
		n := rest
		if i < len(queue)-1 {
			n = bytes.Count(buf, newline)
		}
		rest -= n
		o.lines += rest // still counted as waiting, though no longer in the queue
		o.write(buf, n)
		o.lines -= rest
		if len(o.free) < keepFree && o.spare+cap(buf) <= ownQueue {
			o.free = append(o.free, buf[:0])
			o.spare += cap(buf)
		}
	}
	o.memory.Give(charged)
	if loss.Lines > 0 { // what was lost came after this queue, and before all that waits by now
		o.busy = true
		o.mu.Unlock()
		_, _ = o.file.Write(o.file.AppendLoss(nil, loss)) // of an error the lines around it tell
		o.mu.Lock()
		o.busy = false
		o.idle.Broadcast()
	}
}

// write writes n lines in pieces of whole lines. Called with mu held and not busy; it gives mu up while it writes, and nobody
// else writes meanwhile.
func (o *Output) write(lines []byte, n int) {
	o.busy, o.writing = true, n
	o.mark() // the file may be another by now
	for len(lines) > 0 {
		end := len(lines)
		if end > piece {
			if end = bytes.LastIndexByte(lines[:piece], '\n') + 1; end == 0 {
				end = bytes.IndexByte(lines, '\n') + 1
			}
		}
		k := n
		if end < len(lines) {
			k = bytes.Count(lines[:end], newline)
		}
		o.mu.Unlock()
		_, err := o.file.Write(lines[:end])
		o.mu.Lock()
		if err != nil {
			o.lostHere += uint64(k)
		}
		o.writing -= k
		o.done += uint64(k)
		o.mark()
		lines, n = lines[end:], n-k
		o.idle.Broadcast()
	}
	o.busy = false
	o.idle.Broadcast()
}

// newline is for bytes.Count, which wants a slice.
var newline = []byte{'\n'}

// Drain returns when every line that Give has taken before the call has gone to the file, or when ctx is done.
func (o *Output) Drain(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.through(ctx, o.taken)
}

// Close writes what it was given and closes the file. Nobody may call Give any more.
func (o *Output) Close() error {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.ring()
	<-o.ended
	err := o.file.Close()
	if o.witness != nil {
		o.witness.Release()
	}
	return err
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
