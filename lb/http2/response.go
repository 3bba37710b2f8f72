package http2

import (
	"bytes"
	"iter"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/http1"
)

// Encoder writes the field blocks of one connection.
type Encoder struct {
	hp  *hpack.Encoder
	buf bytes.Buffer
}

// NewEncoder makes the encoder of a connection.
func NewEncoder() *Encoder {
	e := new(Encoder)
	e.hp = hpack.NewEncoder(&e.buf)
	e.hp.SetMaxDynamicTableSizeLimit(tableSize)
	return e
}

// SetTableSize takes the peer's SETTINGS_HEADER_TABLE_SIZE over.
func (e *Encoder) SetTableSize(n uint32) { e.hp.SetMaxDynamicTableSize(min(n, tableSize)) }

// Response is the field block of a response's head, without what belongs to
// HTTP/1 connections (section 8.2.2). It is valid until the next call.
func (e *Encoder) Response(h *http1.Head) []byte {
	e.buf.Reset()
	e.write(":status", strconv.Itoa(h.Status()))
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		name := lower(h.Name(i))
		switch name {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			continue
		}
		e.write(name, string(h.Value(i)))
	}
	return e.buf.Bytes()
}

// Trailers is the field block of a response's trailers, given as the lines of an
// HTTP/1.1 trailer section that was checked; nil when nothing is left of them
// without what may not stand there. It is valid until the next call.
func (e *Encoder) Trailers(lines []byte) []byte {
	e.buf.Reset()
	for name, value := range fieldLines(lines) {
		switch low := lower(name); low {
		case "host", "content-length", "transfer-encoding", "te", "trailer", "connection", "proxy-connection", "keep-alive", "upgrade":
		default:
			e.write(low, string(value))
		}
	}
	if e.buf.Len() == 0 {
		return nil
	}
	return e.buf.Bytes()
}

// fieldLines yields the fields of lines that were checked, up to an empty one.
func fieldLines(lines []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(lines) > 0 {
			var line []byte
			line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
			name, value, found := bytes.Cut(line, []byte(":"))
			if !found || !yield(name, bytes.Trim(value, " \t")) {
				return
			}
		}
	}
}

func (e *Encoder) write(name, value string) {
	_ = e.hp.WriteField(hpack.HeaderField{Name: name, Value: value}) // a bytes.Buffer takes all
}

func lower(name []byte) string { return string(bytes.ToLower(name)) }
