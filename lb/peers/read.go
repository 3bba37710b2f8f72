package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"lbsyslogd/lb/stick"
)

// reading is what the reader of a session owns.
type reading struct {
	r      *bufio.Reader
	lane   *lane // the table that is meant; nil: one that is not known here. session.mu guards its changes
	names  learned
	lesson stick.Lesson
}

// read reads messages until there are no more, and says why.
func (s *session) read() error {
	for {
		if s.r.Buffered() == 0 {
			s.rouse() // what was read is to be acknowledged
			if err := s.await(); err != nil {
				return err
			}
		}
		if err := s.readMessage(); err != nil {
			return silent(err)
		}
	}
}

// await waits for the next message. A peer that takes what it is sent is there,
// although it says nothing: HAProxy answers when it has read all there is.
func (s *session) await() error {
	for {
		s.conn.SetReadDeadline(time.Now().Add(silence))
		_, err := s.r.Peek(1)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().UnixNano()-s.wrote.Load() > int64(silence) {
			return silent(err)
		}
	}
}

// silent is errSilent in the place of a wait that was too long.
func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	return err
}

// readMessage reads a message, and does what it says.
func (s *session) readMessage() error {
	head, err := s.r.Peek(2)
	if err != nil {
		if len(head) > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	class, kind := head[0], head[1]
	s.discard(2)
	if kind < withLength {
		switch class {
		case classControl:
			s.control(kind)
			return nil
		case classError:
			if kind == kindTooLong {
				return fmt.Errorf("%w: it is too long", errRefused)
			}
			return errRefused
		}
		return malformed(fmt.Sprintf("there is no class %d", class))
	}
	size, err := s.readSize()
	if err != nil {
		return err
	}
	body, err := s.r.Peek(int(size))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if class == classTable {
		err = s.table(kind, body)
	} else if class != classControl && class != classError {
		err = malformed(fmt.Sprintf("there is no class %d", class))
	}
	s.discard(len(body))
	return err
}

// discard takes what was looked at off the buffer.
func (s *session) discard(n int) { _, _ = s.r.Discard(n) } // it is there

// readSize reads how long a message is.
func (s *session) readSize() (uint64, error) {
	var b [maxNumber]byte
	for n := 0; n < 5; n++ { // five bytes make 32 bits
		c, err := s.r.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b[n] = c
		if n == 0 && c < oneByte || n > 0 && c < goesOn {
			in := cursor{rest: b[:n+1]}
			size := in.number()
			if size > maxMessage {
				return 0, fmt.Errorf("%w: it has %d bytes, %d are the most", errTooLong, size, maxMessage)
			}
			return size, nil
		}
	}
	return 0, malformed("the length of a message has more than 32 bits")
}

// errTooLong is errMessage that is answered otherwise.
var errTooLong = fmt.Errorf("%w: it is too long", errMessage)

// control does what a message without a body says.
func (s *session) control(kind byte) {
	if kind == kindFinished || kind == kindPartial {
		s.p.section.learnt(s.p, s, kind == kindFinished)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case kindRequest:
		s.todo.sendAll, s.todo.teaching, s.todo.confirmed = true, true, false
	case kindFinished, kindPartial:
		s.todo.confirms++
	case kindConfirm:
		s.todo.confirmed = true
	case kindHeartbeat:
		s.p.beatsGot.Add(1)
	}
}

// table does what a message about tables says. body is valid until it returns.
func (s *session) table(kind byte, body []byte) error {
	c := cursor{rest: body}
	switch kind {
	case kindDefine:
		return s.define(body)
	case kindSwitch:
		id := c.number()
		s.mu.Lock()
		s.lane = nil
		for _, l := range s.lanes {
			if l.known && l.remote == id {
				s.lane = l
			}
		}
		s.mu.Unlock()
	case kindAck:
		id, update := c.number(), c.word()
		if !c.bad {
			s.acknowledged(id, update)
		}
	case kindUpdate, kindUpdateTimed, kindNext, kindNextTimed:
		return s.update(kind, &c)
	case kindNode:
		s.heard(&c)
	case kindShareAsk:
		s.asked(&c)
	case kindShare, kindShareBack:
		return s.share(&c, kind == kindShareBack)
	case kindShareEnd:
		s.heardAll()
	default:
		return nil // of a later version
	}
	if c.bad {
		return malformed("a message about tables ends early")
	}
	return nil
}

// define reads which table is meant from here on.
func (s *session) define(body []byte) error {
	d, err := readDefinition(body)
	if err != nil {
		return err
	}
	to := s.find(&d)
	if to == nil {
		return nil // nobody here has it
	}
	t := to.Table.Table
	trouble := ""
	if d.kind == keyTypes[t.Type] && d.keyLen == keyLen(t) {
		steps, other := d.steps(t)
		if len(other) > 0 {
			trouble = fmt.Sprintf("counts %v of table %s over another period; it is not learned until both are alike", other, to.Name)
		}
		s.mu.Lock()
		s.lane, to.remote, to.known, to.types, to.steps = to, d.id, true, d.types, steps
		to.shareSteps = shareSteps(steps)
		s.mu.Unlock()
	} else {
		trouble = fmt.Sprintf("has other keys in table %s: type %d of %d bytes there, %d of %d here; nothing of it is learned until both are alike", to.Name, d.kind, d.keyLen, keyTypes[t.Type], keyLen(t))
	}
	if trouble != to.trouble && trouble != "" {
		s.p.section.report(true, "peer "+s.p.Name+" "+trouble)
	}
	to.trouble = trouble
	return nil
}

// find finds the table of a definition: none is meant yet.
func (s *session) find(d *definition) (to *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lane = nil
	for _, l := range s.lanes {
		if l.known && l.remote == d.id {
			l.known = false
		}
		if l.Name == string(d.name) {
			to = l
		}
	}
	return to
}

// update reads a change and learns it.
func (s *session) update(kind byte, c *cursor) error {
	l := s.lane
	if l == nil {
		return nil
	}
	var id uint32
	if kind == kindUpdate || kind == kindUpdateTimed {
		id = c.word()
	}
	s.lesson.Remaining = -1
	if kind == kindUpdateTimed || kind == kindNextTimed {
		s.lesson.Remaining = int64(int32(c.word()))
		s.lesson.Remaining = max(s.lesson.Remaining, 0)
	}
	t := l.Table.Table
	readEntry(c, t, l.steps, &s.names, &s.lesson)
	if c.bad {
		return malformed(fmt.Sprintf("an update of table %s ends early", l.Name))
	}
	t.Learn(&s.lesson, stick.Now()) // a table without room takes no more
	s.p.got.Add(1)
	s.mu.Lock()
	if kind == kindUpdate || kind == kindUpdateTimed {
		l.got = id
	} else {
		l.got++
	}
	s.mu.Unlock()
	return nil
}

// acknowledged notes that the peer has a change. While everything is sent the
// numbers are of no use.
func (s *session) acknowledged(id uint64, update uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.todo.teaching {
		return
	}
	for _, l := range s.lanes {
		if l.id != id {
			continue
		}
		if behind := uint64(uint32(l.pushed) - update); behind <= l.pushed {
			l.reached(l.pushed - behind)
		}
	}
}
