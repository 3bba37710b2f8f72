package stream

import (
	"net/netip"

	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// resolve gives the variable of a do-resolve rule the address of its name;
// onward means that no name server is waited for. Without an address the
// variable stays as it is.
func (t *txn) resolve(a sample.Await, x *sample.Ctx) step {
	names, q := t.s.sh.unknown(a, x)
	if names == nil {
		return onward
	}
	resume := t.pause()
	names.Ask(q, func(addr netip.Addr) {
		resume(func(x *sample.Ctx) {
			if addr.IsValid() {
				setAddress(x, a.Var, addr)
			}
		})
	})
	return waits
}

// unknown gives the question that has to be asked for a's name, and who is to be asked; nil when nobody is: a's variable has the address if that
// is known already.
func (sh *Shard) unknown(a sample.Await, x *sample.Ctx) (names *resolve.Names, q resolve.Question) {
	if addr, ok := resolve.Literal(a.Name); ok {
		setAddress(x, a.Var, addr)
		return nil, q
	}
	q, ok := resolve.Name(a.Name, a.IPv4)
	if names = sh.eng.Resolvers[a.Resolvers]; !ok || names == nil {
		return nil, q
	}
	if addr, ok := names.Kept(q); ok {
		setAddress(x, a.Var, addr)
		return nil, q
	}
	return names, q
}

// lookup is a name that tcp-request content rules of a session in mode tcp ask for.
type lookup struct {
	sample.Await
	addr netip.Addr // invalid: there is none
	done bool
}

// askContent asks rules in mode tcp, which begin anew whenever more is known: bytes,
// or the address of a name. Both are waited for until inspect-delay is over.
func (t *txn) askContent(rules rule.Rules, x *sample.Ctx) rule.Verdict {
	for next := 0; ; {
		var v rule.Verdict
		if v, next = rules.EvalFrom(next, x); v != rule.AwaitAddress {
			return v
		}
		if t.s.lookUp(x) == waits {
			return rule.Wait
		}
	}
}

// lookUp is resolve for rules that begin anew.
func (s *session) lookUp(x *sample.Ctx) step {
	a, sh := x.Await, s.sh
	for _, l := range sh.lookups[s] {
		switch {
		case l.Await != a:
		case l.addr.IsValid():
			setAddress(x, a.Var, l.addr)
			return onward
		case l.done || !x.Partial:
			return onward
		default:
			return waits
		}
	}
	if !x.Partial { // as HAProxy, which asks nobody then
		return onward
	}
	names, q := sh.unknown(a, x)
	if names == nil {
		return onward
	}
	l := &lookup{Await: a}
	if sh.lookups == nil {
		sh.lookups = map[*session][]*lookup{}
	}
	sh.lookups[s] = append(sh.lookups[s], l)
	gen := s.gen
	names.Ask(q, func(addr netip.Addr) {
		sh.Loop.Post(func() {
			l.addr, l.done = addr, true
			if s.gen == gen && s.state == inspecting {
				s.run()
			}
		})
	})
	return waits
}

// dropLookups forgets what the rules have asked for.
func (s *session) dropLookups() {
	if s.sh.lookups != nil {
		delete(s.sh.lookups, s)
	}
}

func setAddress(x *sample.Ctx, name string, addr netip.Addr) {
	x.Begin()
	x.SetVar(name, sample.AddrValue(addr), 0)
}

// pause sets the request aside until what it returns is called, from any
// goroutine and once: then finish has its turn on the loop, and the rules go on.
func (t *txn) pause() (resume func(finish func(x *sample.Ctx))) {
	s, sh, gen := t.s, t.s.sh, t.gen
	t.setAside()
	t.phase = phaseWait
	s.watch()
	return func(finish func(x *sample.Ctx)) {
		sh.Loop.Post(func() {
			if t.gen != gen || t.phase != phaseWait {
				return
			}
			t.phase = phaseRoute
			t.endAwait()
			x := t.context()
			finish(x)
			t.proceed(x)
			s.run()
		})
	}
}
