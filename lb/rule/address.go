package rule

import (
	"net/netip"

	"lbsyslogd/lb/sample"
)

// setAddress puts a sample in the place of an address of the client's
// connection, for all that comes later: rules, logs, headers, balancing, and
// servers that are reached at the client's destination.
type setAddress struct {
	value *sample.Expr
	of    func(r *sample.Record) *netip.AddrPort
	port  bool // the port; else the host
}

func client(r *sample.Record) *netip.AddrPort { return &r.Client }
func target(r *sample.Record) *netip.AddrPort { return &r.FrontAddr }

func parseSetAddress(of func(r *sample.Record) *netip.AddrPort, port bool) func(p *ruleParser) (action, error) {
	return func(p *ruleParser) (action, error) {
		word, err := p.need("an expression")
		if err != nil {
			return nil, err
		}
		e, err := p.expression(word)
		if err != nil {
			return nil, err
		}
		p.acls.Uses.Need(sample.NeedsFrontAddr, p.stage.Where())
		return &setAddress{value: e, of: of, port: port}, nil
	}
}

// run leaves the address as it is when the sample is missing or is none.
func (a *setAddress) run(x *sample.Ctx) Verdict {
	v, ok := a.value.Eval(x)
	if !ok || x.Rec == nil {
		return Continue
	}
	at := a.of(x.Rec)
	if a.port {
		if n, ok := v.Integer(); ok && n >= 0 && n <= 65535 {
			ip := at.Addr()
			if !ip.IsValid() {
				ip = netip.IPv4Unspecified() // a unix socket's client gets an address
			}
			*at = netip.AddrPortFrom(ip, uint16(n))
		}
		return Continue
	}
	if ip, ok := v.Address(); ok {
		*at = netip.AddrPortFrom(ip.Unmap(), at.Port())
	}
	return Continue
}
