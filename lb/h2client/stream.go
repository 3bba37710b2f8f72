package h2client

import (
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// User is whoever has a stream.
type User interface {
	// Wake says that a read may give something, or a write take something.
	Wake()
}

// Stream is one exchange: writing takes a request in HTTP/1.1, its head in one
// piece, and reading gives the answer. It implements wire.Stream.
type Stream struct {
	c    *Conn
	user User
	id   uint32 // 0 until its head was sent

	sending
	receiving

	failed   bool
	unseen   bool   // the server has not looked at the request
	declined bool   // the server does not offer what was asked for
	broken   bool   // by an answer that is malformed
	reason   string // why it failed
	closed   bool
}

// sending is the request.
type sending struct {
	// NoLength leaves an empty answer that has no length without one: its client
	// needs none.
	NoLength bool
	// Target is what the request's target lacks.
	Target http2.Target

	kind     http1.Body
	left     int64
	chunks   http1.Chunks
	trailers []byte
	headSent bool
	headAt   int64 // where in the connection's frames the head begins
	last     int64 // where its last frame begins; -1: nowhere
	done     bool  // our end was sent
	drops    bool  // the server wants no more of it
	window   http2.SendWindow
	waiting  bool
	bodiless bool // the answer has no body: HEAD
	opens    bool // a tunnel: CONNECT, or an upgrade that was asked for
	accept   []byte
}

// receiving is the answer.
type receiving struct {
	in       http2.Incoming
	answered bool // the head came
	tunnel   bool
	empty    bool // DATA may not come
	fed      bool // in Conn.fed
}

// Open makes a stream; Available has said that there may be one.
func (c *Conn) Open(u User) *Stream {
	s := &Stream{c: c, user: u}
	s.headAt, s.last = 1<<62, -1
	s.in = http2.Incoming{Length: -1, Window: http2.RecvWindow{Left: window}, Granted: window}
	c.Host.Hold(window)
	c.open++
	return s
}

// Conn is the connection that the stream belongs to.
func (s *Stream) Conn() *Conn { return s.c }

// Unprocessed reports whether the stream has failed before the server looked at
// its request.
func (s *Stream) Unprocessed() bool { return s.failed && s.unseen && !s.answered }

// Malformed reports whether the stream has failed for an answer whose fields
// are none.
func (s *Stream) Malformed() bool { return s.failed && s.broken }

// Declined reports whether the stream has failed because the server does not
// offer what was asked for.
func (s *Stream) Declined() bool { return s.failed && s.declined }

// Reason is why the stream has failed, "" if it has not.
func (s *Stream) Reason() string { return s.reason }

// Ended reports whether the server has sent all of its answer.
func (s *Stream) Ended() bool { return s.in.Ended }

// lost ends the stream with its connection, or for an error on either side.
func (s *Stream) lost(unseen bool, reason string) {
	if s.failed || s.closed {
		return
	}
	if s.in.Ended && !s.tunnel { // it has all it needs
		s.drops = true
		return
	}
	s.failed, s.unseen, s.reason = true, unseen, reason
	s.c.feedLater(s)
}

// breakOff ends the stream for an error of the server's, and resets it there.
func (s *Stream) breakOff(code http2.Code, reason string) {
	s.c.Count.StreamErrors++
	s.reset(code)
	s.lost(false, reason)
}

// reset tells the server that the stream is over.
func (s *Stream) reset(code http2.Code) {
	c := s.c
	if s.id == 0 || c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	if !c.dead {
		c.Count.Resets++
		c.touch()
		c.out = http2.AppendRST(c.out, s.id, code)
	}
}

// Close ends the stream; the connection goes on without it.
func (s *Stream) Close() {
	if s.closed {
		return
	}
	s.closed = true
	c := s.c
	if s.done && s.in.Ended || s.failed {
		delete(c.streams, s.id)
		if s.in.Ended {
			c.ended[c.endings%len(c.ended)] = s.id
			c.endings++
		}
	} else {
		s.reset(http2.Cancel)
	}
	c.open--
	c.Host.Hold(-s.in.Granted)
	s.in.Granted = 0
	c.unwait(s)
	if s.in.Wide {
		c.wide--
	}
	s.in.Head, s.in.Body, s.in.Trailers = nil, nil, nil
	c.Host.Touch(c)
}

// End sends our end of a tunnel.
func (s *Stream) End() {
	if s.opens && !s.done && s.headSent && !s.c.dead {
		s.endStream()
	}
}

var _ wire.Stream = (*Stream)(nil)
