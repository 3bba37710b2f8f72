package route

import (
	"net/netip"
	"sync/atomic"
	"time"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/ledger"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
)

// Counts are what a Stage did with the messages it was given: Received = Routed + Unmatched + Oversized + Denied +
// Limited + Empty + Beats.
type Counts struct {
	Input string // what the configuration calls the input; immutable

	Received  atomic.Uint64
	Routed    atomic.Uint64 // to at least one output
	Unmatched atomic.Uint64 // no rule wanted it
	Oversized atomic.Uint64 // refused for its size
	Denied    atomic.Uint64 // from a network that may not send
	Limited   atomic.Uint64 // beyond what a sender may send in a second
	Empty     atomic.Uint64 // nothing in it
	Cut       atomic.Uint64 // of the routed: only their beginning
	CutBytes  atomic.Uint64 // what came of those and was dropped
	Beats     atomic.Uint64 // what senders said of what they have sent

	Sequences Sequences
	Limit     Limiter // of each sender
}

// A Stage makes lines of one reader's messages. It is the receive.Handler, and belongs to that reader.
type Stage struct {
	current  *atomic.Pointer[Table]
	counts   *Counts
	table    *Table // of this batch, and until the next begins of the last
	lanes    []lane // as the table's rules
	parser   message.Parser
	msg      message.Message
	envelope format.Envelope

	// Counted here and added to counts once a batch.
	received, routed, unmatched, oversized, denied, limited, empty, cut, cutBytes, beats uint64

	now int64 // when the batch arrived, for limits

	name []byte // of the file, or the sender, of the current message
	kept bool   // senders keep messages until Deliver: nothing is given away before

	tally tally
}

// tally counts the lines of processes whose accounts are in the ledger, until they are given to the outputs: at End, or at a beat. Most messages are
// from the process of the one before.
type tally struct {
	active  bool // somebody has an account
	version uint64
	peer    string
	pid     []byte
	account *ledger.Account // of these; nil: they have none
	n       uint64
	others  []share // of processes before, in this batch
}

// share is how many lines came from a process.
type share struct {
	account *ledger.Account
	n       uint64
}

var (
	_ receive.Handler = (*Stage)(nil)
	_ receive.Chooser = (*Stage)(nil)
)

// NeedsAddress implements receive.Chooser.
func (s *Stage) NeedsAddress() bool { return s.current.Load().byAddress || s.counts.Limit.Active() }

// A lane gathers the lines for one rule, or for one file of a rule that has several.
type lane struct {
	format format.Format
	buf    []byte
	lines  int

	// For a rule with several files.
	path   *format.Template
	files  map[string]*lane
	active []*lane // those of files that have lines
	other  uint64  // lines of which a field may not be in a file's name
	file   string  // of one of files: its name
}

// A Stage keeps lanes for idleLanes files from one batch to the next. Beyond bigLanes of them only small buffers are kept.
const (
	idleLanes = 2048
	bigLanes  = 64
	smallLane = 4 << 10
)

// fullLane is when a lane is given away before the batch ends, so that a batch of large messages needs no large buffer.
const fullLane = 256 << 10

// NewStage makes a Stage that asks the current Table and counts in counts.
func NewStage(current *atomic.Pointer[Table], counts *Counts) *Stage {
	return &Stage{current: current, counts: counts}
}

// Begin implements receive.Handler. It is the moment when a new Table takes effect.
func (s *Stage) Begin(now time.Time) {
	t := s.current.Load()
	t.users.RLock()
	for newer := s.current.Load(); newer != t; newer = s.current.Load() {
		t.users.RUnlock() // replaced in between, and perhaps retired
		t = newer
		t.users.RLock()
	}
	s.now, s.envelope.Received = sinceEpoch(now), now
	if t.Zone != nil {
		s.envelope.Received = now.In(t.Zone)
	}
	if t.Ledger != nil {
		s.tally.active = !t.Ledger.Empty()
		if v := t.Ledger.Version(); v != s.tally.version {
			s.tally = tally{active: s.tally.active, version: v, pid: s.tally.pid[:0], others: s.tally.others[:0]}
		}
	}
	if t != s.table {
		s.table = t
		s.lanes = make([]lane, len(t.rules))
		for i := range s.lanes {
			s.lanes[i].format, _ = format.New(t.rules[i].Format) // Compile has tried it
			if t.rules[i].Files != nil {
				s.lanes[i].path, _ = format.ParseTemplate(t.rules[i].Path) // this one too
				s.lanes[i].files = make(map[string]*lane)
			}
		}
	}
}

// Message implements receive.Handler.
func (s *Stage) Message(from *receive.Sender, b []byte, size int) {
	s.received++
	if !s.table.Allows(from.Addr) {
		s.denied++
		return
	}
	if s.counts.Limit.Active() && !s.counts.Limit.Take(from.Addr, s.now) {
		s.limited++
		return
	}
	dropped := max(0, size-len(b))
	if size < 0 {
		size = -size // the rest of it never came
	}
	if size > len(b) && s.table.RefuseOversized {
		s.oversized++
		return
	}
	m, e := &s.msg, &s.envelope
	s.parser.Parse(m, b)
	if len(m.Content) == 0 && len(m.Tag) == 0 && len(m.Data) == 0 {
		s.empty++
		return
	}
	e.Raw, e.Size, e.Peer, e.Host = b, size, from.Name, from.Name
	if from.Local {
		e.Host = s.table.Host
	}
	if len(m.Data) > 0 {
		if s.table.Ledger != nil && s.noteBeat(from) {
			return
		}
		s.noteSequence(from)
	}
	if s.tally.active && len(m.PID) > 0 {
		s.account(from)
	}
	taken := false
	for _, i := range s.table.byPriority[m.Priority] {
		rule := &s.table.rules[i]
		if !rule.fits(m, e, from.Addr) {
			continue
		}
		if rule.Limit != nil && !rule.Limit.Take(netip.Addr{}, s.now) {
			taken = true
			if rule.Final {
				break
			}
			continue
		}
		l := &s.lanes[i]
		form := l.format
		if l.path != nil {
			l = s.laneOf(l)
		}
		l.buf = form.Append(l.buf, m, e)
		l.lines++
		if len(l.buf) >= fullLane && !s.kept {
			s.tally.flush()
			rule.give(l)
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
		s.cutBytes += uint64(dropped)
	}
}

// End implements receive.Handler.
func (s *Stage) End() {
	s.tally.flush() // first: what a kill takes from now on is in what the outputs hold
	s.give()
	s.release()
}

// give gives all lines to the outputs.
func (s *Stage) give() {
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.lines > 0 {
			s.table.rules[i].give(l)
		}
		for _, of := range l.active {
			if of.lines > 0 {
				s.table.rules[i].give(of)
			}
			if len(l.files) > bigLanes && cap(of.buf) > smallLane {
				of.buf = nil
			}
		}
		l.active = l.active[:0]
		if l.other > 0 {
			s.table.rules[i].Files.CountOther(l.other)
			l.other = 0
		}
		if len(l.files) > idleLanes {
			clear(l.files)
		}
	}
}

// release ends the use of the table, and adds up what was counted in the batch.
func (s *Stage) release() {
	s.tally.flush()
	s.table.users.RUnlock()
	c := s.counts
	c.Beats.Add(s.beats)
	c.Received.Add(s.received)
	c.Routed.Add(s.routed)
	c.Unmatched.Add(s.unmatched)
	c.Oversized.Add(s.oversized)
	c.Denied.Add(s.denied)
	c.Limited.Add(s.limited)
	c.Empty.Add(s.empty)
	c.Cut.Add(s.cut)
	c.CutBytes.Add(s.cutBytes)
	s.received, s.routed, s.unmatched, s.oversized, s.denied, s.limited, s.empty, s.cut, s.cutBytes, s.beats = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
}

// account counts the current message for the process that it is from.
func (s *Stage) account(from *receive.Sender) {
	t := &s.tally
	if from.Name != t.peer || string(s.msg.PID) != string(t.pid) || len(t.pid) == 0 {
		t.part()
		t.peer, t.pid = from.Name, append(t.pid[:0], s.msg.PID...)
		s.name = ledger.AppendKey(s.name[:0], s.counts.Input, t.peer, t.pid)
		t.account = s.table.Ledger.Find(s.name)
	}
	t.n++
}

// part ends the count of the current process.
func (t *tally) part() {
	if t.account != nil && t.n > 0 {
		t.others = append(t.others, share{t.account, t.n})
	}
	t.n = 0
}

// flush adds what was counted to the accounts.
func (t *tally) flush() {
	t.part()
	for _, o := range t.others {
		o.account.Count(o.n)
	}
	t.others = t.others[:0]
}

// noteBeat takes the current message if it is a beat, which goes to no output.
func (s *Stage) noteBeat(from *receive.Sender) bool {
	beat, ok := s.msg.Beat()
	if !ok {
		return false
	}
	s.tally.flush()
	if !s.kept {
		s.give()
	}
	s.name = ledger.AppendKey(s.name[:0], s.counts.Input, from.Name, s.msg.PID)
	s.table.Ledger.Note(s.name, beat, s.envelope.Received)
	s.tally = tally{active: true, version: s.table.Ledger.Version(), pid: s.tally.pid[:0], others: s.tally.others[:0]}
	s.beats++
	return true
}

// noteSequence notes the number of the current message if it has one. A sender is an address and the host that it speaks for.
func (s *Stage) noteSequence(from *receive.Sender) {
	n, ok := message.SequenceID(s.msg.Data)
	if !ok {
		return
	}
	s.name = append(s.name[:0], from.Name...)
	if len(s.msg.Host) > 0 {
		if len(s.name) > 0 {
			s.name = append(s.name, ' ')
		}
		s.name = message.AppendEscaped(s.name, s.msg.Host)
	}
	s.counts.Sequences.note(s.name, n)
}

// laneOf finds the lane of the file that the current message belongs in.
func (s *Stage) laneOf(l *lane) *lane {
	name, other := l.path.AppendName(s.name[:0], &s.msg, &s.envelope)
	s.name = name
	if other {
		l.other++
	}
	of := l.files[string(s.name)]
	if of == nil {
		of = &lane{file: string(s.name)}
		l.files[of.file] = of
	}
	if of.lines == 0 {
		l.active = append(l.active, of)
	}
	return of
}

func (r *Rule) give(l *lane) {
	if r.Files != nil {
		l.buf = r.Files.Give(l.file, l.buf, l.lines)
	} else {
		l.buf = r.Output.Give(l.buf, l.lines)
	}
	l.lines = 0
}
