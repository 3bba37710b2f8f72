package http2

import "encoding/binary"

// Frame is one frame that a Reader has checked. Payload is valid until the
// bytes that it was read from change.
type Frame struct {
	Header
	// Payload is what the frame carries: of Data without its padding, of Headers
	// the whole field block, with what CONTINUATION frames added to it. Of
	// Continuation it is nil: the Headers follow when the block is complete.
	Payload []byte
	// Empty says that the frame moves nothing: DATA without content that does not
	// end its stream, or a field block's last or next part without content. A
	// peer may send such frames without end, so they are to be counted.
	Empty bool
}

// End reports whether Data or Headers end their stream.
func (f *Frame) End() bool { return f.Flags&EndStream != 0 }

// IsAck reports whether Settings or a Ping acknowledge ours.
func (f *Frame) IsAck() bool { return f.Flags&Ack != 0 }

// Code is why RSTStream or GoAway was sent.
func (f *Frame) Code() Code {
	if f.Type == GoAway {
		return Code(binary.BigEndian.Uint32(f.Payload[4:]))
	}
	return Code(binary.BigEndian.Uint32(f.Payload))
}

// Last is the last stream that the sender of a GoAway has looked at.
func (f *Frame) Last() uint32 { return binary.BigEndian.Uint32(f.Payload) & LastStream }

// Opaque is what a Ping carries.
func (f *Frame) Opaque() [8]byte { return [8]byte(f.Payload) }

// Increment is by how much a WindowUpdate widens the window; it may be 0, which
// SendWindow.Update refuses.
func (f *Frame) Increment() int64 {
	return int64(binary.BigEndian.Uint32(f.Payload) & MaxWindow)
}

// Reader cuts what a peer sends into frames, and checks what must hold for each
// frame whether a client or a server has sent it: its size, the order of field
// blocks, that it belongs to a stream or to the connection, its padding. What
// depends on the state of a stream is for the caller to check.
//
// Its fields are what a connection takes along when another process goes on with
// it; MaxBlock is set anew there.
type Reader struct {
	MaxBlock int  // bytes of a field block that comes in parts
	Settled  bool // the peer's first SETTINGS came
	// BlockOf is the HEADERS frame of a field block whose end has not come; its
	// Stream is 0 while there is none. Block is what came of it.
	BlockOf Header
	Block   []byte

	// Count counts the frames that Next has given without an error, by their
	// types; nil: they are not counted.
	Count *Frames
}

// Frames is a number for each type of frame that RFC 9113 has.
type Frames [Continuation + 1]uint64

// Next reads the frame at the start of b, which takes n bytes; n is 0 while b
// does not hold all of it. An error ends the connection.
func (r *Reader) Next(b []byte) (f Frame, n int, e *Error) {
	if len(b) < HeaderLen {
		return f, 0, nil
	}
	f.Header = ParseHeader(b)
	if f.Length > MinMaxFrame {
		return f, 0, &Error{FrameSizeError, "a frame larger than MAX_FRAME_SIZE"}
	}
	if n = HeaderLen + f.Length; len(b) < n {
		return f, 0, nil
	}
	f.Payload = b[HeaderLen:n]
	switch {
	case r.BlockOf.Stream != 0 && (f.Type != Continuation || f.Stream != r.BlockOf.Stream):
		return f, n, &Error{ProtocolError, "a field block was interrupted"}
	case !r.Settled && (f.Type != SettingsFrame || f.IsAck()):
		return f, n, &Error{ProtocolError, "the first frame is not SETTINGS: the peer does not speak HTTP/2"}
	}
	r.Settled = true
	switch f.Type {
	case Data, Headers, Continuation:
		e = r.content(&f)
	default:
		e = f.check()
	}
	if r.Count != nil && e == nil && f.Type <= Continuation {
		r.Count[f.Type]++
	}
	return f, n, e
}

// content takes a frame that may be padded or a part of something.
func (r *Reader) content(f *Frame) (e *Error) {
	switch f.Type {
	case Data:
		if f.Stream == 0 {
			return &Error{ProtocolError, "DATA without a stream"}
		}
		e = f.unpad()
		f.Empty = len(f.Payload) == 0 && !f.End()
	case Headers:
		if f.Stream%2 == 0 {
			return &Error{ProtocolError, "HEADERS on a stream that is not a client's"}
		}
		if e = f.unpad(); e == nil && f.Flags&EndHeaders == 0 {
			r.BlockOf, r.Block = f.Header, append([]byte(nil), f.Payload...)
			f.Type, f.Payload = Continuation, nil
		}
	case Continuation:
		e = r.continuation(f)
	}
	return e
}

// continuation adds a part to a field block, and makes f the HEADERS that the
// block began with when it is complete.
func (r *Reader) continuation(f *Frame) *Error {
	if r.BlockOf.Stream == 0 {
		return &Error{ProtocolError, "CONTINUATION without HEADERS"}
	}
	f.Empty = len(f.Payload) == 0
	if r.Block = append(r.Block, f.Payload...); len(r.Block) > r.MaxBlock {
		return &Error{EnhanceYourCalm, "a field block that is too large"}
	}
	f.Payload = nil
	if f.Flags&EndHeaders != 0 {
		f.Header, f.Payload = r.BlockOf, r.Block
		r.BlockOf, r.Block = Header{}, nil
	}
	return nil
}

// check judges a frame that is complete in itself. Of types that we do not know
// nothing is wrong (section 5.5).
func (f *Frame) check() *Error {
	switch f.Type {
	case Priority: // which nobody heeds any more (RFC 9113 section 5.3.2)
		switch {
		case f.Stream == 0:
			return &Error{ProtocolError, "PRIORITY without a stream"}
		case f.Length != priorityLen:
			return &Error{FrameSizeError, "PRIORITY of a broken length"}
		case f.dependsOnItself(f.Payload):
			return errDependsOnItself
		}
	case RSTStream:
		switch {
		case f.Length != 4:
			return &Error{FrameSizeError, "RST_STREAM of a broken length"}
		case f.Stream == 0:
			return &Error{ProtocolError, "RST_STREAM without a stream"}
		}
	case SettingsFrame:
		switch {
		case f.Stream != 0:
			return &Error{ProtocolError, "SETTINGS on a stream"}
		case f.IsAck() && f.Length != 0:
			return &Error{FrameSizeError, "an acknowledgement with a content"}
		case f.Length%settingLen != 0:
			return &Error{FrameSizeError, "SETTINGS of a broken length"}
		}
	case PushPromise: // a client never may, and we forbid it to servers
		return &Error{ProtocolError, "PUSH_PROMISE, which is not allowed"}
	case Ping:
		switch {
		case f.Stream != 0:
			return &Error{ProtocolError, "PING on a stream"}
		case f.Length != 8:
			return &Error{FrameSizeError, "PING of a broken length"}
		}
	case GoAway:
		if f.Stream != 0 || f.Length < 8 {
			return &Error{ProtocolError, "malformed GOAWAY"}
		}
	case WindowUpdate:
		if f.Length != 4 {
			return &Error{FrameSizeError, "WINDOW_UPDATE of a broken length"}
		}
	}
	return nil
}

// priorityLen is the length of a priority (section 6.3).
const priorityLen = 5

var errDependsOnItself = &Error{ProtocolError, "a stream depends on itself"}

// dependsOnItself reports whether the priority at the start of b names the
// frame's own stream.
func (f *Frame) dependsOnItself(b []byte) bool {
	return binary.BigEndian.Uint32(b)&LastStream == f.Stream
}

// unpad takes the padding off the payload of a Data or Headers frame, and of
// Headers the priority.
func (f *Frame) unpad() *Error {
	pad, rest := 0, f.Payload
	if f.Flags&Padded != 0 {
		if len(rest) == 0 {
			return &Error{FrameSizeError, "a padded frame without the length of its padding"}
		}
		pad, rest = int(rest[0]), rest[1:]
	}
	if f.Type == Headers && f.Flags&HasPrio != 0 {
		switch {
		case len(rest) < priorityLen:
			return &Error{FrameSizeError, "HEADERS too short for their priority"}
		case f.dependsOnItself(rest):
			return errDependsOnItself
		}
		rest = rest[priorityLen:]
	}
	if pad > len(rest) {
		return &Error{ProtocolError, "more padding than frame"}
	}
	f.Payload = rest[:len(rest)-pad]
	return nil
}
