package http2

import (
	"encoding/binary"
	"fmt"
)

// Preface is what a client sends first (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// HeaderLen is the length of a frame's header (section 4.1).
const HeaderLen = 9

// MinMaxFrame is the largest payload that everyone must take, and the largest
// that we take (section 4.2).
const MinMaxFrame = 16 << 10

// WorthUpdate is from how many bytes on a WINDOW_UPDATE is worth its frame.
const WorthUpdate = 1 << 10

// MaxMaxFrame is the largest SETTINGS_MAX_FRAME_SIZE.
const MaxMaxFrame = 1<<24 - 1

// MaxWindow is the largest flow-control window (section 6.9.1).
const MaxWindow = 1<<31 - 1

// LastStream is the highest number that a stream can have (section 5.1.1).
const LastStream = 1<<31 - 1

// DefaultWindow is what a window holds before anybody has said otherwise.
const DefaultWindow = 1<<16 - 1

// Type is a frame's type (section 6).
type Type uint8

// Frame types.
const (
	Data Type = iota
	Headers
	Priority
	RSTStream
	SettingsFrame
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Flags of a frame; what a bit means depends on the type.
type Flags uint8

// Flags.
const (
	EndStream  Flags = 0x1 // Data, Headers
	Ack        Flags = 0x1 // Settings, Ping
	EndHeaders Flags = 0x4 // Headers, Continuation
	Padded     Flags = 0x8 // Data, Headers
	HasPrio    Flags = 0x20
)

// Header is a frame's header.
type Header struct {
	Length int
	Type   Type
	Flags  Flags
	Stream uint32
}

// ParseHeader reads a frame header from the start of b, which has at least
// HeaderLen bytes.
func ParseHeader(b []byte) Header {
	return Header{
		Length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]),
		Type:   Type(b[3]), Flags: Flags(b[4]),
		Stream: binary.BigEndian.Uint32(b[5:]) & LastStream,
	}
}

// AppendHeader writes a frame header.
func AppendHeader(dst []byte, h Header) []byte {
	dst = append(dst, byte(h.Length>>16), byte(h.Length>>8), byte(h.Length), byte(h.Type), byte(h.Flags))
	return binary.BigEndian.AppendUint32(dst, h.Stream)
}

// Code is why a stream or a connection ended (section 7).
type Code uint32

// Codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
)

// codeNames are those of section 7.
var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM",
	"CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// Error ends the whole connection.
type Error struct {
	Code Code
	Text string // for the peer's GOAWAY
}

func (e *Error) Error() string { return fmt.Sprintf("HTTP/2: %s (code %d)", e.Text, e.Code) }

// Setting is one parameter of a SETTINGS frame (section 6.5.2).
type Setting struct {
	ID    uint16
	Value uint32
}

// Identifiers of settings.
const (
	HeaderTableSize      uint16 = 1
	EnablePush           uint16 = 2
	MaxConcurrentStreams uint16 = 3
	InitialWindowSize    uint16 = 4
	MaxFrameSize         uint16 = 5
	MaxHeaderListSize    uint16 = 6
	EnableConnect        uint16 = 8 // RFC 8441
)

const settingLen = 6

// AppendSettings writes a SETTINGS frame.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = AppendHeader(dst, Header{Length: settingLen * len(settings), Type: SettingsFrame})
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, s.ID)
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// AppendSettingsAck acknowledges a SETTINGS frame.
func AppendSettingsAck(dst []byte) []byte {
	return AppendHeader(dst, Header{Type: SettingsFrame, Flags: Ack})
}

// AppendPing writes a PING, or the answer to one.
func AppendPing(dst []byte, flags Flags, data [8]byte) []byte {
	dst = AppendHeader(dst, Header{Length: len(data), Type: Ping, Flags: flags})
	return append(dst, data[:]...)
}

// AppendWindowUpdate writes a WINDOW_UPDATE.
func AppendWindowUpdate(dst []byte, stream uint32, n int) []byte {
	dst = AppendHeader(dst, Header{Length: 4, Type: WindowUpdate, Stream: stream})
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// AppendRST writes a RST_STREAM.
func AppendRST(dst []byte, stream uint32, code Code) []byte {
	dst = AppendHeader(dst, Header{Length: 4, Type: RSTStream, Stream: stream})
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

// AppendGoAway writes a GOAWAY: streams above last were not and will not be
// looked at.
func AppendGoAway(dst []byte, last uint32, code Code, text string) []byte {
	dst = AppendHeader(dst, Header{Length: 8 + len(text), Type: GoAway})
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, text...)
}

// AppendBlock writes a field block as HEADERS and as many CONTINUATION as it
// takes.
func AppendBlock(dst []byte, stream uint32, flags Flags, block []byte, maxFrame int) []byte {
	kind := Headers
	for {
		n := min(len(block), maxFrame)
		f := flags
		if n == len(block) {
			f |= EndHeaders
		}
		dst = AppendHeader(dst, Header{Length: n, Type: kind, Flags: f, Stream: stream})
		dst = append(dst, block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return dst
		}
		kind, flags = Continuation, 0
	}
}

// AppendEnd says that a stream's message is complete: with its trailers, if block
// has some; in the stream's last DATA frame, if that begins at dst[at]; or in one
// of its own, if at is less than 0.
func AppendEnd(dst []byte, stream uint32, at int64, block []byte, maxFrame int) []byte {
	switch {
	case block != nil:
		return AppendBlock(dst, stream, EndStream, block, maxFrame)
	case at >= 0:
		dst[at+4] |= byte(EndStream)
		return dst
	}
	return AppendHeader(dst, Header{Type: Data, Flags: EndStream, Stream: stream})
}
