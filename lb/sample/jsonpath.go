package sample

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A reader of JSON that finds one value without making the rest of the document.
// Whatever it passes over is not checked more than it has to be.

// step is one step of a path: a member's name, or an element's number.
type pathStep struct {
	name  string
	index int // -1: name counts
}

// parsePath reads "$.a.b[0].c" and "$['a']"; a backslash protects a dot in a
// name.
func parsePath(text string) ([]pathStep, error) {
	if !strings.HasPrefix(text, "$") {
		return nil, fmt.Errorf("the JSON path '%s' must begin with '$'", text)
	}
	var steps []pathStep
	for rest := text[1:]; rest != ""; {
		switch {
		case rest[0] == '.':
			var name strings.Builder
			i := 1
			for ; i < len(rest) && rest[i] != '.' && rest[i] != '['; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				name.WriteByte(rest[i])
			}
			if i == 1 {
				return nil, fmt.Errorf("a name is missing in the JSON path '%s'", text)
			}
			steps, rest = append(steps, pathStep{name.String(), -1}), rest[i:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("a ']' is missing in the JSON path '%s'", text)
			}
			word := rest[1:end]
			if n := len(word); n > 2 && (word[0] == '\'' || word[0] == '"') && word[n-1] == word[0] {
				steps = append(steps, pathStep{word[1 : n-1], -1})
			} else if n, err := strconv.ParseUint(word, 10, 31); err == nil {
				steps = append(steps, pathStep{"", int(n)})
			} else {
				return nil, fmt.Errorf("'[%s]' in the JSON path '%s' is neither an element's number nor a name in quotes", word, text)
			}
			rest = rest[end+1:]
		default:
			return nil, fmt.Errorf("'.' or '[' is expected at '%s' in the JSON path '%s'", rest, text)
		}
	}
	return steps, nil
}

// maxDepth bounds how deep values lie in each other.
const maxDepth = 64

// findJSON gives the value at the end of the path, as it stands in the document.
func findJSON(doc []byte, path []pathStep) ([]byte, bool) {
	b := skipSpace(doc)
	for _, s := range path {
		var ok bool
		if s.index >= 0 {
			b, ok = elementOf(b, s.index)
		} else {
			b, ok = memberOf(b, s.name)
		}
		if !ok {
			return nil, false
		}
	}
	n := valueLen(b, 0)
	if n < 0 {
		return nil, false
	}
	return b[:n], true
}

func skipSpace(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

func elementOf(b []byte, index int) ([]byte, bool) {
	if len(b) == 0 || b[0] != '[' {
		return nil, false
	}
	b = skipSpace(b[1:])
	for i := 0; ; i++ {
		n := valueLen(b, 0)
		if n < 0 {
			return nil, false
		}
		if i == index {
			return b, true
		}
		if b = skipSpace(b[n:]); len(b) == 0 || b[0] != ',' {
			return nil, false
		}
		b = skipSpace(b[1:])
	}
}

func memberOf(b []byte, name string) ([]byte, bool) {
	if len(b) == 0 || b[0] != '{' {
		return nil, false
	}
	b = skipSpace(b[1:])
	for {
		n := stringLen(b)
		if n < 0 {
			return nil, false
		}
		key := b[1 : n-1]
		if b = skipSpace(b[n:]); len(b) == 0 || b[0] != ':' {
			return nil, false
		}
		b = skipSpace(b[1:])
		if string(key) == name {
			return b, true
		}
		if n = valueLen(b, 0); n < 0 {
			return nil, false
		}
		if b = skipSpace(b[n:]); len(b) == 0 || b[0] != ',' {
			return nil, false
		}
		b = skipSpace(b[1:])
	}
}

// stringLen is the length of the string at the beginning of b with its quotes,
// -1 when there is none.
func stringLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// valueLen is the length of the value at the beginning of b, -1 when there is
// none.
func valueLen(b []byte, depth int) int {
	if len(b) == 0 || depth > maxDepth {
		return -1
	}
	switch b[0] {
	case '"':
		return stringLen(b)
	case '{', '[':
		return nestedLen(b, depth)
	}
	n := 0
	for n < len(b) && (b[n] >= '0' && b[n] <= '9' || b[n] >= 'a' && b[n] <= 'z' || b[n] == 'E' || b[n] == '+' || b[n] == '-' || b[n] == '.') {
		n++
	}
	if n == 0 {
		return -1
	}
	return n
}

// nestedLen is valueLen of an object or an array.
func nestedLen(b []byte, depth int) int {
	object, end := b[0] == '{', byte('}')
	if !object {
		end = ']'
	}
	rest := skipSpace(b[1:])
	if len(rest) > 0 && rest[0] == end {
		return len(b) - len(rest) + 1
	}
	for {
		if object {
			n := stringLen(rest)
			if n < 0 {
				return -1
			}
			if rest = skipSpace(rest[n:]); len(rest) == 0 || rest[0] != ':' {
				return -1
			}
			rest = skipSpace(rest[1:])
		}
		n := valueLen(rest, depth+1)
		if n < 0 {
			return -1
		}
		rest = skipSpace(rest[n:])
		switch {
		case len(rest) == 0:
			return -1
		case rest[0] == end:
			return len(b) - len(rest) + 1
		case rest[0] != ',':
			return -1
		}
		rest = skipSpace(rest[1:])
	}
}

// appendUnquoted appends what a string with its quotes stands for; false when it
// has an escape that does not exist.
func appendUnquoted(dst, quoted []byte) ([]byte, bool) {
	b := quoted[1 : len(quoted)-1]
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			dst = append(dst, b[i])
			continue
		}
		i++
		switch c := b[i]; c {
		case '"', '\\', '/':
			dst = append(dst, c)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, ok := hex4(b[i+1:])
			if !ok {
				return dst, false
			}
			i += 4
			if utf16.IsSurrogate(r) && i+6 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
				if low, ok := hex4(b[i+3:]); ok {
					r = utf16.DecodeRune(r, low)
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			return dst, false
		}
	}
	return dst, true
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		h := unhex(c)
		if h < 0 {
			return 0, false
		}
		r = r<<4 | rune(h)
	}
	return r, true
}
