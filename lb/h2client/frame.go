package h2client

import (
	"slices"

	"lbsyslogd/lb/http2"
)

// What becomes of the frames that come; http2.Reader has checked what holds for
// each. An error ends the connection; what is wrong with one answer alone ends
// its stream.

// frames takes the complete frames out of the input buffer, as long as there is
// room for what they are answered with.
func (c *Conn) frames() *http2.Error {
	for len(c.out) < maxOut {
		b := c.in.Bytes()
		if !c.frame.Settled && len(b) >= http2.HeaderLen && string(b[:5]) == "HTTP/" {
			return &http2.Error{Code: http2.ProtocolError, Text: "the server speaks HTTP/1"}
		}
		f, n, e := c.frame.Next(b)
		if c.in.R += n; e != nil || n == 0 {
			return e
		}
		if e := c.take(&f); e != nil {
			return e
		}
	}
	return nil
}

func (c *Conn) take(f *http2.Frame) *http2.Error {
	switch f.Type {
	case http2.Data:
		return c.data(f)
	case http2.Headers:
		return c.fields(f)
	case http2.Continuation: // of a block that goes on
		if !f.Empty {
			return nil
		}
	case http2.RSTStream:
		return c.rst(f)
	case http2.SettingsFrame:
		return c.settings(f)
	case http2.Ping:
		return c.ping(f)
	case http2.GoAway:
		return c.left(f)
	case http2.WindowUpdate:
		return c.windowUpdate(f)
	}
	return c.nothing() // PRIORITY, and extensions that we do not know (section 5.5)
}

// stream is the stream that a frame is for; nil when it is over. A stream that
// was not opened is the connection's end.
func (c *Conn) stream(f *http2.Frame) (*Stream, *http2.Error) {
	if f.Stream%2 == 0 || f.Stream >= c.nextID {
		return nil, &http2.Error{Code: http2.ProtocolError, Text: "a frame for a stream that was not opened"}
	}
	s := c.streams[f.Stream]
	if s != nil && s.failed {
		s = nil
	}
	return s, nil
}

func (c *Conn) data(f *http2.Frame) *http2.Error {
	s, e := c.stream(f)
	if e != nil {
		return e
	}
	w := &c.recv
	if e := w.Take(f.Length); e != nil {
		return e
	}
	if !c.grown && s != nil && !s.in.Ended { // a server without bodies never hears of it
		c.grown = true
		w.Consumed += connWindow - http2.DefaultWindow
	}
	due := connWindow / 4
	if !c.grown { // what came for streams that are over has used up this one
		due = http2.DefaultWindow / 2
	}
	if w.Consumed += f.Length; w.Consumed >= due { // streams bound what they hold themselves
		c.touch()
		c.out = http2.AppendWindowUpdate(c.out, 0, w.Give())
	}
	if f.Empty {
		if e := c.nothing(); e != nil {
			return e
		}
	}
	if len(f.Payload) > 0 {
		c.moves(len(f.Payload))
	}
	if s != nil {
		s.data(f)
	} else {
		c.late(f)
	}
	return nil
}

// late resets a stream that the server goes on with after it has ended it. What comes for one that we have ended may have been on its way.
func (c *Conn) late(f *http2.Frame) {
	if slices.Contains(c.ended[:], f.Stream) {
		c.Count.StreamErrors++
		c.Count.Resets++
		c.touch()
		c.out = http2.AppendRST(c.out, f.Stream, http2.StreamClosed)
	}
}

// fields takes a complete field block. It is read in any case: the table is the
// connection's.
func (c *Conn) fields(f *http2.Frame) *http2.Error {
	if f.Empty {
		if e := c.nothing(); e != nil {
			return e
		}
	}
	s, e := c.stream(f)
	if e != nil {
		return e
	}
	if s == nil {
		if _, e := c.dec.Answer(f.Payload); e != nil {
			return e
		}
		c.late(f)
		return c.nothing()
	}
	if !s.answered && !f.End() {
		if e := c.nothing(); e != nil { // interim answers, perhaps without end
			return e
		}
	}
	return s.answer(f.Payload, f.End())
}

func (c *Conn) rst(f *http2.Frame) *http2.Error {
	s, e := c.stream(f)
	if e != nil {
		return e
	}
	if s != nil {
		delete(c.streams, f.Stream)
		s.done = true
		s.lost(f.Code() == http2.RefusedStream, "the server reset the stream: "+f.Code().String())
	}
	return c.nothing()
}

func (c *Conn) settings(f *http2.Frame) *http2.Error {
	if f.IsAck() {
		return c.nothing()
	}
	shift, e := c.peer.Apply(f, c.enc)
	switch {
	case e != nil:
		return e
	case c.peer.Push:
		return &http2.Error{Code: http2.ProtocolError, Text: "a server that enables push"}
	}
	for _, s := range c.streams {
		if e := s.window.Shift(shift); e != nil {
			return e
		}
	}
	c.touch()
	c.out = http2.AppendSettingsAck(c.out)
	return c.nothing()
}

func (c *Conn) ping(f *http2.Frame) *http2.Error {
	paced := !f.IsAck() && c.paced()
	switch {
	case !f.IsAck():
		c.touch()
		c.out = http2.AppendPing(c.out, http2.Ack, f.Opaque())
	case f.Opaque() == aliveness:
		c.pinged = false
	}
	if paced {
		return nil
	}
	return c.nothing()
}

// left takes the server's end: streams above the last one that it names were
// not looked at, and those below go on.
func (c *Conn) left(f *http2.Frame) *http2.Error {
	last := f.Last()
	if last > c.goneID {
		return &http2.Error{Code: http2.ProtocolError, Text: "a GOAWAY that names a later stream than the one before"}
	}
	c.leaving, c.goneID = true, last
	for id, s := range c.streams {
		if id > last {
			delete(c.streams, id)
			s.done = true
			s.lost(true, "the server left before the request: GOAWAY, "+f.Code().String())
		}
	}
	c.Host.Touch(c) // perhaps it is over
	return c.nothing()
}

func (c *Conn) windowUpdate(f *http2.Frame) *http2.Error {
	n := f.Increment()
	if f.Stream == 0 {
		if e := c.send.Update(n); e != nil {
			return e
		}
	} else {
		s, e := c.stream(f)
		if e != nil {
			return e
		}
		if s != nil {
			if e := s.window.Update(n); e != nil {
				s.breakOff(e.Code, e.Text)
			}
		}
	}
	if n >= http2.WorthUpdate {
		return nil
	}
	return c.nothing()
}
