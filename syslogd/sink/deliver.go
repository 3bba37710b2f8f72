package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// A receiver that refuses a request says seldom which record it is for. The refused records are halved until one alone is refused: the suspect. It is
// set aside when another record was taken and it is refused again, since then it is the record and not the receiver: one that refused everything may have
// got well between the two, and then takes it now, after the other. Before that it may be that everything is refused, for a wrong address or by a proxy:
// with many suspects in a row another record is delivered to find out, one that the receiver had before, if there is one. When that is refused too all is left as
// it was, and tried again later, with more patience each time.
//
// The same is done with records for which the receiver fails again and again, but there two suspects in a row are many.

// A suspect is a record that was refused alone.
type suspect struct {
	record Record // with a line of its own
	err    error
	faulty bool // the receiver has failed rather than refused
}

const (
	leastPatience = 16  // suspects in a row before the receiver is to blame
	mostPatience  = 256 // bounds what suspects hold in memory
	faultyTries   = 5   // failures of a request before a record of it is looked for
)

var errStopped = errors.New("stopped")

// deliver has the peer take records, or sets them aside. bad says that they are known to be refused together.
func (s *Sender) deliver(ctx, requests context.Context, records []Record, bad bool) error {
	for len(records) > 0 {
		refused := bad
		if !bad && !s.tooLarge(records) || len(records) == 1 {
			a, err := s.ask(ctx, requests, records)
			if err != nil {
				return err
			}
			if a.Verdict == Taken {
				if records, err = s.took(ctx, requests, records, a); err != nil {
					return err
				}
				continue
			}
			if len(records) == 1 {
				return s.suspect(ctx, requests, records[0], a)
			}
			s.count(func(c *Counts) { c.Split++ })
			if refused = a.Verdict != Smaller; !refused {
				s.room = size(records) / 2
			}
		}
		half, found := len(records)/2, s.found
		if err := s.deliver(ctx, requests, records[:half], false); err != nil {
			return err
		}
		records, bad = records[half:], refused && s.found == found
	}
	return nil
}

// ask delivers records until the peer decides. A peer that failed often enough has: the verdict is Faulty then.
func (s *Sender) ask(ctx, requests context.Context, records []Record) (Answer, error) {
	for faults := 0; ; {
		a := s.try(requests, records)
		switch a.Verdict {
		case Taken, Smaller, Refused:
			return a, nil
		case Faulty:
			if faults++; faults == faultyTries {
				return a, nil
			}
		default:
			faults = 0
		}
		s.Queue.Note(&s.state, a.Err)
		s.wait(ctx, a.After)
		if ctx.Err() != nil {
			return a, errStopped
		}
	}
}

// try delivers records once and counts.
func (s *Sender) try(requests context.Context, records []Record) Answer {
	a := s.Peer.Deliver(requests, records)
	taken := 0
	if a.Verdict == Taken {
		taken = max(len(records)-len(a.Again)-len(a.Refused)-a.Dropped, 0)
	} else if a.Err == nil {
		a.Err = errors.New("the receiver has not taken the lines")
	}
	s.count(func(c *Counts) {
		c.Requests++
		c.Sent += uint64(len(records))
		c.Confirmed += uint64(taken)
		c.Again += uint64(len(records) - taken)
		c.Connected = a.Verdict == Taken
	})
	return a
}

// took draws the conclusions of a request that was answered with yes, and returns the records that are to be delivered again.
func (s *Sender) took(ctx, requests context.Context, records []Record, a Answer) (again []Record, err error) {
	for _, i := range a.Refused {
		s.setAside(records[i], a.Err)
	}
	if a.Dropped > 0 {
		s.dropped(a.Dropped, a.Err)
	}
	for _, i := range a.Again {
		again = append(again, records[i])
	}
	if len(again)+len(a.Refused)+a.Dropped < len(records) {
		if err := s.convict(ctx, requests); err != nil {
			return nil, err
		}
		s.pause, s.patience = s.firstPause, leastPatience
		s.remember(records, a)
	}
	if s.easy++; s.easy >= easyMost && s.room > 0 {
		s.easy = 0
		if s.room *= 2; s.room > s.Limits.orDefault().Size {
			s.room = 0
		}
	}
	if len(again) == 0 {
		s.Queue.Note(&s.state, nil)
		return nil, nil
	}
	s.Queue.Note(&s.state, a.Err)
	s.wait(ctx, a.After)
	if ctx.Err() != nil {
		return nil, errStopped
	}
	return again, nil
}

// remember keeps a record that was taken, if it is known which were.
func (s *Sender) remember(records []Record, a Answer) {
	for i, r := range slices.Backward(records) {
		_, again := slices.BinarySearch(a.Again, i)
		_, refused := slices.BinarySearch(a.Refused, i)
		if a.Dropped == 0 && !again && !refused {
			s.good = Record{Line: append(s.good.Line[:0], r.Line...), Place: r.Place, Prev: r.Prev}
			return
		}
	}
}

// suspect notes a record that was refused alone.
func (s *Sender) suspect(ctx, requests context.Context, r Record, a Answer) error {
	s.found++
	r.Line = bytes.Clone(r.Line)
	last := len(s.suspects) > 0 && s.suspects[len(s.suspects)-1].faulty
	s.suspects = append(s.suspects, suspect{r, a.Err, a.Verdict == Faulty})
	fails := a.Verdict == Faulty && last
	if len(s.suspects) < s.patience && !fails {
		s.Queue.Note(&s.state, a.Err)
		return nil
	}
	s.patience = min(2*s.patience, mostPatience)
	switch {
	case s.takesAnother(requests, r):
		return s.convictAll(ctx, requests)
	case fails:
		return fmt.Errorf("the receiver fails whatever is sent: %w", a.Err)
	}
	return fmt.Errorf("the receiver refuses every line: %w", a.Err)
}

// convictAll is convict after a record that was delivered for that alone.
func (s *Sender) convictAll(ctx, requests context.Context) error {
	if err := s.convict(ctx, requests); err != nil {
		return err
	}
	s.pause = s.firstPause
	s.Queue.Note(&s.state, nil)
	return nil
}

// settle decides suspects after which nothing has come for a while.
func (s *Sender) settle(ctx, requests context.Context) error {
	if len(s.suspects) == 0 || s.good.Line == nil || ctx.Err() != nil {
		return nil
	}
	if !s.isTaken(requests, s.good) {
		s.wait(ctx, 0)
		return nil
	}
	if err := s.convictAll(ctx, requests); err != nil {
		return err
	}
	s.Queue.Confirm(s.batch.end)
	return nil
}

// takesAnother says whether the receiver takes another record than the suspects. One that it had before comes twice then, and no more; only when nothing was
// taken since the start it is one that comes later in the batch, and patience is over.
func (s *Sender) takesAnother(requests context.Context, last Record) bool {
	if s.good.Line != nil {
		return s.isTaken(requests, s.good)
	}
	i := slices.IndexFunc(s.batch.records, func(r Record) bool { return r.Place == last.Place })
	if i < 0 || len(s.suspects) < mostPatience && !s.suspects[0].faulty {
		return false
	}
	later := s.batch.records[i+1:]
	for _, n := range []int{0, len(later) / 2, len(later) - 1} {
		if n >= 0 && n < len(later) && s.isTaken(requests, later[n]) {
			return true
		}
	}
	return false
}

// isTaken delivers one record, once.
func (s *Sender) isTaken(requests context.Context, r Record) bool {
	a := s.try(requests, []Record{r})
	return a.Verdict == Taken && len(a.Again)+len(a.Refused)+a.Dropped == 0
}

// convict sets aside what was refused before another record was taken, and is refused again. Until each is decided all of them are suspects: then the
// position stays where it is.
func (s *Sender) convict(ctx, requests context.Context) error {
	for len(s.suspects) > 0 {
		c := s.suspects[0]
		a, err := s.askAgain(ctx, requests, c)
		if err != nil {
			return err
		}
		s.suspects = s.suspects[1:]
		if a.Verdict != Taken || len(a.Refused) > 0 {
			s.setAside(c.record, c.err)
		} else if a.Dropped > 0 {
			s.dropped(a.Dropped, a.Err)
		}
	}
	s.suspects = nil
	return nil
}

// askAgain delivers a suspect until it is decided; one for which the receiver has failed before may fail once.
func (s *Sender) askAgain(ctx, requests context.Context, c suspect) (Answer, error) {
	for {
		var a Answer
		var err error
		if c.faulty {
			a = s.try(requests, []Record{c.record})
		} else {
			a, err = s.ask(ctx, requests, []Record{c.record})
		}
		if err != nil || a.Verdict != Later && (a.Verdict != Taken || len(a.Again) == 0) {
			return a, err
		}
		if s.wait(ctx, a.After); ctx.Err() != nil {
			return a, errStopped
		}
	}
}

// easyMost is how many requests are taken before the peer is asked whether it takes larger ones by now.
const easyMost = 100

// tooLarge says whether the peer has found less than records too large.
func (s *Sender) tooLarge(records []Record) bool { return s.room > 0 && size(records) > s.room }

// size is the bytes of the lines of records.
func size(records []Record) (n int) {
	for _, r := range records {
		n += len(r.Line) + 1
	}
	return n
}
