package format

import (
	"bytes"
	"encoding/json"
	"time"
	"unicode/utf8"

	syslog "gopkg.in/mcuadros/go-syslog.v2/format"

	"lbsyslogd/syslogd/message"
)

// jsonLines is one JSON object a line. The fields that only RFC 5424 has are go-syslog's where it decodes the whole field; time, host, tag, pid and
// text are what our own scan found, because the library loses or invents them.
type jsonLines struct {
	line bytes.Buffer
}

// record has the fields in the order in which they are written.
type record struct {
	Time     string `json:"time"`
	Received string `json:"received"`
	Host     string `json:"host"`
	Peer     string `json:"peer,omitempty"`
	Facility string `json:"facility"`
	Severity string `json:"severity"`
	Tag      string `json:"tag,omitempty"`
	PID      string `json:"pid,omitempty"`
	MsgID    string `json:"msgid,omitempty"`
	Data     string `json:"structured_data,omitempty"`
	Text     string `json:"text"`
	Cut      int    `json:"cut_from_bytes,omitempty"`
}

func (f *jsonLines) Append(dst []byte, m *message.Message, e *Envelope) []byte {
	r := record{
		Received: e.Received.Format(time.RFC3339Nano), Host: string(appendHost(nil, m, e)), Peer: e.Peer,
		Facility: m.Facility().String(), Severity: m.Severity().String(),
		Tag: text(m.Tag), PID: text(m.PID), MsgID: text(m.MsgID), Data: text(m.Data), Text: text(m.Text),
		Time: string(appendTime(nil, m, e.Received)),
	}
	if e.Size > len(e.Raw) {
		r.Cut = e.Size
	}
	if parts := decode(m, e); parts != nil {
		// Structured data is taken only if the whole of it was decoded: the library ends it at the first "] ", wherever that stands.
		if data, ok := parts["structured_data"].(string); ok && data != "-" && len(data) == len(m.Data) {
			r.Data = text([]byte(data))
		}
		if id, ok := parts["msg_id"].(string); ok && id != "-" {
			r.MsgID = text([]byte(id))
		}
	}
	f.line.Reset()
	encoder := json.NewEncoder(&f.line)
	encoder.SetEscapeHTML(false) // log lines are full of & and <, and nobody shows them to a browser unescaped
	if err := encoder.Encode(r); err != nil {
		// Strings and integers always encode; this keeps the line should that ever change.
		return (raw{}).Append(dst, m, e)
	}
	return append(dst, f.line.Bytes()...)
}

// decode asks go-syslog for the fields of a message that our own scan could read, and returns nil when it has no answer. Some
// inputs make the library panic; what it must never do is take the daemon with it.
func decode(m *message.Message, e *Envelope) (parts syslog.LogParts) {
	if !m.RFC5424 {
		return nil // its RFC 3164 parser has nothing that our scan does not have
	}
	defer func() {
		if recover() != nil {
			parts = nil
		}
	}()
	parser := (&syslog.RFC5424{}).GetParser(e.Raw)
	parser.Location(e.Received.Location())
	if err := parser.Parse(); err != nil {
		return nil
	}
	return parser.Dump()
}

// text is b as a JSON string may hold it. JSON itself escapes C0; what it would let through to a terminal (DEL, C1) or cannot hold
// (bytes that are not UTF-8) is escaped as in every other format.
func text(b []byte) string {
	unfit := func(r rune) bool { return r >= 0x7f && r < 0xa0 }
	if utf8.Valid(b) && bytes.IndexFunc(b, unfit) < 0 {
		return string(b)
	}
	return string(message.AppendEscaped(nil, b))
}
