package http2

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// Answer is a decoded field block of a server. Its bytes are valid until the
// AnswerDecoder's next call.
type Answer struct {
	Status   int
	Fields   []byte // as the lines of an HTTP/1.1 head, without framing but content-length
	Length   int64  // content-length, -1 when there is none
	TooLarge bool   // more than MaxFields: there are no fields
	Fault    string // what is malformed, "" when nothing is: there are no fields
}

// AnswerDecoder reads the field blocks of one connection to a server, all of
// them and in order.
type AnswerDecoder struct {
	hp       *hpack.Decoder
	status   int
	length   int64
	regular  bool
	trailers bool
	size     int
	fields   []byte
	fault    string
}

// NewAnswerDecoder makes the decoder of a connection.
func NewAnswerDecoder() *AnswerDecoder {
	d := new(AnswerDecoder)
	d.hp = hpack.NewDecoder(tableSize, d.field)
	d.hp.SetMaxStringLength(maxString)
	return d
}

// Answer reads the block that begins an answer, or an interim one.
func (d *AnswerDecoder) Answer(block []byte) (Answer, *Error) {
	if e := d.read(block, false); e != nil {
		return Answer{}, e
	}
	switch {
	case d.size > MaxFields:
		return Answer{Status: d.status, TooLarge: true}, nil
	case d.fault == "" && d.status == 0:
		d.fault = "the answer has no :status"
	}
	if d.fault != "" {
		return Answer{Fault: d.fault}, nil
	}
	return Answer{Status: d.status, Fields: d.fields, Length: d.length}, nil
}

// Trailers reads the block after a body; what it gives are lines of an HTTP/1.1
// trailer section.
func (d *AnswerDecoder) Trailers(block []byte) (lines []byte, fault string, e *Error) {
	if e := d.read(block, true); e != nil {
		return nil, "", e
	}
	if d.size > maxTrailers && d.fault == "" {
		d.fault = "the trailers are larger than 8 KiB"
	}
	return d.fields, d.fault, nil
}

// maxTrailers is what HTTP/1 trailers may have too (http1.Chunks).
const maxTrailers = 8000

func (d *AnswerDecoder) read(block []byte, trailers bool) *Error {
	d.status, d.length, d.regular, d.trailers, d.size, d.fields, d.fault = 0, -1, false, trailers, 0, d.fields[:0], ""
	d.hp.SetEmitEnabled(true)
	if _, err := d.hp.Write(block); err != nil {
		return &Error{CompressionError, "a field block that cannot be read"}
	}
	if err := d.hp.Close(); err != nil {
		return &Error{CompressionError, "a field block that is cut short"}
	}
	return nil
}

// field takes one field, as Decoder.field does.
func (d *AnswerDecoder) field(f hpack.HeaderField) {
	if d.size += int(f.Size()); d.size > MaxFields {
		d.hp.SetEmitEnabled(false) // as in Decoder.field
		return
	}
	if d.fault != "" {
		return
	}
	// Section 8.2.1 has white space around a value be malformed. Servers send it
	// (nginx does with add_header) and HTTP/1, which the client perhaps speaks,
	// knows nothing of it: it is no part of the value.
	f.Value = strings.Trim(f.Value, " \t")
	switch {
	case !cleanValue(f.Value) || strings.ContainsFunc(f.Value, control):
		d.fault = "forbidden character in a field value"
	case strings.HasPrefix(f.Name, ":"):
		d.pseudo(f)
	case !cleanName(f.Name):
		d.fault = "forbidden character in a field name"
	default:
		d.plain(f)
	}
}

// pseudo takes :status, the only one that an answer has (section 8.3.2).
func (d *AnswerDecoder) pseudo(f hpack.HeaderField) {
	n, err := strconv.ParseUint(f.Value, 10, 16)
	if f.Name != ":status" || d.trailers || d.regular || d.status != 0 || err != nil || len(f.Value) != 3 || n < 100 || n > 999 {
		d.fault = "a pseudo-header field in the wrong place, unknown, twice or malformed"
		return
	}
	d.status = int(n)
}

// control reports whether r is a control character, which HTTP/1 has in no value
// (RFC 9110 section 5.5).
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func (d *AnswerDecoder) plain(f hpack.HeaderField) {
	d.regular = true
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		d.fault = "a field that belongs to HTTP/1 connections"
		return
	case "content-length":
		if d.trailers {
			return
		}
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || d.length >= 0 && int64(n) != d.length || f.Value[0] == '+' {
			d.fault = "malformed content-length, or several that differ"
			return
		}
		if d.length >= 0 {
			return
		}
		d.length = int64(n)
	case "host", "te", "trailer":
		if d.trailers {
			return
		}
	}
	d.fields = appendField(d.fields, f.Name, f.Value)
}
