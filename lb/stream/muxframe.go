package stream

import "lbsyslogd/lb/http2"

// What an HTTP/2 connection makes of the frames that come; http2.Reader has
// checked what holds for each. An error ends the connection; what is wrong with
// one stream alone ends that stream.

// frames takes the complete frames out of the input buffer, as long as there is
// room for what they are answered with.
func (m *mux) frames() *http2.Error {
	in := m.s.in
	if !m.begun {
		n := min(in.Len(), len(http2.Preface))
		if string(in.Bytes()[:n]) != http2.Preface[:n] {
			return &http2.Error{Code: http2.ProtocolError, Text: "no HTTP/2 preface"}
		}
		if n < len(http2.Preface) {
			return nil
		}
		in.R += n
		m.begun = true
	}
	for len(m.out) < maxOutFrames {
		f, n, e := m.frame.Next(in.Bytes())
		if in.R += n; e != nil || n == 0 {
			return e
		}
		if e := m.take(&f); e != nil {
			return e
		}
	}
	return nil
}

func (m *mux) take(f *http2.Frame) *http2.Error {
	switch f.Type {
	case http2.Data:
		return m.data(f)
	case http2.Headers:
		return m.fields(f)
	case http2.Continuation: // of a block that goes on
		if !f.Empty {
			return nil
		}
	case http2.RSTStream:
		return m.reset(f)
	case http2.SettingsFrame:
		return m.settings(f)
	case http2.Ping:
		return m.ping(f)
	case http2.GoAway:
		m.leaving = over
		m.touch()
		return nil
	case http2.WindowUpdate:
		return m.windowUpdate(f)
	}
	return m.idle() // PRIORITY, and extensions that we do not know (section 5.5)
}

func (m *mux) data(f *http2.Frame) *http2.Error {
	if e := m.recv.Take(f.Length); e != nil {
		return e
	}
	st := m.streams.get(f.Stream)
	if st == nil {
		m.giveBack(f.Length)
		return m.late(f)
	}
	n := len(f.Payload)
	if n > 0 {
		m.moved += int64(n)
		m.datas++
		m.widen()
	}
	m.giveBack(f.Length - n) // padding is read already
	if f.Empty {
		if e := m.idle(); e != nil {
			return e
		}
	}
	return st.data(f)
}

// late judges DATA for a stream that is not there any more.
func (m *mux) late(f *http2.Frame) *http2.Error {
	switch {
	case m.ignores(f.Stream):
	case f.Stream > m.lastID || f.Stream%2 == 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "a frame for a stream that was not opened"}
	case m.past.ended.has(f.Stream):
		return &http2.Error{Code: http2.StreamClosed, Text: "a frame for a stream that is closed"}
	}
	return m.idle() // on its way when we ended the stream, perhaps long ago
}

// ignores reports whether a stream was opened too late: its request is not
// looked at, and the client knows that it may send it elsewhere (section 6.8).
func (m *mux) ignores(id uint32) bool { return m.leaving >= decided && id > m.lastID }

// giveBack returns n bytes of the connection's window to the client.
func (m *mux) giveBack(n int) {
	if m.recv.Consumed += n; m.recv.Consumed >= http2.DefaultWindow/2 {
		m.touch()
		m.out = http2.AppendWindowUpdate(m.out, 0, m.recv.Give())
	}
}

// fields takes a complete field block: a request's head, or trailers.
func (m *mux) fields(f *http2.Frame) *http2.Error {
	if f.Empty {
		if e := m.idle(); e != nil {
			return e
		}
	}
	if f.Stream <= m.lastID {
		return m.trailers(f, m.streams.get(f.Stream))
	}
	// Read in any case: the table is the connection's.
	r, e := m.dec.Request(f.Payload, f.End())
	if e != nil {
		return e
	}
	if m.ignores(f.Stream) {
		m.sendReset(f.Stream, http2.RefusedStream)
		return m.idle()
	}
	m.lastID = f.Stream
	if len(m.streams) >= maxStreams || m.crowded() {
		m.sendReset(f.Stream, http2.RefusedStream)
		m.past.cut.add(f.Stream)
		return m.idle()
	}
	m.open(f.Stream, r, f.End())
	if r.Fault != "" {
		return m.takenBack()
	}
	return nil
}

func (m *mux) trailers(f *http2.Frame, st *muxStream) *http2.Error {
	lines, fault, e := m.dec.Trailers(f.Payload)
	switch {
	case e != nil:
		return e
	case st == nil && m.past.cut.has(f.Stream):
		return m.idle()
	case st == nil && !m.past.ended.has(f.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "a stream's number is not higher than the last one's"}
	case st == nil || st.in.Ended:
		return &http2.Error{Code: http2.StreamClosed, Text: "HEADERS on a stream that has ended"}
	case fault != "" || !f.End():
		return st.abort(http2.ProtocolError)
	}
	st.in.Trailers = append(st.in.Trailers, lines...)
	return st.end()
}

func (m *mux) reset(f *http2.Frame) *http2.Error {
	st := m.streams.get(f.Stream)
	switch {
	case st != nil:
		st.reset = true
		st.drop()
		return m.takenBack()
	case f.Stream > m.lastID && !m.ignores(f.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "RST_STREAM for a stream that was not opened"}
	}
	return m.idle()
}

func (m *mux) settings(f *http2.Frame) *http2.Error {
	if f.IsAck() {
		m.knows()
		return m.idle()
	}
	shift, e := m.peer.Apply(f, m.enc)
	if e != nil {
		return e
	}
	for _, st := range m.streams {
		if e := st.window.Shift(shift); e != nil {
			return e
		}
	}
	m.touch()
	m.out = http2.AppendSettingsAck(m.out)
	return m.idle()
}

// knows takes note that the client knows our SETTINGS: it counts streams from
// minWindow now, those that it has begun too.
func (m *mux) knows() {
	if m.acked {
		return
	}
	m.acked = true
	for _, st := range m.streams {
		st.in.Window.Left -= http2.DefaultWindow - minWindow
	}
	if m.recv.Left < http2.DefaultWindow { // perhaps no more may come before
		m.widen()
	}
}

// widen gives the client connWindow, of which one without bodies never hears: HAProxy's clients hear nothing either.
func (m *mux) widen() {
	if m.acked && !m.widened {
		m.widened = true
		m.touch()
		m.out = http2.AppendWindowUpdate(m.out, 0, connWindow-http2.DefaultWindow)
		m.recv.Left += connWindow - http2.DefaultWindow
	}
}

// lastPing is the ping after the first GOAWAY.
var lastPing = [8]byte{'f', 'a', 'r', 'e', 'w', 'e', 'l', 'l'}

func (m *mux) ping(f *http2.Frame) *http2.Error {
	paced := !f.IsAck() && m.paced()
	switch {
	case !f.IsAck():
		m.touch()
		m.out = http2.AppendPing(m.out, http2.Ack, f.Opaque())
	case f.Opaque() == lastPing && m.leaving == announced:
		m.decide()
	}
	if paced {
		return nil
	}
	return m.idle()
}

func (m *mux) windowUpdate(f *http2.Frame) *http2.Error {
	n := f.Increment()
	st := m.streams.get(f.Stream)
	switch {
	case f.Stream == 0:
		if e := m.send.Update(n); e != nil {
			return e
		}
	case st != nil:
		if e := st.window.Update(n); e != nil {
			return st.abort(e.Code)
		}
	case f.Stream > m.lastID && !m.ignores(f.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE for a stream that was not opened"}
	}
	if n >= http2.WorthUpdate {
		return nil
	}
	return m.idle()
}
