package h2client

import (
	"strconv"

	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// maxInterim bounds the interim answers that wait for the client.
const maxInterim = 32 << 10

// answer takes a field block: an interim answer, the head of the answer, or its
// trailers.
func (s *Stream) answer(block []byte, end bool) *http2.Error {
	if s.answered {
		return s.trail(block, end)
	}
	a, e := s.c.dec.Answer(block)
	switch {
	case e != nil:
		return e
	case a.TooLarge:
		s.broken = true
		s.breakOff(http2.Cancel, "the answer's head is larger than 16 KiB")
		return nil
	case a.Fault != "":
		s.broken = true
		s.breakOff(http2.ProtocolError, a.Fault)
		return nil
	case a.Status < 200:
		switch {
		case end || a.Status == 101:
			s.breakOff(http2.ProtocolError, "an interim answer that ends the stream, or a 101")
		case len(s.in.Head) > maxInterim:
			s.breakOff(http2.EnhanceYourCalm, "too many interim answers")
		default:
			s.line(a.Status, a.Fields)
			s.in.Head = append(s.in.Head, "\r\n"...)
			s.c.feedLater(s)
		}
		return nil
	}
	if s.begin(&a, end); !end && s.done && s.in.Length > window {
		s.offer()
	}
	return nil
}

// offer widens the window for a body that is known to need it. Others have theirs widened when some of them was read: a server whose answers are small,
// or whose streams are tunnels, hears of no windows, as from HAProxy.
func (s *Stream) offer() {
	if !s.empty && s.grow(usualWindow, 2) {
		s.update()
	}
}

// line writes the status line and fields of an answer.
func (s *Stream) line(status int, fields []byte) {
	s.in.Head = append(s.in.Head, "HTTP/1.1 "...)
	s.in.Head = strconv.AppendInt(s.in.Head, int64(status), 10)
	s.in.Head = append(s.in.Head, " \r\n"...)
	s.in.Head = append(s.in.Head, fields...)
}

// begin takes the head of the answer, with a framing that HTTP/1.1 has.
func (s *Stream) begin(a *http2.Answer, end bool) {
	s.answered, s.in.Length = true, a.Length
	fine := a.Status/100 == 2
	switch {
	case s.opens && fine:
		s.tunnel, s.in.Length = true, -1
		if s.accept != nil {
			s.in.Head = append(s.in.Head, "HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "...)
			s.in.Head = append(append(s.in.Head, s.accept...), "\r\n"...)
			s.in.Head = append(s.in.Head, a.Fields...)
		} else {
			s.line(a.Status, a.Fields)
		}
	case s.bodiless || a.Status == 204 || a.Status == 304:
		s.empty, s.in.Length = true, -1
		s.line(a.Status, a.Fields)
	default:
		s.line(a.Status, a.Fields)
		switch {
		case a.Length >= 0:
		case end && !s.NoLength:
			s.in.Head = append(s.in.Head, "content-length: 0\r\n"...)
		default:
			s.in.Chunked = true
			s.in.Head = append(s.in.Head, "transfer-encoding: chunked\r\n"...)
		}
	}
	s.in.Head = append(s.in.Head, "\r\n"...)
	if s.opens && !fine { // no tunnel: nothing more is sent
		s.drops = true
	}
	if end {
		s.finish()
	}
	s.c.feedLater(s)
}

// trail takes the fields after the body.
func (s *Stream) trail(block []byte, end bool) *http2.Error {
	lines, fault, e := s.c.dec.Trailers(block)
	switch {
	case e != nil:
		return e
	case s.in.Ended:
		s.breakOff(http2.StreamClosed, "HEADERS after the answer's end")
	case fault != "":
		s.breakOff(http2.ProtocolError, fault)
	case !end:
		s.breakOff(http2.ProtocolError, "HEADERS within the answer's body")
	default:
		s.in.Trailers = append(s.in.Trailers, lines...)
		s.finish()
	}
	return nil
}

// finish takes the end of the answer.
func (s *Stream) finish() {
	if s.in.Length > 0 {
		s.breakOff(http2.ProtocolError, "the answer is shorter than its content-length")
		return
	}
	s.c.Host.Hold(s.in.End())
	if !s.done && !s.tunnel { // nobody waits for the rest of the request
		s.drops = true
	}
	s.c.feedLater(s)
}

// data takes the content of a DATA frame.
func (s *Stream) data(f *http2.Frame) {
	in := &s.in
	switch {
	case !s.answered:
		s.breakOff(http2.ProtocolError, "DATA before HEADERS")
		return
	case in.Ended:
		s.breakOff(http2.StreamClosed, "DATA after the answer's end")
		return
	case f.Length > in.Window.Left && !s.lends(f.Length):
		s.breakOff(http2.FlowControlError, "more DATA than the stream's window")
		return
	case s.empty && len(f.Payload) > 0:
		s.breakOff(http2.ProtocolError, "DATA of an answer that has no body")
		return
	case in.Length >= 0 && int64(len(f.Payload)) > in.Length:
		s.breakOff(http2.ProtocolError, "the answer is longer than its content-length")
		return
	}
	in.Take(f.Payload, f.Length)
	if f.End() {
		s.finish()
	}
	s.c.feedLater(s)
}

// lends has a server send more than its window, within what every stream would have without our SETTINGS and as far as the budget has room: HAProxy
// counts no windows.
func (s *Stream) lends(n int) bool {
	more := n - s.in.Window.Left
	if s.in.Granted+more > usualWindow || s.c.Host.Room(more, 4) == 0 {
		return false
	}
	s.in.Lend(more)
	return true
}

// grow widens the window up to a size, as far as the budget has room, of which
// this may use some quarters. The server hears of it by the next update.
func (s *Stream) grow(to int, quarters int64) (grown bool) {
	n := s.c.Host.Room(s.in.Wants(to), quarters)
	s.in.Grow(n)
	return n > 0
}

// update gives the server what was read of its window, and what that grew by.
func (s *Stream) update() {
	s.c.touch()
	s.c.out = http2.AppendWindowUpdate(s.c.out, s.id, s.in.Window.Give())
}

// Readable implements wire.Stream: whether Read has something to give.
func (s *Stream) Readable() bool {
	return s.in.Readable() || s.failed || s.tunnel && s.in.Ended
}

// Read implements wire.Stream: it is the answer in HTTP/1.1. What came before a
// failure is given first.
func (s *Stream) Read(b []byte) (n int, st wire.Status) {
	n, body := s.in.Read(b)
	if body > 0 {
		s.took(body)
	}
	switch {
	case n > 0:
		return n, wire.OK
	case s.failed:
		return 0, wire.Error
	case s.tunnel && s.in.Ended:
		return 0, wire.EOF
	}
	return 0, wire.Again
}

// took gives the window of n body bytes back.
func (s *Stream) took(n int) {
	c := s.c
	if s.in.Ended {
		c.Host.Hold(-n)
		return
	}
	if s.failed || c.dead {
		return
	}
	switch {
	case s.in.Wide:
	case c.wide < maxWide && s.grow(wideWindow, 3):
		s.in.Wide = true
		c.wide++
	case s.in.Granted < usualWindow:
		s.grow(usualWindow, 4)
	}
	if s.in.Due(2 * usualWindow) {
		s.update()
	}
}
