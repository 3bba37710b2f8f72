package config

import (
	"fmt"
	"maps"
	"slices"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/rule"
)

// draft is a defaults section or a proxy while its lines are read. finish
// publishes the Proxy, and nothing else of it is kept.
type draft struct {
	*Proxy
	kind        sections // inDefaults, inFrontend, inListen or inBackend
	section     string   // the word for it
	base        *draft   // the defaults it began with; nil for none
	heirs       heirs    // of a defaults section: who began with it
	acls        *acl.ACLs
	template    *Server     // default-server: what a server line begins with. Shared with the defaults section unless ownTemplate
	latePages   []latePages // errorfiles lines of sections that are not read yet, and what came after
	compresses  bool        // a 'filter compression' line was seen
	ownTemplate bool        // a default-server line of its own was seen
	logs        []logLine
	blocks      rule.Rules // block lines: before the http-request rules, as in HAProxy
	logKind     logKind
	check       checkDraft
	pages       cfgfile.Pos // first stats line
	last        cfgfile.Pos // its last line
	backPos     cfgfile.Pos // default_backend
	uniquePos   cfgfile.Pos // unique-id-header
	cookiePos   cfgfile.Pos
	tablePos    cfgfile.Pos
	bound       bool        // a bind line was seen, sound or not
	switched    bool        // a use_backend line was seen, sound or not
	layer7      string      // balance by what only a request has: the algorithm
	options     httpOptions // set here or in its defaults
	wrongFormat map[string]wrongFormat
	mail        mail
	turns       turns          // rules that its own lines hold
	sids        map[int]string // server ids that lines have taken; nil as a rule
	serverLines map[string]int // where each server is; nil for a few servers
	states      struct {       // load-server-state-from-file, server-state-file-name
		from, file string
	}
}

// logLine is one log line of a proxy; global stands for those of the global
// section, which may be read later.
type logLine struct {
	global bool
	Log
}

// logKind says where a LogFormat came from.
type logKind uint8

const (
	logNone logKind = iota
	logCustom
	logTCP
	logHTTP // needs mode http
)

func (p *parser) newDraft(name string, pos cfgfile.Pos) *draft {
	d := &draft{
		Proxy: &Proxy{
			Name:       name,
			Pos:        pos,
			ServerSide: ServerSide{Retries: 3, Balance: Balance{Algo: "roundrobin", Unsaid: true}},
		},
		section:  p.section,
		acls:     acl.NewACLs(),
		template: p.plain,
	}
	d.acls.Buffer = p.cfg.Global.Buffer()
	switch p.section {
	case "defaults":
		d.kind = inDefaults
	case "frontend":
		d.kind, d.Frontend = inFrontend, true
	case "backend":
		d.kind, d.Backend = inBackend, true
	case "listen":
		d.kind, d.Frontend, d.Backend = inListen, true, true
	}
	return d
}

// inherit takes over the settings of a defaults section. Rules and compiled
// formats are immutable and shared; everything that later lines change is
// copied.
func (d *draft) inherit(base *draft) {
	name, pos, frontend, backend := d.Name, d.Pos, d.Frontend, d.Backend
	*d.Proxy = *base.Proxy
	d.Name, d.Pos, d.Frontend, d.Backend, d.ID = name, pos, frontend, backend, 0
	d.ErrorFiles, d.latePages = maps.Clone(base.ErrorFiles), slices.Clone(base.latePages)
	for stage, rules := range base.Rules {
		d.Rules[stage] = slices.Clone(rules)
	}
	d.check = base.check.inherit()
	if base.Cookie != nil {
		copied := *base.Cookie
		d.Cookie = &copied
	}
	if base.Stats != nil {
		copied := *base.Stats
		copied.Auths, copied.Rules = slices.Clone(copied.Auths), slices.Clone(copied.Rules)
		d.Stats = &copied
	}
	d.acls.Inherit(&base.acls.Uses)
	d.base = base
	d.template, d.states = base.template, base.states
	d.logs = slices.Clone(base.logs)
	d.logKind, d.layer7, d.options = base.logKind, base.layer7, base.options
	d.wrongFormat = maps.Clone(base.wrongFormat)
	d.uniquePos, d.mail = base.uniquePos, base.mail
	d.pages, d.backPos, d.cookiePos = base.pages, base.backPos, base.cookiePos
}

// heirs says what sections began with a defaults section.
type heirs struct {
	front, back    bool
	named, implied bool   // with "from", and as the last one before them
	before         *draft // an earlier defaults section of the same name
}

// inherits says what keeps d from beginning with base. Rules of the defaults serve
// one kind of section each, as in HAProxy, so that nobody has some by accident.
func (d *draft) inherits(base *draft, named bool) error {
	h, rules := &base.heirs, &base.Rules
	h.named, h.implied = h.named || named, h.implied || !named
	if d.kind != inDefaults {
		h.front, h.back = h.front || d.Frontend, h.back || d.Backend
	}
	at := fmt.Sprintf("defaults section '%s' (declared at %s)", base.Name, base.Pos)
	switch {
	case named && h.before != nil:
		return fmt.Errorf("ambiguous defaults section name '%s': there are one at %s and one at %s; give them names of their own", base.Name, h.before.Pos, base.Pos)
	case rules.Len() == 0:
		return nil
	case d.kind == inDefaults || d.kind == inListen:
		return fmt.Errorf("a %s section cannot inherit from a defaults section defining TCP/HTTP rules: %s does; write the rules into each frontend or backend, or into a defaults section that only those name", d.section, at)
	case h.front && h.back:
		return fmt.Errorf("frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules: %s does; give each side one of its own", at)
	case d.Backend && len(rules[rule.Connection])+len(rules[rule.Session]) > 0:
		return fmt.Errorf("a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules: %s does", at)
	case d.Frontend && len(rules[rule.TCPResponse]) > 0:
		return fmt.Errorf("a frontend section cannot inherit from a defaults section defining 'tcp-response content' rules: %s does", at)
	}
	return nil
}

// page gives the proxy's statistics page, which any stats line turns on.
func (d *draft) page(pos cfgfile.Pos) *StatsPage {
	if d.Stats == nil {
		d.Stats, d.pages = &StatsPage{URI: "/haproxy?stats"}, pos
	}
	return d.Stats
}

// setPages has the proxy answer with pages.
func (d *draft) setPages(pages map[int]ErrorFile) {
	if len(d.latePages) > 0 {
		d.latePages = append(d.latePages, latePages{pages: pages})
		return
	}
	if d.ErrorFiles == nil {
		d.ErrorFiles = make(map[int]ErrorFile, len(pages))
	}
	maps.Copy(d.ErrorFiles, pages)
}

// setPage is setPages for one status.
func (d *draft) setPage(status int, page ErrorFile) { d.setPages(map[int]ErrorFile{status: page}) }

// endDraft ends the section that is read. Its servers were gathered in the
// parser's list; now it is known how many they are.
func (p *parser) endDraft() {
	d := p.draft
	if d == nil {
		return
	}
	p.draft, p.gathered = nil, d.Servers[:0]
	if len(d.Servers) == 0 {
		d.Servers = nil
	}
	d.Servers = slices.Clone(d.Servers)
}
