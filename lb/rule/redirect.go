package rule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// redirect answers with a Location.
type redirect struct {
	code        int
	target      redirectKind
	to          *logformat.Format
	dropQuery   bool
	appendSlash bool
	ignoreEmpty bool
	cookie      string // the Set-Cookie value, "" for none
}

type redirectKind uint8

const (
	toLocation redirectKind = iota
	toPrefix
	toScheme
)

// parseRedirect reads the words after "redirect". On a plain redirect line
// the target is a literal; after http-request it is a format.
func parseRedirect(p *ruleParser, literal bool) (action, error) {
	a := &redirect{code: 302}
	target, found := "", false
	for !p.atCond() {
		word := p.next()
		var err error
		switch word {
		case "location", "prefix", "scheme":
			if target, err = p.need("a target after '" + word + "'"); err != nil {
				return nil, err
			}
			a.target = map[string]redirectKind{"location": toLocation, "prefix": toPrefix, "scheme": toScheme}[word]
			found = true
		case "code":
			code, missing := p.need("a code")
			if missing != nil {
				return nil, missing
			}
			switch code = p.leading(code); code {
			case "301", "302", "303", "307", "308":
				a.code, _ = strconv.Atoi(code) // one of these
			default:
				return nil, fmt.Errorf("unsupported HTTP code '%s' (must be one of 301, 302, 303, 307 or 308)", code)
			}
		case "drop-query":
			a.dropQuery = true
		case "append-slash":
			a.appendSlash = true
		case "ignore-empty":
			a.ignoreEmpty = true
		case "set-cookie":
			if a.cookie, err = p.need("a cookie after 'set-cookie'"); err != nil {
				return nil, err
			}
			a.cookie += "; path=/;"
		case "clear-cookie":
			if a.cookie, err = p.need("a cookie after 'clear-cookie'"); err != nil {
				return nil, err
			}
			a.cookie += "; path=/; Max-Age=0;"
		default:
			return nil, fmt.Errorf("unexpected keyword '%s'%s; expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash'",
				word, sample.Hint(word, []string{"code", "prefix", "location", "scheme", "set-cookie", "clear-cookie", "drop-query", "ignore-empty", "append-slash"}))
		}
	}
	if !found {
		return nil, errors.New("redirection type expected ('prefix', 'location' or 'scheme')")
	}
	if p.stage.Where() == sample.InResponse && a.target != toLocation {
		return nil, errors.New("a response can only be redirected by 'location': its request is gone")
	}
	if strings.ContainsAny(a.cookie, "\r\n\x00") {
		return nil, errLineBreak
	}
	var err error
	if literal {
		a.to = logformat.Literal(target)
	} else if a.to, err = p.compile(target); err != nil {
		return nil, err
	}
	return a, oneLine(a.to)
}

// phraseFound is the reason phrase of HAProxy's redirects with 302; its other answers have StatusText's.
var phraseFound = []byte("Found")

func (a *redirect) run(x *sample.Ctx) Verdict {
	x.Answer = append(x.Answer[:0], "location: "...)
	from := len(x.Answer)
	if a.target != toPrefix || a.to.String() != "/" { // prefix "/" redirects to the same URL
		x.Answer = a.to.Append(x.Answer, x)
	}
	if a.ignoreEmpty && len(x.Answer) == from && a.target == toLocation {
		return Continue
	}
	if a.target != toLocation && x.Req != nil {
		if a.target == toScheme {
			x.Answer = append(x.Answer, "://"...)
			x.Answer = append(x.Answer, x.Req.Get("host")...)
		}
		a.path(x)
	}
	x.Answer = append(x.Answer, "\r\n"...)
	if a.code == 302 || a.code == 303 || a.code == 307 {
		x.Answer = append(x.Answer, "cache-control: no-cache\r\n"...)
	}
	if a.cookie != "" {
		x.Answer = append(append(append(x.Answer, "set-cookie: "...), a.cookie...), "\r\n"...)
	}
	x.Reply = sample.Reply{Status: a.code, Header: x.Answer}
	if a.code == 302 {
		x.Reply.Reason = phraseFound
	}
	return Redirect
}

// path appends the request's path, with its query unless that is dropped.
func (a *redirect) path(x *sample.Ctx) {
	path := sample.PathQuery(x.Req)
	if a.dropQuery {
		path = x.Req.Path()
	}
	if len(path) == 0 || string(path) == "*" {
		path = slash
	}
	x.Answer = append(x.Answer, path...)
	if a.appendSlash && x.Answer[len(x.Answer)-1] != '/' {
		x.Answer = append(x.Answer, '/')
	}
}

var slash = []byte("/")
