package format

import (
	"time"

	"lbsyslogd/syslogd/message"
)

// rfc5424 is the header of RFC 5424 section 6, whichever header the message came with. What the sender left out is "-".
type rfc5424 struct{}

const isoLayout = "2006-01-02T15:04:05.000000Z07:00"

// The longest fields that RFC 5424 section 6 allows. A peer may refuse a message with longer ones.
const (
	maxHost  = 255
	maxApp   = 48
	maxProc  = 128
	maxMsgID = 32
)

// Append implements Format. A strict receiver can read what it makes: fields that are too long are cut, and begin the text whole, and so does
// what stands in the place of structured data and is none.
func (f *rfc5424) Append(dst []byte, m *message.Message, e *Envelope) []byte {
	dst = message.AppendPriority(dst, m.Priority)
	dst = append(dst, '1', ' ')
	dst = appendTime(dst, m, e.Received)
	dst = append(dst, ' ')
	host := m.Host
	if len(host) > 0 {
		dst = appendName(dst, host, maxHost)
	} else {
		dst = appendName(dst, e.Host, maxHost)
	}
	for _, field := range [...]struct {
		value []byte
		most  int
	}{{m.Tag, maxApp}, {m.PID, maxProc}, {m.MsgID, maxMsgID}} {
		dst = append(dst, ' ')
		dst = appendName(dst, field.value, field.most)
	}
	dst = append(dst, ' ')
	odd := len(m.Data) > 0 && !strictData(m.Data)
	if len(m.Data) > 0 && !odd {
		dst = message.AppendEscaped(dst, m.Data)
	} else {
		dst = append(dst, '-')
	}
	for _, field := range [...]struct {
		value []byte
		cut   bool
	}{{host, len(host) > maxHost}, {m.Tag, len(m.Tag) > maxApp}, {m.PID, len(m.PID) > maxProc}, {m.MsgID, len(m.MsgID) > maxMsgID}, {m.Data, odd}} {
		if field.cut {
			dst = append(dst, ' ')
			dst = message.AppendEscaped(dst, field.value)
		}
	}
	if len(m.Text) > 0 || e.Size > len(e.Raw) {
		dst = append(dst, ' ')
		dst = appendText(dst, m.Text, e)
	}
	return append(dst, '\n')
}

// appendName appends a header field, which is printable ASCII without a space and of a limited length; other bytes become "_".
func appendName[T string | []byte](dst []byte, field T, most int) []byte {
	if len(field) == 0 {
		return append(dst, '-')
	}
	for i := range min(len(field), most) {
		c := field[i]
		if c <= ' ' || c >= 0x7f {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

// strictData says whether data, as it will be escaped, is structured data by the grammar of RFC 5424 section 6.3.
func strictData(data []byte) bool {
	for len(data) > 0 {
		if data[0] != '[' {
			return false
		}
		n := nameLen(data[1:])
		data = data[1+n:]
		for n > 0 && len(data) > 0 && data[0] == ' ' {
			k := nameLen(data[1:])
			rest := data[1+k:]
			if k == 0 || len(rest) < 2 || rest[0] != '=' || rest[1] != '"' {
				return false
			}
			end := valueLen(rest[2:])
			if end < 0 {
				return false
			}
			data = rest[2+end+1:]
		}
		if n == 0 || len(data) == 0 || data[0] != ']' {
			return false
		}
		data = data[1:]
	}
	return true
}

// nameLen is the length of an SD-NAME, 0 when there is none.
func nameLen(b []byte) int {
	i := 0
	for i < len(b) && b[i] > ' ' && b[i] < 0x7f && b[i] != '=' && b[i] != ']' && b[i] != '"' {
		i++
	}
	if i > 32 {
		return 0
	}
	return i
}

// valueLen is where the quote is that ends a PARAM-VALUE, -1 when it is not one.
func valueLen(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i
		case ']':
			return -1
		case '\\':
			if i++; i == len(b) || b[i] != '"' && b[i] != '\\' && b[i] != ']' {
				return -1
			}
		}
	}
	return -1
}

// appendTime appends the message's time with a year and a zone. What it lacks is completed from the receive time.
func appendTime(dst []byte, m *message.Message, received time.Time) []byte {
	t, _ := m.Time(received)
	return t.In(received.Location()).AppendFormat(dst, isoLayout)
}
