package peers

import (
	"encoding/binary"
	"time"

	"lbsyslogd/lb/stick"
)

// writing is what the writer of a session owns.
type writing struct {
	buf, body []byte
	last      *lane // the table that was defined last; session.mu guards its changes
	dict      dictionary
	walks     []*stick.Walk // what is left of everything, by lane; nil: nothing
	walking   bool
	finished  bool // everything was sent, and is not confirmed
}

// writeSize is about how much is written at once.
const writeSize = 64 << 10

// gather is how long changes are gathered before they are written: a client that
// sends all the time must not cost a write for each request.
const gather = 5 * time.Millisecond

// write writes what there is until the connection ends, and says why.
func (s *session) write() error {
	beat := time.NewTimer(beatEvery)
	defer beat.Stop()
	pause := time.NewTimer(gather)
	defer pause.Stop()
	for {
		s.buf = s.buf[:0]
		more := s.fill()
		if len(s.buf) > 0 {
			if err := s.flush(); err != nil {
				return err
			}
			beat.Reset(beatEvery)
		}
		if more {
			continue // a write fails when it is over
		}
		select {
		case <-s.over:
			return nil
		case <-s.wake:
			pause.Reset(gather)
			<-pause.C
		case <-beat.C:
			s.buf = append(s.buf[:0], classControl, kindHeartbeat)
			if err := s.flush(); err != nil {
				return err
			}
			s.p.beatsSent.Add(1)
			beat.Reset(beatEvery)
		}
	}
}

func (s *session) flush() error {
	s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.conn.Write(s.buf); err != nil {
		return silent(err)
	}
	if s.walking || len(s.buf) >= writeSize { // more than what only waits in the kernel
		s.wrote.Store(time.Now().UnixNano())
	}
	return nil
}

// fill gathers what is to be written; more says that there is more.
func (s *session) fill() (more bool) {
	s.mu.Lock()
	do := s.todo
	s.todo.ask, s.todo.sendAll, s.todo.confirms = false, false, 0
	if do.confirmed && s.finished && !do.sendAll {
		s.todo.teaching, s.todo.confirmed = false, false
		s.finished, do.teaching = false, false
		for _, l := range s.lanes {
			l.reached(l.pushed)
		}
	}
	s.appendNode()
	share := s.shares
	s.shares.ask, s.shares.sendAll, s.shares.giveBack = false, false, false
	if share.ask {
		flags := uint64(0)
		if share.restore {
			flags = askRestore
		}
		s.buf = appendMessage(s.buf, kindShareAsk, appendNumber(s.body[:0], flags))
	}
	if do.ask {
		s.buf = append(s.buf, classControl, kindRequest)
	}
	for _, l := range s.lanes {
		if l.known && l.got != l.gotAcked {
			l.gotAcked = l.got
			s.buf = appendMessage(s.buf, kindAck, appendAck(s.body[:0], l.remote, l.got))
		}
	}
	s.mu.Unlock()
	if do.sendAll {
		s.beginWalk()
	}
	if share.sendAll {
		s.beginShareWalk(share.giveBack || s.shares.walking && s.shares.backs)
	}
	switch {
	case s.walking:
		more = s.walk() || s.shares.walking
	case s.shares.walking:
		more = s.walkShares() || !do.teaching
	case !share.adds && s.mayAdd():
	case share.awaiting: // it must not hear of what is here before it has said what it knows of it
	case do.teaching: // not confirmed
	case s.p.section.isTeacher(s.p): // what is here is of less use than what it says
	default:
		more = s.push(share.adds)
	}
	for range do.confirms {
		s.buf = append(s.buf, classControl, kindConfirm)
	}
	return more
}

// push sends changes, with their shares if the peer adds up. Whether it does was read
// together with what is awaited of it: it may say so at any moment, and then must not
// hear of a share before it has given back what it knows.
func (s *session) push(adds bool) (more bool) {
	now := stick.Now()
	for _, l := range s.lanes {
		share := adds && l.node >= 0
		for more = true; more; {
			if len(s.buf) >= writeSize {
				return true
			}
			var pushed uint64
			more = l.feed.Take(func(e stick.Entry) {
				s.mean(l)
				if share { // first, so that an acknowledgement is of both
					s.appendShare(l, e, -1, now, -1)
				}
				kind := byte(kindNext)
				s.body = s.body[:0]
				if pushed == 0 || e.ID != pushed+1 { // on a new connection the peer knows no number
					kind = kindUpdate
					s.body = binary.BigEndian.AppendUint32(s.body, uint32(e.ID))
				}
				pushed = e.ID
				s.body = appendEntry(s.body, e, l.Table.Table, l.columns, &s.dict, now)
				s.buf = appendMessage(s.buf, kind, s.body)
				s.p.sent.Add(1)
			})
			if pushed != 0 {
				s.mu.Lock()
				l.pushed = pushed
				if !share && l.node >= 0 {
					s.shares.bare = true
					s.sendBare()
				}
				s.mu.Unlock()
			}
		}
	}
	return false
}

// mean says which table is meant.
func (s *session) mean(l *lane) {
	if s.last == l {
		return
	}
	s.mu.Lock()
	s.last = l
	s.mu.Unlock()
	s.buf = appendMessage(s.buf, kindDefine, appendDefinition(nil, l.id, l.Name, l.Table.Table, l.columns))
}

// beginWalk begins to send everything. What changes from now on comes after it.
func (s *session) beginWalk() {
	s.p.walks.Add(1)
	s.walks, s.walking, s.finished = s.walks[:0], true, false
	now := stick.Now()
	for _, l := range s.lanes {
		last := l.feed.Skip()
		s.mu.Lock()
		l.pushed = last
		s.mu.Unlock()
		s.walks = append(s.walks, l.Table.Table.Walk(now))
	}
}

// walk sends the next part of everything. Each entry has the number that its table
// had when this began: an acknowledgement of it says that the peer has come so far.
func (s *session) walk() (more bool) {
	now := stick.Now()
	s.mu.Lock()
	adds := s.shares.adds && !s.shares.awaiting
	s.shares.bare = s.shares.bare || !adds
	s.mu.Unlock()
	for i, l := range s.lanes {
		share := adds && l.node >= 0
		for s.walks[i] != nil {
			if len(s.buf) >= writeSize {
				return true
			}
			if !s.walks[i].Take(func(e stick.Entry) {
				s.mean(l)
				if share { // this takes the place of changes that had theirs
					s.appendShare(l, e, e.Remaining(now), now, -1)
				}
				kind := byte(kindUpdateTimed)
				s.body = binary.BigEndian.AppendUint32(s.body[:0], uint32(l.pushed))
				if s.minor == 0 {
					kind = kindUpdate
				} else {
					s.body = binary.BigEndian.AppendUint32(s.body, uint32(e.Remaining(now)))
				}
				s.body = appendEntry(s.body, e, l.Table.Table, l.columns, &s.dict, now)
				s.buf = appendMessage(s.buf, kind, s.body)
				s.p.sent.Add(1)
			}) {
				s.walks[i] = nil
			}
		}
	}
	s.walking, s.finished = false, true
	kind := byte(kindPartial)
	if s.p.section.isComplete() {
		kind = kindFinished
	}
	s.buf = append(s.buf, classControl, kind)
	return false
}
