package format

import (
	"lbsyslogd/syslogd/message"
)

// traditional is "Mmm dd hh:mm:ss HOST TAG[PID]: text", what /var/log has looked like since BSD and what halog reads. The text
// is the sender's, byte by byte, but for what is escaped. Of RFC 5424 it has neither the message id nor the structured data, unless there is
// no text.
type traditional struct {
	received, stamped message.Stamper
}

func (f *traditional) Append(dst []byte, m *message.Message, e *Envelope) []byte {
	dst = m.AppendStamp(dst, &f.received, &f.stamped, e.Received)
	dst = append(dst, ' ')
	dst = appendHost(dst, m, e)
	if m.RFC5424 && len(m.Tag) > 0 {
		dst = append(dst, ' ')
		dst = message.AppendEscaped(dst, m.Tag)
		if len(m.PID) > 0 {
			dst = append(dst, '[')
			dst = message.AppendEscaped(dst, m.PID)
			dst = append(dst, ']')
		}
		dst = append(dst, ':')
	}
	dst = append(dst, ' ')
	if len(m.Content) == 0 {
		dst = message.AppendEscaped(dst, m.Data) // some say everything there
	}
	dst = appendText(dst, m.Content, e)
	return append(dst, '\n')
}

// appendHost appends the host that the message claims to be from, or else the one it came from.
func appendHost(dst []byte, m *message.Message, e *Envelope) []byte {
	if len(m.Host) > 0 {
		return message.AppendEscaped(dst, m.Host)
	}
	return append(dst, e.Host...)
}

// raw is the message as it came, header and all, on one line.
type raw struct{}

func (raw) Append(dst []byte, _ *message.Message, e *Envelope) []byte {
	dst = appendText(dst, message.TrimTrailer(e.Raw), e)
	return append(dst, '\n')
}
