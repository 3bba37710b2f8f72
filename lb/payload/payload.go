// Package payload says where the payload of a command begins that comes over a command socket, and whether what follows a command could be one: lines
// of a payload are data, and never run as commands, whatever becomes of the command before them.
package payload

import "strings"

// Mark ends a command, but for blanks, that a payload follows: on the next line, or after the ";" that ends the command. The payload ends with an empty line.
const Mark = "<<"

// WordAfterSaid answers a command with a word after Mark.
const WordAfterSaid = `A payload begins after a "<<" that ends the command, and ends with an empty line: a word after "<<" is not known here. ` +
	"Nothing was done, and this session ends, as what follows may be a payload."

// Announced reports whether a command ends with Mark, but for blanks.
func Announced(command string) bool {
	return strings.HasSuffix(strings.TrimRight(command, " \t"), Mark)
}

// WordAfter reports whether a command ends with "<<EOF" or "<< EOF": where the payload ends that follows is for other releases to know.
func WordAfter(command string) bool {
	last := word{}
	for i := range len(command) {
		last.feed(command[i])
	}
	last.end()
	return last.after
}

// Follows is what follows a command.
type Follows uint8

const (
	Nothing Follows = iota // the command goes on
	Another                // another command of the line
	Line                   // the next line
	Payload                // a payload, from the next byte on
	Unknown                // what may be a payload, whose end is not known
)

// A Scan reads commands whose text is not kept, for what follows them. The zero value is at the beginning of a command.
type Scan struct {
	word
	escaped bool
	marks   int // "<" in a row before the blanks that come last
	blank   bool
}

// Feed takes the next byte, and says what comes after it.
func (s *Scan) Feed(b byte) Follows {
	if b != '\n' && (b != ';' || s.escaped) {
		s.escaped = b == '\\' && !s.escaped
		switch {
		case b == ' ' || b == '\t' || b == '\r':
			s.blank = true
		case b == '<' && !s.blank:
			s.marks++
		case b == '<':
			s.marks, s.blank = 1, false
		default:
			s.marks, s.blank = 0, false
		}
		s.feed(b)
		return Nothing
	}
	s.end()
	marked, after := s.marks >= len(Mark), s.after
	*s = Scan{}
	switch {
	case after:
		return Unknown
	case marked:
		return Payload
	case b == '\n':
		return Line
	}
	return Another
}

// word follows a command's words.
type word struct {
	n, marks int  // bytes of the current word, and how many of them are "<" at its start
	first    bool // a word has ended
	mark     bool // the last of them is Mark alone
	after    bool // the command ends with Mark and a word, so far
}

// feed takes a byte of a command.
func (w *word) feed(b byte) {
	switch {
	case b == ' ' || b >= '\t' && b <= '\r':
		w.end()
		return
	case b == '<' && w.marks == w.n:
		w.marks++
	}
	w.n++
}

// end ends the current word, if there is one.
func (w *word) end() {
	if w.n == 0 {
		return
	}
	w.after = w.first && (w.marks >= len(Mark) && w.n > len(Mark) || w.mark)
	w.mark = w.marks == len(Mark) && w.n == len(Mark)
	w.n, w.marks, w.first = 0, 0, true
}
