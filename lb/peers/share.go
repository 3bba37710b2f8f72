package peers

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"lbsyslogd/lb/stick"
)

// Tables of a cluster (stick.Spec.Nodes) are added up over nodes: besides its changes,
// a node sends what its own share of an entry is. These messages are of kinds that
// HAProxy does not know and reads over, and only one of them is sent to a node that
// has not sent it itself:
//
//	kindNode       version, origin: I add up; a node that has begun anew has another origin
//	kindShareAsk   flags: send me all your shares (and what you know of mine, of which I know nothing)
//	kindShare      time that is left + 1, or 0; key, rates and connections: my share of an entry
//	kindShareBack  the same: your share, as I know it
//	kindShareEnd   those were all
//
// A node asks when it does not know the other's origin, which is seldom: over a reload
// it keeps shares and origins, and the changes that were not acknowledged are sent
// with their shares when the connection is there again. A node that wants its own back
// answers last: its share of now would take the place of the former one in the other's
// memory. Two that both ask for that know nothing of each other, and neither waits.
const (
	kindNode      = 192
	kindShareAsk  = 193
	kindShare     = 194
	kindShareBack = 195
	kindShareEnd  = 196

	sharesVersion = 1
	askRestore    = 1 // a flag: what you know of mine too
)

// sharing is what a session knows of the peer's shares. session.mu guards it, but for
// walks.
type sharing struct {
	adds     bool   // the peer adds up too
	bare     bool   // it was sent changes without their shares, before it has said so and all it knows
	origin   uint64 // of the peer
	ask      bool   // its shares are to be asked for
	restore  bool   // and ours with them
	awaiting bool   // they were, and not all have come
	sendAll  bool   // it has asked
	owes     bool   // it is answered when it has given ours back
	giveBack bool   // for its own too

	walks   []*stick.Walk // what is left of all, by lane. Owned by the writer, as the fields below
	walking bool
	backs   bool
	hello   bool // was sent
}

// newOrigin tells the beginnings of a node apart.
func newOrigin() uint64 { return rand.Uint64() | 1 }

// adds reports whether a table of the section is added up.
func (s *Section) adds() bool {
	for _, t := range s.Tables {
		if t.Table.Added() != nil {
			return true
		}
	}
	return false
}

// appendNode says that this node adds up, once.
func (s *session) appendNode() {
	if s.shares.hello || s.minor == 0 || !s.p.section.adds() {
		return
	}
	s.shares.hello = true
	s.body = appendNumber(s.body[:0], sharesVersion)
	s.body = binary.BigEndian.AppendUint64(s.body, s.p.section.origin)
	s.buf = appendMessage(s.buf, kindNode, s.body)
}

// heard reads that the peer adds up, and has it asked for what is not known.
func (s *session) heard(c *cursor) {
	version, origin := c.number(), uint64(c.word())<<32
	origin |= uint64(c.word())
	if c.bad || version != sharesVersion || s.minor == 0 || !s.p.section.adds() {
		return
	}
	if s.adds() {
		return // it has said so before
	}
	// A table's lock is taken before the session's, if both are.
	ask := s.p.origin.Load() != origin
	for _, l := range s.lanes {
		if l.node < 0 {
			continue
		}
		if ask {
			l.Table.Table.BeginShares(l.node)
		}
		l.Table.Table.NodeHere(l.node)
	}
	s.mu.Lock()
	s.shares.adds, s.shares.origin = true, origin
	// After a first exchange the peer knows nothing of what was before this process.
	s.shares.ask, s.shares.awaiting, s.shares.restore = ask, ask, s.p.section.young && s.p.origin.Load() == 0
	s.sendBare()
	s.mu.Unlock()
	s.rouse()
}

// sendBare has all shares sent after changes that went without them. session.mu is
// held.
func (s *session) sendBare() {
	if s.shares.bare && s.shares.adds && !s.shares.awaiting {
		s.shares.bare, s.shares.sendAll = false, true
		s.rouse()
	}
}

// mayAdd reports whether a peer that has added up before may be about to say so: then
// changes wait. If it says nothing, HAProxy has taken its place.
func (s *session) mayAdd() bool {
	return s.p.origin.Load() != 0 && s.p.section.adds() && time.Since(s.begun) < helloTime
}

// helloTime is how long that may take. The writer looks again with each heartbeat.
const helloTime = beatEvery * 2 / 3

// adds reports whether the peer adds up.
func (s *session) adds() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shares.adds
}

// heardAll hears that the peer has sent all its shares.
func (s *session) heardAll() {
	s.mu.Lock()
	over, origin := s.shares.awaiting, s.shares.origin
	s.shares.awaiting = false
	s.shares.sendAll = s.shares.sendAll || s.shares.owes
	s.shares.owes = false
	s.sendBare()
	s.mu.Unlock()
	if !over {
		return // it was not asked
	}
	for _, l := range s.lanes {
		if l.node >= 0 {
			l.Table.Table.EndShares(l.node)
		}
	}
	s.p.origin.Store(origin)
	s.rouse()
}

// gone notes that nothing is heard of the peer any more.
func (s *session) gone(now int64) {
	adds := s.adds()
	for _, l := range s.lanes {
		if adds && l.node >= 0 {
			l.Table.Table.NodeGone(l.node, now)
		}
	}
}

// asked reads that the peer wants all shares.
func (s *session) asked(c *cursor) {
	flags := c.number()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.bad || !s.shares.adds {
		return
	}
	back := flags&askRestore != 0
	if s.shares.awaiting && s.shares.restore && !back {
		s.shares.owes = true
		return
	}
	// What is known of another origin of the peer is its former share; else it is what it
	// has just sent.
	known := s.p.origin.Load()
	s.shares.sendAll, s.shares.giveBack = true, back && known != 0 && known != s.shares.origin
	s.rouse()
}

// share reads a share; back says that it is this node's.
func (s *session) share(c *cursor, back bool) error {
	s.mu.Lock()
	adds, wanted := s.shares.adds, !back || s.shares.awaiting && s.shares.restore
	s.mu.Unlock()
	l := s.lane
	if l == nil || l.node < 0 || !adds {
		return nil
	}
	s.lesson.Remaining = int64(min(c.number(), 1<<32)) - 1
	t := l.Table.Table
	readEntry(c, t, l.shareSteps, &s.names, &s.lesson)
	if c.bad {
		return malformed("a share of table " + l.Name + " ends early")
	}
	if !wanted {
		return nil
	}
	if back {
		t.Restore(&s.lesson, stick.Now())
	} else {
		t.LearnShare(l.node, &s.lesson, stick.Now()) // a table without room takes no more
	}
	s.p.sharesGot.Add(1)
	return nil
}

// shareSteps are how shares after a definition are read.
func shareSteps(steps []step) (list []step) {
	for _, s := range steps {
		if s.form == rate || s.form == plain && s.data == stick.ConnCur {
			s.keep = s.sum
			list = append(list, s)
		}
	}
	return list
}

// appendShare appends the share of an entry that was sent: this node's, or of a node
// that is to have its own back.
func (s *session) appendShare(l *lane, e stick.Entry, remaining, now int64, node int) {
	t := l.Table.Table
	s.body = appendNumber(s.body[:0], uint64(max(remaining, -1)+1))
	key := e.Key()
	if t.Type == stick.String {
		s.body = appendNumber(s.body, uint64(len(key)))
	}
	s.body = append(s.body, key...)
	for i := range l.columns {
		for _, d := range l.columns[i].data {
			switch {
			case d.IsRate() && node < 0:
				tick, cur, prev := e.Rate(d)
				s.body = appendRate(s.body, now-tick, t.Period[d], cur, prev)
			case d.IsRate():
				tick, cur, prev := e.RateOf(node, d)
				s.body = appendRate(s.body, now-tick, t.Period[d], cur, prev)
			case d == stick.ConnCur && node < 0:
				s.body = appendNumber(s.body, e.Own(d))
			case d == stick.ConnCur:
				s.body = appendNumber(s.body, 0)
			}
		}
	}
	kind := byte(kindShare)
	if node >= 0 {
		kind = kindShareBack
	}
	s.buf = appendMessage(s.buf, kind, s.body)
	s.p.sharesSent.Add(1)
}

// beginShareWalk begins to send all shares.
func (s *session) beginShareWalk(back bool) {
	s.shares.walks, s.shares.walking, s.shares.backs = s.shares.walks[:0], true, back
	now := stick.Now()
	for _, l := range s.lanes {
		var w *stick.Walk
		if l.node >= 0 {
			w = l.Table.Table.Walk(now)
		}
		s.shares.walks = append(s.shares.walks, w)
	}
}

// walkShares sends the next part of them.
func (s *session) walkShares() (more bool) {
	now := stick.Now()
	for i, l := range s.lanes {
		for s.shares.walks[i] != nil {
			if len(s.buf) >= writeSize {
				return true
			}
			if !s.shares.walks[i].Take(func(e stick.Entry) {
				own, back := !e.Idle(now), s.shares.backs && e.Known(l.node, now)
				if own || back {
					s.mean(l)
				}
				if own {
					s.appendShare(l, e, e.Remaining(now), now, -1)
				}
				if back {
					s.appendShare(l, e, e.Remaining(now), now, l.node)
				}
			}) {
				s.shares.walks[i] = nil
			}
		}
	}
	s.shares.walking = false
	s.buf = appendMessage(s.buf, kindShareEnd, nil)
	return false
}
