package config

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"lbsyslogd/lb/acl"
	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/userlist"
)

// CompatVersion is the HAProxy version whose language this is: what .if
// version_atleast() compares with unless Options say otherwise.
const CompatVersion = "2.6.12"

// Options of Load. The zero value reads as an unprivileged process would.
type Options struct {
	// Environ is what $VAR and .if defined() see; nil is the process's own.
	Environ []string
	// Version and Features answer .if version_atleast() and feature(); empty
	// and nil are CompatVersion and Features.
	Version  string
	Features []string
	// Privileged says that the process runs as root, so that chroot, user and
	// group can have an effect.
	Privileged bool
	// LocalPeer is this node's name among peers (-L); "" is localpeer's, or the
	// host's.
	LocalPeer string
	// ZeroWarning is -dW: a warning is an error.
	ZeroWarning bool
	// LookupIP resolves host names in bind lines; nil asks the system.
	LookupIP func(ctx context.Context, host string) ([]netip.Addr, error)
	// Seen gets each line that counts, and whether it begins a section; nil for
	// none.
	Seen func(line cfgfile.Line, begins bool)
}

// peerVariable is the variable that has the name of this machine among peers.
const peerVariable = "HAPROXY_LOCALPEER"

// Features gives what feature() says yes to, by HAProxy's names.
func Features() []string {
	return []string{
		"ACCEPT4", "CPU_AFFINITY", "CRYPT_H", "EPOLL", "GETADDRINFO", "LIBCRYPT", "LINUX_SPLICE", "LINUX_TPROXY", "NETFILTER", "NS", "OPENSSL", "PCRE2", "POLL", "PROMEX", "RT",
		"SLZ", "SYSTEMD", "TFO", "THREAD", "TPROXY",
	}
}

// globalFlags are lines of the global section that say how the rest is read.
type globalFlags struct {
	zeroWarning  bool
	experimental bool // expose-experimental-directives
	helloSized   bool // tune.ssl.capture-buffer-size was there
}

// summing makes Config.Digest.
type summing struct {
	digest hash.Hash
	text   []byte // of the line that goes into it
}

// parser is the state of one Load.
type parser struct {
	opt    Options
	env    *cfgfile.Env
	report *cfgfile.Report
	cfg    *Config
	summing

	sections map[string]string // sectionKeywords
	globals  *index[*Global]
	proxies  *index[*draft]
	binds    *index[*bindDraft]
	servers  *index[*Server]

	reader   *cfgfile.Reader
	section  string // keyword of the section being read; "" before the first
	skip     bool   // lines up to the next section belong to something refused
	draft    *draft // the defaults or proxy being read
	implicit *draft // the last defaults section: what proxies without "from" begin with
	named    map[string]*draft
	drafts   []*draft            // proxies in order
	byName   map[string][]*draft // the same; a frontend and a backend may share a name
	lineUses
	peersSections
	serverMemory
	userlists    map[string]*userlist.List
	atUserlist   *userlistSection // being read
	lastUserlist *userlist.List   // declared last
	usedLists    []listUse
	gauges       []gaugeUse
	groupParts
	files []fileUse
	errorSections
	namedSections
	unix  unixDefaults
	place []string // default-path
	globalFlags
	globalLogs bool // the global section has a log line, maybe a refused one
	tls        tlsDefaults
}

// Load reads the files (directories give their *.cfg files) and gives the
// configuration, or a *cfgfile.Errors that holds everything that is wrong.
func Load(files []string, opt Options) (*Config, error) {
	sources, err := cfgfile.ReadFiles(files)
	if err != nil {
		return nil, &cfgfile.Errors{List: []*cfgfile.Error{{Text: err.Error()}}}
	}
	if len(sources) == 0 {
		text := "no configuration file: name one with -f FILE"
		if len(files) > 0 {
			text = fmt.Sprintf("no *.cfg file in %s", strings.Join(files, ", "))
		}
		return nil, &cfgfile.Errors{List: []*cfgfile.Error{{Text: text}}}
	}
	return LoadSources(sources, opt)
}

// LoadSources is Load for texts that were read already.
func LoadSources(sources []cfgfile.Source, opt Options) (*Config, error) {
	p := newParser(opt)
	names := make([]string, len(sources))
	for i, src := range sources {
		names[i] = src.Name
	}
	p.env.Set("HAPROXY_CFGFILES", strings.Join(names, ";"))
	for _, src := range sources {
		p.read(src)
	}
	p.endDraft()
	p.finish()
	if err := p.report.Err(); err != nil {
		return nil, err
	}
	if p.zeroWarning && p.report.Warned() {
		return nil, &cfgfile.Errors{
			List:  []*cfgfile.Error{{Text: "Some warnings were found and 'zero-warning' is set. Aborting."}},
			Notes: p.report.Notes(),
		}
	}
	p.cfg.Notes = p.report.Notes()
	p.cfg.Environ = p.env.Environ()
	p.digest.Sum(p.cfg.Digest[:0])
	return p.cfg, nil
}

func newParser(opt Options) *parser {
	if opt.Environ == nil {
		opt.Environ = os.Environ()
	}
	if opt.LookupIP == nil {
		opt.LookupIP = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	env := cfgfile.NewEnv(opt.Environ)
	env.Version, env.Features = opt.Version, opt.Features
	if env.Version == "" {
		env.Version = CompatVersion
	}
	if env.Features == nil {
		env.Features = Features()
	}
	host, _ := os.Hostname() // without a name it has none
	env.Set(peerVariable, cmp.Or(opt.LocalPeer, host))
	return &parser{
		opt:           opt,
		globalFlags:   globalFlags{zeroWarning: opt.ZeroWarning},
		env:           env,
		report:        &cfgfile.Report{},
		cfg:           &Config{Global: Global{UID: -1, GID: -1, TLSExtras: certs.AllExtras(), GeneratedCerts: 1000}},
		summing:       summing{digest: sha256.New()},
		serverMemory:  serverMemory{plain: new(plainServer())},
		sections:      sectionKeywords(),
		globals:       newIndex(checkIgnored(globalTable()), checkIgnored(globalTuning()), newerGlobals()),
		proxies:       newIndex(proxyTable(), timeoutTable(), optionTable(), ruleTable(), balanceTable(), checkTable(), logTable(), statsTable(), stickTable(), compressionTable(), proxyRefusals(), newerProxyWords()),
		binds:         newIndex(bindTable(), newerBindWords()),
		servers:       newIndex(serverTable(), newerServerWords()),
		named:         map[string]*draft{},
		peersSections: peersSections{peers: map[string]*peersSection{}},
		userlists:     map[string]*userlist.List{},
		namedSections: namedSections{rings: map[string]*Ring{}, missingRings: map[cfgfile.Pos]bool{}},
		errorSections: errorSections{errorPages: map[string]map[int]ErrorFile{}},
		byName:        map[string][]*draft{},
	}
}

// read applies the lines of one file.
func (p *parser) read(src cfgfile.Source) {
	// A file begins outside of all sections, as in HAProxy.
	p.endDraft()
	p.section, p.skip = "", false
	p.reader = cfgfile.NewReader(src, p.env, p.report)
	for {
		line, ok := p.reader.Next()
		if !ok {
			return
		}
		p.digestLine(&line)
		if p.opt.Seen != nil {
			_, begins := p.sections[line.Keyword()]
			p.opt.Seen(line, begins)
		}
		if err := p.line(line); err != nil {
			p.report.Errorf(line.Pos, "%v", err)
		}
	}
}

// digestLine has a line count in the digest: where it stands, and its words, each quoted.
func (p *parser) digestLine(line *cfgfile.Line) {
	b := append(append(p.text[:0], line.Pos.File...), ':')
	b = append(strconv.AppendInt(b, int64(line.Pos.Line), 10), ' ')
	b = append(append(b, line.Keyword()...), " ["...)
	for i, w := range line.Words[1:] {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendQuote(b, w.Text)
	}
	p.text = append(b, "]\n"...)
	p.digest.Write(p.text)
}

// sectionKeywords are the words that begin a section. Those with a hint are
// refused, and their lines are passed over.
func sectionKeywords() map[string]string {
	all := map[string]string{
		"global": "", "defaults": "", "frontend": "", "backend": "", "listen": "",
		"cache":       "",
		"fcgi-app":    "servers speak HTTP/1 or HTTP/2: let a web server beside the application (nginx, Caddy, Apache) speak FastCGI, and name it in the server line",
		"http-errors": "",
		"log-forward": logForward,
		"mailers":     "",
		"peers":       "",
		"program":     "give each program a unit of its own, so that a reload or a crash of either leaves the other alone: a file such as /etc/systemd/system/NAME.service with [Service], ExecStart=<what stands behind command>, Restart=always and PartOf=lb.service; then systemctl enable --now NAME",
		"resolvers":   "",
		"ring":        "",
		"traces":      "",
		"userlist":    "",
	}
	maps.Copy(all, newerSections())
	return all
}

// line applies one line.
func (p *parser) line(line cfgfile.Line) error {
	words := line.Texts()
	if hint, ok := p.sections[words[0]]; ok {
		p.endDraft()
		p.section, p.skip = words[0], hint != ""
		p.reader.Section = words[0]
		if hint != "" {
			return fmt.Errorf("section '%s' is known to HAProxy, but not supported by lb yet: %s", words[0], hint)
		}
		switch words[0] {
		case "traces":
			p.skip = true
			p.report.Notef(line.Pos, "section 'traces' is ignored: %s", noTraces)
			return nil
		case "mailers":
			p.skip = true
			p.mailers = append(p.mailers, strings.Join(words[1:], " "))
			p.report.Advisef(line.Pos, "section 'mailers' is ignored: %s", noMail)
			return nil
		case "peers":
			return p.beginPeers(line.Pos, words[1:])
		case "cache":
			return p.beginCache(line.Pos, words[1:])
		case "http-errors":
			return p.beginErrors(words[1:])
		case "resolvers":
			return p.beginResolvers(words[1:])
		case "ring":
			return p.beginRing(words[1:])
		case "userlist":
			return p.beginUserlist(line.Pos, words[1:])
		}
		return p.begin(line.Pos, words[1:])
	}
	if p.skip {
		return nil
	}
	words, err := trimEmpty(words)
	if err != nil {
		return err
	}
	c := &call{p: p, pos: line.Pos}
	negated := ""
	if len(words) > 1 && (words[0] == "no" || words[0] == "default") {
		// The default of all that can be negated is off.
		negated, c.no, words = words[0], true, words[1:]
	}
	switch p.section {
	case "":
		return fmt.Errorf("unknown keyword '%s' out of section%s", words[0], didYouMean(p.guessSection(words[0])))
	case "global":
		return dispatch(p.globals, c, words, negated, &p.cfg.Global, inGlobal, p)
	case "cache":
		return p.cacheLine(c, words)
	case "peers":
		return p.peersLine(c, words)
	case "http-errors":
		return p.errorsLine(c, words)
	case "resolvers":
		return p.resolversLine(c, words)
	case "ring":
		return p.ringLine(c, words)
	case "userlist":
		return p.userlistLine(line.Pos, words)
	}
	p.draft.last = line.Pos
	err = dispatch(p.proxies, c, words, negated, p.draft, p.draft.kind, p)
	if words[0] == "option" && len(words) > 1 && err == nil {
		p.draft.noteOption(words[1], !c.no)
	}
	p.noteRefs(p.draft, line.Pos, err == nil)
	return err
}

// trimEmpty drops an empty last argument ("${UNSET}"). HAProxy takes an empty
// one in the middle for the end of the line and never reads the rest: that
// must not happen unseen.
func trimEmpty(words []string) ([]string, error) {
	for len(words) > 1 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	if i := slices.Index(words, ""); i >= 0 {
		return nil, fmt.Errorf("argument %d of '%s' is empty (an unset variable?), so '%s' after it would never be read: remove it or give it a value", i, words[0], words[i+1])
	}
	return words, nil
}

// dispatch finds the keyword and applies it to t.
func dispatch[T any](x *index[T], c *call, words []string, negated string, t T, in sections, p *parser) error {
	words = x.apart(words)
	r, n := x.find(words)
	if r == nil {
		// A misspelled section must not give its lines to the one before.
		if guess := p.guessSection(words[0]); guess != "" && x.guess(words[0], in) == "" && x.groups[words[0]] == nil {
			p.skip = true
			return fmt.Errorf("unknown keyword '%s' in '%s' section%s", words[0], p.section, didYouMean(guess))
		}
		return p.elsewhere(x.unknown(words, p.section, in), words, in)
	}
	c.name, c.args = r.name, words[n:]
	if negated != "" && !r.negate {
		return fmt.Errorf("'%s %s' is not possible: '%s' cannot be negated or reset", negated, r.name, r.name)
	}
	if r.check != nil {
		if err := r.check(c); err != nil {
			return err
		}
	}
	if r.in&in == 0 {
		err := p.misplaced(r.name, r.in, r.hard, c.pos, in)
		if err != nil || r.status == Refused || words[0] == "stick" { // HAProxy does not read those
			return err
		}
		return p.aside(c, func(d *draft) error { return r.run(c, any(d).(T)) })
	}
	return r.run(c, t)
}

// elsewhere adds to an unknown keyword where it is known.
func (p *parser) elsewhere(err error, words []string, in sections) error {
	if in == inGlobal {
		if r, _ := p.proxies.find(words); r != nil {
			return fmt.Errorf("unknown keyword '%s' in 'global' section: it belongs in a proxy (defaults, frontend, backend, listen)", words[0])
		}
	} else if r, _ := p.globals.find(words); r != nil {
		return fmt.Errorf("unknown keyword '%s' in '%s' section: it belongs in 'global'", words[0], p.section)
	}
	return err
}

// misplaced is a proxy keyword in a section that cannot use it.
func (p *parser) misplaced(name string, allowed sections, hard bool, pos cfgfile.Pos, in sections) error {
	if in == inDefaults {
		return fmt.Errorf("'%s' not allowed in 'defaults' section", name)
	}
	side := "backend"
	if allowed&inFrontend != 0 {
		side = "frontend"
	}
	if hard {
		return fmt.Errorf("'%s' not allowed because %s '%s' has no %s capability", name, p.section, p.draft.Name, side)
	}
	hint := ""
	switch name {
	case "maxconn":
		hint = ". Maybe you want 'fullconn' instead ?"
	case "fullconn":
		hint = ". Maybe you want 'maxconn' instead ?"
	}
	warn := p.report.Warnf
	if slices.Contains([]string{"hash-balance-factor", "persist rdp-cookie", "unique-id-header"}, name) { // HAProxy says nothing
		warn = p.report.Advisef
	}
	warn(pos, "'%s' ignored because %s '%s' has no %s capability%s", name, p.section, p.draft.Name, side, hint)
	return nil
}

// aside reads a line that has no effect in the proxy where it stands, as HAProxy
// does: what is wrong with it is an error even so. Nothing else is left of it.
func (p *parser) aside(c *call, run func(d *draft) error) error {
	before, d, proxy := *p, *p.draft, *p.draft.Proxy
	p.report = &cfgfile.Report{}
	d.Proxy, d.wrongFormat, d.serverLines, d.sids = &proxy, nil, nil, nil
	d.kind, d.Frontend, d.Backend = inListen, true, true
	proxy.ErrorFiles = nil
	err := run(&d)
	if err == nil {
		err = p.report.Err()
	}
	for keyword, wrong := range d.wrongFormat {
		if err == nil && (keyword == "unique-id-format" || keyword == "error-log-format") { // those that HAProxy looks into
			err = wrong.err
		}
	}
	*p = before
	p.draft.acls.Take()
	switch {
	case err != nil:
	case c.name == "use-server":
		err = fmt.Errorf("%s '%s': unable to find server '%s' referenced in a 'use-server' rule", p.draft.section, p.draft.Name, c.args[0])
	case (c.name == "use_backend" || c.name == "default_backend") && !strings.Contains(c.args[0], "%"):
		p.strayNames = append(p.strayNames, strayName{c.pos, c.name, c.args[0], p.draft})
	}
	return err
}

// lineUses are names in lines that only the whole text can tell of.
type lineUses struct {
	tableParts
	strayNames []strayName
}

// strayName is the name of a backend in a line without effect.
type strayName struct {
	pos           cfgfile.Pos
	keyword, name string
	from          *draft
}

// checkStrayNames refuses those that a frontend could not name either.
func (p *parser) checkStrayNames() {
	for _, s := range p.strayNames {
		p.checkBackend(s.from, s.name, s.pos, s.keyword)
	}
}

func (p *parser) guessSection(word string) string {
	return cfgfile.Suggest(word, sortedNames(p.sections))
}

// begin opens a section that is supported.
func (p *parser) begin(pos cfgfile.Pos, args []string) error {
	if p.section == "global" {
		if len(args) > 0 {
			p.skip = true
			return fmt.Errorf("'global' cannot handle unexpected argument '%s'", args[0])
		}
		return nil
	}
	if n := len(args); p.section == "defaults" && n > 1 && !slices.Contains(args, "from") { // HAProxy refuses it in the others
		p.report.Advisef(pos, "'defaults %s' : '%s' is not read; a name is one word", args[0], strings.Join(args[1:], " "))
		args = args[:1]
	}
	name, from, err := sectionName(p.section, args)
	if err != nil {
		p.skip = true
		return err
	}
	d := p.newDraft(name, pos)
	base, err := p.base(d, from)
	if base != nil {
		d.inherit(base)
		err = d.inherits(base, from != "")
	}
	p.draft, d.Servers = d, p.gathered
	if name != "" {
		p.reader.Section = name
	}
	if d.kind == inDefaults {
		p.implicit = d
		if name != "" {
			d.heirs.before = p.named[name]
			p.named[name] = d
		}
		return err
	}
	if before := p.clash(d); before != nil && err == nil {
		err = fmt.Errorf("%s '%s' has the same name as %s '%s' declared at %s", p.section, name, before.section, before.Name, before.Pos)
	}
	p.drafts = append(p.drafts, d)
	p.byName[name] = append(p.byName[name], d)
	return err
}

// sectionName reads "NAME", "NAME from DEFAULTS" and "from DEFAULTS".
func sectionName(section string, args []string) (name, from string, err error) {
	rest := args
	if len(rest) > 0 && (rest[0] != "from" || len(rest) != 2) {
		name, rest = rest[0], rest[1:]
	}
	if len(rest) >= 2 && rest[0] == "from" {
		from, rest = rest[1], rest[2:]
	}
	switch {
	case len(rest) > 0 && strings.ContainsAny(rest[0], ":/"):
		return "", "", fmt.Errorf("'%s' takes no address any more ('%s'): write a bind line below it", section, rest[0])
	case len(rest) > 0:
		return "", "", fmt.Errorf("'%s' cannot handle unexpected argument '%s'", section, rest[0])
	case name == "" && section != "defaults":
		return "", "", fmt.Errorf("'%s' expects a name: %s <name> [from <defaults>]", section, section)
	}
	if i := strings.IndexFunc(name, func(c rune) bool { return !nameRune(c) }); i >= 0 {
		return "", "", fmt.Errorf("character '%c' is not permitted in %s name '%s': letters, digits and _ - . : are", name[i], section, name)
	}
	return name, from, nil
}

func nameRune(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-.:", c)
}

// base gives the defaults that a section begins with.
func (p *parser) base(d *draft, from string) (*draft, error) {
	if from == "" {
		if d.kind == inDefaults {
			return nil, nil // a defaults section without "from" begins afresh
		}
		return p.implicit, nil
	}
	base := p.named[from]
	if base == nil {
		return nil, fmt.Errorf("defaults section '%s' not found for %s '%s'%s", from, p.section, d.Name, didYouMean(cfgfile.Suggest(from, sortedNames(p.named))))
	}
	return base, nil
}

// clash gives a proxy before d that has the same name and a side in common.
func (p *parser) clash(d *draft) *draft {
	for _, other := range p.byName[d.Name] {
		if other.Frontend && d.Frontend || other.Backend && d.Backend {
			return other
		}
	}
	return nil
}

// condition compiles "if ..." or "unless ..." ; no words give nil, which holds.
func (c *call) condition(words []string, acls *acl.ACLs) (*acl.Cond, error) {
	if len(words) == 0 {
		return nil, nil
	}
	if words[0] != "if" && words[0] != "unless" {
		return nil, fmt.Errorf("unexpected keyword '%s' in '%s', only 'if' and 'unless' are allowed", words[0], c.name)
	}
	cond, err := acl.ParseCond(words[1:], acls)
	if err != nil {
		return nil, fmt.Errorf("error detected in the condition of '%s' : %w", c.name, err)
	}
	if words[0] == "unless" {
		cond = cond.Negate()
	}
	return cond, nil
}

// number reads a whole number between low and high.
func number(what, word string, low, high int) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil {
		return 0, fmt.Errorf("'%s' expects a number, not '%s'", what, word)
	}
	if n < low || n > high {
		return 0, fmt.Errorf("'%s' must be between %d and %d, not %s", what, low, high, word)
	}
	return n, nil
}
