package message

import "bytes"

// StampKind says in which form a message carried its time.
type StampKind uint8

const (
	// NoStamp: the message has no time, or one that cannot be read; only the receive time is known.
	NoStamp StampKind = iota
	// BSDStamp: "Nov 21 03:04:05", fifteen bytes, no year and no zone.
	BSDStamp
	// ISOStamp: RFC 3339, with a zone and perhaps a fraction.
	ISOStamp
	// LocalStamp: the same without a zone, so that it means that of the receiver. RFC 5424 does not allow it.
	LocalStamp
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
// refuses what it does not understand loses just the lines that would have told why. A trailing newline, carriage return or
// NUL belongs to the transport and is cut.
func (m *Message) Parse(b []byte) {
	*m = Message{Priority: DefaultPriority}
	b = TrimTrailer(b)
	rest, ok := m.priority(b)
	if ok && len(rest) > 1 && rest[0] == '1' && rest[1] == ' ' && m.parse5424(rest[2:]) {
		return
	}
	m.parse3164(rest)
}

// TrimTrailer cuts the newline, carriage return or NUL bytes that senders leave behind the text.
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

// parse3164 reads "[SEQ: ][STAMP ][HOST ]TAG[PID]: text", each part of which real senders leave out.
func (m *Message) parse3164(b []byte) {
	b = m.stamp(b)
	if m.Kind != NoStamp {
		// With a time in front, the first word is the host unless it reads as a tag: that is how HAProxy's host-less
		// lines and those of local programs are told apart from a relay's.
		if word, after := cutWord(b); len(word) > 0 && len(after) > 0 && !looksLikeTag(word) {
			m.Host, b = word, after
		}
	}
	m.Content = b
	m.Tag, m.PID, m.Text = cutTag(b)
}

// stamp takes the time from the front of b, and the sequence number and clock marks that Cisco's devices put around it.
func (m *Message) stamp(b []byte) []byte {
	s := skipSequence(b)
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') {
		s = s[1:] // the device's clock is not set, or not in step
	}
	if n := bsdStamp(s); n > 0 {
		rest, ok := afterStamp(s[n:])
		if !ok {
			return b
		}
		m.Kind, m.Stamp = BSDStamp, s[:n]
		return rest
	}
	if word, after := cutWord(s); isoStamp(word) {
		m.Kind, m.Stamp = ISOStamp, word
		return after
	} else if localStamp(word) {
		m.Kind, m.Stamp = LocalStamp, word
		return after
	}
	return b
}

// skipSequence cuts "000123: " as Cisco's service sequence-numbers writes it.
func skipSequence(b []byte) []byte {
	i := 0
	for i < len(b) && i < 12 && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i > 0 && i+1 < len(b) && b[i] == ':' && b[i+1] == ' ' {
		return b[i+2:]
	}
	return b
}

// afterStamp takes what may follow a BSD time: a fraction, a zone name with a colon, a colon; then one space or the end.
func afterStamp(b []byte) (rest []byte, ok bool) {
	if len(b) > 1 && b[0] == '.' && isDigit(b[1]) {
		i := 1
		for i < len(b) && isDigit(b[i]) {
			i++
		}
		b = b[i:]
	}
	if len(b) > 4 && b[0] == ' ' {
		i := 1
		for i < len(b) && i < 6 && b[i] >= 'A' && b[i] <= 'Z' {
			i++
		}
		if i > 2 && i+1 < len(b) && b[i] == ':' && b[i+1] == ' ' {
			b = b[i:]
		}
	}
	if len(b) > 0 && b[0] == ':' {
		b = b[1:]
	}
	if len(b) == 0 {
		return b, true
	}
	if b[0] != ' ' {
		return nil, false
	}
	return b[1:], true
}

// looksLikeTag tells "haproxy[42]:", "haproxy:" and "%SYS-5-CONFIG_I:" from a host name or an address.
func looksLikeTag(word []byte) bool {
	last := word[len(word)-1]
	if last == ':' {
		// "2001:db8::" ends with a colon too, but no tag has two of them.
		return bytes.IndexByte(word, ':') == len(word)-1 || bytes.IndexByte(word, '[') > 0
	}
	return last == ']' && word[0] != '['
}

// cutTag takes "TAG[PID]: " or "TAG: " from the front. Without the colon or the bracket the first word is only a word.
func cutTag(b []byte) (tag, pid, text []byte) {
	i := 0
	for i < len(b) && i <= maxTag && b[i] > ' ' && b[i] != ':' && b[i] != '[' && b[i] < 0x7f {
		i++
	}
	if i == 0 || i > maxTag || i == len(b) {
		return nil, nil, b
	}
	tag, rest := b[:i], b[i:]
	if rest[0] == '[' {
		end := bytes.IndexByte(rest[:min(len(rest), maxPID+2)], ']')
		if end < 0 {
			return nil, nil, b
		}
		pid, rest = rest[1:end], rest[end+1:]
		if len(rest) > 0 && rest[0] == ':' {
			rest = rest[1:]
		}
	} else if rest[0] == ':' {
		rest = rest[1:]
	} else {
		return nil, nil, b
	}
	switch {
	case len(rest) == 0:
	case rest[0] == ' ':
		rest = rest[1:]
	case pid == nil:
		return nil, nil, b // "a:b" is not a tag
	}
	return tag, pid, rest
}

// parse5424 reads what follows "<PRI>1 " by RFC 5424 section 6. A header that breaks off or has a broken time or broken
// structured data is refused whole, and the message is read as RFC 3164 instead.
func (m *Message) parse5424(b []byte) bool {
	var field [5][]byte // TIMESTAMP HOSTNAME APP-NAME PROCID MSGID
	for i := range field {
		word, rest := cutWord(b)
		if len(word) == 0 || len(rest) == 0 {
			return false
		}
		field[i], b = word, rest
	}
	if !isNil(field[0]) && !isoStamp(field[0]) {
		return false
	}
	n := structuredData(b)
	if n == 0 {
		return false
	}
	data, text := b[:n], b[n:]
	if len(text) > 0 {
		if text[0] != ' ' {
			return false
		}
		text = text[1:]
	}
	m.RFC5424 = true
	m.Stamp = notNil(field[0])
	if len(m.Stamp) > 0 {
		m.Kind = ISOStamp
	}
	m.Host, m.Tag, m.PID, m.MsgID = notNil(field[1]), notNil(field[2]), notNil(field[3]), notNil(field[4])
	m.Data = notNil(data)
	m.Text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	m.Content = m.Text
	return true
}

// structuredData is the length of "-" or of "[id name="value"...][...]" at the front of b, 0 when it is neither.
func structuredData(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if b[0] == '-' {
		return 1
	}
	i := 0
	for i < len(b) && b[i] == '[' {
		quoted := false
		for i++; i < len(b); i++ {
			if c := b[i]; c == '\\' && quoted {
				i++ // section 6.3.3: ", \ and ] are escaped inside a value
			} else if c == '"' {
				quoted = !quoted
			} else if c == ']' && !quoted {
				break
			}
		}
		if i >= len(b) {
			return 0
		}
		i++
	}
	return i
}

// cutWord is what stands before the first space, and what stands after it. Without a space, all of b is the word.
func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

func isNil(b []byte) bool { return len(b) == 1 && b[0] == '-' }

func notNil(b []byte) []byte {
	if isNil(b) {
		return nil
	}
	return b
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
