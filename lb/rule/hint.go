package rule

import (
	"bytes"
	"fmt"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// earlyHint is early-hint: a field of a response 103 that the client gets before
// any other (RFC 8297).
type earlyHint struct {
	name  string
	value *logformat.Format
	more  bool // the next rule's field belongs to the same response
}

// parseEarlyHint reads <name> <fmt>.
func parseEarlyHint(p *ruleParser) (action, error) {
	name, err := p.need("a header's name and its value, as in 'early-hint Link \"</style.css>; rel=preload\"'")
	if err != nil {
		return nil, err
	}
	if !IsHeaderName(name) {
		return nil, fmt.Errorf("'%s' is not a header name", name)
	}
	f, err := p.format("the header's value")
	if err == nil {
		err = oneLine(f)
	}
	return &earlyHint{name: name, value: f}, err
}

// Follows says that r stands right after prev, in the same section. Early hints without a condition join the response of the hint before them, as in HAProxy: whether
// there are more fields is known when one is added.
func (r *Rule) Follows(prev *Rule) {
	if _, hint := r.act.(*earlyHint); !hint || r.cond != nil {
		return
	}
	if first, hint := prev.act.(*earlyHint); hint {
		first.more = true
	}
}

func (a *earlyHint) run(x *sample.Ctx) Verdict {
	x.Built = a.value.Append(x.Built[:0], x)
	if len(x.Hints) == 0 || bytes.HasSuffix(x.Hints, []byte("\r\n\r\n")) {
		x.Hints = append(x.Hints, "HTTP/1.1 103 Early Hints\r\n"...)
	}
	x.Hints = append(append(x.Hints, a.name...), ": "...)
	x.Hints = append(append(x.Hints, x.Built...), "\r\n"...)
	if !a.more {
		x.Hints = append(x.Hints, "\r\n"...)
	}
	return Continue
}
