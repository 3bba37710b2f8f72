package rule

import (
	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/sample"
	"lbsyslogd/lb/spop"
)

// Message is what an agent is told (filter spoe): samples by their names.
// Immutable.
type Message struct {
	Name string
	Args []MessageArg
	Cond *acl.Cond // nil: always
}

// MessageArg is one sample of a message.
type MessageArg struct {
	Name string // "" has none
	Expr *sample.Expr
}

// Append appends the message as it is sent, if its condition holds.
func (m *Message) Append(dst []byte, x *sample.Ctx) []byte {
	if m.Cond != nil && !m.Cond.Eval(x) {
		return dst
	}
	dst = spop.AppendMessage(dst, m.Name, len(m.Args))
	for _, a := range m.Args {
		x.Begin()
		v, ok := a.Expr.Eval(x)
		dst = spop.AppendArg(dst, a.Name, toAgent(v, ok))
	}
	return dst
}

// toAgent is a sample as it is sent; one that is not there is null.
func toAgent(v sample.Value, ok bool) spop.Value {
	if !ok {
		return spop.Value{}
	}
	switch v.Kind() {
	case sample.Bool, sample.Int:
		n, _ := v.Integer()
		kind := spop.Int64
		if v.Kind() == sample.Bool {
			kind = spop.Bool
		}
		return spop.Value{Kind: kind, Int: n}
	case sample.Addr:
		addr, _ := v.Address()
		if addr.Is4() {
			return spop.Value{Kind: spop.IPv4, Addr: addr}
		}
		return spop.Value{Kind: spop.IPv6, Addr: addr}
	case sample.Bin:
		return spop.Value{Kind: spop.Binary, Bytes: v.Bytes()}
	}
	return spop.Value{Kind: spop.String, Bytes: v.Bytes()}
}

// Obey does what an agent wants of variables, whose names get a prefix. Those of
// the process are none of its business, unless proc.
func Obey(x *sample.Ctx, actions []spop.Action, prefix string, proc bool) {
	for _, a := range actions {
		name := a.Scope + "." + prefix + "." + a.Name
		if a.Scope == "proc" && !proc || sample.CheckVar(name) != nil {
			continue
		}
		if a.Unset {
			x.UnsetVar(name)
			continue
		}
		x.Begin()
		switch v := a.Value; v.Kind {
		case spop.Null:
			x.UnsetVar(name)
		case spop.Bool:
			x.SetVar(name, sample.BoolValue(v.Int != 0), 0)
		case spop.IPv4, spop.IPv6:
			x.SetVar(name, sample.AddrValue(v.Addr), 0)
		case spop.String:
			x.SetVar(name, sample.StrValue(v.Bytes), 0)
		case spop.Binary:
			x.SetVar(name, sample.BinValue(v.Bytes), 0)
		default:
			x.SetVar(name, sample.IntValue(v.Int), 0)
		}
	}
}

// sendGroup has the rules wait for what an agent says of a group of messages.
type sendGroup struct{ engine, group string }

// parseSendGroup reads <engine> <group>.
func parseSendGroup(p *ruleParser) (action, error) {
	engine, err := p.need("an engine's name and a group's")
	if err != nil {
		return nil, err
	}
	group, err := p.need("a group's name")
	if err != nil {
		return nil, err
	}
	p.acls.Uses.Note(&sample.GroupRef{Engine: engine, Group: group})
	return sendGroup{engine, group}, nil
}

func (a sendGroup) run(x *sample.Ctx) Verdict {
	x.Await = sample.Await{Engine: a.engine, Group: a.group}
	return AwaitAgent
}
