// Package circle notices that what is sent comes back: two servers that forward to each other, or one that does to itself, would send the same lines
// for ever.
package circle

import (
	"bytes"
	"errors"
	"hash/maphash"
	"time"

	"lbsyslogd/syslogd/message"
)

// A Circle notices it for one output. A line comes back when it is the same to the last byte, with the time in it, and was sent a while ago: what says the same again has
// another time. It belongs to one goroutine; the zero value is ready.
type Circle struct {
	// After is how long ago a line must have been sent; 0: 5 s.
	After time.Duration

	seed    maphash.Seed
	sent    [2]map[uint64]time.Time // when lines were sent first, the newer ones and those before
	lines   int                     // looked at since the last verdict
	back    int                     // of those, what came back
	turning bool                    // nearly everything comes back
	left    uint64                  // lines that were left out for that
	leftAt  time.Time               // when the last was
}

const (
	circleTime = 5 * time.Second
	// Lines are looked at for a verdict.
	Lines      = 100
	circleRest = 10 * time.Minute // after which it is forgotten, if nothing has come back
	circleKept = 1 << 15          // lines that are remembered, twice
)

// Err is what does not work while lines come back.
var Err = errors.New("what is sent comes back: the peer, or one after it, forwards to this syslogd; lines that come back are not sent again")

// LeaveOut takes out of lines what comes back, once nearly everything does.
func (c *Circle) LeaveOut(lines []byte, now time.Time) []byte {
	kept := lines[:0]
	for rest := lines; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		if !c.Back(bytes.TrimSuffix(line, newline), now) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// newline is for bytes.TrimSuffix, which wants a slice.
var newline = []byte{'\n'}

// Back says whether to leave out a line, which is without its newline.
func (c *Circle) Back(line []byte, now time.Time) bool {
	if c.sent[0] == nil {
		c.seed = maphash.MakeSeed()
		c.sent[0] = make(map[uint64]time.Time)
	}
	after := c.After
	if after == 0 {
		after = circleTime
	}
	before, age := c.remember(line, now)
	if c.lines++; before && age >= after {
		c.back++
	}
	if c.lines >= Lines {
		if c.back*10 >= c.lines*9 {
			c.turning, c.leftAt = true, now
		}
		c.lines, c.back = 0, 0
	}
	if c.turning && now.Sub(c.leftAt) > circleRest {
		c.turning = false
	}
	if before && c.turning { // however short ago: it is known by now where it comes from
		c.left++
		c.leftAt = now
		return true
	}
	return false
}

// Turning says whether lines come back.
func (c *Circle) Turning() bool { return c.turning }

// Left is how many lines were left out.
func (c *Circle) Left() uint64 { return c.left }

// Forget begins anew: what is sent again, because it was sent in vain, has not come back.
func (c *Circle) Forget() {
	c.sent[0], c.sent[1] = nil, nil
	c.lines, c.back, c.turning = 0, 0, false
}

// remember says whether a line was sent before, and how long ago, and remembers it.
func (c *Circle) remember(line []byte, now time.Time) (before bool, age time.Duration) {
	if !timed(line) {
		return false, 0
	}
	h := maphash.Bytes(c.seed, line)
	first, before := c.sent[0][h]
	if !before {
		if first, before = c.sent[1][h]; !before {
			first = now
		}
		if len(c.sent[0]) >= circleKept {
			c.sent[1], c.sent[0] = c.sent[0], make(map[uint64]time.Time)
		}
		c.sent[0][h] = first
	}
	return before, now.Sub(first)
}

// timed says whether a line is a message with a time.
func timed(line []byte) bool {
	if !message.IsRFC5424(line) {
		return false
	}
	_, rest, _ := bytes.Cut(line, []byte{' '})
	return len(rest) > 0 && rest[0] != '-'
}
