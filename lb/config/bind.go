package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/netns"
)

// bindDraft is a bind or stats socket line while its words are read.
type bindDraft struct {
	Bind
	ssl    bool   // the word ssl was there; other TLS words alone do nothing
	expose bool   // expose-fd listeners
	level  string // of a stats socket

	severity string // of its messages
	ecdhe    []tls.CurveID
	faults   map[string]error // of words that count with ssl only, by the word

	fallbacks    int  // how many default-crt there are
	lax, tickets bool // no-strict-sni, tls-tickets: whatever the global section says
}

// unixDefaults are what unix-bind says.
type unixDefaults struct {
	Bind
	prefix string
}

// owned gives a unix socket's bind line what unix-bind says and it does not.
func (u *unixDefaults) owned(b *Bind) {
	if b.Network != "unix" || u.Pos == (cfgfile.Pos{}) {
		return
	}
	if b.Mode == 0 {
		b.Mode = u.Mode
	}
	if b.UID < 0 && b.User == "" {
		b.UID, b.User = u.UID, u.User
	}
	if b.GID < 0 && b.Group == "" {
		b.GID, b.Group = u.GID, u.Group
	}
}

// bind applies a bind line.
func (c *call) bind(d *draft) error {
	d.bound = true
	binds, err := c.p.bindAddresses("bind", c.portEnd(c.args[0]))
	if err != nil {
		return err
	}
	model := bindDraft{Bind: Bind{Pos: c.pos, UID: -1, GID: -1}}
	if err := c.bindOptions(&model, c.args[1:], "bind"); err != nil {
		return err
	}
	if err := c.p.finishTLS(&model); err != nil {
		return fmt.Errorf("'bind %s' : %w", c.args[0], err)
	}
	if err := d.ownBindID(model.ID, len(binds)); err != nil {
		return fmt.Errorf("'bind %s' : %w", c.args[0], err)
	}
	for _, b := range binds {
		one := model.Bind
		one.Network, one.Address = b.Network, b.Address
		c.p.unix.owned(&one)
		if one.V6Only {
			one.V4V6 = false
			if one.Network == "tcp" {
				one.Network = "tcp6"
			} else {
				c.p.report.Notef(c.pos, "'bind %s' : 'v6only' is for IPv6 addresses such as [::]:80; %s is bound as it is", c.args[0], one.Address)
			}
		}
		d.Binds = append(d.Binds, one)
	}
	return nil
}

// ownBindID refuses an id that a bind line cannot have.
func (d *draft) ownBindID(id, sockets int) error {
	switch before := slices.IndexFunc(d.Binds, func(b Bind) bool { return b.ID == id }); {
	case id == 0:
	case sockets > 1:
		return fmt.Errorf("'id' can only be used with a single socket: write a line for each address")
	case before >= 0:
		return fmt.Errorf("'id' : custom id %d already used at %s: choose another", id, d.Binds[before].Pos)
	}
	return nil
}

// bindOptions applies the words after the address of a bind or stats socket
// line.
func (c *call) bindOptions(b *bindDraft, words []string, what string) error {
	for len(words) > 0 {
		r, n := c.p.binds.find(words[:1])
		if r == nil {
			return fmt.Errorf("'%s' : unknown keyword '%s'%s", what, words[0], didYouMean(cfgfile.Suggest(words[0], c.p.binds.names)))
		}
		if len(words)-n < r.min {
			return fmt.Errorf("'%s' : '%s' expects %s", what, r.name, r.args)
		}
		one := &call{p: c.p, pos: c.pos, name: r.name, args: words[n : n+r.min]}
		if err := r.run(one, b); err != nil {
			return fmt.Errorf("'%s' : %w", what, err)
		}
		words = words[n+r.min:]
	}
	return nil
}

// bindTable holds the words of bind lines. Each takes exactly min arguments.
func bindTable() []row[*bindDraft] {
	text := func(set func(b *bindDraft, word string)) func(*call, *bindDraft) error {
		return func(c *call, b *bindDraft) error { set(b, c.args[0]); return nil }
	}
	flag := func(set func(b *bindDraft)) func(*call, *bindDraft) error {
		return func(_ *call, b *bindDraft) error { set(b); return nil }
	}
	count := func(low, high int, set func(b *bindDraft, n int)) func(*call, *bindDraft) error {
		return func(c *call, b *bindDraft) error {
			n, err := number(c.name, c.args[0], low, high)
			set(b, n)
			return err
		}
	}
	secure := func(set func(t *BindTLS, word string)) func(*call, *bindDraft) error {
		return func(c *call, b *bindDraft) error {
			word := ""
			if len(c.args) > 0 {
				word = c.args[0]
			}
			set(b.secure(), word)
			return nil
		}
	}
	caFile := func(set func(t *BindTLS, file string)) func(*call, *bindDraft) error {
		return func(c *call, b *bindDraft) error {
			set(b.secure(), c.p.under(c.p.cfg.Global.CABase, c.args[0]))
			return nil
		}
	}
	const big = 1<<31 - 1
	table := []row[*bindDraft]{
		{name: "accept-netscaler-cip", args: "<magic>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			n, err := strconv.ParseUint(c.args[0], 10, 32)
			if err != nil || n == 0 {
				return fmt.Errorf("'accept-netscaler-cip' expects a decimal number such as 1027423549, not '%s'", c.args[0])
			}
			b.AcceptCIP, b.CIPMagic = true, uint32(n)
			return nil
		}},
		{name: "accept-proxy", apply: flag(func(b *bindDraft) { b.AcceptProxy = true })},
		{name: "backlog", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(b *bindDraft, n int) { b.Backlog = n })},
		{name: "defer-accept", apply: flag(func(b *bindDraft) { b.DeferAccept = true })},
		{name: "expose-fd", args: "listeners", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.expose = true
			return oneOf("expose-fd", c.args[0], "listeners")
		}},
		{name: "gid", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(b *bindDraft, n int) { b.GID = n })},
		{name: "group", args: "<name>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			if _, err := user.LookupGroup(c.args[0]); err != nil {
				return fmt.Errorf("unknown group name '%s': create the group, or name another one", c.args[0])
			}
			b.Group = c.args[0]
			return nil
		}},
		{name: "id", args: "<number>", min: 1, max: 1, apply: count(1, big, func(b *bindDraft, n int) { b.ID = n })},
		{name: "interface", args: "<name>", min: 1, max: 1, apply: text(func(b *bindDraft, w string) { b.Interface = w })},
		{name: "level", args: "user|operator|admin", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.level = c.args[0]
			return oneOf("level", c.args[0], "user", "operator", "admin")
		}},
		{name: "severity-output", args: "none|number|string", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.severity = c.args[0]
			return oneOf("severity-output", c.args[0], "none", "number", "string")
		}, doc: "what stands before messages on a stats socket"},
		{name: "maxconn", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(b *bindDraft, n int) { b.MaxConn = n })},
		{name: "mss", loose: cutsTail, args: "<size>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.MSS, err = number(c.name, c.args[0], -65535, 65535)
			if err == nil && b.MSS == 0 {
				err = errors.New("'mss' expects a size between 1 and 65535, or one less than that of the route, such as -20")
			}
			return err
		}},
		{name: "namespace", args: "<name>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.Namespace = c.args[0]
			return namespaceExists(b.Namespace)
		}},
		{name: "tcp-ut", args: "<time>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.UserTimeout, err = duration(c.name, c.args[0], time.Millisecond)
			return err
		}},
		{name: "mode", args: "<octal>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.Mode, err = octal("mode", c.args[0])
			return err
		}},
		{name: "name", args: "<name>", min: 1, max: 1, apply: text(func(b *bindDraft, w string) { b.Name = w })},
		{name: "tfo", apply: flag(func(b *bindDraft) { b.TFO = true })},
		{name: "transparent", apply: flag(func(b *bindDraft) { b.Transparent = true })},
		{name: "uid", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(b *bindDraft, n int) { b.UID = n })},
		{name: "user", args: "<name>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			if _, err := user.Lookup(c.args[0]); err != nil {
				return fmt.Errorf("unknown user name '%s': create the user, or name another one", c.args[0])
			}
			b.User = c.args[0]
			return nil
		}},
		{name: "v4v6", apply: flag(func(b *bindDraft) { b.V4V6 = true })},
		{name: "v6only", apply: flag(func(b *bindDraft) { b.V6Only = true })},

		{name: "ssl", apply: flag(func(b *bindDraft) { b.secure(); b.ssl = true })},
		{name: "alpn", args: "<protocols>", min: 1, max: 1, apply: (*call).alpn, doc: "h2 and http/1.1; without it TLS clients are served in HTTP/1.1"},
		{name: "ca-file", args: "<file>", min: 1, max: 1, apply: caFile(func(t *BindTLS, w string) { t.CAFile = w })},
		{name: "ca-ignore-err", args: "<list>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.secure().CAIgnore, err = certs.ParseIgnore(c.args[0])
			return err
		}},
		{name: "ca-sign-file", args: "<file>", min: 1, max: 1, apply: caFile(func(t *BindTLS, w string) { t.Signing.File = w }), doc: "for generate-certificates"},
		{name: "ca-sign-pass", args: "<password>", min: 1, max: 1, status: Ignored, doc: "HAProxy 2.6 does not use it either: store the key of ca-sign-file without a passphrase, readable for root alone"},
		{name: "ca-verify-file", args: "<file>", min: 1, max: 1, apply: caFile(func(t *BindTLS, w string) { t.VerifyFile = w })},
		{name: "ciphers", args: "<list>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.secure().Ciphers, err = c.ciphers(c.args[0])
			return b.withTLS(c, err)
		}},
		{name: "ciphersuites", args: "<list>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.secure().Suites, err = parseSuites(c.name, c.args[0])
			return b.withTLS(c, err)
		}, doc: "the first one that the client has, too, is taken; without the word, the best by the hardware of both"},
		{name: "crl-file", args: "<file>", min: 1, max: 1, apply: caFile(func(t *BindTLS, w string) { t.CRLFile = w })},
		{name: "crt", args: "<file|directory>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			t := b.secure()
			t.Sources = append(t.Sources, certs.Source{Path: c.p.under(c.p.cfg.Global.CrtBase, c.args[0])})
			return nil
		}},
		{name: "crt-ignore-err", args: "<list>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.secure().CrtIgnore, err = certs.ParseIgnore(c.args[0])
			return err
		}},
		{name: "crt-list", args: "<file>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			t := b.secure()
			t.Sources = append(t.Sources, certs.Source{Path: c.p.under("", c.args[0]), List: true})
			return nil
		}},
		{name: "curves", args: "<list>", min: 1, max: 1, apply: bindCurves, doc: "which of them is taken is the best that both sides have, not the first"},
		{name: "ecdhe", args: "<curve>", min: 1, max: 1, apply: func(c *call, b *bindDraft) (err error) {
			b.secure()
			b.ecdhe, err = c.curves()
			return b.withTLS(c, err)
		}, doc: "where neither `curves` nor `ssl-default-bind-curves` says which"},
		{name: "generate-certificates", apply: secure(func(t *BindTLS, _ string) { t.Signing.On = true }), doc: "the bind line's settings (alpn, verify, ciphers) hold for these clients, too; with the default certificate's key, signed by ca-sign-file"},
		{name: "no-ca-names", apply: secure(func(t *BindTLS, _ string) { t.NoCANames = true })},
		{name: "no-tls-tickets", apply: secure(func(t *BindTLS, _ string) { t.NoTickets = true })},
		{name: "prefer-client-ciphers", apply: secure(func(t *BindTLS, _ string) { t.ClientOrder = true }), doc: preferClient},
		{name: "ssl-max-ver", args: "<version>", min: 1, max: 1, apply: tlsOption},
		{name: "ssl-min-ver", args: "<version>", min: 1, max: 1, apply: tlsOption},
		{name: "strict-sni", apply: secure(func(t *BindTLS, _ string) { t.StrictSNI = true })},
		{name: "tls-ticket-keys", args: "<file>", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.secure().TicketKeys = c.p.under("", c.args[0])
			return nil
		}, doc: "all that share a file resume each other's sessions; the tickets are not HAProxy's"},
		{name: "verify", args: "none|optional|required", min: 1, max: 1, apply: func(c *call, b *bindDraft) error {
			b.secure().Verify = c.args[0]
			return oneOf("verify", c.args[0], "none", "optional", "required")
		}},

		{name: "guid-prefix", args: "<text>", min: 1, max: 1, status: Ignored, doc: "names and ids keep counters apart already"},
		{name: "nice", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, status: Ignored, apply: count(-1024, 1024, func(*bindDraft, int) {}), doc: "all connections of a loop have the same priority"},
		{name: "npn", args: "<protocols>", min: 1, max: 1, status: Ignored, doc: "no client uses NPN any more; write alpn"},
		{name: "process", args: "<set>", min: 1, max: 1, status: Ignored, apply: onBindThreads, doc: "every loop accepts on every listener"},
		{name: "shards", args: "<number>|by-thread|by-group", min: 1, max: 1, status: Ignored, apply: func(c *call, _ *bindDraft) error {
			if c.args[0] == "by-thread" || c.args[0] == "by-group" {
				return nil
			}
			_, err := number(c.name, c.numeral(c.name, c.args[0], cutsTail), 1, 64)
			return err
		}, doc: "every loop accepts on every listener"},
		{name: "thread", args: "<set>", min: 1, max: 1, status: Ignored, apply: onBindThreads, doc: "every loop accepts on every listener"},

		{name: "allow-0rtt", status: Ignored, doc: "early data is not taken, as it can be replayed: clients send their requests after the handshake"},
		{name: "proto", args: "h1|h2", min: 1, max: 1, status: Ignored, apply: func(c *call, _ *bindDraft) error { return oneOf(c.name, c.args[0], "h1", "h2") }, doc: "the client's first bytes tell; 'option disable-h2-upgrade' leaves HTTP/2 to those who agreed on it (alpn)"},
	}
	for _, name := range tlsSwitches() {
		table = append(table, row[*bindDraft]{name: name, apply: tlsOption})
	}
	for i := range table {
		table[i].in = onBind
	}
	return table
}

// namespaceExists refuses the name of a network namespace that is not there, as HAProxy does: no socket could be made in it.
func namespaceExists(name string) error {
	n, err := netns.Open(name)
	if err == nil {
		n.Close()
	}
	return err
}

// secure gives the TLS settings of a bind line, new ones at first.
func (b *bindDraft) secure() *BindTLS {
	if b.TLS == nil {
		b.TLS = &BindTLS{Settings: certs.Settings{Verify: "none"}}
	}
	return b.TLS
}

// withTLS keeps what is wrong with a word until it is known whether the line has
// ssl: HAProxy does not look at it otherwise. The last word of a name counts.
func (b *bindDraft) withTLS(c *call, err error) error {
	delete(b.faults, c.name)
	if err == nil {
		return nil
	}
	if b.faults == nil {
		b.faults = map[string]error{}
	}
	b.faults[c.name] = err
	return nil
}

// under puts a relative path under a base directory, or where default-path
// says.
func (p *parser) under(base, path string) string {
	switch {
	case filepath.IsAbs(path) || strings.HasPrefix(path, "@"):
		return path
	case base == "":
		return p.path(p.reader.File(), path)
	}
	return filepath.Join(base, path)
}

// below puts a relative path under a base directory.
func below(base, path string) string {
	if base == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "@") {
		return path
	}
	return filepath.Join(base, path)
}

// path is where default-path has a relative path of a configuration file
// begin.
func (p *parser) path(file, path string) string {
	if len(p.place) == 0 || filepath.IsAbs(path) {
		return path
	}
	switch p.place[0] {
	case "config":
		return filepath.Join(filepath.Dir(file), path)
	case "parent":
		return filepath.Join(filepath.Dir(file), "..", path)
	case "origin":
		return filepath.Join(p.place[1], path)
	}
	return path
}

// alpn reads the list of protocols, in the order of preference.
func (c *call) alpn(b *bindDraft) error {
	t := b.secure()
	t.ALPN = nil
	for proto := range strings.SplitSeq(c.args[0], ",") {
		if proto = strings.TrimSpace(proto); proto != "" {
			t.ALPN = append(t.ALPN, proto)
		}
	}
	if t.ALPN == nil {
		return fmt.Errorf("'alpn' names no protocol; write alpn h2,http/1.1")
	}
	return nil
}

// finishTLS applies the defaults of the global section to a bind line.
func (p *parser) finishTLS(b *bindDraft) error {
	t := b.TLS
	if t == nil {
		return nil
	}
	if !b.ssl {
		// HAProxy takes certificates on a plain port without a word, and the
		// operator learns it from a browser.
		if len(t.Sources) > 0 {
			p.report.Advisef(b.Pos, "'bind' : a certificate is given, but the word 'ssl' is missing: the port is plain, as with HAProxy")
			for _, source := range t.Sources {
				if _, err := os.Stat(source.Path); err != nil {
					return fmt.Errorf("no certificate '%s': %w", source.Path, plainError(err))
				}
			}
		}
		for _, word := range sortedNames(b.faults) {
			p.report.Advisef(b.Pos, "%v (no error, as the line has no 'ssl')", b.faults[word])
		}
		b.TLS = nil
		return nil
	}
	for _, word := range sortedNames(b.faults) {
		return b.faults[word]
	}
	t.StrictSNI = t.StrictSNI || p.tls.strictSNI && !b.lax
	if t.Signing.On && t.Signing.File == "" {
		return fmt.Errorf("'generate-certificates' needs the authority that signs the certificates: add ca-sign-file <file>")
	}
	if len(t.Sources) == 0 {
		if !t.StrictSNI || t.Signing.On {
			return fmt.Errorf("'ssl' needs a certificate: add crt <file>")
		}
		p.report.Notef(b.Pos, "'bind' : no SSL certificate specified, ssl connections will fail (use 'crt')")
	}
	if t.Verify != "none" && t.CAFile == "" && t.VerifyFile == "" {
		return fmt.Errorf("'verify %s' needs the authorities that sign the clients' certificates: add ca-file <file>", t.Verify)
	}
	if t.MinVersion == 0 {
		t.MinVersion = p.tls.min
	}
	if t.MaxVersion == 0 {
		t.MaxVersion = p.tls.max
	}
	if t.Ciphers == nil {
		t.Ciphers = p.tls.ciphers
		p.tls.fault.counts(p)
	}
	if t.Suites == nil {
		t.Suites = p.tls.suites
		p.tls.suitesFault.counts(p)
	}
	t.ClientOrder = t.ClientOrder || p.tls.clientOrder
	if t.Curves == nil {
		t.Curves = p.tls.curves
		p.tls.curvesFault.counts(p)
	}
	if t.Curves == nil {
		t.Curves = b.ecdhe
	}
	t.NoTickets = t.NoTickets || p.tls.noTickets && !b.tickets
	ignored, err := (t.Without | p.tls.without).settle(&t.MinVersion, &t.MaxVersion, true)
	if ignored {
		p.report.Advisef(b.Pos, "'bind' : %s", versionsIgnored)
	}
	return err
}
