package logformat

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"lbsyslogd/lb/sample"
)

// The formats that have names (HAProxy configuration manual, section 8.2).
const (
	HTTPLog  = `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r`
	HTTPSLog = HTTPLog + ` %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc`
	TCPLog   = `%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq`
	CLFLog   = `%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`
)

// option is a set of a variable's flags.
type option uint8

const (
	optQuote     option = 1 << iota // Q: in quotes
	optHex                          // X: numbers and addresses in hexadecimal
	optEscape                       // E: backslashes for RFC 5424
	optMandatory                    // an empty text shows as "-"
	optField                        // the text goes into a header: control characters as %XX, samples without quotes
	optRaw                          // samples are shown as they are
)

// Format is a compiled log-format string. Immutable after ParseFormat.
type Format struct {
	src   string
	steps []step
}

// step shows a literal and then a variable or an expression, either of which
// may be missing: half as many steps as parts.
type step struct {
	sep   bool   // before it all, a blank unless one stands there
	lit   []byte // literal
	blank bool   // lit ends in a separator
	row   *varRow
	expr  *sample.Expr
	opt   option
}

// Parse compiles a log-format string for log lines, where runs of blanks
// count as one and an absent value shows as "-".
func Parse(s string, uses *sample.Uses) (*Format, error) { return ParseAt(s, sample.InLog, uses) }

// ParseText compiles a format whose text a request makes: a name, an
// identifier.
func ParseText(s string, uses *sample.Uses) (*Format, error) {
	return (&formatParser{text: s, at: sample.InRequest, global: optField, blanks: true, uses: uses}).parse()
}

// ParseBytes compiles a format whose text is bytes for a connection, or what
// is compared with them: samples are shown as they are.
func ParseBytes(s string, at sample.Where, uses *sample.Uses) (*Format, error) {
	return (&formatParser{text: s, at: at, global: optField | optRaw, uses: uses}).parse()
}

// Literal is a format without variables.
func Literal(s string) *Format {
	return &Format{src: s, steps: []step{{lit: []byte(s)}}}
}

// BreaksLine reports whether a literal part holds what would end a line early.
func (f *Format) BreaksLine() bool {
	for i := range f.steps {
		if bytes.ContainsAny(f.steps[i].lit, "\r\n\x00") {
			return true
		}
	}
	return false
}

// String is the source.
func (f *Format) String() string { return f.src }

// Append appends what the format shows of x.
func (f *Format) Append(dst []byte, x *sample.Ctx) []byte {
	x.Begin()
	return f.Render(dst, x)
}

// Render is Append in the middle of another evaluation, whose values stay.
func (f *Format) Render(dst []byte, x *sample.Ctx) []byte {
	if f == nil { // an interface may hold one
		return dst
	}
	blank := true // a separator at the start, or after another one, is dropped
	for i := range f.steps {
		n := &f.steps[i]
		if n.sep && !blank {
			dst = append(dst, ' ')
			blank = true
		}
		switch len(n.lit) {
		case 0:
		case 1:
			dst = append(dst, n.lit[0])
			blank = n.blank
		default:
			dst = append(dst, n.lit...)
			blank = n.blank
		}
		switch {
		case n.row != nil:
			var shown bool
			if dst, shown = n.row.append(dst, x, n.opt); shown {
				blank = false
			}
		case n.expr != nil:
			dst = n.appendExpr(dst, x)
			blank = false
		}
	}
	return dst
}

func (n *step) appendExpr(dst []byte, x *sample.Ctx) []byte {
	var b []byte
	if v, ok := n.expr.Eval(x); ok {
		b = v.Text(x)
	}
	switch {
	case n.opt&optRaw != 0:
		return append(dst, b...)
	case n.opt&optField == 0:
		return appendText(dst, b, n.opt)
	case n.opt&optEscape != 0:
		return appendBackslashed(dst, b, '%', escapeField)
	}
	return AppendEscaped(dst, b, '%', escapeField)
}

// appendText appends a text as HAProxy's logs have it: only what would break
// the line is encoded, and "-" stands for an empty text without quotes.
func appendText(dst, b []byte, o option) []byte {
	if o&optQuote != 0 {
		dst = append(dst, '"')
	}
	switch {
	case len(b) == 0:
		if o&(optQuote|optMandatory) == optMandatory {
			dst = append(dst, '-')
		}
	case o&optEscape != 0:
		dst = appendBackslashed(dst, b, '#', escapeLine)
	default:
		dst = AppendEscaped(dst, b, '#', escapeLine)
	}
	if o&optQuote != 0 {
		dst = append(dst, '"')
	}
	return dst
}

// ParseAt compiles s for log lines or, at another place, for the value of
// a header, a path or a body.
func ParseAt(s string, at sample.Where, uses *sample.Uses) (*Format, error) {
	p := &formatParser{text: s, at: at, global: optField, uses: uses}
	if at == sample.InLog {
		p.global, p.blanks = optMandatory, true
	}
	return p.parse()
}

func (p *formatParser) parse() (*Format, error) {
	for p.pos < len(p.text) {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	return &Format{src: p.text, steps: p.steps}, nil
}

type formatParser struct {
	text   string
	pos    int
	at     sample.Where
	global option // %{+Q}o sets it for all variables that follow
	blanks bool   // runs of blanks count as one, at the beginning as none
	uses   *sample.Uses
	steps  []step
}

// open gives the step a literal or a variable goes into.
func (p *formatParser) open() *step {
	if n := len(p.steps); n > 0 && p.steps[n-1].row == nil && p.steps[n-1].expr == nil {
		return &p.steps[n-1]
	}
	p.steps = append(p.steps, step{})
	return &p.steps[len(p.steps)-1]
}

func (p *formatParser) literal(b byte) {
	s := p.open()
	s.lit, s.blank = append(s.lit, b), false
}

// separator adds a blank between parts. Only after a variable that may show
// nothing does it have to be decided for each line.
func (p *formatParser) separator() {
	n := len(p.steps)
	switch {
	case n == 0 || p.steps[n-1].blank && p.steps[n-1].row == nil && p.steps[n-1].expr == nil:
		return
	case p.steps[n-1].row != nil && p.steps[n-1].row.maybe:
		p.steps = append(p.steps, step{sep: true})
	case p.steps[n-1].sep && len(p.steps[n-1].lit) == 0 && p.steps[n-1].row == nil && p.steps[n-1].expr == nil:
		return
	default:
		s := p.open()
		s.lit, s.blank = append(s.lit, ' '), true
	}
}

func (p *formatParser) next() error {
	c := p.text[p.pos]
	p.pos++
	switch {
	case c == '%':
		return p.variable()
	case p.blanks && strings.IndexByte(" \t\r\n\v\f", c) >= 0:
		p.separator()
	default:
		p.literal(c)
	}
	return nil
}

// variable reads what follows a "%".
func (p *formatParser) variable() error {
	opt := p.global
	braced := ""
	if p.peek() == '{' {
		end := strings.IndexByte(p.text[p.pos:], '}')
		if end < 0 {
			return fmt.Errorf("truncated line after '%s'; a '}' is missing", p.text[p.pos-1:])
		}
		braced = p.text[p.pos-1 : p.pos+end+1]
		var err error
		if opt, err = flags(opt, p.text[p.pos+1:p.pos+end]); err != nil {
			return err
		}
		p.pos += end + 1
	}
	switch c := p.peek(); {
	case c == '[':
		return p.expression(opt)
	case c == '%' && braced == "":
		p.pos++
		p.literal('%')
		return nil
	case c == 0 && braced == "":
		return errors.New("truncated line after '%'; if you wanted to emit the '%' character verbatim, you need to use '%%'")
	}
	from := p.pos
	for c := p.peek(); c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	name := p.text[from:p.pos]
	if name == "" {
		if braced != "" {
			return fmt.Errorf("parse argument modifier without variable name near '%%%s'", braced[1:])
		}
		return fmt.Errorf("no variable name after '%%' near '%s'; if you wanted to emit the '%%' character verbatim, you need to use '%%%%'", p.text[from-1:])
	}
	if name == "o" {
		p.global = opt
		return nil
	}
	row := findVar(name)
	if row == nil {
		return fmt.Errorf("no such format variable '%s'%s. If you wanted to emit the '%%' character verbatim, you need to use '%%%%'", name, sample.Hint(name, varNames()))
	}
	if p.at == sample.InCheck && !inChecks[name] {
		return fmt.Errorf("format variable '%s' is about a client's exchange, and there is none in %s; %%H, %%b, %%pid and %%s are there", name, p.at)
	}
	p.uses.Need(row.needs, p.at)
	n := p.open()
	n.row, n.opt = row, opt
	return nil
}

func (p *formatParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// expression reads "[fetch,conv]".
func (p *formatParser) expression(opt option) error {
	from := p.pos + 1
	e, end, err := sample.ParsePrefix(p.text[from:], p.at, p.uses)
	if err != nil {
		return fmt.Errorf("failed to parse sample expression <%s> : %w", p.text[from:], err)
	}
	end += from
	if end == len(p.text) || p.text[end] != ']' {
		return fmt.Errorf("missing ']' after '%s'", p.text[from:end])
	}
	if err := e.Allowed(p.at); err != nil {
		return err
	}
	p.pos = end + 1
	n := p.open()
	n.expr, n.opt = e, opt
	return nil
}

// flags reads "+Q,-X" on top of what is set. HAProxy passes over letters it
// does not know; here they are a mistake.
func flags(opt option, text string) (option, error) {
	for _, f := range strings.Split(text, ",") {
		f = strings.TrimSpace(f)
		if f == "" {
			continue
		}
		var bit option
		switch strings.TrimLeft(f, "+-") {
		case "Q":
			bit = optQuote
		case "X":
			bit = optHex
		case "E":
			bit = optEscape
		case "M":
			bit = optMandatory
		}
		if bit == 0 || f[0] != '+' && f[0] != '-' {
			return 0, fmt.Errorf("unknown flag '%s' in '%%{%s}'; the flags are +Q (quotes), +X (hexadecimal) and +E (escapes), or with '-' to remove them", f, text)
		}
		if f[0] == '+' {
			opt |= bit
		} else {
			opt &^= bit
		}
	}
	return opt, nil
}
