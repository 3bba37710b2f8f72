package sink

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"lbsyslogd/rotate"
)

// Limits are when a batch is delivered: at the first of them that it reaches.
type Limits struct {
	Size  int           // bytes of lines; 0: 1 MiB
	Lines int           // 0: 10,000
	Age   time.Duration // since its first line was read; 0: 1 s
}

const (
	defaultSize  = 1 << 20
	defaultLines = 10_000
	defaultAge   = time.Second
	// nap is how long lines gather before we look for more. Reading at each write would cost more than the lines do.
	nap = 100 * time.Millisecond
	// glance is how often the file is looked at when nothing is written to it.
	glance = time.Second
)

func (l Limits) orDefault() Limits {
	return Limits{cmp.Or(l.Size, defaultSize), cmp.Or(l.Lines, defaultLines), cmp.Or(l.Age, defaultAge)}
}

// A batch is lines that are delivered together.
type batch struct {
	text    []byte
	records []Record        // views of text
	end     rotate.Position // after the last line
	last    Place           // the end of the last record that was added, in this batch or one before
}

func (b *batch) reset() { b.text, b.records = b.text[:0], b.records[:0] }

// add copies lines that end at a position. An empty line is no message.
func (b *batch) add(lines []byte, end rotate.Position) {
	place := placeOf(end)
	place.Offset -= int64(len(lines))
	from := len(b.text)
	b.text = append(b.text, lines...) // a new array leaves the views of the old one as they are
	for rest := b.text[from:]; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n')
		next := n + 1
		if n < 0 {
			n, next = len(rest), len(rest)
		}
		if n > 0 {
			r := Record{rest[:n:n], place, b.last}
			b.records = append(b.records, r)
			b.last = r.End()
		}
		place.Offset += int64(next)
		rest = rest[next:]
	}
	b.end = end
}

// gather reads lines until the batch has reached a limit, or ctx is done. While there are suspects it waits no longer than a glance for the first one.
func (s *Sender) gather(ctx context.Context) error {
	b, most := &s.batch, s.Limits.orDefault()
	b.reset()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var due time.Time // set once there is a line
	for len(b.text) < most.Size && len(b.records) < most.Lines && ctx.Err() == nil {
		s.Queue.Bound(most.Lines - len(b.records))
		lines, err := s.Queue.Read()
		if err != nil {
			return err
		}
		now := time.Now()
		s.Queue.StoreLate(now)
		if len(lines) > 0 {
			b.add(lines, s.Queue.Position())
			if due.IsZero() {
				due = now.Add(most.Age)
			}
			continue
		}
		if due.IsZero() {
			select {
			case <-s.Queue.News():
			case <-tick.C:
				if len(s.suspects) > 0 {
					return nil
				}
			case <-ctx.Done():
			}
			continue
		}
		left := due.Sub(now)
		if left <= 0 {
			return nil
		}
		select {
		case <-time.After(min(left, nap)):
		case <-ctx.Done():
		}
	}
	return nil
}
