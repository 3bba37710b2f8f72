package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// finish checks what only the whole text can tell, in the order of the
// proxies, and publishes them.
func (p *parser) finish() {
	// Disabled proxies count here: what they have too much, the others have no more.
	p.resolveFiles()
	p.checkTables()
	p.checkIDs()
	p.report.Excuse = p.excuse
	p.checkDefaults()
	for _, d := range p.drafts {
		requests := &d.Rules[rule.Request]
		*requests = slices.Concat(d.blocks, *requests)
		p.resolveLogs(d)
		p.checkFormats(d)
		p.resolveMode(d)
		p.resolveBackends(d)
		p.checkUnique(d)
		p.checkCaptures(d)
		p.resolveLatePages(d)
		p.checkPage(d)
		p.resolveCheck(d)
		p.checkMail(d)
		p.resolveDispatch(d)
		p.transparent(d)
		p.resolveState(d)
		p.checkServers(d)
		p.checkTimeouts(d)
		p.checkListeners(d)
		for i := range d.Binds {
			d.Binds[i].Probes = d.KeepAlive.Client
			if d.Binds[i].Backlog == 0 {
				d.Binds[i].Backlog = d.Backlog
			}
		}
	}
	p.checkStrayNames()
	p.resolveOffloads()
	p.checkResolversUses()
	p.resolveTracks()
	p.resolveTables()
	p.resolveUserlists()
	p.resolveGauges()
	p.resolveCaches()
	p.resolvePages()
	p.resolvePeers()
	p.checkAddresses()
	p.assignIDs()
	p.tls.unused(p)
	p.cfg.tls = p.tls
	for _, d := range p.drafts {
		d.Needs, d.LogNeeds = d.acls.Needs(), d.acls.LogNeeds()
		for i := range d.Servers {
			if d.Servers[i].Proxy.SSL { // of the client's certificate
				d.Needs |= sample.NeedsTLS
			}
		}
		if d.OriginalTo != nil {
			d.Needs |= sample.NeedsFrontAddr
		}
		p.cfg.Proxies = append(p.cfg.Proxies, d.Proxy)
	}
}

// excuse says why what only the whole text tells of a place is no error: HAProxy
// does not look for what proxies that are disabled name. It is for what stays
// within the proxy; what takes something from another is checked before.
func (p *parser) excuse(at cfgfile.Pos) string {
	for _, d := range p.drafts {
		if d.Disabled && at.File == d.Pos.File && at.Line >= d.Pos.Line && at.Line <= max(d.Pos.Line, d.last.Line) {
			return fmt.Sprintf("%s '%s' is disabled", d.section, d.Name)
		}
	}
	return ""
}

// checkDefaults warns where a defaults section is named by one section while another
// one only happens to follow it.
func (p *parser) checkDefaults() {
	seen := map[*draft]bool{}
	for _, d := range p.drafts {
		base := d.base
		if base == nil || base.Name == "" || seen[base] || !base.heirs.named || !base.heirs.implied {
			continue
		}
		seen[base] = true
		// HAProxy says so with an alert, which zero-warning does not mean.
		p.report.Advisef(base.Pos, "defaults section '%s' is named by one section and used implicitly by another: name it everywhere ('from %s'), or begin another defaults section after it", base.Name, base.Name)
	}
}

// resolveLogs puts the global targets in the place of "log global".
func (p *parser) resolveLogs(d *draft) {
	for _, l := range d.logs {
		switch {
		case !l.global:
			d.Logs = append(d.Logs, l.Log)
		case len(p.cfg.Global.Logs) == 0 && p.globalLogs: // what is wrong with it has been said
		case len(p.cfg.Global.Logs) == 0:
			p.report.Notef(l.Pos, "'log global' has no effect: the global section has no log line")
		default:
			d.Logs = append(d.Logs, p.cfg.Global.Logs...)
		}
	}
	d.Logs = p.resolveRings(d.Logs)
	for i := range d.Logs {
		d.Logs[i].Tag = d.LogTag
	}
}

// resolveState says where the states of a backend's servers are.
func (p *parser) resolveState(d *draft) {
	states := p.cfg.Global.States
	switch file := d.states.file; {
	case !d.Backend:
	case d.states.from == "global" && states.File != "":
		d.StateFile = states.Path(states.File)
	case d.states.from == "global" && (d.base == nil || d.base.states.from != "global"):
		p.report.Warnf(d.Pos, "'load-server-state-from-file global' has no effect: the global section has no 'server-state-file'")
	case d.states.from == "local" && file == "":
		d.StateFile = states.Path(d.Name)
	case d.states.from == "local":
		d.StateFile = states.Path(file)
	}
}

// logAsTCP takes option tcplog for an option httplog that cannot be.
func (p *parser) logAsTCP(d *draft) {
	p.report.Warnf(d.LogFormatPos, "'option httplog' not usable with %s '%s' (needs 'mode http'). Falling back to 'option tcplog'", d.section, d.Name)
	format := logformat.TCPLog
	if d.LogFormat.JSON() {
		format = logformat.TCPLogJSON
	}
	f, err := logformat.Parse(format, &d.acls.Uses)
	if err != nil {
		p.report.Errorf(d.LogFormatPos, "'option tcplog' : %v", err)
	}
	d.LogFormat, d.logKind = f, logTCP
}

// checkLogOfTCP refuses variables that show nothing without requests.
func (p *parser) checkLogOfTCP(d *draft) {
	for _, one := range []struct {
		name   string
		pos    cfgfile.Pos
		format *logformat.Format
	}{{"log-format", d.LogFormatPos, d.LogFormat}, {"log-format-sd", d.Pos, d.LogData}, {"error-log-format", d.Pos, d.ErrorLogFormat}} {
		if one.format == nil {
			continue
		}
		if name := one.format.OfRequests(); name != "" {
			p.report.Errorf(one.pos, "'%s' : failed to parse %s : format variable '%s' is reserved for HTTP mode, and %s '%s' is in mode tcp", one.name, one.name, name, d.section, d.Name)
		}
	}
}

// resolveMode drops what needs mode http from a TCP proxy, as HAProxy does,
// and says so.
func (p *parser) resolveMode(d *draft) {
	if d.Mode == HTTP {
		p.checkALPN(d)
		if slices.ContainsFunc(d.Rules[rule.TCPResponse], (*rule.Rule).Closes) && d.kind != inDefaults {
			p.report.Errorf(d.Pos, "'tcp-response content close' in %s '%s' is supported by lb in mode tcp only; 'option http-server-close' closes servers' connections after each answer", d.section, d.Name)
		}
		return
	}
	d.Upgrades = p.upgrades(d)
	drop := func(what string) {
		p.report.Warnf(d.Pos, needsHTTP, what, d.section, d.Name)
	}
	if d.Frontend && d.logKind == logHTTP {
		p.logAsTCP(d)
	}
	if d.Frontend && d.kind != inDefaults {
		p.checkLogOfTCP(d)
	}
	if len(d.Rules[rule.TCPResponse]) > 0 && d.ResponseDelay == 0 && d.kind != inDefaults {
		p.report.Advisef(d.Pos, "'tcp-response content' rules in %s '%s' do not wait for what the server says, and find nothing in it: write 'tcp-response inspect-delay <time>'", d.section, d.Name)
	}
	p.dropServerSide(d, drop)
	if d.Upgrades {
		return
	}
	d.dropRules(drop)
	if d.MonitorURI != "" && d.Frontend {
		drop("'monitor-uri'")
	}
	if d.Compression != nil && (d.base == nil || d.base.Compression == nil) {
		p.report.Notef(d.Pos, needsHTTP, "'compression'", d.section, d.Name)
	}
	if d.UniqueHeader != "" && d.Frontend && (d.base == nil || d.base.UniqueHeader == "") {
		p.report.Notef(d.Pos, needsHTTP, "'unique-id-header'", d.section, d.Name)
	}
	d.MonitorURI, d.Compression, d.UniqueHeader = "", nil, ""
	if d.dropCaptures() {
		p.report.Notef(d.Pos, needsHTTP, "'capture'", d.section, d.Name)
	}
	if d.ForwardFor != nil {
		drop("'option forwardfor'")
		d.ForwardFor = nil
	}
	if d.OriginalTo != nil {
		drop("'option originalto'")
		d.OriginalTo = nil
	}
	for i, o := range httpOnly {
		if d.options&(1<<i) != 0 && o.in&d.kind != 0 {
			drop("'option " + o.name + "'")
		}
	}
}

// needsHTTP is the warning of what has no effect in mode tcp.
const needsHTTP = "%s ignored for %s '%s' as it requires HTTP mode (see 'mode')"

// dropServerSide drops what needs mode http of a proxy in mode tcp whose
// connections may become those of requests elsewhere.
func (p *parser) dropServerSide(d *draft, drop func(what string)) {
	if d.Cookie != nil && d.Backend {
		drop("'cookie'")
	}
	for i := range d.Servers {
		if d.Servers[i].Cookie != "" {
			p.report.Warnf(d.Servers[i].Pos, "%s '%s' : ignoring cookie for server '%s' as HTTP mode is disabled", d.section, d.Name, d.Servers[i].Name)
		}
	}
	if d.Stats != nil && !d.Upgrades {
		drop("'stats'")
	}
	if d.NameHeader != "" && (d.base == nil || d.base.NameHeader == "") {
		p.report.Notef(d.Pos, needsHTTP, "'http-send-name-header'", d.section, d.Name)
	}
	d.Cookie, d.Stats, d.NameHeader = nil, nil, ""
	if d.layer7 != "" {
		if d.Backend {
			p.report.Warnf(d.Pos, "'balance %s' ignored for %s '%s' as it requires HTTP mode. Falling back to round robin", d.layer7, d.section, d.Name)
		}
		d.Balance = Balance{Algo: "roundrobin"}
	}
}

// upgrades reports whether connections of a frontend in mode tcp may become
// connections of requests.
func (p *parser) upgrades(d *draft) bool {
	if !d.Frontend {
		return false
	}
	http := func(name string) bool {
		return slices.ContainsFunc(p.byName[name], func(other *draft) bool { return other.Backend && other.Mode == HTTP })
	}
	return slices.ContainsFunc(d.Rules[rule.Content], (*rule.Rule).Switches) || http(d.DefaultBackend) ||
		slices.ContainsFunc(d.UseBackends, func(use UseBackend) bool { return use.Name != nil || http(use.Backend) })
}

// checkALPN warns of protocols that a client may agree on and an HTTP frontend
// does not speak.
func (p *parser) checkALPN(d *draft) {
	for i := range d.Binds {
		b := &d.Binds[i]
		if b.TLS == nil {
			continue
		}
		for _, proto := range b.TLS.ALPN {
			if proto != "h2" && proto != "http/1.1" && proto != "http/1.0" {
				p.report.Advisef(b.Pos, "'alpn' : '%s' is not spoken in mode http, a client that agrees on it is served in HTTP/1.1; h2 and http/1.1 are", proto)
			}
		}
	}
}

// resolveBackends checks the backends that a frontend names.
func (p *parser) resolveBackends(d *draft) {
	if !d.Frontend {
		d.DefaultBackend = ""
		return
	}
	if d.DefaultBackend != "" {
		p.checkBackend(d, d.DefaultBackend, d.backPos, "default_backend")
	}
	for _, use := range d.UseBackends {
		if use.Name != nil {
			continue
		}
		p.checkBackend(d, use.Backend, use.Pos, "use_backend")
	}
	if d.DefaultBackend == "" && !d.Disabled && !d.switched && !d.Backend && d.Stats == nil && len(d.Rules[rule.Request])+len(d.Redirects) == 0 && d.MonitorURI == "" && len(d.Binds) > 0 {
		p.report.Advisef(d.Pos, "frontend '%s' has no backend: add default_backend, or every request gets 503", d.Name)
	}
}

// dropRules drops the rules that need mode http.
func (d *draft) dropRules(drop func(what string)) {
	for stage := range rule.Stages {
		if stage.HTTP() && len(d.Rules[stage]) > 0 {
			drop("'" + stage.String() + "' rules")
			d.Rules[stage] = nil
		}
	}
	if len(d.Redirects) > 0 {
		drop("'redirect' rules")
		d.Redirects = nil
	}
}

func (p *parser) checkBackend(d *draft, name string, pos cfgfile.Pos, keyword string) {
	var found *draft
	for _, other := range p.byName[name] {
		if found == nil || other.Backend {
			found = other
		}
	}
	switch {
	case found == nil:
		p.report.Errorf(pos, "%s '%s': unable to find required %s: '%s'%s", d.section, d.Name, keyword, name, didYouMean(cfgfile.Suggest(name, p.backendNames())))
	case !found.Backend:
		p.report.Errorf(pos, "%s '%s' refers to %s '%s', which has no backend capability", keyword, name, found.section, name)
	case found == d:
		p.report.Errorf(pos, "loop detected for %s '%s': a listen section uses its own servers without it", keyword, name)
	case found.Mode != d.Mode && d.Mode == HTTP: // the other way round the connection is upgraded
		p.report.Errorf(pos, "%s %s '%s' (%s) tries to use incompatible %s %s '%s' (%s) in '%s' (see 'mode')", modeName(d.Mode), d.section, d.Name, d.Pos, modeName(found.Mode), found.section, name, found.Pos, keyword)
	}
}

func (p *parser) backendNames() []string {
	var names []string
	for _, d := range p.drafts {
		if d.Backend {
			names = append(names, d.Name)
		}
	}
	return names
}

func modeName(m Mode) string {
	if m == HTTP {
		return "http"
	}
	return "tcp"
}

// dropCaptures takes the names of header fields and of a cookie from the captures of
// a proxy without requests, if there are any. The slots stay: 'tcp-request content capture' fills its own.
func (d *draft) dropCaptures() (named bool) {
	named = d.CookieCapture != (Capture{})
	d.CookieCapture = Capture{}
	for _, list := range [][]Capture{d.ReqCaptures, d.ResCaptures} {
		for i := range list {
			named = named || list[i].Header != ""
			list[i].Header = ""
		}
	}
	return named
}

// checkCaptures refuses slots that a frontend or a listen section does not have. A backend's rules
// fill those of the frontend that a request comes from.
func (p *parser) checkCaptures(d *draft) {
	if !d.Frontend {
		return
	}
	for _, rules := range d.Rules {
		for _, r := range rules {
			slot, response, ok := r.CaptureSlot()
			list := d.ReqCaptures
			if response {
				list = d.ResCaptures
			}
			if ok && slot >= len(list) {
				p.report.Errorf(cfgfile.Pos{File: r.Place.File, Line: r.Place.Line}, "%s '%s': unable to find capture id '%d': it has %d; declare one ('declare capture request len <length>'), or write 'len <length>' in the rule", d.section, d.Name, slot, len(list))
			}
		}
	}
}

// checkUnique warns of a header that would never be sent.
func (p *parser) checkUnique(d *draft) {
	if d.Frontend && d.UniqueHeader != "" && d.UniqueID == nil {
		p.report.Advisef(d.uniquePos, "'unique-id-header' has no effect: %s '%s' has no 'unique-id-format'", d.section, d.Name)
		d.UniqueHeader = ""
	}
}

// resolveGauges gives the numbers that rules ask for their proxies' names.
func (p *parser) resolveGauges() {
	for _, u := range p.gauges {
		g := u.gauge
		side := "backend"
		if g.OfFrontend() {
			side = "frontend"
		}
		name := g.Proxy
		if name == "" {
			name = u.from.Name
		}
		var found *draft
		for _, d := range p.byName[name] {
			if side == "frontend" && d.Frontend || side == "backend" && d.Backend {
				found = d
			}
		}
		switch {
		case g.Named || g.OfProcess():
			p.cfg.Gauges = append(p.cfg.Gauges, g)
		case u.from.kind == inDefaults && g.Proxy == "" && g.Server == "": // that of each exchange
			g.Named = true
			p.cfg.Gauges = append(p.cfg.Gauges, g)
		case u.from.kind == inDefaults && g.Proxy == "":
			p.report.Errorf(u.pos, "'%s' in a defaults section has no proxy of its own: name one in parentheses", g.What)
		case found == nil:
			p.report.Errorf(u.pos, "'%s' : unable to find %s '%s'%s", g.What, side, name, didYouMean(cfgfile.Suggest(name, sortedNames(p.byName))))
		case g.Server != "" && found.serverLine(g.Server) == 0:
			p.report.Errorf(u.pos, "'%s' : unable to find server '%s' in %s '%s'%s", g.What, g.Server, found.section, name, didYouMean(cfgfile.Suggest(g.Server, found.serverNames())))
		default:
			g.Proxy = name
			p.cfg.Gauges = append(p.cfg.Gauges, g)
		}
	}
}

// checkPage refuses two ways to let people to the statistics page.
func (p *parser) checkPage(d *draft) {
	if s := d.Stats; s != nil && len(s.Rules) > 0 && (len(s.Auths) > 0 || s.Realm != "") {
		p.report.Errorf(d.pages, "%s '%s': stats 'auth'/'realm' and 'http-request' can't be used at the same time", d.section, d.Name)
	}
}

// checkServers looks at servers and what refers to them.
func (p *parser) checkServers(d *draft) {
	for _, use := range d.UseServers {
		if use.Name == nil && d.serverLine(use.Server) == 0 {
			p.report.Errorf(use.Pos, "%s '%s': unable to find server '%s' referenced in a 'use-server' rule%s", d.section, d.Name, use.Server, didYouMean(cfgfile.Suggest(use.Server, d.serverNames())))
		}
	}
	if d.Source.UseSource.Expr != "" {
		p.checkUseSource(d, d.section+" "+d.Name, d.Pos, &d.Source.UseSource)
	}
	cookies := false
	for i := range d.Servers {
		s := &d.Servers[i]
		cookies = cookies || s.Cookie != ""
		switch {
		case s.Cookie != "" && d.Cookie == nil && d.Mode == HTTP:
			p.report.Advisef(s.Pos, "'server %s/%s' has a cookie, but %s '%s' has no 'cookie' line: it is not used", d.Name, s.Name, d.section, d.Name)
		case s.Check && s.Addr.IsUnspecified() && s.CheckAddr == "":
			p.report.Advisef(s.Pos, "'server %s/%s' is wherever the client wants to go, which a check does not know: it looks at port %d of this machine, as HAProxy's does; add 'addr <address> port <port>', or remove 'check'", d.Name, s.Name, cmp.Or(s.CheckPort, int(s.Port)))
		case s.Resolve.Service && s.Resolve.Section == "":
			p.report.Errorf(s.Pos, "'server %s/%s' : '%s' is the name of a service, whose servers only a resolvers section can tell: add 'resolvers <section>'", d.Name, s.Name, s.Host)
		case s.Resolve.Service: // an answer has the port
		case s.Check && s.Network == "tcp" && s.Port == 0 && s.CheckPort == 0 && !d.check.placed():
			p.report.Errorf(s.Pos, "'server %s/%s' has neither a port nor a check port: checks cannot connect; add a port to the address or 'port <port>'", d.Name, s.Name)
		}
		if s.Redir != "" && d.Mode != HTTP {
			p.report.Errorf(s.Pos, "'server %s/%s' : server cannot have redirect prefix in non-HTTP mode: remove 'redir', or write 'mode http'", d.Name, s.Name)
		}
		p.checkSOCKS4(d, s)
		p.checkResolvers(d, s)
		p.checkServerTLS(d, s)
		if s.UseSource.Expr != "" {
			p.checkUseSource(d, "server "+d.Name+"/"+s.Name, s.Pos, &s.UseSource)
		}
		p.checkProto(d, s)
		p.checkChecks(d, s)
	}
	switch {
	case d.Cookie == nil || !d.Backend:
	case d.Cookie.Dynamic && d.CookieKey == "":
		p.report.Advisef(d.cookiePos, "'cookie %s dynamic' has no effect: %s '%s' has no 'dynamic-cookie-key'", d.Cookie.Name, d.section, d.Name)
	case len(d.Servers) > 0 && !cookies && !d.Cookie.Dynamic:
		p.report.Advisef(d.cookiePos, "'cookie %s' has no effect: no server of %s '%s' has a cookie value", d.Cookie.Name, d.section, d.Name)
	}
}

// checkTimeouts warns as HAProxy does: without them a dead peer keeps its
// connection for ever.
func (p *parser) checkTimeouts(d *draft) {
	if d.Disabled {
		return
	}
	var missing []string
	if d.Frontend && d.Timeouts.Client == 0 {
		missing = append(missing, "'client'")
	}
	if d.Backend && len(d.Servers) > 0 {
		if d.Timeouts.Connect == 0 {
			missing = append(missing, "'connect'")
		}
		if d.Timeouts.Server == 0 {
			missing = append(missing, "'server'")
		}
	}
	if len(missing) > 0 {
		p.report.Warnf(d.Pos, "missing timeouts for %s '%s'.\nWhile not properly invalid, you will certainly encounter various problems\nwith such a configuration. To fix this, please ensure that all following\ntimeouts are set to a non-zero value: %s.", d.section, d.Name, strings.Join(missing, ", "))
	}
}

// checkListeners warns about a frontend that listens nowhere.
func (p *parser) checkListeners(d *draft) {
	if d.kind == inFrontend && !d.bound && !d.Disabled {
		p.report.Warnf(d.Pos, "frontend '%s' has no 'bind' directive. Please declare it as a backend if this was intended.", d.Name)
	}
}

// checkAddresses allows one listener on an address. HAProxy lets frontends share
// one, and then it is chance which of them gets a connection: here the first
// does. What else is on one is refused.
func (p *parser) checkAddresses() {
	seen := map[string]cfgfile.Pos{}
	taken := func(b *Bind) (before cfgfile.Pos, twice bool) {
		key := b.Network + " " + b.Address + " " + b.Interface
		if before, twice = seen[key]; !twice {
			seen[key] = b.Pos
		}
		return before, twice
	}
	check := func(b *Bind, what string) {
		if before, twice := taken(b); twice {
			p.report.Errorf(b.Pos, "'%s %s' : the address is used already at %s", what, b.Address, before)
		}
	}
	for i := range p.cfg.Global.StatsSockets {
		check(&p.cfg.Global.StatsSockets[i].Bind, "stats socket")
	}
	for _, d := range p.drafts {
		if d.Disabled {
			continue
		}
		d.Binds = slices.DeleteFunc(d.Binds, func(b Bind) bool {
			before, twice := taken(&b)
			if twice {
				p.report.Advisef(b.Pos, "'bind %s' : the address is used already at %s, and that line gets its connections (HAProxy would leave it to chance)", b.Address, before)
			}
			return twice
		})
	}
	for _, s := range p.cfg.Peers {
		for i := range s.Binds {
			check(&s.Binds[i], "bind")
		}
	}
}

// checkIDs allows one proxy with an id.
func (p *parser) checkIDs() {
	taken := map[int]*draft{}
	for _, d := range p.drafts {
		if d.OwnID = d.ID != 0; !d.OwnID {
			continue
		}
		if before := taken[d.ID]; before != nil {
			p.report.Errorf(d.Pos, "%s '%s' : id %d is taken by %s '%s' at %s", d.section, d.Name, d.ID, before.section, before.Name, before.Pos)
		}
		taken[d.ID] = d
	}
}

// assignIDs gives each proxy, server and listener without an id the next free one.
// HAProxy's own first proxy gets 2, since its internal one is 1.
func (p *parser) assignIDs() {
	taken := map[int]bool{}
	for _, d := range p.drafts {
		taken[d.ID] = true
	}
	next := 2
	for _, d := range p.drafts {
		if d.ID == 0 {
			for taken[next] {
				next++
			}
			d.ID = next
		}
		next++ // also past one that has its own, as HAProxy counts
		d.assignServerIDs()
		d.assignBindIDs()
	}
}

// assignBindIDs numbers listeners in their order, past ids that are taken.
func (d *draft) assignBindIDs() {
	taken := map[int]bool{}
	for i := range d.Binds {
		taken[d.Binds[i].ID] = true
	}
	next := 1
	for i := range d.Binds {
		if d.Binds[i].ID == 0 {
			for taken[next] {
				next++
			}
			d.Binds[i].ID = next
		}
		next++
	}
}

// assignServerIDs numbers servers by their place, past ids that are taken.
func (d *draft) assignServerIDs() {
	next := 1
	for i := range d.Servers {
		s := &d.Servers[i]
		if s.OwnID = s.ID != 0; !s.OwnID {
			for d.sids[next] != "" {
				next++
			}
			if s.ID = next; d.sids != nil {
				d.sids[next] = s.Name
			}
		}
		next = max(next, i+2)
	}
}
