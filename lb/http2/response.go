package http2

import (
	"bytes"
	"iter"
	"strconv"

	"lbsyslogd/lb/http1"
)

// Encoder writes the field blocks of one connection.
type Encoder struct{ w writer }

// NewEncoder makes the encoder of a connection.
func NewEncoder() *Encoder {
	e := new(Encoder)
	e.w.init()
	return e
}

// SetTableSize takes the peer's SETTINGS_HEADER_TABLE_SIZE over.
func (e *Encoder) SetTableSize(n uint32) { e.w.resize(min(n, tableSize)) }

// Response is the field block of a response's head, without what belongs to
// HTTP/1 connections (section 8.2.2). A 101 is a 200, which opens the tunnel that
// was asked for (RFC 8441 section 5). It is valid until the next call.
func (e *Encoder) Response(h *http1.Head) []byte {
	w := &e.w
	w.begin()
	code, opens := h.Status(), h.Status() == 101
	if opens {
		code = 200
	}
	var status [3]byte
	w.field([]byte(":status"), strconv.AppendInt(status[:0], int64(code), 10))
	for i := range h.Len() {
		if h.Deleted(i) {
			continue
		}
		switch string(w.lower(h.Name(i))) {
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			continue
		case "sec-websocket-accept":
			if opens { // it answers a key that the client did not send
				continue
			}
		}
		w.lowered(h.Value(i), false)
	}
	return w.buf
}

// Trailers is the field block of a response's trailers, given as the lines of an
// HTTP/1.1 trailer section that was checked; nil when nothing is left of them
// without what may not stand there. It is valid until the next call.
func (e *Encoder) Trailers(lines []byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	w := &e.w
	w.begin()
	for name, value := range fieldLines(lines) {
		switch string(w.lower(name)) {
		case "host", "content-length", "transfer-encoding", "te", "trailer", "connection", "proxy-connection", "keep-alive", "upgrade":
		default:
			w.lowered(value, false)
		}
	}
	if len(w.buf) == 0 {
		return nil
	}
	return w.buf
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
