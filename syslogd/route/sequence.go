package route

import (
	"cmp"
	"slices"
	"sync"
)

// Sequences tells what the network lost, of senders that number their messages (RFC 5424 section 7.3.1). It guesses as little as it
// can: a number that comes late was not lost, and one that begins anew is a sender that was restarted. The zero value is ready.
type Sequences struct {
	// mu guards the fields below.
	mu      sync.Mutex
	senders map[string]*sequence
	gaps    uint64
	late    uint64
}

// sequence is what is known of one sender.
type sequence struct {
	last, lastLate uint32
	seen           uint64
	gaps, late     uint64
}

const (
	// maxNumbered bounds the memory that forged senders can take; above it all begin anew.
	maxNumbered = 4096
	// lateWindow is how far back a number may be that was overtaken on its way. Further back the sender has begun anew.
	lateWindow = 1000
	// leap is a gap that nobody believes.
	leap = 1 << 20
)

// note takes the next number of a sender.
func (s *Sequences) note(sender []byte, n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.senders[string(sender)]
	if q == nil {
		if s.senders == nil || len(s.senders) >= maxNumbered {
			s.senders = make(map[string]*sequence)
		}
		s.senders[string(sender)] = &sequence{last: n, seen: 1}
		return
	}
	q.seen++
	switch {
	case n > q.last:
		if gap := n - q.last - 1; gap < leap {
			q.gaps += uint64(gap)
			s.gaps += uint64(gap)
		}
		q.last, q.lastLate = n, 0
	case n == q.last:
		// the network doubled it
	case n == 1 || q.last-n > lateWindow || q.lastLate > 0 && n == q.lastLate+1 && q.late >= q.gaps:
		q.last, q.lastLate = n, 0
	default:
		q.lastLate = n
		if q.late < q.gaps {
			q.late++
			s.late++
		}
	}
}

// Numbered is what is known of a sender that numbers its messages. Gaps - Late did not arrive.
type Numbered struct {
	Sender     string
	Seen       uint64
	Gaps, Late uint64 // numbers that were left out, and those of them that came later
}

// Totals are the gaps of all senders that ever were, and how many of them were filled.
func (s *Sequences) Totals() (gaps, late uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gaps, s.late
}

// Worst are up to n senders that miss something, the worst first.
func (s *Sequences) Worst(n int) []Numbered {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Numbered
	for name, q := range s.senders {
		if q.gaps > q.late {
			all = append(all, Numbered{Sender: name, Seen: q.seen, Gaps: q.gaps, Late: q.late})
		}
	}
	slices.SortFunc(all, func(a, b Numbered) int {
		return cmp.Or(cmp.Compare(b.Gaps-b.Late, a.Gaps-a.Late), cmp.Compare(a.Sender, b.Sender))
	})
	return all[:min(n, len(all))]
}
