package rule

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/sample"
)

// askAuth asks for a name and a password.
type askAuth struct{ realm string } // "" is the proxy's name

func parseAuth(p *ruleParser) (action, error) {
	a := &askAuth{}
	for !p.atCond() {
		if word := p.next(); word != "realm" {
			return nil, fmt.Errorf("unknown argument '%s'%s", word, sample.Hint(word, []string{"realm"}))
		}
		var err error
		if a.realm, err = p.need("a text after 'realm'"); err != nil {
			return nil, err
		}
	}
	if strings.ContainsAny(a.realm, "\r\n\x00\"") {
		return nil, fmt.Errorf("the realm '%s' holds a quote or a line break, which a header cannot carry there", a.realm)
	}
	return a, nil
}

func (a *askAuth) run(x *sample.Ctx) Verdict {
	realm := a.realm
	if realm == "" {
		realm = x.Rec.Backend // until a backend is chosen, the frontend
	}
	x.Answer = append(x.Answer[:0], `www-authenticate: Basic realm="`...)
	x.Answer = append(append(x.Answer, realm...), "\"\r\n"...)
	x.Reply = sample.Reply{Status: 401, ErrorFile: true, Header: x.Answer}
	return Unauthorized
}
