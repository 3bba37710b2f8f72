package encode

import (
	"bytes"

	"lbsyslogd/syslogd/message"
)

// A sender is the JSON of what the message before had besides its time, its data and its text: most messages have the same.
type sender struct {
	of   message.Message // its views are valid until forget
	json []byte          // empty: there is none
}

// append appends what make appends for a message, which may look at its priority, host, tag, pid and msgid alone.
func (s *sender) append(dst []byte, m *message.Message, make func(dst []byte, m *message.Message) []byte) []byte {
	if !s.is(m) {
		s.of, s.json = *m, make(s.json[:0], m)
	}
	return append(dst, s.json...)
}

func (s *sender) is(m *message.Message) bool {
	return len(s.json) > 0 && s.of.Priority == m.Priority && bytes.Equal(s.of.Host, m.Host) && bytes.Equal(s.of.Tag, m.Tag) &&
		bytes.Equal(s.of.PID, m.PID) && bytes.Equal(s.of.MsgID, m.MsgID)
}

// forget is to be called before the bytes of the last message change.
func (s *sender) forget() { s.of, s.json = message.Message{}, s.json[:0] }
