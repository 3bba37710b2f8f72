package forward

import (
	"bytes"
	"hash/maphash"
	"time"
)

// A circle notices that what is sent comes back: two servers that forward to each other, or one that does to itself, would send the same lines
// for ever. A line comes back when it is the same to the last byte, with the time in it, and was sent a while ago: what says the same again has
// another time. Owned by run.
type circle struct {
	// after is how long ago a line must have been sent; 0: circleTime.
	after time.Duration

	seed    maphash.Seed
	sent    [2]map[uint64]time.Time // when lines were sent first, the newer ones and those before
	lines   int                     // looked at since the last verdict
	back    int                     // of those, what came back
	turning bool                    // nearly everything comes back
	left    uint64                  // lines that were left out for that
	leftAt  time.Time               // when the last was
}

const (
	circleTime  = 5 * time.Second
	circleLines = 100              // for a verdict
	circleRest  = 10 * time.Minute // after which it is forgotten, if nothing has come back
	circleKept  = 1 << 15          // lines that are remembered, twice
)

// leaveOut takes out of lines what comes back, once nearly everything does.
func (c *circle) leaveOut(lines []byte, now time.Time) []byte {
	if c.sent[0] == nil {
		c.seed = maphash.MakeSeed()
		c.sent[0] = make(map[uint64]time.Time)
	}
	after := c.after
	if after == 0 {
		after = circleTime
	}
	kept := lines[:0]
	for rest := lines; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		line := rest[:end]
		rest = rest[end:]
		before, age := c.remember(line, now)
		if c.lines++; before && age >= after {
			c.back++
		}
		if c.lines >= circleLines {
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
			continue
		}
		kept = append(kept, line...)
	}
	return kept
}

// forget begins anew: what is read from the file again has not come back.
func (c *circle) forget() {
	c.sent[0], c.sent[1] = nil, nil
	c.lines, c.back, c.turning = 0, 0, false
}

// remember says whether a line was sent before, and how long ago, and remembers it.
func (c *circle) remember(line []byte, now time.Time) (before bool, age time.Duration) {
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
	if !isMessage(line) {
		return false
	}
	_, rest, _ := bytes.Cut(line, []byte{' '})
	return len(rest) > 0 && rest[0] != '-'
}
