package rule

import (
	"fmt"

	"lbsyslogd/lb/sample"
)

// switchMode is switch-mode http: of a connection in mode tcp, whose client
// speaks HTTP from then on. A request passes.
type switchMode struct{}

// parseSwitch reads http [proto <name>].
func parseSwitch(p *ruleParser) (action, error) {
	if word := p.next(); word != "http" {
		return nil, fmt.Errorf("expects 'http', not '%s'", word)
	}
	if p.peek() != "proto" {
		return switchMode{}, nil
	}
	p.next()
	word, err := p.need("a protocol's name: h1 or h2")
	if err == nil && word != "h1" && word != "h2" {
		err = fmt.Errorf("'proto %s' is unknown: h1 and h2 are spoken, and told apart by the client's first bytes", word)
	}
	return switchMode{}, err
}

func (switchMode) run(*sample.Ctx) Verdict { return SwitchHTTP }

// Switches reports whether the rule is switch-mode.
func (r *Rule) Switches() bool {
	_, ok := r.act.(switchMode)
	return ok
}
