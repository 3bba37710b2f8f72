package h2client

import (
	"encoding/binary"

	"lbsyslogd/lb/http2"
)

// What becomes of the frames that come. An error ends the connection; what is
// wrong with one answer alone ends its stream.

// frames takes the complete frames out of the input buffer, as long as there is
// room for what they are answered with.
func (c *Conn) frames() *http2.Error {
	for c.in.Len() >= http2.HeaderLen && len(c.out) < maxOut {
		h := http2.ParseHeader(c.in.Bytes())
		switch {
		case !c.settled && string(c.in.Bytes()[:5]) == "HTTP/":
			return &http2.Error{Code: http2.ProtocolError, Text: "the server speaks HTTP/1"}
		case h.Length > http2.MinMaxFrame:
			return &http2.Error{Code: http2.FrameSizeError, Text: "a frame larger than MAX_FRAME_SIZE"}
		case c.in.Len() < http2.HeaderLen+h.Length:
			return nil
		}
		payload := c.in.Bytes()[http2.HeaderLen : http2.HeaderLen+h.Length]
		c.in.R += http2.HeaderLen + h.Length
		if e := c.frame(h, payload); e != nil {
			return e
		}
	}
	return nil
}

func (c *Conn) frame(h http2.Header, payload []byte) *http2.Error {
	switch {
	case c.block.on && (h.Type != http2.Continuation || h.Stream != c.block.of.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "a field block was interrupted"}
	case !c.settled && (h.Type != http2.SettingsFrame || h.Flags&http2.Ack != 0):
		return &http2.Error{Code: http2.ProtocolError, Text: "the server's first frame is not SETTINGS: it does not speak HTTP/2"}
	}
	switch h.Type {
	case http2.Data:
		return c.data(h, payload)
	case http2.Headers:
		return c.headers(h, payload)
	case http2.Continuation:
		return c.continuation(h, payload)
	case http2.RSTStream:
		return c.rst(h, payload)
	case http2.SettingsFrame:
		return c.settings(h, payload)
	case http2.PushPromise:
		return &http2.Error{Code: http2.ProtocolError, Text: "PUSH_PROMISE, which was not allowed"}
	case http2.Ping:
		return c.ping(h, payload)
	case http2.GoAway:
		return c.goAway(h, payload)
	case http2.WindowUpdate:
		return c.windowUpdate(h, payload)
	}
	return c.nothing() // PRIORITY, and extensions that we do not know (section 5.5)
}

// stream is the stream that a frame is for; nil when it is over. A stream that
// was not opened is the connection's end.
func (c *Conn) stream(h http2.Header) (*Stream, *http2.Error) {
	if h.Stream == 0 || h.Stream%2 == 0 || h.Stream >= c.nextID {
		return nil, &http2.Error{Code: http2.ProtocolError, Text: "a frame for a stream that was not opened"}
	}
	s := c.streams[h.Stream]
	if s != nil && s.failed {
		s = nil
	}
	return s, nil
}

func (c *Conn) data(h http2.Header, payload []byte) *http2.Error {
	s, e := c.stream(h)
	if e != nil {
		return e
	}
	f := &c.flows
	if f.recv -= h.Length; f.recv < 0 {
		return &http2.Error{Code: http2.FlowControlError, Text: "more DATA than the connection's window"}
	}
	if f.consumed += h.Length; f.consumed >= connWindow/4 {
		c.touch()
		c.out = http2.AppendWindowUpdate(c.out, 0, f.consumed)
		f.recv += f.consumed
		f.consumed = 0
	}
	data, e := http2.Unpad(h, payload)
	if e != nil {
		return e
	}
	if len(data) > 0 {
		c.moved(len(data))
	} else if h.Flags&http2.EndStream == 0 {
		if e := c.nothing(); e != nil {
			return e
		}
	}
	if s != nil {
		s.data(data, h.Length, h.Flags&http2.EndStream != 0)
	}
	return nil
}

func (c *Conn) headers(h http2.Header, payload []byte) *http2.Error {
	block, e := http2.Unpad(h, payload)
	if e != nil {
		return e
	}
	if h.Flags&http2.EndHeaders != 0 {
		return c.fields(h, block)
	}
	c.block = fieldBlock{on: true, of: h, data: append([]byte(nil), block...)}
	return nil
}

func (c *Conn) continuation(h http2.Header, payload []byte) *http2.Error {
	if !c.block.on {
		return &http2.Error{Code: http2.ProtocolError, Text: "CONTINUATION without HEADERS"}
	}
	if len(payload) == 0 {
		if e := c.nothing(); e != nil {
			return e
		}
	}
	if c.block.data = append(c.block.data, payload...); len(c.block.data) > maxBlock {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "a field block of more than 32 KiB"}
	}
	if h.Flags&http2.EndHeaders == 0 {
		return nil
	}
	b := c.block
	c.block = fieldBlock{}
	return c.fields(b.of, b.data)
}

// fields takes a complete field block. It is read in any case: the table is the
// connection's.
func (c *Conn) fields(h http2.Header, block []byte) *http2.Error {
	s, e := c.stream(h)
	if e != nil {
		return e
	}
	if s == nil {
		if _, e := c.dec.Answer(block); e != nil {
			return e
		}
		return c.nothing()
	}
	if !s.answered && h.Flags&http2.EndStream == 0 {
		if e := c.nothing(); e != nil { // interim answers, perhaps without end
			return e
		}
	}
	return s.answer(block, h.Flags&http2.EndStream != 0)
}

func (c *Conn) rst(h http2.Header, payload []byte) *http2.Error {
	if h.Length != 4 {
		return &http2.Error{Code: http2.FrameSizeError, Text: "RST_STREAM of a broken length"}
	}
	s, e := c.stream(h)
	if e != nil {
		return e
	}
	if s == nil {
		return c.nothing()
	}
	code := http2.Code(binary.BigEndian.Uint32(payload))
	delete(c.streams, h.Stream)
	s.done = true
	s.lost(code == http2.RefusedStream, "the server reset the stream: "+code.String())
	return c.nothing()
}

func (c *Conn) settings(h http2.Header, payload []byte) *http2.Error {
	switch {
	case h.Stream != 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "SETTINGS on a stream"}
	case h.Flags&http2.Ack != 0:
		if h.Length != 0 {
			return &http2.Error{Code: http2.FrameSizeError, Text: "an acknowledgement with a content"}
		}
		return c.nothing()
	}
	all, e := http2.ParseSettings(payload)
	if e != nil {
		return e
	}
	for _, one := range all {
		if e := c.setting(one); e != nil {
			return e
		}
	}
	c.settled = true
	c.touch()
	c.out = http2.AppendSettingsAck(c.out)
	return c.nothing()
}

func (c *Conn) setting(one http2.Setting) *http2.Error {
	switch one.ID {
	case http2.HeaderTableSize:
		c.enc.SetTableSize(one.Value)
	case http2.EnablePush:
		if one.Value != 0 {
			return &http2.Error{Code: http2.ProtocolError, Text: "a server that enables push"}
		}
	case http2.MaxConcurrentStreams:
		c.most = int(min(one.Value, maxStreams))
	case http2.MaxFrameSize:
		c.flows.maxFrame = int(min(one.Value, http2.MinMaxFrame))
	case http2.EnableConnect:
		c.connect = one.Value == 1
	case http2.InitialWindowSize:
		more := int64(one.Value) - c.flows.first
		c.flows.first = int64(one.Value)
		for _, s := range c.streams {
			if s.window += more; s.window > http2.MaxWindow {
				return &http2.Error{Code: http2.FlowControlError, Text: "INITIAL_WINDOW_SIZE makes a window too large"}
			}
		}
	}
	return nil
}

func (c *Conn) ping(h http2.Header, payload []byte) *http2.Error {
	switch {
	case h.Stream != 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "PING on a stream"}
	case h.Length != 8:
		return &http2.Error{Code: http2.FrameSizeError, Text: "PING of a broken length"}
	case h.Flags&http2.Ack == 0:
		c.touch()
		c.out = http2.AppendPing(c.out, http2.Ack, [8]byte(payload))
	case [8]byte(payload) == aliveness:
		c.pinged = false
	}
	return c.nothing()
}

// goAway takes the server's end: streams above the last one that it names were
// not looked at, and those below go on.
func (c *Conn) goAway(h http2.Header, payload []byte) *http2.Error {
	if h.Stream != 0 || h.Length < 8 {
		return &http2.Error{Code: http2.ProtocolError, Text: "malformed GOAWAY"}
	}
	last, code := binary.BigEndian.Uint32(payload)&lastStream, http2.Code(binary.BigEndian.Uint32(payload[4:]))
	if last > c.goneID {
		return &http2.Error{Code: http2.ProtocolError, Text: "a GOAWAY that names a later stream than the one before"}
	}
	c.leaving, c.goneID = true, last
	for id, s := range c.streams {
		if id > last {
			delete(c.streams, id)
			s.done = true
			s.lost(true, "the server left before the request: GOAWAY, "+code.String())
		}
	}
	c.Host.Touch(c) // perhaps it is over
	return c.nothing()
}

func (c *Conn) windowUpdate(h http2.Header, payload []byte) *http2.Error {
	if h.Length != 4 {
		return &http2.Error{Code: http2.FrameSizeError, Text: "WINDOW_UPDATE of a broken length"}
	}
	n := int64(binary.BigEndian.Uint32(payload) & http2.MaxWindow)
	if h.Stream == 0 {
		switch c.flows.send += n; {
		case n == 0:
			return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE by nothing"}
		case c.flows.send > http2.MaxWindow:
			return &http2.Error{Code: http2.FlowControlError, Text: "WINDOW_UPDATE makes a window too large"}
		}
		return c.update(n)
	}
	s, e := c.stream(h)
	switch {
	case e != nil:
		return e
	case s == nil:
	case n == 0:
		s.breakOff(http2.ProtocolError, "WINDOW_UPDATE by nothing")
	default:
		if s.window += n; s.window > http2.MaxWindow {
			s.breakOff(http2.FlowControlError, "WINDOW_UPDATE makes a window too large")
		}
	}
	return c.update(n)
}

// update counts a WINDOW_UPDATE that gives next to nothing.
func (c *Conn) update(n int64) *http2.Error {
	if n >= 1<<10 {
		return nil
	}
	return c.nothing()
}
