package route

import (
	"sync/atomic"
	"time"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
)

// Counts are what a Stage did with the messages it was given: Received = Routed + Unmatched + Oversized + Denied + Empty.
type Counts struct {
	Received  atomic.Uint64
	Routed    atomic.Uint64 // to at least one output
	Unmatched atomic.Uint64 // no rule wanted it
	Oversized atomic.Uint64 // refused for its size
	Denied    atomic.Uint64 // from a network that may not send
	Empty     atomic.Uint64 // nothing in it
	Cut       atomic.Uint64 // of the routed: only their beginning
}

// A Stage makes lines of one reader's messages. It is the receive.Handler, and belongs to that reader.
type Stage struct {
	current  *atomic.Pointer[Table]
	counts   *Counts
	table    *Table // of this batch, and until the next begins of the last
	lanes    []lane // as the table's rules
	msg      message.Message
	envelope format.Envelope

	// Counted here and added to counts once a batch.
	received, routed, unmatched, oversized, denied, empty, cut uint64
}

var _ receive.Handler = (*Stage)(nil)

// A lane gathers the lines for one rule.
type lane struct {
	format format.Format
	buf    []byte
	lines  int
}

// fullLane is when a lane is given away before the batch ends, so that a batch of large messages needs no large buffer.
const fullLane = 256 << 10

// NewStage makes a Stage that asks the current Table and counts in counts.
func NewStage(current *atomic.Pointer[Table], counts *Counts) *Stage {
	return &Stage{current: current, counts: counts}
}

// Begin implements receive.Handler. It is the moment when a new Table takes effect.
func (s *Stage) Begin(now time.Time) {
	s.envelope.Received = now
	t := s.current.Load()
	t.users.RLock()
	for newer := s.current.Load(); newer != t; newer = s.current.Load() {
		t.users.RUnlock() // replaced in between, and perhaps retired
		t = newer
		t.users.RLock()
	}
	if t != s.table {
		s.table = t
		s.lanes = make([]lane, len(t.rules))
		for i := range s.lanes {
			s.lanes[i].format, _ = format.New(t.rules[i].Format) // Compile has tried it
		}
	}
}

// Message implements receive.Handler.
func (s *Stage) Message(from *receive.Sender, b []byte, size int) {
	s.received++
	if len(s.table.Allow) > 0 && from.Addr.IsValid() && !anyContains(s.table.Allow, from.Addr) {
		s.denied++
		return
	}
	if size > len(b) && s.table.RefuseOversized {
		s.oversized++
		return
	}
	m, e := &s.msg, &s.envelope
	m.Parse(b)
	if len(m.Content) == 0 && len(m.Tag) == 0 && len(m.Data) == 0 {
		s.empty++
		return
	}
	e.Raw, e.Size, e.Peer, e.Host = b, size, from.Name, from.Name
	if from.Local {
		e.Host = s.table.Host
	}
	taken := false
	for _, i := range s.table.byPriority[m.Priority] {
		rule := &s.table.rules[i]
		if !rule.fits(m, e, from.Addr) {
			continue
		}
		l := &s.lanes[i]
		l.buf = l.format.Append(l.buf, m, e)
		l.lines++
		if len(l.buf) >= fullLane {
			s.give(i)
		}
		taken = true
		if rule.Final {
			break
		}
	}
	if !taken {
		s.unmatched++
		return
	}
	s.routed++
	if size > len(b) {
		s.cut++
	}
}

// End implements receive.Handler.
func (s *Stage) End() {
	for i := range s.lanes {
		if s.lanes[i].lines > 0 {
			s.give(i)
		}
	}
	s.table.users.RUnlock()
	c := s.counts
	c.Received.Add(s.received)
	c.Routed.Add(s.routed)
	c.Unmatched.Add(s.unmatched)
	c.Oversized.Add(s.oversized)
	c.Denied.Add(s.denied)
	c.Empty.Add(s.empty)
	c.Cut.Add(s.cut)
	s.received, s.routed, s.unmatched, s.oversized, s.denied, s.empty, s.cut = 0, 0, 0, 0, 0, 0, 0
}

func (s *Stage) give(i int) {
	l := &s.lanes[i]
	l.buf = s.table.rules[i].Output.Give(l.buf, l.lines)
	l.lines = 0
}
