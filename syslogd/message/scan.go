package message

import "bytes"

// StampKind says in which form a message carried its time.
type StampKind uint8

const (
	// NoStamp: the message has no time, or one that cannot be read; only the receive time is known.
	NoStamp StampKind = iota
	// BSDStamp: "Nov 21 03:04:05", fifteen bytes, no year and no zone.
	BSDStamp
	// ISOStamp: RFC 3339 or nearly so, with a zone and perhaps a fraction.
	ISOStamp
	// LocalStamp: the same without a zone, so that it means that of the receiver. RFC 5424 does not allow it.
	LocalStamp
	// LooseStamp: the parts of a BSD time in another order or form, perhaps with a year: "2026 Nov 21 3:04:05", "nov 1 03:04:05.123 2026".
	LooseStamp
)

// Message is one received message taken apart. Every slice is a view of the bytes given to Parse and is valid as long as they
// are; an absent part is empty. The zero value is ready for Parse, and one Message may be used again and again.
type Message struct {
	Priority int       // 0 to 191; DefaultPriority when the sender gave none
	Kind     StampKind // form of Stamp
	Stamp    []byte    // the time as sent
	Host     []byte    // empty in HAProxy's default form and from local senders
	Tag      []byte    // program name (RFC 5424: APP-NAME)
	PID      []byte    // what stands in the brackets (RFC 5424: PROCID)
	MsgID    []byte    // RFC 5424 only
	Data     []byte    // RFC 5424 structured data with its brackets
	Text     []byte    // what comes after the tag
	Content  []byte    // tag, pid and text as sent (RFC 5424: the same as Text)
	RFC5424  bool      // which of the two headers it had
}

// Facility is the upper part of the priority.
func (m *Message) Facility() Facility { return Facility(m.Priority / Severities) }

// Severity is the lower part of the priority.
func (m *Message) Severity() Severity { return Severity(m.Priority % Severities) }

const (
	maxTag = 64 // longer than any program name seen in the wild, shorter than a sentence without spaces
	maxPID = 32
)

// Parse finds the parts of a message. It cannot fail: whatever does not read as a header is text, because a log daemon that
// refuses what it does not understand loses just the lines that would have explained why. A trailing newline, carriage return or
// NUL belongs to the transport and is cut. docs/syslogd.md has a table of what is decided here.
func (m *Message) Parse(b []byte) {
	*m = Message{} // in two steps: a Message that is not empty would be made elsewhere and copied
	m.Priority = DefaultPriority
	b = cutBOM(TrimTrailer(b))
	rest, ok := m.priority(b)
	if !ok && len(b) > 0 && isSpace(b[0]) {
		if rest, ok = m.priority(bytes.TrimLeft(b, " \t\r\n")); !ok {
			rest = b
		}
	}
	if ok && len(rest) > 2 && rest[0] == ' ' && rest[1] == '1' && rest[2] == ' ' && m.parse5424(skipBlanks(rest[3:])) {
		return
	}
	if ok && len(rest) > 1 && rest[0] == '1' && rest[1] == ' ' {
		header := skipBlanks(rest[2:])
		if m.parse5424(header) {
			return
		}
		if after := m.opening(header); m.Kind != NoStamp { // a version, and then a header without one
			m.closing(m.host(after))
			return
		}
	}
	rest = cutBOM(rest)
	after := m.usualTime(rest)
	if after == nil {
		if len(rest) > 0 && isLetter(rest[0]) {
			n, ok := m.plainTag(rest)
			switch {
			case ok && m.PID != nil:
				return // "sshd[3086]: ": neither a time nor a host may follow a pid
			case !ok && n > 0 && rest[n] == ' ' && rest[n+1] != ':' && !mayBeDate(rest) && !mayBeNode(rest) && !mayBeNode(rest[n+1:]) && severityAt(rest) == 0:
				m.Content, m.Text = rest, rest // nearly all texts
				return
			}
			m.Tag, m.Content, m.Text = nil, nil, nil
		}
		after = m.oddTime(rest)
	}
	switch {
	case len(m.Host) > 0:
	case m.Kind != NoStamp:
		after = cutBOM(after)
		if past := m.usualHost(after); past != nil {
			after = past
		} else {
			after = m.oddHost(after)
		}
	case len(after) > 0 && after[0] <= 'f': // nearly all messages without a time begin with a small letter
		after = m.address(after)
	}
	m.closing(after)
}

// TrimTrailer cuts the newline, carriage return or NUL bytes that senders put after the text.
func TrimTrailer(b []byte) []byte {
	for len(b) > 0 {
		switch b[len(b)-1] {
		case '\n', '\r', 0:
			b = b[:len(b)-1]
			continue
		}
		break
	}
	return b
}

// cutBOM cuts the byte order mark that some senders put before UTF-8.
func cutBOM(b []byte) []byte {
	if len(b) > 2 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf {
		return b[3:]
	}
	return b
}

// priority reads "<0>" to "<191>". Anything else, "<192>" or "<0134>" too, leaves the bytes to the text.
func (m *Message) priority(b []byte) (rest []byte, ok bool) {
	if len(b) < 3 || b[0] != '<' {
		return b, false
	}
	n := 0
	for i := 1; i < len(b) && i < 5; i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			n = n*10 + int(c-'0')
		case c == '>' && i > 1 && n < Facilities*Severities && (b[1] != '0' || i == 2):
			m.Priority = n
			return b[i+1:], true
		default:
			return b, false
		}
	}
	return b, false
}

// cutWord is what stands before the first blank, and what stands after it. Without a blank, all of b is the word.
func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// cutBlanks is cutWord for senders that put several blanks, or a tab, between two words.
func cutBlanks(b []byte) (word, rest []byte) {
	for i, c := range b {
		if c == ' ' || c == '\t' {
			return b[:i], skipBlanks(b[i+1:])
		}
	}
	return b, nil
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isDigit(c byte) bool { return c-'0' < 10 }

func isLetter(c byte) bool { return c|0x20-'a' < 26 }

func isUpper(c byte) bool { return c-'A' < 26 }

// digits is how many digits b begins with.
func digits(b []byte) int {
	i := 0
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i
}
