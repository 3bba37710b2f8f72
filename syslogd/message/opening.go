package message

import "bytes"

// What stands before the text of a message without the version of RFC 5424, from the front:
//
//	opening   counters, marks, the time, its zone; Cisco's name of the device before the time (here; the forms of a time are in stamp.go)
//	host      the name of the device after the time (host.go)
//	closing   the tag and the pid, with what some devices put before them (closing.go)
//
// Each part may be missing. A part is taken only when what follows it fits, so what is not understood stays in the text.

// opening takes the time from the front of b, and what devices put around it.
func (m *Message) opening(b []byte) (rest []byte) {
	if rest := m.usualTime(b); rest != nil {
		return rest
	}
	return m.oddTime(b)
}

// usualTime takes the time that nearly all messages begin with, one blank, and then a word that is neither a year nor a zone. It gives nil where
// there is none.
func (m *Message) usualTime(b []byte) (rest []byte) {
	n, kind := bsdStamp(b), BSDStamp
	if n == 0 && len(b) > 19 && isDigit(b[0]) && b[4] == b[7] {
		n, kind = isoStamp(b)
	}
	if n == 0 {
		return nil
	}
	if rest := b[n:]; len(rest) > 1 && rest[0] == ' ' {
		next := rest[1]
		if isLetter(next) && (!isUpper(next) || !zoneFollows(rest[1:])) || isDigit(next) && (len(rest) < 6 || !yearEnds(rest[5:]) || yearAt(rest[1:]) == 0) {
			m.Kind, m.Stamp = kind, b[:n]
			return rest[1:]
		}
	}
	if rest, ok := m.stamp(b); ok {
		return rest
	}
	if rest := b[n:]; len(rest) > 0 && rest[0] == ' ' { // "Nov 21 03:04:05 AM. x": the word after it was none of its own
		m.Kind, m.Stamp = kind, b[:n]
		return skipBlanks(rest)
	}
	return nil
}

// oddTime takes a time in any of its other forms, and what stands before it.
func (m *Message) oddTime(b []byte) (rest []byte) {
	if len(b) > 0 && isLetter(b[0]) && !mayBeDate(b) {
		return m.origin(b, b, false)
	}
	s := b
	counters := 0
	for range 6 {
		s = skipBlanks(s)
		if len(s) == 0 {
			return b
		}
		n := digits(s)
		if n > 0 && n <= 12 && len(s) > n+1 && s[n] == ':' && s[n+1] == ' ' {
			counters++
			s = s[n+2:]
			continue
		}
		switch {
		case isLetter(s[0]):
			if mayBeDate(s) {
				if rest, ok := m.stamp(s); ok {
					return rest
				}
			}
			return m.origin(s, b, counters > 0)
		case isDigit(s[0]):
			if rest, ok := m.stamp(s); ok {
				return rest
			}
		}
		switch {
		case s[0] == '*' || s[0] == '.': // the device's clock is not set, or not in step
			if rest := m.ciscoTime(s[1:]); rest != nil {
				return rest
			}
			if rest, ok := m.stamp(skipBlanks(s[1:])); ok {
				return rest
			}
			if rest := m.task(s); rest != nil {
				return s
			}
			return b
		case s[0] == '[' && bytes.HasPrefix(s, []byte("[syslog@9 ")): // Cisco's own data before the time
			n := structuredData(s)
			if n == 0 || !bytes.HasPrefix(s[n:], []byte(": ")) {
				return b
			}
			m.Data, s = s[:n], s[n+2:]
			if rest, ok := m.stamp(bytes.TrimLeft(s, "*.")); ok {
				return rest
			}
			m.Data = nil
			return b
		case s[0] == ':': // an empty counter
			s = s[1:]
		default:
			if rest := mnemonic(s); rest != nil && (counters > 0 || len(rest) < len(b)) {
				return rest
			}
			// "192.0.2.1: *Nov 21 ..."
			return m.origin(s, b, counters > 0)
		}
	}
	return b
}

// ciscoTime takes "Nov 21 03:04:05.483: " from the front of b if a percent sign follows: nearly all that comes after a mark. Otherwise it gives nil.
func (m *Message) ciscoTime(b []byte) (rest []byte) {
	n := bsdStamp(b)
	if n == 0 {
		return nil
	}
	if _, rest = fraction(b[n:]); len(rest) < 3 || rest[0] != ':' || rest[1] != ' ' || rest[2] != '%' {
		return nil
	}
	m.Kind, m.Stamp = BSDStamp, b[:len(b)-len(rest)]
	return rest[2:]
}

// mnemonic is b itself if it begins with Cisco's "%FAC-5-NAME:", or what comes after "00:20:10: " or "1w2d: ", the time since the device
// started, if that is one: only the receive time is known then. Otherwise it is nil.
func mnemonic(b []byte) []byte {
	if len(b) > 0 && isDigit(b[0]) {
		n := uptime(b)
		if n == 0 {
			return nil
		}
		b = skipBlanks(b[n:])
	}
	if len(b) == 0 || b[0] != '%' || gluedTag(b) == 0 {
		return nil
	}
	return b
}

// origin takes a device's name from the front of s, and the time after it. Without both it gives back b. Where a counter stands before or after
// the name, Cisco's mnemonic will do for the time.
func (m *Message) origin(s, b []byte, counted bool) (rest []byte) {
	if mayBeNode(s) && m.node(s) != nil {
		return s
	}
	i := 0
	for i < len(s) && s[i] != ':' && s[i] != ' ' {
		i++
	}
	if i+1 >= len(s) || i > longestHead {
		return b
	}
	if s[i] == ' ' {
		if node := s[i+1:]; mayBeNode(node) && isName(s[:i]) && m.node(node) != nil {
			m.Host = s[:i] // "rtr-a RP/0/RSP0/CPU0:Nov 21 ..."
			return node
		}
		if when := s[i+1:]; len(when) > 2 && when[0] == ':' && when[1] == ' ' && isName(s[:i]) && !isOnlyText(s[:i]) {
			if rest, ok := m.stamp(skipBlanks(when[2:])); ok {
				m.Host = s[:i] // "n9k : 2026 Nov 21 ..."
				return rest
			}
		}
		return b
	}
	after := s[i+1:]
	if c := after[0]; c == ':' || isHexDigit(c) {
		if word, rest := cutBlanks(s); len(rest) > 0 && isIPv6(bytes.TrimSuffix(word, colon)) {
			i, after = len(word)-1, rest // "2001:db8::1: *Nov 21 ..."
		} else if mac, ok := bytes.CutPrefix(word, []byte("AP:")); ok && len(rest) > 0 && len(mac) > 1 && isDottedMAC(mac[:len(mac)-1]) {
			s, i, after = mac, len(mac)-1, rest // "AP:0011.2233.4455: *Nov 21 ...", an access point of Cisco's
		}
	}
	after = skipBlanks(after)
	if len(after) == 0 || !isDigit(after[0]) && after[0] != '*' && after[0] != '.' && after[0] != '%' && !mayBeDate(after) && !mayBeNode(after) {
		return b // nearly all messages without a time
	}
	name := s[:i]
	if n := digits(after); n > 0 && len(after) > n+1 && after[n] == ':' && after[n+1] == ' ' {
		after, counted = skipBlanks(after[n+2:]), true // "rtr-a: 000028: *Nov 21 ..."
	}
	if !isName(name) || isOnlyText(name) || len(after) == 0 {
		return b
	}
	switch c := after[0]; {
	case c == '*' && m.task(after) != nil, m.node(after) != nil:
		rest = after
	case c == '%' || isDigit(c) && uptime(after) > 0:
		if rest = mnemonic(after); rest == nil || !counted && c == '%' {
			return b
		}
	default:
		if c == '*' || c == '.' {
			after, counted = after[1:], true
		}
		was := *m
		var ok bool
		if rest, ok = m.stamp(after); !ok {
			return b
		}
		if past := after[:len(after)-len(rest)]; !counted && !tagIsNext(rest) && past[len(bytes.TrimRight(past, " \t"))-1] != ':' {
			*m = was // "Juniper: 2026-11-21 03:04:05 - ive - ...": a program that writes the time in its text
			return b
		}
	}
	m.Host = name
	return rest
}

// mayBeNode says whether b may begin with the place of a processor in a router, "RP/0/RSP0/CPU0:".
func mayBeNode(b []byte) bool { return len(b) > len("0/0/CPU0:") && (b[2] == '/' || b[1] == '/') }

// node takes the time from "RP/0/RSP0/CPU0:Nov 21 03:04:05.123 UTC: config[65]: ...", as Cisco's IOS XR writes it, and gives what comes after it;
// nil for anything else. Where in the router it was stays in the line, and so does the time.
func (m *Message) node(b []byte) (rest []byte) {
	if !mayBeNode(b) {
		return nil
	}
	i := bytes.IndexByte(b[:min(len(b), maxTag)], ':')
	if i < 0 || !bytes.Contains(b[:i], []byte("/CPU")) || bytes.IndexByte(b[:i], ' ') >= 0 {
		return nil
	}
	if rest, ok := m.stamp(skipBlanks(b[i+1:])); ok {
		return rest
	}
	return nil
}

// task takes the time from "*apfMsConnTask_1: Nov 21 03:04:05.123: %APF-6-STATE: ...", as Cisco's wireless controllers write it, and gives what
// comes after it; nil for anything else. The task stays in the line.
func (m *Message) task(b []byte) (rest []byte) {
	i := bytes.IndexByte(b[:min(len(b), maxTag)], ':')
	if i < 2 || !isName(b[1:i]) {
		return nil
	}
	if rest, ok := m.stamp(skipBlanks(b[i+1:])); ok && len(rest) > 0 && (rest[0] == '%' || rest[0] == '#') {
		return rest
	}
	return nil
}

// stamp takes a time from the front of b, and its zone and colon. It says whether there was one.
func (m *Message) stamp(b []byte) (rest []byte, ok bool) {
	n, kind := stampAt(b)
	if n == 0 {
		return b, false
	}
	rest = b[n:]
	if kind == BSDStamp {
		_, rest = fraction(rest)
		n = len(b) - len(rest)
	}
	rest = skipZone(rest)
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0] != ' ' && rest[0] != '\t' && !bytes.HasPrefix(rest, percent) {
		return b, false
	}
	m.Kind, m.Stamp = kind, b[:n]
	return skipBlanks(rest), true
}

var percent, colon, bracket = []byte("%"), []byte(":"), []byte("]")

// zoneFollows says whether b begins with the name of a zone, or with AM or PM. What it is not sure of it says is one.
func zoneFollows(b []byte) bool {
	i := 0
	for i < len(b) && i < 6 && isUpper(b[i]) {
		i++
	}
	switch rest := b[i:]; {
	case i == 6, !ends(rest) && b[i] != '+' && b[i] != '-' && b[i] != '.':
		return false
	case len(rest) > 2 && rest[0] == ':' && rest[2] == '%':
		return true
	}
	return isZone(b[:i]) || i == 2 && b[1] == 'M'
}

// skipZone skips the name of a time zone and the blank before it: " UTC", " CET", " GMT+1". A name that is not known is one only where
// Cisco's mnemonic follows, " XYZ: %SYS-5-CONFIG_I".
func skipZone(b []byte) []byte {
	if len(b) < 3 || b[0] != ' ' {
		return b
	}
	i := 1
	for i < len(b) && i < 6 && isUpper(b[i]) {
		i++
	}
	name := b[1:i]
	if len(name) == 0 {
		return b
	}
	if i < len(b) && (b[i] == '+' || b[i] == '-') && len(name) > 1 && (isZone(name) || string(name) == "TZ") { // "TZ-6": RFC 3164, section 5.4
		k := 1 + digits(b[i+1:])
		if k == 1 {
			return b // "Z-"
		}
		if i+k+1 < len(b) && b[i+k] == ':' && digits(b[i+k+1:]) == 2 {
			k += 3
		}
		i += k
	}
	switch rest := b[i:]; {
	case !ends(rest):
		return b
	case isZone(name), string(name) == "TZ" && i > 3:
		return rest
	case len(name) > 1 && len(rest) > 2 && rest[0] == ':' && rest[1] == ' ' && rest[2] == '%':
		return rest
	}
	return b
}

// uptime is the length of "00:20:10:" or "1w2d:", the time since a device started, 0 when there is none.
func uptime(b []byte) int {
	i := bytes.IndexByte(b[:min(len(b), 24)], ':')
	if i < 2 {
		return 0
	}
	if digits(b) == i && len(b) > i+6 && b[i+3] == ':' {
		if two(b[i+1:]) > 59 || two(b[i+4:]) > 59 {
			return 0
		}
		_, rest := fraction(b[i+6:])
		if len(rest) == 0 || rest[0] != ':' {
			return 0
		}
		return len(b) - len(rest) + 1
	}
	for rest := b[:i]; len(rest) > 0; {
		n := digits(rest)
		if n == 0 || n == len(rest) || bytes.IndexByte([]byte("ywdhms"), rest[n]) < 0 {
			return 0
		}
		rest = rest[n+1:]
	}
	return i + 1
}
