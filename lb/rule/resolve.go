package rule

import (
	"errors"
	"strings"

	"lbsyslogd/lb/sample"
)

// doResolve has the rules wait for the address of a name, which a variable gets.
type doResolve struct {
	variable, section string
	ipv4              bool // is preferred to IPv6
	name              *sample.Expr
}

// parseDoResolve reads (<var>,<resolvers>[,ipv4|ipv6]) <expr>.
func parseDoResolve(p *ruleParser) (action, error) {
	args := strings.Split(p.arg, ",")
	if len(args) < 2 || len(args) > 3 || args[1] == "" {
		return nil, errors.New("expects (<var>,<resolvers>[,ipv4|ipv6])")
	}
	a := &doResolve{variable: args[0], section: args[1]}
	if err := sample.CheckVar(a.variable); err != nil {
		return nil, err
	}
	if len(args) == 3 && args[2] != "" {
		if args[2] != "ipv4" && args[2] != "ipv6" {
			return nil, errors.New("expects ipv4 or ipv6 after the resolvers section, but got '" + args[2] + "'")
		}
		a.ipv4 = args[2] == "ipv4"
	}
	word, err := p.need("an expression that gives a name, such as hdr(host),host_only")
	if err != nil {
		return nil, err
	}
	if a.name, err = p.expression(word); err != nil {
		return nil, err
	}
	p.acls.Uses.Note(&sample.ResolversRef{Name: a.section})
	return a, nil
}

// run leaves the variable alone when there is no name.
func (a *doResolve) run(x *sample.Ctx) Verdict {
	x.Begin()
	v, ok := a.name.Eval(x)
	if !ok {
		return Continue
	}
	x.Await = sample.Await{Var: a.variable, Resolvers: a.section, IPv4: a.ipv4, Name: string(v.Bytes())}
	return AwaitAddress
}
