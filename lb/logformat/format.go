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
	// Those with json, under the names of section 8.2.3's fields.
	HTTPLogJSON  = `%{+json}o %(client_ip)ci %(client_port)cp %(request_date)tr %(frontend_name)ft %(backend_name)b %(server_name)s` + timersJSON + ` %(status_code)ST` + countsJSON + messageJSON
	HTTPSLogJSON = HTTPLogJSON + ` %(fc_err)[fc_err] %(ssl_fc_err)[ssl_fc_err,hex] %(ssl_c_err)[ssl_c_err] %(ssl_c_ca_err)[ssl_c_ca_err] %(ssl_fc_is_resumed)[ssl_fc_is_resumed] %(ssl_fc_sni)[ssl_fc_sni] %(ssl_version)sslv %(ssl_cipher)sslc`
	TCPLogJSON   = `%{+json}o %(client_ip)ci %(client_port)cp %(accept_date)t %(frontend_name)ft %(backend_name)b %(server_name)s %(time_wait)Tw %(time_connect)Tc %(time_total)Tt %(bytes_read)B %(termination_state)ts` + connectionsJSON

	timersJSON      = ` %(time_request)TR %(time_wait)Tw %(time_connect)Tc %(time_response)Tr %(time_active)Ta`
	countsJSON      = ` %(bytes_read)B %(captured_request_cookie)CC %(captured_response_cookie)CS %(termination_state)tsc` + connectionsJSON
	connectionsJSON = ` %(actconn)ac %(feconn)fc %(beconn)bc %(srv_conn)sc %(retries)rc %(srv_queue)sq %(backend_queue)bq`
	messageJSON     = ` %(captured_request_headers)hr %(captured_response_headers)hs %(http_request)r`

	CLFLog = `%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`
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
	optJSON                         // json: as a value of JSON
)

// Format is a compiled log-format string. Immutable after ParseFormat.
type Format struct {
	src   string
	steps []step
	json  bool // an object of the parts that have names
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
	key   []byte // of the object: `"name": `; nil: the part has no name
	cast  cast
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
	if f.json {
		return f.renderJSON(dst, x)
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
		case n.opt&optJSON != 0:
			dst = n.appendJSON(dst, x)
			blank = false
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
	return &Format{src: p.text, steps: p.steps, json: p.whole == wholeJSON}, nil
}

type formatParser struct {
	text   string
	pos    int
	at     sample.Where
	global option // %{+Q}o sets it for all variables that follow
	whole  whole  // what all of them that were met say of the line
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
	name, err := p.itemName()
	if err != nil {
		return err
	}
	braced := ""
	if p.peek() == '{' {
		end := strings.IndexByte(p.text[p.pos:], '}')
		if end < 0 {
			return fmt.Errorf("truncated line after '%s'; a '}' is missing", p.text[p.pos-1:])
		}
		braced = p.text[p.pos-1 : p.pos+end+1]
		if opt, err = p.flags(opt, p.text[p.pos+1:p.pos+end]); err != nil {
			return err
		}
		p.pos += end + 1
	}
	switch c := p.peek(); {
	case c == '[':
		return p.expression(name, opt)
	case c == '%' && braced == "" && name.text == "":
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
	variable := p.text[from:p.pos]
	if variable == "" {
		if braced != "" {
			return fmt.Errorf("parse argument modifier without variable name near '%%%s'", braced[1:])
		}
		return fmt.Errorf("no variable name after '%%' near '%s'; if you wanted to emit the '%%' character verbatim, you need to use '%%%%'", p.text[from-1:])
	}
	if variable == "o" {
		p.global = opt
		p.whole = p.whole.and(opt&optJSON != 0)
		return nil
	}
	row := findVar(variable)
	if row == nil {
		return fmt.Errorf("no such format variable '%s'%s. If you wanted to emit the '%%' character verbatim, you need to use '%%%%'", variable, sample.Hint(variable, Variables()))
	}
	if p.at == sample.InCheck && !inChecks[variable] {
		return fmt.Errorf("format variable '%s' is about a client's exchange, and there is none in %s; %%H, %%b, %%pid and %%s are there", variable, p.at)
	}
	p.uses.Need(row.needs, p.at)
	n := p.open()
	n.row, n.opt = row, opt
	name.to(n)
	return nil
}

func (p *formatParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// expression reads "[fetch,conv]".
func (p *formatParser) expression(name itemName, opt option) error {
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
	name.to(n)
	return nil
}

// flags reads "+Q,-X" on top of what is set. As in HAProxy a flag begins at the
// last sign before a comma, and what is none has no effect: of "+Q +E" only +E
// has one. That is worth a warning.
func (p *formatParser) flags(opt option, text string) (option, error) {
	for f := range strings.SplitSeq(text, ",") {
		at := strings.LastIndexAny(f, "+-")
		if dropped := strings.TrimSpace(f[:max(at, 0)]); dropped != "" {
			p.passOver(dropped, text)
		}
		if at < 0 {
			if strings.TrimSpace(f) != "" {
				p.passOver(f, text)
			}
			continue
		}
		f = f[at:]
		var bit option
		switch f[1:] {
		case "Q":
			bit = optQuote
		case "X":
			bit = optHex
		case "E":
			bit = optEscape
		case "M":
			bit = optMandatory
		case "json":
			if bit = optJSON; p.at != sample.InLog {
				return 0, fmt.Errorf("flag '%s' is for log lines, not for %s", f, p.at)
			}
		case "cbor", "bin":
			return 0, fmt.Errorf("flag '%s' is supported by HAProxy only; lb writes lines, with +json an object in each", f)
		default:
			p.passOver(f, text)
			continue
		}
		if f[0] == '+' {
			opt |= bit
		} else {
			opt &^= bit
		}
	}
	return opt, nil
}

// passOver warns of what is no flag.
func (p *formatParser) passOver(word, text string) {
	p.uses.Note(&sample.Remark{Text: fmt.Sprintf("'%s' in '%%{%s}' has no effect, as in HAProxy: the flags are +Q (quotes), +X (hexadecimal), +E (escapes) and +json, or with '-' to remove them, with commas between", word, text)})
}
