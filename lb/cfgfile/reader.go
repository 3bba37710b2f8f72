package cfgfile

import (
	"bytes"
	"strconv"
	"strings"
)

// maxLine bounds one line. HAProxy has no bound; a megabyte without a line
// end is no configuration.
const maxLine = 1 << 20

// Line is one line with at least one word.
type Line struct {
	Pos   Pos    // Col is the first word's
	Words []Word // valid until the next line is read; their texts are for good
}

// Keyword gives the first word.
func (l *Line) Keyword() string { return l.Words[0].Text }

// Texts gives the texts of the words.
func (l *Line) Texts() []string {
	texts := make([]string, len(l.Words))
	for i, w := range l.Words {
		texts[i] = w.Text
	}
	return texts
}

// Args gives the texts of the words after the first.
func (l *Line) Args() []string { return l.Texts()[1:] }

// Reader gives the lines of one source that its conditions let through.
// Not for concurrent use.
type Reader struct {
	// Section is what ${.SECTION} gives; its owner keeps it up to date.
	Section string

	rest   []byte
	pos    Pos
	env    *Env
	report *Report
	blocks []block // open .if blocks, innermost last
	words  []Word  // of the last line
}

// block is one open .if.
type block struct {
	pos   Pos
	state blockState
	outer bool // the lines around the block are read
	final bool // .else was seen
}

// blockState says what becomes of the lines of a block.
type blockState uint8

const (
	reading blockState = iota // this branch is taken
	waiting                   // no branch was taken yet
	done                      // a branch was taken before
)

// NewReader reads src. What is wrong goes to report.
func NewReader(src Source, env *Env, report *Report) *Reader {
	report.Opened(src.Name)
	r := &Reader{rest: src.Data, pos: Pos{File: src.Name}, env: env, report: report}
	return r
}

// Next gives the next line, or false at the end of the source.
func (r *Reader) Next() (Line, bool) {
	for len(r.rest) > 0 {
		text, ok := r.cut()
		if !ok {
			continue
		}
		words, err := appendWords(r.words[:0], text, r.lookup)
		r.words = words
		if err != nil {
			// In a branch that is not taken only directives must be sound.
			if r.taken() || strings.HasPrefix(strings.TrimSpace(text), ".") {
				r.syntax(text, err)
			}
			continue
		}
		if len(words) == 0 {
			continue
		}
		r.pos.Col = words[0].Col
		line := Line{Pos: r.pos, Words: words}
		switch {
		case strings.HasPrefix(line.Keyword(), "."):
			r.directive(text, line)
		case !r.taken():
		case line.Keyword() == "":
			if len(words) > 1 {
				r.report.Errorf(r.pos, "the keyword is empty (an unset variable?), but '%s' follows", words[1].Text)
			}
		default:
			return line, true
		}
	}
	for _, b := range r.blocks {
		r.report.Errorf(b.pos, "this '.if' has no '.endif'")
	}
	r.blocks = nil
	return Line{}, false
}

// File is the name of the file that is read.
func (r *Reader) File() string { return r.pos.File }

// cut takes the next line off the source. It is false if the line was refused.
func (r *Reader) cut() (string, bool) {
	r.pos.Line++
	r.pos.Col = 0
	line, rest, ended := bytes.Cut(r.rest, []byte{'\n'})
	r.rest = rest
	switch {
	case len(line) > maxLine:
		r.report.Errorf(r.pos, "line too long: %d bytes, at most %d", len(line), maxLine)
		return "", false
	case bytes.IndexByte(line, 0) >= 0:
		r.report.Errorf(r.pos, "stray NUL character at position %d: the file is damaged or not a text", bytes.IndexByte(line, 0)+1)
		return "", false
	case !ended:
		// A file cut short by a full disk often still parses, so HAProxy
		// wants the last line ended, and so do we.
		r.report.Errorf(r.pos, "Missing LF on last line, file might have been truncated at position %d.", len(line)+1)
	}
	return string(line), true
}

func (r *Reader) syntax(text string, err *SyntaxError) {
	at := r.pos
	at.Col = err.Col
	r.report.Mark(at, text, err.Error())
}

func (r *Reader) lookup(name string) (string, bool) {
	switch name {
	case ".FILE":
		return r.pos.File, true
	case ".LINE":
		return strconv.Itoa(r.pos.Line), true
	case ".SECTION":
		return r.Section, true
	}
	return r.env.Get(name)
}

// taken says whether lines are read here.
func (r *Reader) taken() bool {
	return len(r.blocks) == 0 || r.blocks[len(r.blocks)-1].state == reading
}

// directive applies a line that begins with a dot.
func (r *Reader) directive(text string, line Line) {
	keyword, args := line.Keyword(), line.Args()
	var inner *block
	if n := len(r.blocks); n > 0 {
		inner = &r.blocks[n-1]
	}
	if (keyword == ".elif" || keyword == ".else" || keyword == ".endif") && inner == nil {
		r.report.Errorf(line.Pos, "lone '%s' with no matching '.if'", keyword)
		return
	}
	switch keyword {
	case ".if":
		b := block{pos: line.Pos, outer: r.taken(), state: done}
		if b.outer {
			b.state = waiting
			if r.condition(text, line) {
				b.state = reading
			}
		}
		r.blocks = append(r.blocks, b)
	case ".elif":
		switch {
		case inner.final:
			r.report.Errorf(line.Pos, "'.elif' after '.else': the '.if' of line %d has its last branch already", inner.pos.Line)
		case inner.state == reading:
			inner.state = done
		case inner.state == waiting && r.condition(text, line):
			inner.state = reading
		}
	case ".else":
		r.noMore(line, args, 0)
		switch {
		case inner.final:
			r.report.Errorf(line.Pos, "second '.else' for the '.if' of line %d", inner.pos.Line)
		case inner.state == waiting:
			inner.state = reading
		default:
			inner.state = done
		}
		inner.final = true
	case ".endif":
		r.noMore(line, args, 0)
		r.blocks = r.blocks[:len(r.blocks)-1]
	case ".notice", ".warning", ".alert", ".diag":
		if r.taken() && r.noMore(line, args, 1) {
			r.message(line, args)
		}
	default:
		if r.taken() {
			known := []string{".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag"}
			hint := ""
			if s := Suggest(keyword, known); s != "" {
				hint = "; did you mean '" + s + "' maybe ?"
			}
			r.report.Errorf(line.Pos, "unknown directive '%s'%s", keyword, hint)
		}
	}
}

// condition evaluates what follows .if or .elif.
func (r *Reader) condition(text string, line Line) bool {
	args := line.Args()
	result, err := r.env.Eval(strings.Join(args, " "))
	if err != nil {
		// Words lost their quotes, so the place in the joined words is near
		// the place in the line, not more: point at the condition.
		at := line.Pos
		at.Col = line.Words[1].Col
		r.report.Mark(at, text, err.Text+" in '"+line.Keyword()+"'")
	}
	return result
}

// noMore reports words beyond the n that the directive takes.
func (r *Reader) noMore(line Line, args []string, n int) bool {
	if len(args) > n {
		hint := ""
		if n > 0 {
			hint = " Use quotes if the message should contain spaces."
		}
		r.report.Errorf(line.Pos, "Unexpected argument '%s' for '%s'.%s", args[n], line.Keyword(), hint)
		return false
	}
	return true
}

func (r *Reader) message(line Line, args []string) {
	text := "''"
	if len(args) > 0 {
		text = "'" + args[0] + "'"
	}
	switch line.Keyword() {
	case ".notice":
		r.report.Notef(line.Pos, "%s", text)
	case ".warning":
		r.report.Warnf(line.Pos, "%s", text)
	case ".alert":
		r.report.Errorf(line.Pos, "%s", text)
	}
}
