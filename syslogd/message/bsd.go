package message

import "bytes"

// What stands before the text of a message without the version of RFC 5424, from the front:
//
//	opening   counters, marks, the time, its zone; Cisco's name of the device before the time
//	host      the name of the device after the time
//	closing   the tag and the pid, with what some devices put before them
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
			after = after[1:]
		}
		var ok bool
		if rest, ok = m.stamp(after); !ok {
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
	if i < len(b) && (b[i] == '+' || b[i] == '-') && len(name) > 1 && isZone(name) {
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
	case isZone(name):
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

// host takes the device's name that stands after the time: the first word, unless it reads as a tag, as a number or as a word of a text.
// HAProxy's lines and those of local programs have none.
func (m *Message) host(b []byte) (rest []byte) {
	if rest := m.usualHost(b); rest != nil {
		return rest
	}
	return m.oddHost(b)
}

// usualHost takes what nearly all hosts are, what names or addresses are made of and one blank, and gives b itself where a usual tag stands in
// its place. It gives nil for what has to be looked at more closely.
func (m *Message) usualHost(b []byte) (rest []byte) {
	i, seen := 0, uint8(0)
	for _, c := range b {
		class := classes[c]
		if class == 0 {
			break
		}
		seen |= class
		i++
	}
	if i == 0 && len(b) > 0 && b[0] == '%' {
		return b // Cisco's mnemonics
	}
	if i > 0 && i+1 < len(b) && b[i] == ' ' && b[i+1] > ' ' && b[i+1] != ':' && classes[b[0]]&(dotClass|dashClass) == 0 && isSureName(b[:i], seen) {
		m.Host = b[:i]
		return b[i+1:]
	}
	if i > 0 && i+2 < len(b) && seen&(smallClass|upperClass) != 0 && b[i+2] > ' ' && b[i+2] != '%' && (b[i] == ':' && b[i+1] == ' ' || b[i] == '[' && pidFollows(b[i:])) {
		return b // nearly all lines without a host: "haproxy[42]: ", "sshd: "
	}
	if i <= 4 && i+1 < len(b) && b[i] == ':' && b[i+1] != ' ' {
		if n := ipv6At(b); n > 0 && n+1 < len(b) && b[n] == ' ' && b[n+1] > ' ' && b[n+1] != ':' {
			m.Host = b[:n]
			return b[n+1:]
		}
	}
	return nil
}

// oddHost is host for what usualHost is not sure of.
func (m *Message) oddHost(b []byte) (rest []byte) {
	word, after := cutBlanks(b)
	if len(word) == 0 || len(after) == 0 {
		return b
	}
	if last := word[len(word)-1]; last == ':' {
		inner := word[:len(word)-1]
		if isName(inner) && after[0] == '%' && gluedTag(after) > 0 && !isOnlyText(inner) || isIPv4(inner) || isIPv6(inner) || isDevice(inner) {
			m.Host = inner // "fw-a: %ASA-6-302013: ...", "192.0.2.1: ...", "U7PG2,788a20aabbcc,v4.3.20: ..."
			return after
		}
	}
	switch {
	case looksLikeTag(word):
		return b
	case isNil(word):
		return after
	case word[0] == 'M' && string(word) == "Message":
		// AIX: "Message forwarded from HOST: ..."
		if name, ok := bytes.CutPrefix(after, []byte("forwarded from ")); ok {
			name, rest := cutBlanks(name)
			if name = bytes.TrimSuffix(name, []byte(":")); isName(name) && len(rest) > 0 {
				m.Host = name
				return rest
			}
		}
		return b
	case word[0] == '(' && len(word) > 4 && word[1] == '"' && isDevice(word[2:len(word)-2]):
		m.Host = word[2 : len(word)-2] // UniFi: ("U7LT,788a20aabbcc,v4.0.42.10433")
		return after
	case word[0] == '[' && bytes.HasSuffix(word, []byte("]")) && bytes.Count(word, []byte(":")) > 1 && isName(word[1:len(word)-1]):
		m.Host = word[1 : len(word)-1] // "[2001:db8::1]"
		return after
	case word[0] == '[' && isIPv4(bytes.TrimSuffix(word[1:], bracket)) && (tagIsNext(after) || tagFollows(after)):
		m.Host = word[1 : len(word)-1] // "[192.0.2.1]"
		return after
	case word[0] == '[' && isTLI(word) && (tagIsNext(after) || tagFollows(after)):
		inner := word[1 : len(word)-1]
		inner = inner[:bytes.LastIndexByte(inner, '.')]
		m.Host = inner[:bytes.LastIndexByte(inner, '.')]
		return after
	case isDevice(word) && tagFollows(after):
		m.Host = word
		return after
	case isSeverity(word) && len(after) > 0 && tagIsNext(after):
		return b
	case !isName(word), after[0] == ':' && isPacketEngine(word):
		return b
	}
	if plain, capital := isPlain(word); plain {
		text := isTextWord(word)
		if text && !mayBeHost(word) || text && !tagFollows(after) || capital && !tagFollows(after) && !pairFollows(after) {
			return b
		}
	}
	m.Host = word
	return after
}

// pidFollows says whether b begins with "[42]: ".
func pidFollows(b []byte) bool {
	n := 1 + digits(b[1:])
	return n > 1 && n+2 < len(b) && b[n] == ']' && b[n+1] == ':' && b[n+2] == ' '
}

// What the characters of a name are.
const (
	smallClass = 1 << iota
	upperClass
	digitClass
	dotClass
	dashClass  // and underscores
	otherClass // beyond ASCII
)

// classes has 0 for what no usual name has.
var classes = func() (table [256]uint8) {
	for c := range 26 {
		table['a'+c], table['A'+c] = smallClass, upperClass
	}
	for c := range 10 {
		table['0'+c] = digitClass
	}
	table['.'], table['-'], table['_'] = dotClass, dashClass, dashClass
	for c := 0x80; c < 0x100; c++ {
		table[c] = otherClass
	}
	return table
}()

// isSureName says whether a word of these classes is a host's name. False says nothing.
func isSureName(word []byte, seen uint8) bool {
	switch seen {
	case smallClass, upperClass:
		return kindOf(word) == 0
	case digitClass | dotClass:
		dots := 0
		for _, c := range word {
			dots += int(classes[c] / dotClass)
		}
		return dots == 3 && len(word) >= len("1.2.3.4") && len(word) <= len("255.255.255.255")
	}
	if seen&^digitClass == smallClass|dotClass && isFacility[word[0]&0x1f] && isSeverity(word) {
		return false
	}
	return seen&(smallClass|upperClass|otherClass) != 0 && seen != smallClass|upperClass
}

// isName says whether word may be the name or the address of a host: no number, no path, nothing but what names are made of.
func isName(word []byte) bool {
	letters, colons := 0, 0
	for i, c := range word {
		switch {
		case isLetter(c) || c >= 0x80:
			letters++
		case c == ':':
			colons++
		case isDigit(c):
		case c == '.' || c == '-' || c == '_':
			if i == 0 && c != '_' {
				return false
			}
		case (c == '/' || c == '%') && i > 0:
		default:
			return false
		}
	}
	if letters == 0 {
		if i := bytes.LastIndexByte(word, '-'); i > 0 && digits(word[i+1:]) == len(word)-i-1 {
			word = word[:i] // a switch of a stack: "192.0.2.1-1"
		}
		return colons >= 2 && len(word) > 2 && (colons == 7 || bytes.Contains(word, []byte("::"))) || isIPv4(word)
	}
	return len(word) <= 255 && (colons == 0 || colons >= 2)
}

// isIPv4 says whether word is four numbers with dots between them.
func isIPv4(word []byte) bool {
	if len(word) < len("1.2.3.4") || len(word) > len("255.255.255.255") {
		return false
	}
	dots := 0
	for _, c := range word {
		if c == '.' {
			dots++
		} else if !isDigit(c) {
			return false
		}
	}
	return dots == 3
}

// isIPv6 says whether word is an address with colons, perhaps with a zone after it.
func isIPv6(word []byte) bool {
	if i := bytes.IndexByte(word, '%'); i > 0 {
		word = word[:i]
	}
	return len(word) > 0 && ipv6At(word) == len(word)
}

// ipv6At is the length of an address with colons at the front of b, 0 when there is none. A colon after it is none of its own.
func ipv6At(b []byte) int {
	i, colons, double := 0, 0, false
	for i < len(b) {
		if c := b[i]; c == ':' {
			colons++
			double = double || i > 0 && b[i-1] == ':'
		} else if !isHexDigit(c) && c != '.' {
			break
		}
		i++
	}
	if i > 2 && b[i-1] == ':' && b[i-2] != ':' {
		i--
		colons--
	}
	if i > 2 && (colons == 7 || colons > 1 && double) {
		return i
	}
	return 0
}

// isPacketEngine says whether word is "0-PPE-0", which NetScaler's processors call themselves.
func isPacketEngine(word []byte) bool {
	before, after, ok := bytes.Cut(word, []byte("-PPE-"))
	return ok && digits(before) == len(before) && digits(after) == len(after)
}

// isTLI says whether word is how Solaris writes the address of a sender: "[192.0.2.1.2.2]", of which the last two numbers are a port.
func isTLI(word []byte) bool {
	if len(word) < len("[1.2.3.4.5.6]") {
		return false
	}
	dots := 0
	for _, c := range word[1 : len(word)-1] {
		if c == '.' {
			dots++
		} else if !isDigit(c) {
			return false
		}
	}
	return dots == 5 && word[len(word)-1] == ']'
}

// isDevice says whether word is how UniFi's devices call themselves: parts with commas between them, of which one is a hardware address.
func isDevice(word []byte) bool {
	found := false
	for len(word) > 0 {
		i := bytes.IndexByte(word, ',')
		if i < 0 {
			return found
		}
		if part := word[:i]; i == 12 || bytes.IndexByte(word[i+1:], ',') == 12 || len(word) == i+13 {
			found = found || isHex(part) || isHex(word[i+1:min(len(word), i+13)])
		}
		word = word[i+1:]
	}
	return found
}

func isHex(b []byte) bool {
	for _, c := range b {
		if !isHexDigit(c) {
			return false
		}
	}
	return len(b) == 12
}

func isHexDigit(c byte) bool { return isDigit(c) || c|0x20-'a' < 6 }

// isPlain says whether word is letters only and in one case, as the words of a text are, and whether it is written like the first word of
// a sentence.
func isPlain(word []byte) (plain, capital bool) {
	upper := 0
	for _, c := range word {
		if !isLetter(c) {
			return false, false
		}
		if isUpper(c) {
			upper++
		}
	}
	capital = upper == 1 && len(word) > 1 && isUpper(word[0])
	return upper == 0 || upper == len(word) || capital, capital
}

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

// closing takes the tag and the pid. What some devices put before them stays in the content: a colon alone, a severity, a second header.
func (m *Message) closing(b []byte) {
	b = cutBOM(b)
	if len(b) > 1 && b[0] == ':' && b[1] == ' ' {
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
			}
		case isLetter(b[0]):
			if n := severityAt(b); n > 0 {
				m.Tag, m.PID, m.Text = cutTag(skipBlanks(b[n:]))
			} else if mayBeNode(b) {
				var second Message
				if s := second.node(b); s != nil {
					m.Tag, m.PID, m.Text = cutTag(s)
				}
			}
		case b[0] == '%' && len(b) > 1 && b[1] == '$':
			// NX-OS: "%$ VDC-1 %$ %ETHPORT-5-IF_UP: ..."
			if i := bytes.Index(b[2:min(len(b), maxTag)], []byte("%$ ")); i > 0 {
				m.Tag, m.PID, m.Text = cutTag(skipBlanks(b[i+5:]))
			}
		}
	case len(m.Tag) > 1 && m.Tag[0] == '*':
		var second Message
		if s := second.task(b); s != nil && s[0] == '%' {
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

// eventNumber is the length of "00077 " at the front of b, the number of an event that switches of HP put before the tag; 0 when there is none.
func eventNumber(b []byte) int {
	if len(b) > 6 && b[0] == '0' && digits(b) == 5 && b[5] == ' ' && isLetter(b[6]) {
		return 6
	}
	return 0
}

// address takes the address of a device from the front of a message without a time, if a tag follows, or HP's number and a tag:
// "192.0.2.1 00077 ports: ...". A name there may be any word of a text.
func (m *Message) address(b []byte) (rest []byte) {
	word := skipBlanks(b)
	if len(word) < len("::1 x:") {
		return b
	}
	if c := word[0]; !isDigit(c) { // of IPv6, one to four digits and a colon
		i := 0
		for i < 4 && isHexDigit(word[i]) {
			i++
		}
		if word[i] != ':' || word[i+1] == ' ' {
			return b
		}
	}
	word, after := cutBlanks(word)
	word = bytes.TrimSuffix(word, colon)
	if !isIPv4(word) && !isIPv6(word) || !tagFollows(after) {
		return b
	}
	m.Host = word
	return after
}

// inTags has the characters that tags are made of.
var inTags = func() (table [256]bool) {
	for c := ' ' + 1; c < 0x7f; c++ {
		table[c] = c != ':' && c != '['
	}
	return table
}()

// cutTag takes "TAG[PID]: " or "TAG: " from the front. Without the colon or the bracket the first word is only a word, and a number is no
// tag.
func cutTag(b []byte) (tag, pid, text []byte) {
	i := 0
	for _, c := range b[:min(len(b), maxTag+1)] {
		if !inTags[c] {
			break
		}
		i++
	}
	if i == 0 || i > maxTag || i == len(b) || isDigit(b[0]) && digits(b) == i {
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
	case pid == nil && gluedTag(b) == 0:
		return nil, nil, b // "a:b" is not a tag
	}
	return tag, pid, rest
}
