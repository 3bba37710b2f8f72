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
		case len(s.head) > maxInterim:
			s.breakOff(http2.EnhanceYourCalm, "too many interim answers")
		default:
			s.line(a.Status, a.Fields)
			s.head = append(s.head, "\r\n"...)
			s.c.feedLater(s)
		}
		return nil
	}
	s.begin(&a, end)
	return nil
}

// line writes the status line and fields of an answer.
func (s *Stream) line(status int, fields []byte) {
	s.head = append(s.head, "HTTP/1.1 "...)
	s.head = strconv.AppendInt(s.head, int64(status), 10)
	s.head = append(s.head, " \r\n"...)
	s.head = append(s.head, fields...)
}

// begin takes the head of the answer, with a framing that HTTP/1.1 has.
func (s *Stream) begin(a *http2.Answer, end bool) {
	s.answered, s.rest = true, a.Length
	fine := a.Status/100 == 2
	switch {
	case s.opens && fine:
		s.tunnel, s.rest = true, -1
		if s.accept != nil {
			s.head = append(s.head, "HTTP/1.1 101 \r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "...)
			s.head = append(append(s.head, s.accept...), "\r\n"...)
			s.head = append(s.head, a.Fields...)
		} else {
			s.line(a.Status, a.Fields)
		}
	case s.bodiless || a.Status == 204 || a.Status == 304:
		s.empty, s.rest = true, -1
		s.line(a.Status, a.Fields)
	default:
		s.line(a.Status, a.Fields)
		switch {
		case a.Length >= 0:
		case end && !s.NoLength:
			s.head = append(s.head, "content-length: 0\r\n"...)
		default:
			s.chunked = true
			s.head = append(s.head, "transfer-encoding: chunked\r\n"...)
		}
	}
	s.head = append(s.head, "\r\n"...)
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
	case s.ended:
		s.breakOff(http2.StreamClosed, "HEADERS after the answer's end")
	case fault != "":
		s.breakOff(http2.ProtocolError, fault)
	case !end:
		s.breakOff(http2.ProtocolError, "HEADERS within the answer's body")
	default:
		s.after = append(s.after, lines...)
		s.finish()
	}
	return nil
}

// finish takes the end of the answer.
func (s *Stream) finish() {
	if s.rest > 0 {
		s.breakOff(http2.ProtocolError, "the answer is shorter than its content-length")
		return
	}
	s.ended = true
	s.c.Host.Hold(len(s.body) - s.granted)
	s.granted = len(s.body)
	if !s.done && !s.tunnel { // nobody waits for the rest of the request
		s.drops = true
	}
	s.c.feedLater(s)
}

// data takes the content of a DATA frame of n bytes, padding and all.
func (s *Stream) data(data []byte, n int, end bool) {
	switch {
	case !s.answered:
		s.breakOff(http2.ProtocolError, "DATA before HEADERS")
		return
	case s.ended:
		s.breakOff(http2.StreamClosed, "DATA after the answer's end")
		return
	case n > s.credit:
		s.breakOff(http2.FlowControlError, "more DATA than the stream's window")
		return
	case s.empty && len(data) > 0:
		s.breakOff(http2.ProtocolError, "DATA of an answer that has no body")
		return
	case s.rest >= 0 && int64(len(data)) > s.rest:
		s.breakOff(http2.ProtocolError, "the answer is longer than its content-length")
		return
	}
	s.credit -= n
	s.consumed += n - len(data)
	if s.rest >= 0 {
		s.rest -= int64(len(data))
	}
	s.keep(data)
	if end {
		s.finish()
	}
	s.c.feedLater(s)
}

// keep appends to the body, in memory of about the size that it can need.
func (s *Stream) keep(data []byte) {
	if need := len(s.body) + len(data); need > cap(s.body) {
		grown := make([]byte, len(s.body), max(need, min(2*cap(s.body), s.granted)))
		copy(grown, s.body)
		s.body = grown
	}
	s.body = append(s.body, data...)
}

// grow widens the window up to a size, as far as the budget has room, of which
// this may use some quarters. The server hears of it by the next update.
func (s *Stream) grow(to int, quarters int64) (grown bool) {
	more := to - s.granted
	if s.rest >= 0 {
		more = int(min(int64(more), s.rest-int64(s.credit+s.consumed)))
	}
	n := s.c.Host.Room(more, quarters)
	s.granted += n
	s.consumed += n
	return n > 0
}

// update gives the server what was read of its window, and what that grew by.
func (s *Stream) update() {
	c := s.c
	c.touch()
	c.out = http2.AppendWindowUpdate(c.out, s.id, s.consumed)
	s.credit += s.consumed
	s.consumed = 0
}

// Readable implements wire.Stream: whether Read has something to give.
func (s *Stream) Readable() bool {
	return len(s.head) > 0 || len(s.body) > 0 || s.failed || s.ended && (s.chunked && !s.read0 || s.tunnel)
}

// chunkRoom is what the framing of a chunk takes at most.
const chunkRoom = 16

// Read implements wire.Stream: it is the answer in HTTP/1.1. What came before a
// failure is given first.
func (s *Stream) Read(b []byte) (n int, st wire.Status) {
	n = copy(b, s.head)
	if s.head = s.head[n:]; len(s.head) > 0 {
		return n, wire.OK
	}
	s.head = nil
	took := 0
	switch {
	case !s.chunked:
		took = copy(b[n:], s.body)
		n += took
	case len(s.body) > 0 && len(b)-n > chunkRoom:
		took = min(len(s.body), len(b)-n-chunkRoom)
		out := strconv.AppendInt(b[:n], int64(took), 16)
		out = append(out, "\r\n"...)
		out = append(out, s.body[:took]...)
		n = len(append(out, "\r\n"...))
	}
	s.took(took)
	if s.chunked && s.ended && len(s.body) == 0 && !s.read0 && len(b)-n >= len("0\r\n\r\n")+len(s.after) {
		out := append(b[:n], "0\r\n"...)
		out = append(out, s.after...)
		n = len(append(out, "\r\n"...))
		s.read0 = true
	}
	switch {
	case n > 0:
		return n, wire.OK
	case s.failed:
		return 0, wire.Error
	case s.tunnel && s.ended:
		return 0, wire.EOF
	}
	return 0, wire.Again
}

// took gives the window of n body bytes back.
func (s *Stream) took(n int) {
	if n == 0 {
		return
	}
	if s.body = s.body[n:]; len(s.body) == 0 {
		s.body = nil
	}
	c := s.c
	if s.ended {
		s.granted -= n
		c.Host.Hold(-n)
		return
	}
	s.consumed += n
	if s.failed || c.dead {
		return
	}
	switch {
	case s.wide:
	case c.flows.wide < maxWide && s.grow(wideWindow, 3):
		s.wide = true
		c.flows.wide++
	case s.granted < usualWindow:
		s.grow(usualWindow, 4)
	}
	if s.consumed >= min(s.granted, 2*usualWindow)/4 {
		s.update()
	}
}
