package cfgfile

import (
	"fmt"
	"strings"
)

// MaxWords is how many words a line may have, HAProxy's own limit.
const MaxWords = 64

// Word is one word of a line after quotes, escapes and variables.
type Word struct {
	Text string
	Col  int // byte in the line where the word begins, from 1
}

// Lookup gives the value of a variable. Names that begin with a dot are the
// pseudo-variables .FILE, .LINE and .SECTION.
type Lookup func(name string) (value string, set bool)

// SyntaxError is a line that cannot be cut into words.
type SyntaxError struct {
	Col  int // byte in the line, from 1
	Text string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at position %d", e.Text, e.Col) }

// splitter is the state of one Split. Its invariant: line[at] is the next
// byte to look at.
type splitter struct {
	line   string
	at     int
	lookup Lookup

	words  []Word
	word   []byte // the word under way
	start  int    // where it began
	inWord bool   // there is one, even if it is empty ("")
}

// Split cuts one line, without its end of line, into words: blanks separate,
// '...' is taken as it is, "..." expands $VAR, ${VAR}, ${VAR-default} and
// ${VAR[*]} (one word for each item), a backslash escapes, # begins a comment.
// A carriage return ends the line, so files with CRLF work.
func Split(line string, lookup Lookup) ([]Word, *SyntaxError) {
	return appendWords(nil, line, lookup)
}

// appendWords is Split into memory that there is.
func appendWords(words []Word, line string, lookup Lookup) ([]Word, *SyntaxError) {
	s := splitter{line: line, lookup: lookup, words: words}
	for s.at < len(line) {
		switch c := line[s.at]; {
		case c == '\r' || c == '\n' || c == '#':
			s.at = len(line)
		case isBlank(c):
			s.end()
			s.at++
		case c == '\'':
			if err := s.strong(); err != nil {
				return nil, err
			}
		case c == '"':
			if err := s.weak(); err != nil {
				return nil, err
			}
		case c == '\\':
			if err := s.escape(false); err != nil {
				return nil, err
			}
		default:
			s.plain()
		}
	}
	s.end()
	if len(s.words) > MaxWords {
		w := s.words[MaxWords]
		return nil, &SyntaxError{Col: w.Col, Text: fmt.Sprintf("too many words (%d at most, repeat the keyword on a second line): <%s>", MaxWords, w.Text)}
	}
	return s.words, nil
}

// begin makes sure that a word is under way.
func (s *splitter) begin() {
	if !s.inWord {
		s.inWord, s.start = true, s.at+1
	}
}

func (s *splitter) put(c byte) {
	s.begin()
	s.word = append(s.word, c)
}

// end closes the word under way, if any.
func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, Word{Text: string(s.word), Col: s.start})
		s.word, s.inWord = s.word[:0], false
	}
}

// plain reads bytes of which none is special. A word of nothing else is a part
// of the line.
func (s *splitter) plain() {
	from := s.at
	for s.at < len(s.line) && !special(s.line[s.at]) {
		s.at++
	}
	text := s.line[from:s.at]
	whole := s.at == len(s.line) || isBlank(s.line[s.at]) || s.line[s.at] == '#'
	if whole && !s.inWord {
		s.words = append(s.words, Word{Text: text, Col: from + 1})
		return
	}
	if !s.inWord {
		s.inWord, s.start = true, from+1
	}
	s.word = append(s.word, text...)
}

// special reports whether a byte outside of quotes is not simply part of a word.
func special(c byte) bool {
	return isBlank(c) || c == '#' || c == '\'' || c == '"' || c == '\\'
}

// strong reads '...': nothing is special inside.
func (s *splitter) strong() *SyntaxError {
	s.begin()
	open := s.at
	for s.at++; s.at < len(s.line); s.at++ {
		switch c := s.line[s.at]; c {
		case '\'':
			s.at++
			return nil
		case '\r', '\n':
			return s.unmatched(open)
		default:
			s.put(c)
		}
	}
	return s.unmatched(open)
}

// weak reads "...": escapes and variables work inside.
func (s *splitter) weak() *SyntaxError {
	open, fresh := s.at, !s.inWord
	// A word is begun late: "${LIST[*]}" with an empty list is no word at all.
	expanded := false
	for s.at++; s.at < len(s.line); {
		var err *SyntaxError
		switch c := s.line[s.at]; c {
		case '"':
			if !expanded {
				s.begin()
			}
			if fresh {
				s.start = open + 1
			}
			s.at++
			return nil
		case '\r', '\n':
			return s.unmatched(open)
		case '\\':
			err = s.escape(true)
		case '$':
			expanded, err = s.variable()
		default:
			s.put(c)
			s.at++
		}
		if err != nil {
			return err
		}
	}
	return s.unmatched(open)
}

func (s *splitter) unmatched(open int) *SyntaxError {
	return &SyntaxError{Col: open + 1, Text: "unmatched quote"}
}

// escape reads a backslash and what it escapes. A backslash before anything
// that needs no escape stays: regular expressions are full of them.
func (s *splitter) escape(weak bool) *SyntaxError {
	next := byte(0)
	if s.at+1 < len(s.line) {
		next = s.line[s.at+1]
	}
	switch {
	case strings.IndexByte(` \#'"`, next) >= 0 && next != 0, next == '$' && weak:
		s.put(next)
	case next == 't':
		s.put('\t')
	case next == 'n':
		s.put('\n')
	case next == 'r':
		s.put('\r')
	case next == 'x':
		return s.hex()
	default:
		s.put('\\')
		s.at++
		return nil
	}
	s.at += 2
	return nil
}

// hex reads \xNN.
func (s *splitter) hex() *SyntaxError {
	if s.at+3 >= len(s.line) || !isHex(s.line[s.at+2]) || !isHex(s.line[s.at+3]) {
		return &SyntaxError{Col: s.at + 1, Text: "truncated or invalid hexadecimal sequence"}
	}
	c := hexValue(s.line[s.at+2])<<4 | hexValue(s.line[s.at+3])
	if c == 0 {
		return &SyntaxError{Col: s.at + 1, Text: `\x00 cannot be part of a word`}
	}
	s.put(c)
	s.at += 4
	return nil
}

// variable reads $NAME or ${NAME...} inside double quotes. It says whether it
// was a list, which may give no word at all.
func (s *splitter) variable() (list bool, err *SyntaxError) {
	dollar := s.at
	s.at++
	brace := s.at < len(s.line) && s.line[s.at] == '{'
	if brace {
		s.at++
	}
	name := s.name()
	if name == "" {
		return false, &SyntaxError{Col: s.at + 1, Text: "invalid character in a variable's name (a letter, _ or . must follow the dollar)"}
	}
	value, set := s.lookup(name)
	if brace {
		rest := s.line[s.at:]
		if strings.HasPrefix(rest, "[") {
			if !strings.HasPrefix(rest, "[*]") {
				return false, &SyntaxError{Col: s.at + 1, Text: "invalid word expansion (only [*] is possible)"}
			}
			list, rest = true, rest[3:]
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 || end > 0 && rest[0] != '-' {
			return false, &SyntaxError{Col: dollar + 2, Text: "unmatched brace in environment variable name"}
		}
		if end > 0 && !set {
			value = rest[1:end]
		}
		s.at = len(s.line) - len(rest) + end + 1
	}
	if !list {
		s.begin()
		s.word = append(s.word, value...)
		return false, nil
	}
	for i, item := range strings.FieldsFunc(value, func(r rune) bool { return r < 128 && isBlank(byte(r)) }) {
		if i > 0 {
			s.end()
		}
		s.begin()
		s.word = append(s.word, item...)
	}
	return true, nil
}

// name reads a variable's name; "" if there is none.
func (s *splitter) name() string {
	from := s.at
	if s.at < len(s.line) && (s.line[s.at] == '.' || s.line[s.at] == '_' || isAlpha(s.line[s.at])) {
		for s.at++; s.at < len(s.line) && (s.line[s.at] == '_' || isAlpha(s.line[s.at]) || isDigit(s.line[s.at])); {
			s.at++
		}
	}
	return s.line[from:s.at]
}

// Append writes the words so that Split gives them back, one blank between.
func Append(dst []byte, words ...string) []byte {
	for i, w := range words {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if w == "" {
			dst = append(dst, `""`...)
		}
		for j := range len(w) {
			dst = appendEscaped(dst, w[j])
		}
	}
	return dst
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case ' ', '\\', '#', '\'', '"':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	case '\v', '\f':
		return fmt.Appendf(dst, `\x%02x`, c)
	}
	return append(dst, c)
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isHex(c byte) bool   { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
