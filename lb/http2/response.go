package http2

import (
	"bytes"
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

func (e *Encoder) write(name, value string) {
	_ = e.hp.WriteField(hpack.HeaderField{Name: name, Value: value}) // a bytes.Buffer takes all
}

func lower(name []byte) string { return string(bytes.ToLower(name)) }
