package assemble

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stream"
)

// Servers that operators add, remove and move while the process serves. All of
// it goes to the next worker (changes.go).

// byOperators is what operators changed, what the configuration has in place of
// it, and what it takes to change more.
type byOperators struct {
	sentChanges      uint64  // a sum of what the next worker has heard of, 0 for nothing; succession guards it
	sent             changes // without what may be large; succession guards it
	hardMaxConn      int     // what `set maxconn global` cannot exceed
	configuredLimits []int   // maxconn by stream.Frontend.Index
	logs             logTargets
	forMaster        *control.Server            // answers commands that come through the master
	proxyLogs        map[*config.Proxy]*sideLog // what proxies say of their servers

	changing sync.RWMutex // held while servers come, go or move, and shared while they are counted
	// changing guards the fields below.
	operated operated
	vars     []varChange
}

// operated is what operators did to the servers themselves. Runtime.changing
// guards it.
type operated struct {
	added   map[*servercheck.Server][]string // the words of `add server` from the address on
	removed []removal
	moved   map[*servercheck.Server]bool // by `set server addr`
	plain   map[*servercheck.Server]*stream.ServerTLS
}

// removal is a server of the configuration that an operator removed.
type removal struct {
	proxy  *config.Proxy
	config *config.Server
}

// bothSides finds a backend.
func (rt *Runtime) bothSides(name string) (*stream.Backend, *config.Proxy, error) {
	for i, be := range rt.eng.Backends {
		if be.Proxy.Name == name {
			return be, rt.backends[i], nil
		}
	}
	return nil, nil, control.ErrNoBackend
}

// SetWeight implements control.Runtime.
func (rt *Runtime) SetWeight(backendName, server string, weight int) error {
	be, _, err := rt.bothSides(backendName)
	if err != nil {
		return err
	}
	s, err := rt.Find(backendName, server)
	if err == nil && be.Static() && weight != 0 && weight != s.Target().Initial {
		return control.Answer("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.")
	}
	if err != nil {
		return err
	}
	return rt.Set.SetWeight(backendName, server, weight)
}

// AddServer implements control.Runtime.
func (rt *Runtime) AddServer(backendName, name string, words []string) error {
	return rt.addServer(backendName, name, words, 0)
}

// addServer adds a server that had a number in the worker before, if that is
// still free; 0: it is new.
func (rt *Runtime) addServer(backendName, name string, words []string, before int) error {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	be, p, err := rt.bothSides(backendName)
	if err != nil {
		return err
	}
	if len(words) > 0 && (be.Static() || unnamed(be)) {
		return control.Answer("Backend must use a dynamic load balancing to support dynamic servers.")
	}
	cs, notes, err := rt.cfg.AddedServer(p, name, words)
	switch {
	case errors.Is(err, config.ErrNoAddress):
		return control.Answer(err.Error() + ".")
	case err != nil:
		return err
	}
	if _, err := rt.Find(backendName, name); err == nil {
		return control.Answer("Already exists a server with the same name in backend.")
	}
	if cs.ID == 0 && before != 0 {
		if cs.ID, err = freeID(be, before); err != nil {
			cs.ID = 0
		}
	}
	if cs.ID, err = freeID(be, cs.ID); err != nil {
		return err
	}
	var admin backend.Admin
	if cs.Disabled {
		admin = backend.ForcedMaint
	}
	s, err := rt.join(be, p, &cs, admin, true)
	if err != nil {
		return err
	}
	rt.operated.added[s] = words
	for _, n := range notes {
		rt.note("add server " + backendName + "/" + name + ": " + n)
	}
	return nil
}

// freeID is the number that a new server asks for, or the first that is free.
func freeID(be *stream.Backend, want int) (int, error) {
	taken := map[int]string{}
	for _, s := range be.All() {
		taken[s.ID] = s.Name
	}
	if other := taken[want]; want != 0 && other != "" {
		return 0, fmt.Errorf("'id' : custom id %d is already used by server '%s'", want, other)
	}
	for n := 1; want == 0; n++ {
		if taken[n] == "" {
			want = n
		}
	}
	return want, nil
}

// join makes a server one of a backend's. changing is held.
func (rt *Runtime) join(be *stream.Backend, p *config.Proxy, cs *config.Server, admin backend.Admin, added bool) (*servercheck.Server, error) {
	b := &builder{cfg: rt.cfg, env: rt.env, eng: rt.eng, rt: rt, logs: rt.logs}
	target, err := rt.tracked(p, cs)
	if err != nil {
		return nil, err
	}
	srv, err := b.server(cs, admin)
	if err != nil {
		return nil, err
	}
	be.Backend.Prepare(srv)
	use := b.use(p, cs)
	s, err := b.check(p, be, srv, cs, added)
	var file *certs.Unloadable
	if err = errors.Join(append(b.errs, err)...); errors.As(err, &file) {
		return nil, control.Answer("'" + file.Word + "' : unable to load " + file.Name + ".")
	}
	if err != nil {
		return nil, err
	}
	if !rt.eng.AddServer(be, srv, use) {
		return nil, errors.New("the process is about to end")
	}
	rt.serverConfigs = append(rt.serverConfigs, cs)
	if target != nil {
		rt.Follow(s, target)
	}
	rt.Join(s)
	s.CatchUp()
	return s, nil
}

// tracked is the server that a new one is to track; nil for none. Refusals are in
// HAProxy's words.
func (rt *Runtime) tracked(p *config.Proxy, cs *config.Server) (*servercheck.Server, error) {
	if cs.Track == "" {
		return nil, nil
	}
	if !strings.Contains(cs.Track, "/") {
		cs.Track = p.Name + "/" + cs.Track
	}
	other, name, _ := strings.Cut(cs.Track, "/")
	t, err := rt.Find(other, name)
	switch {
	case errors.Is(err, control.ErrNoBackend):
		return nil, control.Answer("unable to find required proxy '" + other + "' for tracking.")
	case err != nil:
		return nil, control.Answer("unable to find required server '" + name + "' for tracking.")
	case t.Added():
		return nil, control.Answer("unable to use " + cs.Track + " for tracking as it is a dynamic server.")
	}
	switch at := rt.serverConfigs[t.Target().Index]; {
	case !at.Check && !at.Agent && at.Track == "":
		return nil, control.Answer("unable to use " + cs.Track + " for tracking as it does not have any check nor agent enabled.")
	case cs.Check || cs.Agent:
		return nil, control.Answer("unable to enable checks and tracking at the same time!")
	}
	return t, nil
}

// DelServer implements control.Runtime.
func (rt *Runtime) DelServer(backendName, name string) error {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	be, p, s, err := rt.removable(backendName, name)
	if err != nil {
		return err
	}
	return rt.part(be, p, s)
}

// Removable implements control.Runtime.
func (rt *Runtime) Removable(backendName, name string) error {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	be, _, s, err := rt.removable(backendName, name)
	if err == nil && be.Busy(s.Target()) {
		err = control.ErrBusy
	}
	return err
}

// removable finds a server that may be removed once nothing is on it. changing is
// held, for reading at least.
func (rt *Runtime) removable(backendName, name string) (be *stream.Backend, p *config.Proxy, s *servercheck.Server, err error) {
	if be, p, err = rt.bothSides(backendName); err != nil {
		return nil, nil, nil, err
	}
	s, err = rt.Find(backendName, name)
	switch {
	case err != nil:
	case rt.needed(be, p, s):
		err = control.Answer("This server cannot be removed at runtime due to other configuration elements pointing to it.")
	case s.Target().Stats().Admin&backend.Maint == 0:
		err = control.Answer("Only servers in maintenance mode can be deleted.")
	}
	return be, p, s, err
}

// needed reports whether something else names the server.
func (rt *Runtime) needed(be *stream.Backend, p *config.Proxy, s *servercheck.Server) bool {
	name := s.Target().Name
	for _, u := range p.UseServers {
		if u.Name == nil && u.Server == name {
			return true
		}
	}
	for _, g := range rt.cfg.Gauges {
		if g.Server == name && g.Proxy == be.Proxy.Name {
			return true
		}
	}
	return s.Followed()
}

// part removes a server. changing is held.
func (rt *Runtime) part(be *stream.Backend, p *config.Proxy, s *servercheck.Server) error {
	if err := rt.eng.RemoveServer(be, s.Target()); err != nil {
		return control.ErrBusy
	}
	rt.Part(s)
	rt.certs.Release(rt.serverConfigs[s.Target().Index])
	if _, ours := rt.operated.added[s]; ours {
		delete(rt.operated.added, s)
	} else {
		rt.operated.removed = append(rt.operated.removed, removal{p, rt.serverConfigs[s.Target().Index]})
	}
	delete(rt.operated.moved, s)
	delete(rt.operated.plain, s)
	return nil
}

// MoveServer implements control.Runtime.
func (rt *Runtime) MoveServer(backendName, name string, to netip.Addr, port string) error {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	s, err := rt.Find(backendName, name)
	if err != nil {
		return err
	}
	srv := s.Target()
	follow, n := srv.Follow, int(srv.Addr().IP.Port())
	switch mapped := strings.HasPrefix(port, "+") || strings.HasPrefix(port, "-"); {
	case port == "":
	case mapped:
		if follow.Offset, err = strconv.Atoi(port); err != nil {
			return err
		}
		follow.Port, n = true, 0
	default:
		if n, err = strconv.Atoi(port); err != nil {
			return err
		}
		follow.Port, follow.Offset = false, 0
	}
	follow.Host = to.IsUnspecified()
	addr := backend.Addr{IP: netip.AddrPortFrom(to, 0)}
	if n != 0 {
		addr = backend.TCPAddr(netip.AddrPortFrom(to, uint16(n)))
	}
	rt.eng.SetFollow(srv, follow, addr)
	s.Moved()
	rt.operated.moved[s] = true
	return nil
}

// shownPort is the port of a server as it is written on its line.
func shownPort(s *backend.Server) string {
	if s.Follow.Port {
		return fmt.Sprintf("%+d", s.Follow.Offset)
	}
	return strconv.Itoa(int(s.Addr().IP.Port()))
}

// ServerPort implements control.Runtime.
func (rt *Runtime) ServerPort(backendName, name string) string {
	rt.changing.RLock()
	defer rt.changing.RUnlock()
	s, err := rt.Find(backendName, name)
	if err != nil {
		return ""
	}
	return shownPort(s.Target())
}

// SetServerTLS implements control.Runtime.
func (rt *Runtime) SetServerTLS(backendName, name string, on bool) error {
	rt.changing.Lock()
	defer rt.changing.Unlock()
	be, _, err := rt.bothSides(backendName)
	if err != nil {
		return err
	}
	s, err := rt.Find(backendName, name)
	if err != nil {
		return err
	}
	off := rt.operated.plain[s]
	how := off
	rt.eng.Still(func() {
		if off == nil {
			how = be.TLS[s.Target()]
		}
	})
	switch {
	case how == nil:
		return control.Answer("'set server <srv> ssl' cannot be set.  default-server should define ssl settings")
	case on == (off == nil):
		return nil
	case on:
		delete(rt.operated.plain, s)
		s.SetPlain(false)
		rt.eng.SetServerTLS(be, s.Target(), how)
	default:
		rt.operated.plain[s] = how
		s.SetPlain(true)
		rt.eng.SetServerTLS(be, s.Target(), nil)
	}
	return nil
}
