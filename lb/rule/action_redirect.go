package rule

import (
	"errors"
	"fmt"
	"strings"
)

// redirect answers with a Location.
type redirect struct {
	code        int
	kind        redirectKind
	to          *Format
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

// parseRedirect reads the words behind "redirect". On a plain redirect line
// the target is a literal; behind http-request it is a format.
func parseRedirect(p *ruleParser, literal bool) (action, error) {
	a := &redirect{code: 302}
	target, found := "", false
	for !p.atCond() {
		word := p.next()
		var err error
		switch word {
		case "location", "prefix", "scheme":
			if target, err = p.need("a target behind '" + word + "'"); err != nil {
				return nil, err
			}
			a.kind = map[string]redirectKind{"location": toLocation, "prefix": toPrefix, "scheme": toScheme}[word]
			found = true
		case "code":
			code, _ := p.need("a code")
			switch code {
			case "301", "302", "303", "307", "308":
				a.code = int(leadingInt([]byte(code)))
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
			if a.cookie, err = p.need("a cookie behind 'set-cookie'"); err != nil {
				return nil, err
			}
			a.cookie += "; path=/;"
		case "clear-cookie":
			if a.cookie, err = p.need("a cookie behind 'clear-cookie'"); err != nil {
				return nil, err
			}
			a.cookie += "; path=/; Max-Age=0;"
		default:
			return nil, fmt.Errorf("unexpected keyword '%s'%s; expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash'",
				word, hint(word, []string{"code", "prefix", "location", "scheme", "set-cookie", "clear-cookie", "drop-query", "ignore-empty", "append-slash"}))
		}
	}
	if !found {
		return nil, errors.New("redirection type expected ('prefix', 'location' or 'scheme')")
	}
	if p.kind == Response && a.kind != toLocation {
		return nil, errors.New("a response can only be redirected by 'location': its request is gone")
	}
	if strings.ContainsAny(a.cookie, "\r\n\x00") {
		return nil, errLineBreak
	}
	var err error
	if literal {
		a.to = literalFormat(target)
	} else if a.to, err = p.compile(target); err != nil {
		return nil, err
	}
	return a, oneLine(a.to)
}

// literalFormat is a format without variables.
func literalFormat(s string) *Format {
	return &Format{src: s, steps: []step{{lit: []byte(s)}}}
}

func (a *redirect) run(x *Ctx) Verdict {
	x.reply = append(x.reply[:0], "location: "...)
	from := len(x.reply)
	if a.kind != toPrefix || a.to.src != "/" { // prefix "/" redirects to the same URL
		x.reply = a.to.Append(x.reply, x)
	}
	if a.ignoreEmpty && len(x.reply) == from && a.kind == toLocation {
		return Continue
	}
	if a.kind != toLocation && x.Req != nil {
		if a.kind == toScheme {
			x.reply = append(x.reply, "://"...)
			x.reply = append(x.reply, x.Req.Get("host")...)
		}
		a.path(x)
	}
	x.reply = append(x.reply, "\r\n"...)
	if a.code == 302 || a.code == 303 || a.code == 307 {
		x.reply = append(x.reply, "cache-control: no-cache\r\n"...)
	}
	if a.cookie != "" {
		x.reply = append(append(append(x.reply, "set-cookie: "...), a.cookie...), "\r\n"...)
	}
	x.Reply = Reply{Status: a.code, Header: x.reply}
	return Redirect
}

// path appends the request's path, with its query unless that is dropped.
func (a *redirect) path(x *Ctx) {
	path := pathQuery(x.Req)
	if a.dropQuery {
		path = x.Req.Path()
	}
	if len(path) == 0 || string(path) == "*" {
		path = slash
	}
	x.reply = append(x.reply, path...)
	if a.appendSlash && x.reply[len(x.reply)-1] != '/' {
		x.reply = append(x.reply, '/')
	}
}

var slash = []byte("/")
