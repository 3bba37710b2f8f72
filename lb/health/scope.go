package health

import (
	"encoding/hex"
	"os"
	"strconv"

	"lbsyslogd/lb/sample"
)

// Scope is what the expressions and formats of a script see of the server
// that is checked, and of the process. Immutable after New.
type Scope struct {
	Backend, Server string
	Hostname        string
	Proc            *sample.ProcVars // variables of scope proc; nil: none
}

// first is the first step that talks with the server, nil if there is none.
func (s *Script) first() *Step {
	for i := range s.Steps {
		if s.Steps[i].Talks() {
			return &s.Steps[i]
		}
	}
	return nil
}

// evaluation is what is evaluated: the check's variables, and what the server has
// said. Values of the evaluation before are forgotten.
func (c *run) evaluation() *sample.Ctx {
	if c.scope == nil {
		s := &c.spec.Scope
		rec := &sample.Record{Pid: os.Getpid(), Hostname: s.Hostname}
		rec.Backend, rec.Server = s.Backend, s.Server
		c.scope = &sample.Ctx{Rec: rec, SessVars: &sample.Vars{}, Proc: s.Proc}
	}
	x := c.scope
	x.Begin()
	x.Buf, x.Partial = c.in, !c.last
	x.Rec.Status = -1
	x.Res, x.Said = nil, sample.Body{}
	if c.answer != nil {
		x.Rec.Status = c.answer.status
		x.Res, x.Said = c.answer.view(), sample.Body{Bytes: c.answer.body, Size: c.answer.ContentLength}
	}
	return x
}

// set gives a variable its value. One without a value leaves it as it is.
func (c *run) set(v *Var) {
	x := c.evaluation()
	switch {
	case v.Format != nil:
		x.SetVar(v.Name, sample.StrValue(v.Format.Render(nil, x)), v.When)
	case v.Expr == nil:
		x.UnsetVar(v.Name)
	default:
		if value, ok := v.Expr.Eval(x); ok {
			x.SetVar(v.Name, value, v.When)
		}
	}
}

// port is the port that a connect step names, 0 if it names none.
func (c *run) port(how *Connect) int {
	if how.PortExpr == nil {
		return how.Port
	}
	if v, ok := how.PortExpr.Eval(c.evaluation()); ok {
		if n, ok := v.Integer(); ok {
			return int(uint16(n)) // HAProxy keeps 16 bits
		}
	}
	return how.Port
}

// sendFormat writes what a format makes; nothing if that is empty.
func (c *run) sendFormat(f *SendFormat) (result, bool) {
	b := f.Text.Append(nil, c.evaluation())
	if f.Hex {
		var err error
		if b, err = hex.AppendDecode(nil, b); err != nil {
			return result{status: L7RSP, info: "tcp-check send : failed to build log-format string at step " + strconv.Itoa(c.step.Number)}, false
		}
	}
	if len(b) == 0 && c.conn != nil {
		c.in = c.in[:0]
		return result{}, true
	}
	return c.send(b)
}

// fill is the request with what is made anew for this check.
func (c *run) fill(q *Request) *Request {
	if q.URIFormat == nil && q.BodyFormat == nil && q.Values == nil {
		return q
	}
	own := *q
	if q.URIFormat != nil {
		own.URI = string(q.URIFormat.Append(nil, c.evaluation()))
	}
	if q.BodyFormat != nil {
		own.Body = string(q.BodyFormat.Append(nil, c.evaluation()))
	}
	if q.Values != nil {
		own.Headers = nil
		for i, line := range q.Headers {
			if f := q.Values[i]; f != nil {
				value := f.Append(nil, c.evaluation())
				if len(value) == 0 {
					continue
				}
				line += " " + string(value)
			}
			own.Headers = append(own.Headers, line)
		}
	}
	return &own
}

// header is what is looked for, with the texts that its formats make.
func (c *run) header(m *HeaderMatch) *HeaderMatch {
	if m.NameFormat == nil && m.ValueFormat == nil {
		return m
	}
	own := *m
	for _, one := range []struct {
		format *HeaderFormat
		match  *func(string) bool
	}{{m.NameFormat, &own.Name}, {m.ValueFormat, &own.Value}} {
		if one.format != nil {
			want := string(one.format.Text.Append(nil, c.evaluation()))
			*one.match = func(got string) bool { return one.format.Compare(got, want) }
		}
	}
	return &own
}

// text is the expectation with the text that its format makes.
func (c *run) text(e *Expect) (*Expect, result, bool) {
	if e.Format == nil {
		return e, result{}, true
	}
	own := *e
	own.Text = e.Format.Append(nil, c.evaluation())
	if e.Hex {
		var err error
		if own.Text, err = hex.AppendDecode(nil, own.Text); err != nil {
			return nil, result{status: L7RSP, info: "Failed to parse hexastring resulting of eval of a log-format string"}, false
		}
	}
	if len(own.Text) == 0 {
		return nil, result{status: L7RSP, info: "log-format string evaluated to an empty string"}, false
	}
	return &own, result{}, true
}

// note puts into r the text and the code that the expectation has for its
// outcome. It reports whether there is a text.
func (c *run) note(r *result, e *Expect, good bool) bool {
	made, format := e.OnBad, e.NoteBad
	if good {
		made, format = e.OnOK, e.NoteOK
	}
	if e.Code != nil {
		r.code = e.Code(c.in)
	}
	if e.CodeExpr != nil {
		if v, ok := e.CodeExpr.Eval(c.evaluation()); ok {
			if n, ok := v.Integer(); ok {
				r.code = int(n)
			}
		}
	}
	switch {
	case made != nil:
		r.info = said(made(c.in))
	case format != nil:
		r.info = said(string(format.Append(nil, c.evaluation())))
	default:
		return false
	}
	return true
}
