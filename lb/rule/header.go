package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
	"lbsyslogd/syslogd/message"
)

// head is the one the rules of a set edit.
func head(x *sample.Ctx, s Stage) *http1.Head {
	if s.Where() == sample.InResponse {
		return x.Res
	}
	return x.Req
}

// headerName checks a field name (RFC 9110, section 5.1) and gives it.
func headerName(p *ruleParser) (string, error) {
	name, err := p.need("a header name")
	if err != nil {
		return "", err
	}
	if !isToken(name) {
		return "", fmt.Errorf("'%s' is not a header name", name)
	}
	return name, nil
}

// unframed gives an action on a field, or one that does nothing for those that
// say where the body ends: a rule that changed them would let one message hide
// in another. What lb sends is framed by itself, whatever the rules.
func (p *ruleParser) unframed(name string, a action) action {
	if !framing(name) {
		return a
	}
	p.remark("'%s' says where the body ends, which no rule changes: the rule does nothing, and lb writes what is true", name)
	return nothing{}
}

// editedName is headerName for rules that edit a head. HAProxy takes a colon at
// the end for a part of the name, and loads.
func editedName(p *ruleParser) (name string, colon bool, err error) {
	if bare, colon := strings.CutSuffix(p.peek(), ":"); colon && isToken(bare) {
		p.next()
		return bare, true, nil
	}
	name, err = headerName(p)
	return name, false, err
}

// otherName reads the name of fields that are there already. One that no field
// can have finds none, as in HAProxy, which loads it.
func otherName(p *ruleParser) (string, error) {
	name, err := p.need("a header name")
	if err == nil && !isToken(name) {
		p.remark("no header has the name '%s', so nothing is done, as in HAProxy: a header is named without its colon and its value", name)
		return name, nil
	}
	return name, err
}

// IsHeaderName reports whether name can be a header's (RFC 9110, section 5.1)
// that a proxy may write.
func IsHeaderName(name string) bool { return isToken(name) && !framing(name) }

// OwnField reports whether a reply of lb's own has the field from elsewhere: its
// length, its coding and its type.
func OwnField(name string) bool { return framing(name) || strings.EqualFold(name, "content-type") }

// framing names the fields that must agree with the body (RFC 9112, section
// 6).
func framing[T string | []byte](name T) bool {
	return len(name) == len("content-length") && strings.EqualFold(string(name), "content-length") ||
		len(name) == len("transfer-encoding") && strings.EqualFold(string(name), "transfer-encoding")
}

// isToken is RFC 9110's token, section 5.6.2.
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return len(s) > 0
}

type setHeader struct {
	stage  Stage
	name   []byte
	value  *logformat.Format
	append bool // add-header
	host   bool // Host of a request
}

func parseSetHeader(p *ruleParser) (action, error) { return parseHeader(p, false) }
func parseAddHeader(p *ruleParser) (action, error) { return parseHeader(p, true) }

func parseHeader(p *ruleParser, add bool) (action, error) {
	name, colon, err := editedName(p)
	if err != nil {
		return nil, err
	}
	if p.atCond() {
		return nil, fmt.Errorf("expects the value of '%s'", name)
	}
	text := p.next()
	if colon {
		p.remark("the value of '%s' begins with ': ', as in HAProxy: write its name without a colon", name)
		text = ": " + text // the line is then X:: value, as HAProxy writes it
	}
	value, err := p.compile(text)
	if err != nil {
		return nil, err
	}
	return p.unframed(name, &setHeader{stage: p.stage, name: []byte(name), value: value, append: add, host: p.stage == Request && strings.EqualFold(name, "host")}), oneLine(value)
}

func (a *setHeader) run(x *sample.Ctx) Verdict {
	h := head(x, a.stage)
	if h == nil {
		return Continue
	}
	x.Built = a.value.Append(x.Built[:0], x)
	if a.append {
		h.Add(a.name, x.Built)
		return Continue
	}
	h.Set(a.name, x.Built)
	if a.host {
		setAuthority(h, x.Built)
	}
	return Continue
}

// delHeader deletes fields by name, or by a match on the name.
type delHeader struct {
	stage Stage
	name  string
	match sample.Matcher // nil: the exact name
}

func parseDelHeader(p *ruleParser) (action, error) {
	if p.at+1 >= len(p.words) || p.words[p.at+1] != "-m" {
		name, err := otherName(p)
		return p.unframed(name, &delHeader{stage: p.stage, name: name}), err
	}
	a := &delHeader{stage: p.stage, name: p.next()}
	p.next()
	method, err := p.need("a matching method after '-m': str, beg, end, sub or reg")
	if err != nil {
		return nil, err
	}
	switch method {
	case "str", "beg", "end", "sub", "reg":
	default:
		return nil, fmt.Errorf("'-m %s' does not apply to header names; use str, beg, end, sub or reg", method)
	}
	row, err := sample.FindMethod(method)
	if err != nil {
		return nil, err
	}
	a.match, err = row.Compile([]sample.Pattern{{Text: a.name, Fold: true}})
	return a, err
}

func (a *delHeader) run(x *sample.Ctx) Verdict {
	h := head(x, a.stage)
	if h == nil {
		return Continue
	}
	if a.match == nil {
		h.Del(a.name)
		return Continue
	}
	for i := range h.Len() {
		x.Begin()
		if !h.Deleted(i) && a.match.Match(x, sample.StrValue(h.Name(i))) && !framing(h.Name(i)) {
			h.DelAt(i)
		}
	}
	return Continue
}

// replaceHeader rewrites whole fields, or each comma-separated value, that
// match. It allocates in the regexp package for every match.
type replaceHeader struct {
	stage Stage
	name  string
	re    *sample.Regexp
	with  *logformat.Format
	value bool
	host  bool // Host of a request
}

func parseReplaceHeader(p *ruleParser) (action, error) { return parseReplace(p, false) }
func parseReplaceValue(p *ruleParser) (action, error)  { return parseReplace(p, true) }

func parseReplace(p *ruleParser, value bool) (action, error) {
	name, err := otherName(p)
	if err != nil {
		return nil, err
	}
	re, with, err := p.substitution()
	if err != nil {
		return nil, err
	}
	return p.unframed(name, &replaceHeader{stage: p.stage, name: name, re: re, with: with, value: value, host: p.stage == Request && strings.EqualFold(name, "host")}), oneLine(with)
}

// substitution reads <match-regex> <replace-fmt>.
func (p *ruleParser) substitution() (*sample.Regexp, *logformat.Format, error) {
	if p.atCond() {
		return nil, nil, errors.New("expects a regular expression and its replacement")
	}
	re, err := sample.CompileRegexp(p.next(), false)
	if err != nil {
		return nil, nil, err
	}
	if p.atCond() {
		return nil, nil, errors.New("expects a replacement after the regular expression")
	}
	with, err := p.format("a replacement")
	return re, with, err
}

func (a *replaceHeader) run(x *sample.Ctx) Verdict {
	h := head(x, a.stage)
	if h == nil {
		return Continue
	}
	for i := h.Find(a.name, 0); i >= 0; i = h.Find(a.name, i+1) {
		if v, changed := a.rewrite(x, h.Value(i)); changed {
			h.SetValue(i, v)
			if a.host {
				setAuthority(h, v)
			}
		}
	}
	return Continue
}

// rewrite gives the new value of one field, built after the template in the
// Ctx's buffer.
func (a *replaceHeader) rewrite(x *sample.Ctx, v []byte) ([]byte, bool) {
	if a.re.Match(v) || a.value {
		x.Built = a.with.Append(x.Built[:0], x)
	} else {
		return nil, false
	}
	template := string(x.Built)
	x.Built = x.Built[:0]
	if !a.value {
		x.Built = sample.Expand(x.Built, template, v, a.re.Submatches(v))
		return sanitize(x.Built), true
	}
	changed := false
	for {
		end := sample.CommaOrEnd(v)
		part := sample.TrimBlank(v[:end])
		if m := a.re.Submatches(part); m != nil {
			x.Built = sample.Expand(x.Built, template, part, m)
			changed = true
		} else {
			x.Built = append(x.Built, v[:end]...)
		}
		if end == len(v) {
			return sanitize(x.Built), changed
		}
		x.Built = append(x.Built, ',')
		v = v[end+1:]
	}
}

// sanitize takes line ends out of a value: a template's \x0a may make one.
func sanitize(b []byte) []byte {
	for i, c := range b {
		if c == '\r' || c == '\n' || c == 0 {
			b[i] = ' '
		}
	}
	return b
}

// setStatus changes a response's status line.
type setStatus struct {
	code   int
	reason []byte
}

func parseSetStatus(p *ruleParser) (action, error) {
	word, err := p.need("a status code between 200 and 999")
	if err != nil {
		return nil, err
	}
	code, err := strconv.Atoi(word)
	switch {
	case err != nil || code < 100 || code > 999:
		return nil, fmt.Errorf("expects an integer status code between 200 and 999, not '%s'", word)
	case code < 200:
		return nil, fmt.Errorf("status %d announces another answer, and a client would take the body for that one; use 200 to 999", code)
	}
	a := &setStatus{code: code, reason: []byte(StatusText(code))}
	if p.peek() == "reason" {
		p.next()
		reason, err := p.need("a text after 'reason'")
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(reason, "\r\n\x00") {
			return nil, errLineBreak
		}
		a.reason = []byte(reason)
	}
	return a, nil
}

func (a *setStatus) run(x *sample.Ctx) Verdict {
	if x.Res != nil {
		x.Res.SetStatus(a.code, a.reason)
	}
	return Continue
}

// setLogLevel changes the severity of the transaction's line, or drops it.
type setLogLevel struct{ level int8 }

func parseLogLevel(p *ruleParser) (action, error) {
	word, err := p.need("a log level name or 'silent'")
	if err != nil {
		return nil, err
	}
	if word == "silent" {
		return setLogLevel{sample.LevelSilent}, nil
	}
	s, ok := message.ParseSeverity(word)
	if !ok {
		return nil, fmt.Errorf("'%s' is not a log level; use silent, emerg, alert, crit, err, warning, notice, info or debug", word)
	}
	return setLogLevel{int8(s) + 1}, nil
}

func (a setLogLevel) run(x *sample.Ctx) Verdict {
	x.Rec.Level = a.level
	return Continue
}
