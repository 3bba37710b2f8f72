package http2

import (
	"encoding/binary"
	"math"
)

// Peer is what a peer's SETTINGS ask of us (section 6.5.2).
type Peer struct {
	FirstWindow int64  // what a new stream's SendWindow holds
	MaxFrame    int    // of what we send; larger than MinMaxFrame we never do
	MaxStreams  uint32 // that we may have open at once
	Push        bool   // it has said that it takes PUSH_PROMISE, or sends it
	Connect     bool   // it takes extended CONNECT (RFC 8441)
}

// NewPeer is a peer that has said nothing yet.
func NewPeer() Peer {
	return Peer{FirstWindow: DefaultWindow, MaxFrame: MinMaxFrame, MaxStreams: math.MaxUint32}
}

// Apply takes a SETTINGS frame that a Reader has checked. The windows of all
// open streams are to be shifted by what it returns; the encoder keeps to the
// table that the peer has.
func (p *Peer) Apply(f *Frame, enc *Encoder) (shift int64, e *Error) {
	was := p.FirstWindow
	for b := f.Payload; len(b) >= settingLen; b = b[settingLen:] {
		id, value := binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])
		switch id {
		case HeaderTableSize:
			enc.SetTableSize(value)
		case EnablePush:
			if value > 1 {
				return 0, &Error{ProtocolError, "ENABLE_PUSH is neither 0 nor 1"}
			}
			p.Push = value == 1
		case MaxConcurrentStreams:
			p.MaxStreams = value
		case InitialWindowSize:
			if value > MaxWindow {
				return 0, &Error{FlowControlError, "INITIAL_WINDOW_SIZE is too large"}
			}
			p.FirstWindow = int64(value)
		case MaxFrameSize:
			if value < MinMaxFrame || value > MaxMaxFrame {
				return 0, &Error{ProtocolError, "MAX_FRAME_SIZE is out of range"}
			}
			p.MaxFrame = int(min(value, MinMaxFrame))
		case EnableConnect:
			if value > 1 {
				return 0, &Error{ProtocolError, "ENABLE_CONNECT_PROTOCOL is neither 0 nor 1"}
			}
			p.Connect = value == 1
		}
	}
	return p.FirstWindow - was, nil
}
