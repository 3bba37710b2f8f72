package assemble

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stream"
)

// What operators did to servers, limits and variables, on its way to the next
// worker. A server that the configuration moved, or that has come to be there
// meanwhile, is the configuration's.

func (rt *Runtime) changedServers() []serverChange {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	var list []serverChange
	for _, r := range rt.operated.removed {
		list = append(list, serverChange{Backend: r.proxy.Name, Server: r.config.Name, Removed: true, Base: written(r.config)})
	}
	for _, s := range rt.Set.All() {
		cs := rt.serverConfigs[s.Target().Index]
		c := serverChange{Backend: s.Backend(), Server: cs.Name, Added: rt.operated.added[s], Base: written(cs), Plain: rt.operated.plain[s] != nil}
		if c.Added != nil {
			c.ID = cs.ID
		}
		if rt.operated.moved[s] {
			c.Addr, c.Port = s.Target().Addr().IP.Addr().String(), shownPort(s.Target())
		}
		if now, was := s.Places(), s.Configured(); now != was {
			c.Places, c.BasePlaces = now, was
		}
		if c.Added != nil || c.Plain || c.Addr != "" || c.Places != c.BasePlaces {
			list = append(list, c)
		}
	}
	return list
}

// laterServers is what of now was not said in before, which was sent. What is as the configuration has it again is an entry without more in it.
func laterServers(before, now []serverChange) []serverChange {
	type key struct {
		backend, server string
		removed         bool
	}
	of := func(list []serverChange) map[key]*serverChange {
		m := make(map[key]*serverChange, len(list))
		for i := range list {
			m[key{list[i].Backend, list[i].Server, list[i].Removed}] = &list[i]
		}
		return m
	}
	was, is := of(before), of(now)
	var list []serverChange
	for k, c := range was {
		if is[k] == nil && !c.Removed {
			list = append(list, serverChange{Backend: c.Backend, Server: c.Server, Removed: c.Added != nil, Base: c.Base})
		}
	}
	for i := range now {
		if c := was[key{now[i].Backend, now[i].Server, now[i].Removed}]; c == nil || !reflect.DeepEqual(*c, now[i]) {
			list = append(list, now[i])
		}
	}
	return list
}

// written is a server's address as its line has it.
func written(cs *config.Server) string {
	return fmt.Sprintf("%s:%d%+d", cs.Host, cs.Port, cs.PortOffset)
}

// texts are what `show runtime-changes` says.
func (c *serverChange) texts() []string {
	var list []string
	if c.Removed {
		list = append(list, "removed")
	}
	if c.Added != nil {
		list = append(list, "added: "+strings.Join(c.Added, " "))
	}
	if c.Addr != "" {
		list = append(list, "at "+c.Addr+" port "+c.Port+", configured "+strings.TrimSuffix(c.Base, "+0"))
	}
	if c.Plain {
		list = append(list, "ssl off")
	}
	return list
}

// applyServers does again what operators did in the worker before.
func (rt *Runtime) applyServers(list []serverChange, late bool) {
	for i := range list {
		if err := rt.applyServer(&list[i], late); err != nil {
			rt.note(fmt.Sprintf("keep what was done to server %s/%s at run time: %v", list[i].Backend, list[i].Server, err))
		}
	}
}

// applyServer is applyServers for one. late is a change that comes once more: what it does not say is the configuration's again.
func (rt *Runtime) applyServer(c *serverChange, late bool) error {
	be, p, err := rt.bothSides(c.Backend)
	if err != nil {
		return nil // the configuration has no such backend any more
	}
	if c.Added != nil {
		if there, err := rt.addAgain(be, p, c, late); err != nil || there {
			return err
		}
	}
	s, err := rt.Find(c.Backend, c.Server)
	if err != nil {
		return nil
	}
	if written(rt.serverConfigs[s.Target().Index]) != c.Base {
		return nil // the configuration moved it
	}
	if c.Removed {
		if rt.needed(be, p, s) {
			return nil
		}
		rt.changing.Lock()
		defer rt.changing.Unlock()
		return rt.part(be, p, s)
	}
	if to, err := netip.ParseAddr(c.Addr); err == nil {
		if err := rt.MoveServer(c.Backend, c.Server, to, c.Port); err != nil {
			return err
		}
	} else if late {
		rt.unmove(s)
	}
	switch now := s.Places(); {
	case c.Places != c.BasePlaces && c.BasePlaces == s.Configured():
		s.SetPlaces(c.Places)
	case late && now != s.Configured():
		s.SetPlaces(s.Configured())
	}
	if c.Plain || late && rt.isPlain(s) {
		return rt.SetServerTLS(c.Backend, c.Server, !c.Plain)
	}
	return nil
}

func (rt *Runtime) isPlain(s *servercheck.Server) bool {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	return rt.operated.plain[s] != nil
}

// addAgain adds a server that was added in the worker before. there is one of the configuration.
func (rt *Runtime) addAgain(be *stream.Backend, p *config.Proxy, c *serverChange, late bool) (there bool, err error) {
	s, err := rt.Find(c.Backend, c.Server)
	switch {
	case err != nil:
		return false, rt.addServer(c.Backend, c.Server, c.Added, c.ID)
	case !late || !s.Added():
		return true, nil
	}
	rt.changing.Lock()
	same := slices.Equal(rt.operated.added[s], c.Added)
	if !same { // it was removed and added since
		err = rt.part(be, p, s)
	}
	rt.changing.Unlock()
	if same || err != nil {
		return false, err
	}
	return false, rt.addServer(c.Backend, c.Server, c.Added, c.ID)
}

// unmove gives the server the address that the configuration has, if an operator has moved it.
func (rt *Runtime) unmove(s *servercheck.Server) {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	if !rt.operated.moved[s] {
		return
	}
	rt.eng.SetFollow(s.Target(), follow(rt.serverConfigs[s.Target().Index]), s.Target().Address)
	s.Moved()
	delete(rt.operated.moved, s)
}

// clearServers makes of the list of servers what the configuration says.
func (rt *Runtime) clearServers() error {
	for _, s := range rt.Set.All() {
		if s.Added() {
			if err := rt.SetAdmin(s.Backend(), s.Target().Name, control.Maint); err != nil {
				return err
			}
			if err := rt.DelServer(s.Backend(), s.Target().Name); err != nil {
				return fmt.Errorf("server %s/%s is in maintenance now, ask again later: %w", s.Backend(), s.Target().Name, err)
			}
		}
	}
	rt.changing.Lock()
	removed, moved, plain := rt.operated.removed, slices.Collect(maps.Keys(rt.operated.moved)), slices.Collect(maps.Keys(rt.operated.plain))
	rt.operated.removed = nil
	rt.changing.Unlock()
	for _, r := range removed {
		be, _, err := rt.bothSides(r.proxy.Name)
		if err != nil {
			return err
		}
		var admin backend.Admin
		if r.config.Disabled {
			admin = backend.ForcedMaint | backend.ConfigMaint
		}
		rt.changing.Lock()
		_, err = rt.join(be, r.proxy, r.config, admin, false)
		rt.changing.Unlock()
		if err != nil {
			return err
		}
	}
	for _, s := range moved {
		rt.unmove(s)
	}
	for _, s := range plain {
		if err := rt.SetServerTLS(s.Backend(), s.Target().Name, true); err != nil {
			return err
		}
	}
	return nil
}

// rates are the limits of what begins in a second, by the words of `set
// rate-limit`, with what the configuration has.
func (rt *Runtime) rates() []rateLimit {
	r, c := &rt.eng.Rates, &rt.cfg.Global.Rates
	return []rateLimit{
		{"connections", r.Conns, c.Conns}, {"sessions", r.Sessions, c.Sessions}, {"ssl-sessions", r.TLS, c.TLS},
		{"http-compression", &rt.eng.Compression, rt.cfg.Global.CompressionRate},
	}
}

type rateLimit struct {
	what string
	rate interface { // *stream.Rate, or *stream.Compression, in bytes
		Limit() int
		SetLimit(int)
	}
	configured int
}

// SetRateLimit implements control.Runtime.
func (rt *Runtime) SetRateLimit(what string, n int) error {
	if what == "http-compression" {
		n *= 1024
	}
	for _, r := range rt.rates() {
		if r.what == what {
			r.rate.SetLimit(n)
			return nil
		}
	}
	return fmt.Errorf("there is no rate-limit %s", what)
}

// DynamicCookie implements control.Runtime. A backend without a cookie has none
// to make.
func (rt *Runtime) DynamicCookie(name string, on bool) error {
	return rt.makeCookies(name, func(c *stream.Cookie) {
		_, key := c.Making()
		c.Make(on, key)
	})
}

// DynamicCookieKey implements control.Runtime.
func (rt *Runtime) DynamicCookieKey(name, key string) error {
	return rt.makeCookies(name, func(c *stream.Cookie) {
		on, _ := c.Making()
		c.Make(on, key)
	})
}

func (rt *Runtime) makeCookies(name string, change func(c *stream.Cookie)) error {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	for _, be := range rt.eng.Backends {
		if be.Proxy.Name == name {
			if be.Cookie != nil {
				change(be.Cookie)
			}
			return nil
		}
	}
	return control.ErrNoBackend
}

func (rt *Runtime) changedRates() (list []rateChange) {
	for _, r := range rt.rates() {
		if now := r.rate.Limit(); now != r.configured {
			list = append(list, rateChange{r.what, r.configured, now})
		}
	}
	return list
}

func (rt *Runtime) applyRates(list []rateChange) {
	for _, c := range list {
		for _, r := range rt.rates() {
			if r.what == c.What && r.configured == c.Base {
				r.rate.SetLimit(c.Now)
			}
		}
	}
}

func (rt *Runtime) clearRates() {
	for _, r := range rt.rates() {
		r.rate.SetLimit(r.configured)
	}
}

// SetVar implements control.Runtime.
func (rt *Runtime) SetVar(name, text string, format bool) error {
	base, _ := rt.eng.Vars.Configured(name)
	if err := config.SetVar(rt.eng.Vars, name, text, format); err != nil {
		return err
	}
	rt.changing.Lock()
	defer rt.changing.Unlock()
	rt.vars = slices.DeleteFunc(rt.vars, func(v varChange) bool { return v.Name == name })
	rt.vars = append(rt.vars, varChange{Name: name, Text: text, Format: format, Base: base})
	slices.SortFunc(rt.vars, func(a, b varChange) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// GetVar implements control.Runtime.
func (rt *Runtime) GetVar(name string) (kind, value string, ok bool) { return rt.eng.Vars.Show(name) }

func (rt *Runtime) changedVars() []varChange {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	return slices.Clone(rt.vars)
}

func (rt *Runtime) applyVars(list []varChange) {
	for _, v := range list {
		if base, _ := rt.eng.Vars.Configured(v.Name); base != v.Base {
			continue // the configuration has another value now
		}
		if err := rt.SetVar(v.Name, v.Text, v.Format); err != nil {
			rt.note("keep the variable " + v.Name + ": " + err.Error())
		}
	}
}

func (rt *Runtime) clearVars() {
	rt.changing.Lock()
	list := rt.vars
	rt.vars = nil
	rt.changing.Unlock()
	for _, v := range list {
		rt.eng.Vars.Restore(v.Name)
	}
}

// Environ is the environment as the configuration leaves it, for control.
func (rt *Runtime) Environ() []string { return rt.cfg.Environ }
