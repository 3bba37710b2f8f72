package stream

import (
	"encoding/binary"

	"lbsyslogd/lb/http2"
)

// What an HTTP/2 connection makes of the frames that come. An error ends the
// connection; what is wrong with one stream alone ends that stream.

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
	for in.Len() >= http2.HeaderLen && len(m.out) < maxOutFrames {
		h := http2.ParseHeader(in.Bytes())
		if h.Length > http2.MinMaxFrame {
			return &http2.Error{Code: http2.FrameSizeError, Text: "a frame larger than MAX_FRAME_SIZE"}
		}
		if in.Len() < http2.HeaderLen+h.Length {
			return nil
		}
		payload := in.Bytes()[http2.HeaderLen : http2.HeaderLen+h.Length]
		in.R += http2.HeaderLen + h.Length
		if e := m.frame(h, payload); e != nil {
			return e
		}
	}
	return nil
}

func (m *mux) frame(h http2.Header, payload []byte) *http2.Error {
	switch {
	case m.blockOn && (h.Type != http2.Continuation || h.Stream != m.blockOf.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "a field block was interrupted"}
	case !m.settled && (h.Type != http2.SettingsFrame || h.Flags&http2.Ack != 0):
		return &http2.Error{Code: http2.ProtocolError, Text: "the first frame is not SETTINGS"}
	}
	m.settled = true
	switch h.Type {
	case http2.Data:
		return m.data(h, payload)
	case http2.Headers:
		return m.headers(h, payload)
	case http2.Continuation:
		return m.continuation(h, payload)
	case http2.Priority:
		return m.priority(h, payload)
	case http2.RSTStream:
		return m.reset(h, payload)
	case http2.SettingsFrame:
		return m.settings(h, payload)
	case http2.PushPromise:
		return &http2.Error{Code: http2.ProtocolError, Text: "PUSH_PROMISE from a client"}
	case http2.Ping:
		return m.ping(h, payload)
	case http2.GoAway:
		if h.Stream != 0 || h.Length < 8 {
			return &http2.Error{Code: http2.ProtocolError, Text: "malformed GOAWAY"}
		}
		m.leaving = over
		m.touch()
		return nil
	case http2.WindowUpdate:
		return m.windowUpdate(h, payload)
	}
	return m.idle() // an extension that we do not know (section 5.5)
}

func (m *mux) data(h http2.Header, payload []byte) *http2.Error {
	if h.Stream == 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "DATA without a stream"}
	}
	if m.recvWindow -= h.Length; m.recvWindow < 0 {
		return &http2.Error{Code: http2.FlowControlError, Text: "more DATA than the connection's window"}
	}
	data, e := http2.Unpad(h, payload)
	if e != nil {
		return e
	}
	st := m.streams[h.Stream]
	if st == nil {
		m.giveBack(h.Length)
		return m.late(h)
	}
	if len(data) > 0 {
		m.moved += int64(len(data))
		m.datas++
	}
	m.giveBack(h.Length - len(data)) // padding is read already
	if len(data) == 0 && h.Flags&http2.EndStream == 0 {
		if e := m.idle(); e != nil {
			return e
		}
	}
	return st.data(data, h)
}

// late judges DATA for a stream that is not there any more.
func (m *mux) late(h http2.Header) *http2.Error {
	switch {
	case m.ignores(h.Stream):
	case h.Stream > m.lastID || h.Stream%2 == 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "a frame for a stream that was not opened"}
	case m.past.ended.has(h.Stream):
		return &http2.Error{Code: http2.StreamClosed, Text: "a frame for a stream that is closed"}
	}
	return m.idle() // on its way when we ended the stream, perhaps long ago
}

// ignores reports whether a stream was opened too late: its request is not
// looked at, and the client knows that it may send it elsewhere (section 6.8).
func (m *mux) ignores(id uint32) bool { return m.leaving >= decided && id > m.lastID }

// giveBack returns n bytes of the connection's window to the client.
func (m *mux) giveBack(n int) {
	if m.consumed += n; m.consumed >= http2.DefaultWindow/2 {
		m.touch()
		m.out = http2.AppendWindowUpdate(m.out, 0, m.consumed)
		m.recvWindow += m.consumed
		m.consumed = 0
	}
}

func (m *mux) headers(h http2.Header, payload []byte) *http2.Error {
	if h.Stream%2 == 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "HEADERS on a stream that is not a client's"}
	}
	block, e := http2.Unpad(h, payload)
	if e != nil {
		return e
	}
	if h.Flags&http2.HasPrio != 0 {
		at := 0
		if h.Flags&http2.Padded != 0 {
			at = 1
		}
		if http2.DependsOn(payload[at:]) == h.Stream {
			return &http2.Error{Code: http2.ProtocolError, Text: "a stream depends on itself"}
		}
	}
	if h.Flags&http2.EndHeaders != 0 {
		return m.fields(h, block)
	}
	m.block, m.blockOf, m.blockOn = append([]byte(nil), block...), h, true
	return nil
}

func (m *mux) continuation(h http2.Header, payload []byte) *http2.Error {
	if !m.blockOn {
		return &http2.Error{Code: http2.ProtocolError, Text: "CONTINUATION without HEADERS"}
	}
	if len(payload) == 0 {
		if e := m.idle(); e != nil {
			return e
		}
	}
	if m.block = append(m.block, payload...); len(m.block) > max(maxBlock, 2*m.s.sh.eng.Limits.head()) {
		return &http2.Error{Code: http2.EnhanceYourCalm, Text: "a field block of more than 32 KiB"}
	}
	if h.Flags&http2.EndHeaders == 0 {
		return nil
	}
	block := m.block
	m.block, m.blockOn = nil, false
	return m.fields(m.blockOf, block)
}

// fields takes a complete field block: a request's head, or trailers.
func (m *mux) fields(h http2.Header, block []byte) *http2.Error {
	end := h.Flags&http2.EndStream != 0
	if st := m.streams[h.Stream]; st != nil || h.Stream <= m.lastID {
		return m.trailers(h, st, block)
	}
	// Read in any case: the table is the connection's.
	r, e := m.dec.Request(block, end)
	if e != nil {
		return e
	}
	if m.ignores(h.Stream) {
		m.touch()
		m.out = http2.AppendRST(m.out, h.Stream, http2.RefusedStream)
		return m.idle()
	}
	m.lastID = h.Stream
	if len(m.streams) >= maxStreams {
		m.touch()
		m.out = http2.AppendRST(m.out, h.Stream, http2.RefusedStream)
		m.past.cut.add(h.Stream)
		return m.idle()
	}
	m.open(h.Stream, r, end)
	if r.Fault != "" {
		return m.takenBack()
	}
	return nil
}

func (m *mux) trailers(h http2.Header, st *muxStream, block []byte) *http2.Error {
	lines, fault, e := m.dec.Trailers(block)
	switch {
	case e != nil:
		return e
	case st == nil && m.past.cut.has(h.Stream):
		return m.idle()
	case st == nil && !m.past.ended.has(h.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "a stream's number is not higher than the last one's"}
	case st == nil || st.ended:
		return &http2.Error{Code: http2.StreamClosed, Text: "HEADERS on a stream that has ended"}
	case fault != "" || h.Flags&http2.EndStream == 0:
		return st.abort(http2.ProtocolError)
	}
	st.trailers = append(st.trailers, lines...)
	return st.end()
}

func (m *mux) priority(h http2.Header, payload []byte) *http2.Error {
	switch {
	case h.Stream == 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "PRIORITY without a stream"}
	case h.Length != 5:
		return &http2.Error{Code: http2.FrameSizeError, Text: "PRIORITY of a broken length"}
	case http2.DependsOn(payload) == h.Stream:
		return &http2.Error{Code: http2.ProtocolError, Text: "a stream depends on itself"}
	}
	return m.idle()
}

func (m *mux) reset(h http2.Header, payload []byte) *http2.Error {
	switch {
	case h.Length != 4:
		return &http2.Error{Code: http2.FrameSizeError, Text: "RST_STREAM of a broken length"}
	case h.Stream == 0 || h.Stream > m.lastID && !m.ignores(h.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "RST_STREAM for a stream that was not opened"}
	}
	st := m.streams[h.Stream]
	if st == nil {
		return m.idle()
	}
	st.reset = true
	st.drop()
	return m.takenBack()
}

func (m *mux) settings(h http2.Header, payload []byte) *http2.Error {
	if h.Stream != 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "SETTINGS on a stream"}
	}
	if h.Flags&http2.Ack != 0 {
		if h.Length != 0 {
			return &http2.Error{Code: http2.FrameSizeError, Text: "an acknowledgement with a content"}
		}
		m.knows()
		return m.idle()
	}
	all, e := http2.ParseSettings(payload)
	if e != nil {
		return e
	}
	for _, one := range all {
		switch one.ID {
		case http2.HeaderTableSize:
			m.enc.SetTableSize(one.Value)
		case http2.MaxFrameSize:
			m.maxFrame = int(min(one.Value, http2.MinMaxFrame))
		case http2.InitialWindowSize:
			more := int64(one.Value) - m.firstWindow
			m.firstWindow = int64(one.Value)
			for _, st := range m.streams {
				if st.window += more; st.window > http2.MaxWindow {
					return &http2.Error{Code: http2.FlowControlError, Text: "INITIAL_WINDOW_SIZE makes a window too large"}
				}
			}
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
		st.credit -= http2.DefaultWindow - minWindow
	}
	m.touch()
	m.out = http2.AppendWindowUpdate(m.out, 0, connWindow-http2.DefaultWindow)
	m.recvWindow += connWindow - http2.DefaultWindow
}

// lastPing is the ping after the first GOAWAY.
var lastPing = [8]byte{'f', 'a', 'r', 'e', 'w', 'e', 'l', 'l'}

func (m *mux) ping(h http2.Header, payload []byte) *http2.Error {
	switch {
	case h.Stream != 0:
		return &http2.Error{Code: http2.ProtocolError, Text: "PING on a stream"}
	case h.Length != 8:
		return &http2.Error{Code: http2.FrameSizeError, Text: "PING of a broken length"}
	case h.Flags&http2.Ack == 0:
		m.touch()
		m.out = http2.AppendPing(m.out, http2.Ack, [8]byte(payload))
	case [8]byte(payload) == lastPing && m.leaving == announced:
		m.decide()
	}
	return m.idle()
}

func (m *mux) windowUpdate(h http2.Header, payload []byte) *http2.Error {
	if h.Length != 4 {
		return &http2.Error{Code: http2.FrameSizeError, Text: "WINDOW_UPDATE of a broken length"}
	}
	n := int64(binary.BigEndian.Uint32(payload) & http2.MaxWindow)
	st := m.streams[h.Stream]
	switch {
	case h.Stream == 0:
		if m.sendWindow += n; n == 0 || m.sendWindow > http2.MaxWindow {
			return windowError(n)
		}
	case st == nil && h.Stream > m.lastID && !m.ignores(h.Stream):
		return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE for a stream that was not opened"}
	case st != nil:
		if st.window += n; n == 0 || st.window > http2.MaxWindow {
			return st.abort(windowError(n).Code)
		}
	}
	if n >= worthAFrame {
		return nil
	}
	return m.idle()
}

func windowError(n int64) *http2.Error {
	if n == 0 {
		return &http2.Error{Code: http2.ProtocolError, Text: "WINDOW_UPDATE by nothing"}
	}
	return &http2.Error{Code: http2.FlowControlError, Text: "WINDOW_UPDATE makes a window too large"}
}
