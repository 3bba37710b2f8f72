package format

import (
	"strconv"
	"time"

	"lbsyslogd/syslogd/message"
)

// rfc5424 is the header of RFC 5424 section 6, whichever header the message came with. What the sender left out is "-".
type rfc5424 struct{}

const isoLayout = "2006-01-02T15:04:05.000000Z07:00"

func (f *rfc5424) Append(dst []byte, m *message.Message, e *Envelope) []byte {
	dst = message.AppendPriority(dst, m.Priority)
	dst = append(dst, '1', ' ')
	dst = appendTime(dst, m, e.Received)
	dst = append(dst, ' ')
	dst = appendHost(dst, m, e)
	for _, field := range [][]byte{m.Tag, m.PID, m.MsgID} {
		dst = append(dst, ' ')
		dst = appendField(dst, field)
	}
	dst = append(dst, ' ')
	if len(m.Data) > 0 {
		dst = message.AppendEscaped(dst, m.Data)
	} else {
		dst = append(dst, '-')
	}
	if len(m.Text) > 0 {
		dst = append(dst, ' ')
		dst = appendText(dst, m.Text, e)
	}
	return append(dst, '\n')
}

// appendField appends a header field, which is printable ASCII without a space; other bytes become "_".
func appendField(dst, field []byte) []byte {
	if len(field) == 0 {
		return append(dst, '-')
	}
	for _, c := range field {
		if c <= ' ' || c >= 0x7f {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendTime appends the message's time with a year and a zone, which a BSD time lacks: they are the ones of the receive time,
// or last year's when that would put the message more than a month into the future, as in January with December's messages.
func appendTime(dst []byte, m *message.Message, received time.Time) []byte {
	switch m.Kind {
	case message.LocalStamp:
		if t, ok := message.ParseLocal(m.Stamp, received.Location()); ok {
			return t.AppendFormat(dst, isoLayout)
		}
	case message.ISOStamp:
		if t, ok := message.ParseISO(m.Stamp); ok {
			return t.In(received.Location()).AppendFormat(dst, isoLayout)
		}
	case message.BSDStamp:
		t, err := time.ParseInLocation("2006 Jan _2 15:04:05", strconv.Itoa(received.Year())+" "+string(m.Stamp), received.Location())
		if err == nil {
			if t.After(received.AddDate(0, 1, 0)) {
				t = t.AddDate(-1, 0, 0)
			}
			return t.AppendFormat(dst, isoLayout)
		}
	}
	return received.AppendFormat(dst, isoLayout)
}
