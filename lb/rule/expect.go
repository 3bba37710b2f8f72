package rule

import (
	"fmt"

	"lbsyslogd/lb/sample"
)

// expect has the connection begin with a header about the client.
type expect struct{ what sample.Preface }

func parseExpect(what sample.Preface) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		word, err := p.need("'layer4'")
		if err == nil && word != "layer4" {
			err = fmt.Errorf("expects 'layer4', not '%s'", word)
		}
		return expect{what}, err
	}
}

func (a expect) run(x *sample.Ctx) Verdict {
	x.Rec.Expect = a.what
	return Continue
}
