package message

import "bytes"

// tagFollows says whether b begins with a tag, perhaps after a severity, HP's number of an event or UniFi's name of the device.
func tagFollows(b []byte) bool {
	if n := eventNumber(b); n > 0 {
		return tagIsNext(b[n:])
	}
	word, after := cutBlanks(b)
	if len(word) == 0 {
		return false
	}
	if word[0] == ':' && len(word) == 1 {
		return true
	}
	if looksLikeTag(word) {
		// "Failed password: ..." is a text.
		return word[len(word)-1] != ':' || !isTextWord(word[:len(word)-1]) || string(word) == "kernel:"
	}
	if next, _ := cutBlanks(after); len(next) > 0 && isSeverity(word) {
		return looksLikeTag(next)
	}
	return false
}

// tagIsNext says whether the first word of b looks like a tag.
func tagIsNext(b []byte) bool {
	word, _ := cutBlanks(b)
	return len(word) > 0 && looksLikeTag(word)
}

// pairFollows says whether b begins with name="value", as the texts of firewalls do.
func pairFollows(b []byte) bool {
	word, _ := cutBlanks(b)
	i := bytes.IndexByte(word, '=')
	return i > 0 && i+1 < len(word) && word[i+1] == '"'
}

// looksLikeTag tells "haproxy[42]:", "haproxy:", "%SYS-5-CONFIG_I:" and "CEF:0|..." from a host name or an address.
func looksLikeTag(word []byte) bool {
	last := word[len(word)-1]
	switch {
	case last == ':':
		// "2001:db8::" ends with a colon too, but no tag has two of them.
		return bytes.IndexByte(word, ':') == len(word)-1 || bytes.IndexByte(word, '[') > 0
	case last == ']' && word[0] != '[':
		return true
	case word[0] == '%' || word[0] == 'C' || word[0] == 'L':
		return gluedTag(word) > 0
	}
	return false
}

// gluedTag is the length of a tag whose colon needs no blank after it: Cisco's and Huawei's mnemonics with a percent sign, and the names
// of two formats of security events.
func gluedTag(b []byte) int {
	for _, name := range [...]string{"CEF", "LEEF"} {
		if n := len(name); len(b) > n && string(b[:n]) == name && b[n] == ':' {
			return n
		}
	}
	if len(b) < 2 || b[0] != '%' || b[1] != '%' && !isLetter(b[1]) {
		return 0
	}
	return max(0, bytes.IndexByte(b[:min(len(b), maxTag+maxPID)], ':'))
}

// plainTag takes what nearly all tags are, "haproxy[42]: " and "sshd: ", and all of b. It says whether it did, and how long the name is or the word
// that is none.
func (m *Message) plainTag(b []byte) (i int, ok bool) {
	seen := uint8(0)
	for _, c := range b[:min(len(b), maxTag+1)] {
		class := classes[c] &^ otherClass
		if class == 0 {
			break
		}
		seen |= class
		i++
	}
	if i > maxTag || i+2 >= len(b) || seen&(smallClass|upperClass) == 0 {
		return 0, false
	}
	text := b[i+1:]
	switch b[i] {
	case ':':
		if text[0] != ' ' {
			return i, false
		}
		m.PID, text = nil, text[1:]
	case '[':
		n := digits(text)
		if n == 0 || n > maxPID || n+2 >= len(text) || text[n] != ']' || text[n+1] != ':' || text[n+2] != ' ' {
			return i, false
		}
		m.PID, text = text[:n], text[n+3:]
	default:
		return i, false
	}
	m.Tag, m.Content, m.Text = b[:i], b, cutBOM(text)
	return i, true
}

// closing takes the tag and the pid. What some devices put before them stays in the content: a colon alone, a severity, a second header.
func (m *Message) closing(b []byte) {
	if len(b) > 1 && b[0] == '%' && isLetter(b[1]) { // Cisco's mnemonics
		if m.Tag, m.PID, m.Text = cutTag(b); m.Tag != nil {
			m.Content, m.Text = b, cutBOM(m.Text)
			return
		}
	} else if n, ok := m.plainTag(b); ok {
		return
	} else if n > 0 && b[n] == ' ' && isLetter(b[0]) && severityAt(b) == 0 && !mayBeNode(b) &&
		(n != len(m.Host) || !bytes.Equal(b[:n], m.Host)) && (n != 3 && !isDigit(b[n+1]) && b[n+1] != ' ' || !mayBeDate(b)) { // nearly all texts without a tag
		m.Content, m.Text = b, b
		return
	}
	b = cutBOM(b)
	if len(b) > 1 && b[0] == ':' && (b[1] == ' ' || b[1] == '%') {
		b = skipBlanks(b[1:])
	}
	m.Content = b
	m.Tag, m.PID, m.Text = cutTag(b)
	switch {
	case m.Tag == nil && len(b) > 0:
		switch {
		case isDigit(b[0]) || b[0] == '*' || b[0] == '.':
			// A relay's header before a Cisco's: "192.0.2.1 29: *Nov 21 ...: %SYS-5-CONFIG_I: ..."
			var second Message
			s := second.opening(b)
			if after := second.node(s); after != nil {
				m.Tag, m.PID, m.Text = cutTag(after)
			} else if len(s) > 0 && s[0] == '%' && len(s) < len(b) {
				m.Tag, m.PID, m.Text = cutTag(s)
			} else if n := eventNumber(b); n > 0 {
				m.Tag, m.PID, m.Text = cutTag(b[n:])
			} else if m.again(b) {
				m.Tag, m.PID, m.Text = m.afterHost(b)
			}
		case b[0] == ' ': // "<14> GS_LOG: ..."
			if tag, pid, text := cutTag(skipBlanks(b)); tag != nil {
				m.Tag, m.PID, m.Text, m.Content = tag, pid, text, skipBlanks(b)
			}
		case isLetter(b[0]):
			if n := severityAt(b); n > 0 {
				m.Tag, m.PID, m.Text = cutTag(skipBlanks(b[n:]))
			} else if mayBeNode(b) {
				var second Message
				if s := second.node(b); s != nil {
					m.Tag, m.PID, m.Text = cutTag(s)
				}
			} else if mayBeDate(b) {
				m.Tag, m.PID, m.Text = afterTime(b)
			} else if m.again(b) {
				m.Tag, m.PID, m.Text = m.afterHost(b)
			}
		case b[0] == '%' && len(b) > 1 && b[1] == '$':
			// NX-OS: "%$ VDC-1 %$ %ETHPORT-5-IF_UP: ..."
			if i := bytes.Index(b[2:min(len(b), maxTag)], []byte("%$ ")); i > 0 {
				m.Tag, m.PID, m.Text = cutTag(skipBlanks(b[i+5:]))
			}
		}
	case len(m.Tag) > 1 && m.Tag[0] == '*':
		var second Message
		if s := second.task(b); s != nil {
			m.Tag, m.PID, m.Text = cutTag(s)
		}
	case len(m.Tag) > 13 && isDevice(m.Tag):
		if tag, pid, text := cutTag(bytes.TrimPrefix(m.Text, []byte(": "))); tag != nil {
			m.Tag, m.PID, m.Text = tag, pid, text
		}
	}
	if m.Tag == nil {
		m.PID, m.Text = nil, b
	}
	m.Text = cutBOM(m.Text)
}

// again says whether b begins with the host once more (UniFi's gateways), or with the host's address (Infoblox).
func (m *Message) again(b []byte) bool {
	if len(m.Host) == 0 || len(b) == 0 {
		return false
	}
	if n := len(m.Host); len(b) > n && b[n] == ' ' && b[0] == m.Host[0] && bytes.Equal(b[:n], m.Host) {
		return true
	}
	if !isDigit(b[0]) {
		return false
	}
	word, _ := cutBlanks(b)
	return isIPv4(word)
}

// afterHost is the tag after a second host.
func (m *Message) afterHost(b []byte) (tag, pid, text []byte) {
	_, after := cutBlanks(b)
	if !tagIsNext(after) {
		return nil, nil, b
	}
	return cutTag(after)
}

// afterTime is Cisco's mnemonic after the time that a relay has left in its place, and perhaps the name of the device: "Nov 21 2026 03:04:05: %ASA-6-302013:
// ...", "Nov 21 2026 03:04:05 fw-a : %ASA-6-302013: ...".
func afterTime(b []byte) (tag, pid, text []byte) {
	var second Message
	s, ok := second.stamp(b)
	if !ok {
		return nil, nil, b
	}
	if word, after := cutBlanks(s); len(word) > 0 && word[0] != '%' && isName(bytes.TrimSuffix(word, colon)) {
		s = skipBlanks(bytes.TrimPrefix(after, colon))
	}
	if len(s) == 0 || s[0] != '%' {
		return nil, nil, b
	}
	return cutTag(s)
}

// eventNumber is the length of "00077 " at the front of b, the number of an event that switches of HP put before the tag; 0 when there is none.
func eventNumber(b []byte) int {
	if len(b) > 6 && b[0] == '0' && digits(b) == 5 && b[5] == ' ' && isLetter(b[6]) {
		return 6
	}
	return 0
}

// inTags has the characters that tags are made of.
var inTags = func() (table [256]bool) {
	for c := ' ' + 1; c < 0x7f; c++ {
		table[c] = c != ':' && c != '[' && c != '"'
	}
	return table
}()

// containerID is the length of the identifier that Docker's containers have for a tag: hexadecimal digits, one in 280 times all of them decimal.
const containerID = 12

// cutTag takes "TAG[PID]: " or "TAG: " from the front. Without the colon or the bracket the first word is only a word, and a number is no
// tag unless it may be a container.
func cutTag(b []byte) (tag, pid, text []byte) {
	i := 0
	for _, c := range b[:min(len(b), maxTag+1)] {
		if !inTags[c] {
			break
		}
		i++
	}
	if i == 0 || i > maxTag || i == len(b) || isDigit(b[0]) && digits(b) == i && (i != containerID || !pidFollows(b[i:])) {
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
		} else if bytes.HasPrefix(rest, []byte(" : ")) {
			rest = rest[2:]
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
	case pid == nil && gluedTag(b) == 0:
		return nil, nil, b // "a:b" is not a tag
	}
	return tag, pid, rest
}
