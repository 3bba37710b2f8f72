package message

import "bytes"

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
	if i > 0 && i < len(b) && b[i] == ' ' && seen&^(smallClass|upperClass) == 0 && b[0] != 'M' && b[0] != 'F' && isOnlyText(b[:i]) {
		return b // nearly all texts; oddHost has "Message forwarded from" and the like
	}
	if i <= 4 && i+1 < len(b) && b[i] == ':' && b[i+1] != ' ' {
		from := i
		if seen != digitClass {
			from = 0 // "fe80:", or no address at all
		}
		if n := ipv6At(b, from); n > 0 && n+1 < len(b) && b[n] == ' ' && b[n+1] > ' ' && b[n+1] != ':' {
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
	case string(word) == "Message" || string(word) == "Forwarded":
		if name, rest := forwardedFrom(b); name != nil {
			m.Host = name
			return rest
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
	case isSeverity(word) && tagIsNext(after):
		return b
	case word[0] == '<' && isBracketedPriority(word):
		if name, rest := cutBlanks(after); isName(name) && !isTextWord(name) && (tagFollows(rest) || isIPv4(name)) { // "<auth.info> h-a sshd[7]: ..."
			m.Host = name
			return rest
		}
		return b
	case isFacilityToo(word):
		if name, rest := cutBlanks(after); isName(name) && !isTextWord(name) && tagFollows(rest) { // "user.notice awplus IMISH[1830]: ..."
			m.Host = name
			return rest
		}
		return b
	case after[0] == ':' && isPacketEngine(word):
		return b
	case !isName(word):
		if name := hostIn(word); name != nil && tagFollows(after) {
			m.Host = name
			return after
		}
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

// forwardedFrom takes the host and what comes after it from "Message forwarded from HOST: " (AIX) and "Forwarded from HOST: " (the BSDs).
func forwardedFrom(b []byte) (name, rest []byte) {
	b, ok := bytes.CutPrefix(bytes.TrimPrefix(b, []byte("Message ")), []byte("forwarded from "))
	if !ok {
		if b, ok = bytes.CutPrefix(b, []byte("Forwarded from ")); !ok {
			return nil, nil
		}
	}
	name, rest = cutBlanks(b)
	if name = bytes.TrimSuffix(name, colon); !isName(name) || len(rest) == 0 {
		return nil, nil
	}
	return name, rest
}

// hostIn is the host in a word that is no name by itself and that stands where a host does: the address of "192.0.2.1:514"; all of "src@web1" and
// "src@web1/relay1" (syslog-ng's chain of hosts) and of "isilon-1(id1)" (OneFS's number of the node). It is nil for anything else.
func hostIn(word []byte) []byte {
	if i := bytes.LastIndexByte(word, ':'); i > 0 && isIPv4(word[:i]) && i+1 < len(word) && digits(word[i+1:]) == len(word)-i-1 {
		return word[:i]
	}
	if source, name, ok := bytes.Cut(word, []byte("@")); ok && isName(source) && isName(name) {
		return word
	}
	if i := bytes.Index(word, []byte("(id")); i > 0 && isName(word[:i]) && digits(word[i+3:]) == len(word)-i-4 && word[len(word)-1] == ')' && len(word) > i+4 {
		return word
	}
	return nil
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

var dot = []byte(".")

// isSureName says whether a word of these classes is a host's name. False says nothing.
func isSureName(word []byte, seen uint8) bool {
	switch seen {
	case smallClass, upperClass:
		return kindOf(word) == 0
	case digitClass | dotClass:
		return len(word) >= len("1.2.3.4") && len(word) <= len("255.255.255.255") && bytes.Count(word, dot) == 3
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
	if colons > 0 {
		return isIPv6(word) || isMAC(word)
	}
	if letters == 0 {
		if isDottedMAC(word) {
			return true
		}
		if i := bytes.LastIndexByte(word, '-'); i > 0 && digits(word[i+1:]) == len(word)-i-1 {
			word = word[:i] // a switch of a stack: "192.0.2.1-1"
		}
		return isIPv4(word)
	}
	return len(word) <= 255
}

// isMAC says whether word is a hardware address, "00:11:22:33:44:55".
func isMAC(word []byte) bool {
	for i, c := range word {
		if i%3 == 2 && c != ':' || i%3 != 2 && !isHexDigit(c) {
			return false
		}
	}
	return len(word) == len("00:11:22:33:44:55")
}

// isDottedMAC says whether word is a hardware address as Cisco writes it, "0011.2233.4455".
func isDottedMAC(word []byte) bool {
	if len(word) != len("0011.2233.4455") {
		return false
	}
	for i, c := range word {
		if i%5 == 4 && c != '.' || i%5 != 4 && !isHexDigit(c) {
			return false
		}
	}
	return true
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
	return len(word) > 0 && ipv6At(word, 0) == len(word)
}

// ipv6At is the length of an address with colons at the front of b, 0 when there is none. A colon after it is none of its own. The caller knows the first from bytes
// to be digits.
func ipv6At(b []byte, from int) int {
	i, colons, double, last := from, 0, uint8(0), uint8(0)
	for _, c := range b[from:] {
		kind := inIPv6[c]
		if kind == 0 {
			break
		}
		double |= kind & last
		colons += int(kind & 1)
		last = kind
		i++
	}
	if i > 2 && last == 1 && b[i-2] != ':' {
		i--
		colons--
	}
	if i > 2 && (colons == 7 || colons > 1 && double&1 > 0) {
		return i
	}
	return 0
}

// inIPv6 has what addresses with colons are made of: 1 for those, 2 for the rest.
var inIPv6 = func() (table [256]uint8) {
	for _, c := range []byte("0123456789abcdefABCDEF.") {
		table[c] = 2
	}
	table[':'] = 1
	return table
}()

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
