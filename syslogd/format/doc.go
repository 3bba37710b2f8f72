// Package format turns a message into the line that an output stores. Every format ends its line with exactly one newline and
// escapes what could make a second one.
package format

import (
	"fmt"
	"strings"
	"time"

	"lbsyslogd/syslogd/message"
)

// Envelope is what is known about a message besides its own words.
type Envelope struct {
	Received time.Time
	Peer     string // the sender's address, empty for this host's own
	Host     string // who a message without a host is from: the peer, or this host's name
	Raw      []byte // the message as received, valid during Append
	Size     int    // its full size, more than len(Raw) when it was cut
}

// A Format appends the line for m. It belongs to one goroutine.
type Format interface {
	Append(dst []byte, m *message.Message, e *Envelope) []byte
}

// New makes the format of this name: traditional, rfc5424, raw, json, or "template:" and the text of one. Each reader needs its own.
func New(name string) (Format, error) {
	if text, ok := strings.CutPrefix(name, TemplatePrefix); ok {
		return ParseTemplate(text)
	}
	switch name {
	case "", "traditional":
		return &traditional{}, nil
	case "rfc5424":
		return &rfc5424{}, nil
	case "raw":
		return raw{}, nil
	case "json":
		return &jsonLines{}, nil
	}
	return nil, fmt.Errorf("format %q is not known; traditional, rfc5424, raw and json are", name)
}

// appendText appends the text of a message as part of a line, and says so when the message was too large to come whole.
func appendText(dst, text []byte, e *Envelope) []byte {
	dst = message.AppendEscaped(dst, text)
	if e.Size > len(e.Raw) {
		dst = fmt.Appendf(dst, " [cut: %d of %d bytes]", len(e.Raw), e.Size)
	}
	return dst
}
