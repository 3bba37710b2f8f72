package rule

import (
	"bytes"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// setURI rewrites a part of the request target.
type setURI struct {
	part  uriPart
	value *logformat.Format
}

// uriPart is what of the target an action rewrites.
type uriPart uint8

const (
	partAll   uriPart = iota // set-uri
	partPath                 // set-path: the query stays
	partPathQ                // set-pathq: path and query
	partQuery                // set-query: what follows the "?"
)

func parseSetURI(p *ruleParser) (action, error)   { return parseURI(p, partAll) }
func parseSetPath(p *ruleParser) (action, error)  { return parseURI(p, partPath) }
func parseSetPathQ(p *ruleParser) (action, error) { return parseURI(p, partPathQ) }
func parseSetQuery(p *ruleParser) (action, error) { return parseURI(p, partQuery) }

func parseURI(p *ruleParser, part uriPart) (action, error) {
	f, err := p.format("a format")
	return &setURI{part: part, value: f}, err
}

func (a *setURI) run(x *sample.Ctx) Verdict {
	if x.Req == nil {
		return Continue
	}
	x.Built = a.value.Append(x.Built[:0], x)
	replaceTarget(x, a.part, x.Built)
	return Continue
}

// replaceTarget puts value in place of a part of the target. What must not
// stand in a request line is percent-encoded, so that no sample can end it.
func replaceTarget(x *sample.Ctx, part uriPart, value []byte) {
	uri := x.Req.URI()
	from, to := partBounds(x.Req, part)
	if sample.PathQuery(x.Req) == nil {
		switch {
		case part == partAll:
		case part == partPath || part == partPathQ:
			if string(x.Req.Method()) == "CONNECT" {
				return // its target is an authority
			}
			from = 0 // the path takes the place of "*", or of a scheme and an authority
		default:
			if _, end := authority(uri); end == 0 {
				return // "*" has no query
			}
		}
	}
	next := make([]byte, 0, len(uri)+len(value)+8) // the head keeps it
	next = append(next, uri[:from]...)
	if part == partQuery && from == to && (from == 0 || uri[from-1] != '?') && len(value) > 0 && value[0] != '?' {
		next = append(next, '?')
	}
	if part == partQuery && len(value) > 0 && value[0] == '?' && from > 0 && uri[from-1] == '?' {
		value = value[1:]
	}
	next = logformat.AppendEscaped(next, value, '%', logformat.EscapeTarget)
	next = append(next, uri[to:]...)
	if len(next) == 0 || next[0] == '?' {
		next = append([]byte{'/'}, next...) // an empty path is no request target
	}
	x.Req.SetURI(next)
	if part == partAll {
		x.Req.Whole = false
		if from, to := authority(next); to > 0 && x.Req.HasHost {
			if i := x.Req.Find("host", 0); i >= 0 {
				x.Req.SetValue(i, next[from:to])
			}
		}
	}
}

var schemeEnd = []byte("://")

// authority are the bounds of the authority in an absolute target, 0 and 0 in
// another.
func authority(uri []byte) (from, to int) {
	i := bytes.Index(uri, schemeEnd)
	if i <= 0 || uri[0] == '/' {
		return 0, 0
	}
	from = i + len(schemeEnd)
	to = len(uri)
	if j := bytes.IndexAny(uri[from:], "/?"); j >= 0 {
		to = from + j
	}
	return from, to
}

// setAuthority keeps an absolute target in step with its Host: a server goes
// by the target (RFC 9112, section 3.2.2).
func setAuthority(h *http1.Head, host []byte) {
	uri := h.URI()
	from, to := authority(uri)
	if to == 0 {
		return
	}
	next := append(make([]byte, 0, len(uri)+len(host)), uri[:from]...)
	next = logformat.AppendEscaped(next, host, '%', logformat.EscapeTarget)
	h.SetURI(append(next, uri[to:]...))
}

// partBounds are the offsets of a part in the target.
func partBounds(h *http1.Head, part uriPart) (from, to int) {
	uri := h.URI()
	query := bytes.IndexByte(uri, '?')
	end := query
	if query < 0 {
		end = len(uri)
	}
	switch part {
	case partAll:
		return 0, len(uri)
	case partQuery:
		if query < 0 {
			return len(uri), len(uri)
		}
		return query + 1, len(uri)
	case partPath:
		return min(len(uri)-len(sample.PathQuery(h)), end), end
	}
	return min(len(uri)-len(sample.PathQuery(h)), end), len(uri)
}

// replaceURI rewrites a part of the target by a regular expression. It
// allocates in the regexp package for every match.
type replaceURI struct {
	part uriPart
	re   *sample.Regexp
	with *logformat.Format
}

func parseReplacePath(p *ruleParser) (action, error)  { return parseReplaceTarget(p, partPath) }
func parseReplacePathQ(p *ruleParser) (action, error) { return parseReplaceTarget(p, partPathQ) }
func parseReplaceURI(p *ruleParser) (action, error)   { return parseReplaceTarget(p, partAll) }

func parseReplaceTarget(p *ruleParser, part uriPart) (action, error) {
	re, with, err := p.substitution()
	return &replaceURI{part: part, re: re, with: with}, err
}

func (a *replaceURI) run(x *sample.Ctx) Verdict {
	if x.Req == nil {
		return Continue
	}
	if a.part != partAll && sample.PathQuery(x.Req) == nil {
		return Continue // nothing is there to match
	}
	from, to := partBounds(x.Req, a.part)
	old := x.Req.URI()[from:to]
	m := a.re.Submatches(old)
	if m == nil {
		return Continue
	}
	x.Built = a.with.Append(x.Built[:0], x)
	replaceTarget(x, a.part, sample.Expand(nil, string(x.Built), old, m))
	return Continue
}

// setMethod replaces the method; a text that is no method changes nothing.
type setMethod struct{ value *logformat.Format }

func parseSetMethod(p *ruleParser) (action, error) {
	f, err := p.format("a method")
	return &setMethod{f}, err
}

func (a *setMethod) run(x *sample.Ctx) Verdict {
	if x.Req == nil {
		return Continue
	}
	x.Built = a.value.Append(x.Built[:0], x)
	if isToken(x.Built) {
		x.Req.SetMethod(bytes.Clone(x.Built)) // the head keeps it
	}
	return Continue
}
