package message

import (
	"bytes"
	"strconv"
)

// parse5424 reads what follows "<PRI>1 " by RFC 5424 section 6. What is odd takes only itself away: a header is refused, and read as one
// without a version, when its time has not the form of one, or when it breaks off before the program's name. Two blanks are one. Fields that are not
// there end the header, and what is not structured data is text.
func (m *Message) parse5424(b []byte) bool {
	var field [5][]byte // TIMESTAMP HOSTNAME APP-NAME PROCID MSGID
	found, start, spaced := 0, b, false
	for found < len(field) && len(b) > 0 {
		word, rest := cutWord(b)
		if len(word) == 0 {
			return false
		}
		if found == 0 && len(word) == len("2026-11-21") || found == 1 && (word[0] == '+' || word[0] == '-') && len(word) > 2 {
			// A blank in the time: "2026-11-21 03:04:05", "2026-11-21T03:04:05 +01:00".
			if n, _ := isoStamp(start); n > len(field[0]) {
				field[0], b, found, spaced = start[:n], skipBlanks(start[n:]), 1, true
				continue
			}
		}
		for len(rest) > 0 && rest[0] == ' ' && found < len(field)-1 {
			rest = rest[1:]
		}
		field[found], b = word, rest
		found++
	}
	kind := NoStamp
	if !isNil(field[0]) {
		n, k := isoStamp(field[0])
		if n == 0 && impossibleStamp(field[0]) == len(field[0]) {
			n, k, field[0] = len(field[0]), NoStamp, nil
		}
		if n == 0 || n < len(field[0]) {
			return false
		}
		kind = k
	}
	if found < 3 || spaced && structuredData(skipBlanks(b)) == 0 || found < len(field) && kind != ISOStamp || kind == LocalStamp && looksLikeTag(field[2]) {
		return false
	}
	m.RFC5424 = true
	m.Kind, m.Stamp = kind, notNil(field[0])
	m.Host, m.Tag, m.PID, m.MsgID = notNil(field[1]), notNil(field[2]), notNil(field[3]), notNil(field[4])
	if data := skipBlanks(b); len(data) < len(b) && structuredData(data) > 0 {
		b = data
	}
	if n := structuredData(b); n > 0 {
		m.Data, b = notNil(b[:n]), b[n:]
		if len(b) > 0 && b[0] == ' ' {
			b = b[1:]
		}
	}
	m.Text = cutBOM(b)
	m.Content = m.Text
	return true
}

// structuredData is the length of "-" or of "[id name="value"...][...]" at the front of b, 0 when it is neither. What stands in brackets is
// data if it looks like data: "[error]" and "[77123]" are how a text begins.
func structuredData(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if b[0] == '-' {
		if len(b) > 1 && b[1] != ' ' {
			return 0
		}
		return 1
	}
	i := 0
	for i < len(b) && b[i] == '[' {
		start, quoted := i, false
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
		if start == 0 && !looksLikeData(b[1:i-1]) {
			return 0
		}
	}
	return i
}

// looksLikeData says whether what stands in brackets has a value in quotes, or the "@" of an id of one's own.
func looksLikeData(element []byte) bool {
	id, _ := cutWord(element)
	return bytes.IndexByte(id, '@') >= 0 || bytes.IndexByte(element, '"') >= 0 && bytes.IndexByte(id, '"') != 0
}

func isNil(b []byte) bool { return len(b) == 1 && b[0] == '-' }

func notNil(b []byte) []byte {
	if isNil(b) {
		return nil
	}
	return b
}

// IsRFC5424 says whether a line begins as that wants it: "<PRI>1 ".
func IsRFC5424(line []byte) bool {
	end := bytes.IndexByte(line[:min(len(line), len("<191>"))], '>')
	if end < 2 || line[0] != '<' || !bytes.HasPrefix(line[end+1:], []byte("1 ")) {
		return false
	}
	pri, err := strconv.Atoi(string(line[1:end]))
	return err == nil && pri >= 0 && pri < Facilities*Severities
}
