package peers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/stick"
)

// session is one connection to a peer, after both have said who they are. One
// goroutine reads and learns, one writes.
type session struct {
	p     *Peer
	conn  net.Conn
	minor int           // of the version that it speaks
	over  chan struct{} // closed when it is to end, and ended when it has
	ended chan struct{}
	wake  chan struct{} // something is to be written
	begun time.Time

	wrote atomic.Int64 // when much was written, in ns of Unix time

	reading // owned by the reader
	writing // owned by the writer

	mu sync.Mutex
	// mu guards the fields below.
	why   error
	todo  todo
	lanes []*lane

	shares sharing
}

// todo is what the writer is to do besides sending changes.
type todo struct {
	ask       bool // for everything
	sendAll   bool // the peer has asked for everything
	confirms  int  // how often the peer has said that this was everything
	confirmed bool // the peer has got everything
	teaching  bool // everything is being sent, or was and is not confirmed
}

// lane is a table on a connection.
type lane struct {
	*place
	feed *stick.Feed // owned by the writer

	steps, shareSteps []step // owned by the reader

	// session.mu guards the fields below.
	remote   uint64 // the table's number there; known says whether it has one
	known    bool
	types    uint64 // what it stores there
	got      uint32 // the last change that was read
	gotAcked uint32
	pushed   uint64 // the last change that was sent
}

// readBuffer holds a whole message.
const readBuffer = 2 * maxMessage

// Reasons for the end of a connection.
var (
	errReplaced = errors.New("the peer has connected anew")
	errEnding   = errors.New("this worker leaves")
	errSilent   = errors.New("the peer has said nothing for 10 seconds")
	errRefused  = errors.New("the peer cannot read what it was sent")
)

// newSession begins a connection of which both know the names.
func newSession(p *Peer, conn net.Conn, r *bufio.Reader, minor int) *session {
	s := &session{p: p, conn: conn, minor: minor, over: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1), begun: time.Now()}
	s.r = r
	for _, t := range p.tables {
		s.lanes = append(s.lanes, &lane{place: t, pushed: t.acked.Load()})
	}
	return s
}

// run serves the connection to its end.
func (s *session) run() {
	p := s.p
	stop := context.AfterFunc(p.section.ctx, func() { s.end(errEnding) })
	s.conn.SetDeadline(time.Time{})
	for _, l := range s.lanes {
		l.feed = l.Table.Table.Follow(l.pushed, s.wake)
	}
	p.tell(false, "is connected")
	p.section.connected()
	var reader sync.WaitGroup
	reader.Go(func() { s.end(s.read()) })
	s.end(s.write())
	reader.Wait()
	stop()
	for _, l := range s.lanes {
		l.feed.Close()
	}
	s.gone(stick.Now())
	p.section.parted(p, s)
	close(s.ended)
}

// end ends the connection for a reason.
func (s *session) end(why error) {
	s.mu.Lock()
	first := s.why == nil
	if first {
		s.why = why
	}
	s.mu.Unlock()
	if !first {
		return
	}
	close(s.over)
	if errors.Is(why, errMessage) { // it may want to know
		kind := byte(kindProtocol)
		if errors.Is(why, errTooLong) {
			kind = kindTooLong
		}
		s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.conn.Write([]byte{classError, kind})
	}
	s.conn.Close()
}

// connected and parted keep what the section knows of its peers' connections.
func (s *Section) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.assign()
}

func (s *Section) parted(p *Peer, one *session) {
	one.mu.Lock()
	why := one.why
	one.mu.Unlock()
	s.mu.Lock()
	p.session = nil
	close(p.changed)
	p.changed = make(chan struct{})
	bad := errors.Is(why, errMessage) || errors.Is(why, errRefused)
	p.again(bad)
	p.bad = bad
	if s.teacher == p {
		s.teacher = nil
		s.deadline = time.Now().Add(resyncTime)
	}
	s.assign()
	s.mu.Unlock()
	switch {
	case bad:
		p.refused.Add(1)
	case errors.Is(why, errSilent):
		p.silent.Add(1)
	}
	if !errors.Is(why, errEnding) && !errors.Is(why, errReplaced) {
		text := "the peer has closed it"
		if !errors.Is(why, io.EOF) {
			text = why.Error()
		}
		p.tell(bad, "is no longer connected: "+text)
	}
}

// rouse has the writer look for what is to be done.
func (s *session) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
