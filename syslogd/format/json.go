package format

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	syslog "gopkg.in/mcuadros/go-syslog.v2/format"

	"lbsyslogd/syslogd/message"
)

// jsonLines is one JSON object a line. The fields are go-syslog's, as far as it can be trusted: host, tag and pid are replaced by
// what our own scan found, because the library loses or invents them, and the text is the whole text.
type jsonLines struct {
	panics int
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
	if parts := f.decode(m, e); parts != nil {
		if t, ok := parts["timestamp"].(time.Time); ok && !t.IsZero() && m.Kind != message.NoStamp {
			r.Time = t.Format(time.RFC3339Nano)
		}
		if data, ok := parts["structured_data"].(string); ok && data != "-" {
			r.Data = data
		}
		if id, ok := parts["msg_id"].(string); ok && id != "-" {
			r.MsgID = id
		}
	}
	line, err := json.Marshal(r)
	if err != nil {
		// Strings and integers always marshal; this keeps the line should that ever change.
		return (raw{}).Append(dst, m, e)
	}
	dst = append(dst, line...)
	return append(dst, '\n')
}

// decode asks go-syslog for the fields of a message that our own scan could read, and returns nil when it has no answer. Some
// inputs make the library panic; what it must never do is take the daemon with it.
func (f *jsonLines) decode(m *message.Message, e *Envelope) (parts syslog.LogParts) {
	if len(m.Content) == 0 || m.Kind == message.NoStamp {
		return nil
	}
	defer func() {
		if recover() != nil {
			f.panics++
			parts = nil
		}
	}()
	var form syslog.Format = &syslog.RFC3164{}
	if m.RFC5424 {
		form = &syslog.RFC5424{}
	}
	parser := form.GetParser(e.Raw)
	parser.Location(e.Received.Location())
	if err := parser.Parse(); err != nil {
		return nil
	}
	return parser.Dump()
}

// text is b as a JSON string may hold it: bytes that are not UTF-8 are escaped as in every other format.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string(message.AppendEscaped(nil, b))
}
