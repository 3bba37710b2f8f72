package stream

import (
	"net/netip"

	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/sample"
)

// resolve gives the variable of a do-resolve rule the address of its name;
// onward means that no name server is waited for. Without an address the
// variable stays as it is.
func (t *txn) resolve(a sample.Await, x *sample.Ctx) step {
	names := t.s.sh.eng.Resolvers[a.Resolvers]
	if addr, ok := resolve.Literal(a.Name); ok {
		setAddress(x, a.Var, addr)
		return onward
	}
	q, ok := resolve.Name(a.Name, a.IPv4)
	if !ok || names == nil {
		return onward
	}
	if addr, ok := names.Kept(q); ok {
		setAddress(x, a.Var, addr)
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
