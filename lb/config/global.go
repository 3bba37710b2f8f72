package config

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/sample"
)

// globalTable holds the keywords of the global section that have an effect,
// and those that belong to features lb does not have.
func globalTable() []row[*Global] {
	text := func(set func(g *Global, word string)) func(*call, *Global) error {
		return func(c *call, g *Global) error { set(g, c.args[0]); return nil }
	}
	flag := func(set func(g *Global)) func(*call, *Global) error {
		return func(_ *call, g *Global) error { set(g); return nil }
	}
	count := func(low, high int, set func(g *Global, n int)) func(*call, *Global) error {
		return func(c *call, g *Global) error {
			n, err := number(c.name, c.args[0], low, high)
			set(g, n)
			return err
		}
	}
	hello := count(0, 65535, func(g *Global, n int) { g.CaptureHello = n })
	captureHello := func(c *call, g *Global) error { // under either name
		if c.p.helloSized { // an error, as in HAProxy
			return errors.New("'tune.ssl.capture-buffer-size' is already configured; it is set once, under this name or as 'tune.ssl.capture-cipherlist-size'")
		}
		c.p.helloSized = true
		return hello(c, g)
	}
	span := func(unit time.Duration, set func(g *Global, d time.Duration)) func(*call, *Global) error {
		return func(c *call, g *Global) error {
			d, err := duration(c.name, c.args[0], unit)
			set(g, d)
			return err
		}
	}
	const big = 1<<31 - 1
	table := []row[*Global]{
		{name: "ssl-server-verify", args: "none|required", min: 1, max: 1, apply: func(c *call, g *Global) error {
			g.SSLServerVerifyNone = c.args[0] == "none"
			return oneOf(c.name, c.args[0], "none", "required")
		}},
		{name: "set-var", args: "<name> <expr>", min: 2, max: 2, apply: (*call).procVar},
		{name: "set-var-fmt", args: "<name> <format>", min: 2, max: 2, apply: (*call).procVar},
		{name: "ca-base", args: "<dir>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.CABase = w })},
		{name: "chroot", args: "<dir>", min: 1, max: 1, apply: (*call).chroot, doc: "where root starts lb; ignored with a notice elsewhere"},
		{name: "crt-base", args: "<dir>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.CrtBase = w })},
		{name: "daemon", apply: flag(func(g *Global) { g.Daemon = true })},
		{name: "description", args: "<text>", min: 1, max: many, apply: func(c *call, g *Global) error {
			g.Description = strings.Join(c.args, " ")
			return nil
		}},
		{name: "gid", args: "<number>", min: 1, max: 1, apply: numbered(func(g *Global, w string) (err error) {
			g.GID, err = number("gid", w, 0, big)
			return err
		})},
		{name: "group", args: "<name>", min: 1, max: 1, apply: identity(func(g *Global, w string) error { g.Group = w; return nil })},
		{name: "close-spread-time", args: "<time>", min: 1, max: 1, apply: span(time.Millisecond, func(g *Global, d time.Duration) { g.CloseSpread = d })},
		{name: "handover", args: "move|drain|close", min: 1, max: 1, apply: func(c *call, g *Global) error {
			g.Handover = c.args[0]
			return oneOf("handover", c.args[0], "move", "drain", "close")
		}},
		{name: "hard-stop-after", lax: true, args: "<time>", min: 1, max: 1, apply: span(time.Millisecond, func(g *Global, d time.Duration) { g.HardStopAfter = d })},
		{name: "log", args: "<address> [len <n>] [format <f>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]", min: 2, max: many, negate: true, apply: (*call).globalLog},
		{name: "log-send-hostname", lax: true, args: "[<name>]", max: 1, apply: func(c *call, g *Global) (err error) {
			if len(c.args) > 0 {
				g.LogSendHost = c.args[0]
				return nil
			}
			g.LogSendHost, err = os.Hostname()
			return err
		}},
		{name: "log-tag", args: "<tag>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.LogTag = w })},
		{name: "master-worker", args: "[no-exit-on-failure]", max: 1, apply: func(c *call, g *Global) error {
			g.MasterWorker = true
			if len(c.args) > 0 {
				return oneOf(c.name, c.args[0], "no-exit-on-failure")
			}
			return nil
		}},
		{name: "maxconn", loose: likeC, args: "<number>", min: 1, max: 1, apply: count(0, big, func(g *Global, n int) { g.MaxConn = n })},
		{name: "maxconnrate", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(g *Global, n int) { g.Rates.Conns = n })},
		{name: "maxsessrate", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(g *Global, n int) { g.Rates.Sessions = n })},
		{name: "maxsslrate", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, big, func(g *Global, n int) { g.Rates.TLS = n })},
		{name: "maxcompcpuusage", loose: cutsTail | wordIsZero, args: "<percent>", min: 1, max: 1, apply: count(0, 100, func(g *Global, n int) { g.CompressionIdle = 100 - n })},
		{name: "maxcomprate", loose: cutsTail | wordIsZero, args: "<kB/s>", min: 1, max: 1, apply: count(0, big, func(g *Global, n int) { g.CompressionRate = n * 1024 })},
		{name: "maxsslconn", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, doc: "counts clients' connections; more wait in the accept queue, and maxconn on server lines bounds those to servers", apply: count(0, big, func(g *Global, n int) { g.MaxTLSConn = n })},
		{name: "nbproc", args: "<number>", min: 1, max: 1, apply: (*call).nbproc},
		{name: "nbthread", args: "<number>", min: 1, max: 1, apply: count(1, 64, func(g *Global, n int) { g.NbThread = n })},
		{name: "server-state-base", lax: true, args: "<dir>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.States.Base = w })},
		{name: "server-state-file", lax: true, args: "<file>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.States.File = w })},
		{name: "localpeer", args: "<name>", min: 1, max: 1, apply: (*call).localPeerLine},
		{name: "node", args: "<name>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.Node = w })},
		{name: "pidfile", args: "<path>", min: 1, max: 1, apply: text(func(g *Global, w string) { g.Pidfile = w })},
		{name: "presetenv", args: "<name> <value>", min: 2, max: 3, apply: func(c *call, _ *Global) error {
			c.passOver("presetenv", 2)
			if _, set := c.p.env.Get(c.args[0]); !set {
				c.p.env.Set(c.args[0], c.args[1])
			}
			return nil
		}},
		{name: "resetenv", args: "[<name> ...]", max: many, apply: func(c *call, _ *Global) error { c.p.env.Keep(c.args); return nil }},
		{name: "setenv", args: "<name> <value>", min: 2, max: 3, apply: func(c *call, _ *Global) error {
			c.passOver("setenv", 2)
			c.p.env.Set(c.args[0], c.args[1])
			return nil
		}},
		{name: "set-dumpable", apply: flag(func(g *Global) { g.Dumpable = true }), doc: "without it a process with TLS leaves no core dump, and other users cannot trace it"},
		{name: "max-spread-checks", args: "<time>", min: 1, max: 1, apply: span(time.Millisecond, func(g *Global, d time.Duration) { g.MaxSpread = d })},
		{name: "spread-checks", loose: cutsTail | wordIsZero, args: "<0-50>", min: 1, max: 1, apply: count(0, 50, func(g *Global, n int) { g.SpreadChecks = n })},
		{name: "ssl-default-bind-ciphers", args: "<list>", min: 1, max: 1, apply: func(c *call, _ *Global) (err error) {
			c.p.tls.ciphers, err = c.ciphers(c.args[0])
			return c.later(&c.p.tls.fault, err)
		}},
		{name: "ssl-default-bind-ciphersuites", args: "<list>", min: 1, max: 1, apply: func(c *call, _ *Global) (err error) {
			c.p.tls.suites, err = parseSuites(c.name, c.args[0])
			return c.later(&c.p.tls.suitesFault, err)
		}},
		{name: "issuers-chain-path", args: "<dir>", min: 1, max: 1, apply: func(c *call, g *Global) error {
			g.IssuersChain = c.p.under("", c.args[0])
			if info, err := os.Stat(g.IssuersChain); err != nil || !info.IsDir() {
				return fmt.Errorf("'issuers-chain-path' expects a directory, and '%s' is none", c.args[0])
			}
			return nil
		}},
		{name: "ssl-default-bind-curves", args: "<list>", min: 1, max: 1, apply: func(c *call, _ *Global) (err error) {
			c.p.tls.curves, err = c.curves()
			return c.later(&c.p.tls.curvesFault, err)
		}},
		{name: "ssl-load-extra-del-ext", apply: flag(func(g *Global) { g.TLSExtras.DelExt = true })},
		{name: "ssl-load-extra-files", args: "none|all|bundle|sctl|ocsp|issuer|key ...", min: 1, max: many, apply: loadExtraFiles},
		{name: "ssl-default-bind-options", args: "<option> ...", min: 1, max: many, apply: (*call).defaultBindOptions},
		{name: "ssl-default-server-ciphers", args: "<list>", min: 1, max: 1, apply: func(c *call, _ *Global) (err error) {
			c.p.tls.server.Ciphers, err = c.ciphers(c.args[0])
			return c.later(&c.p.tls.serverFault, err)
		}},
		{name: "ssl-default-server-options", args: "<option> ...", min: 1, max: many, apply: (*call).defaultServerOptions},
		{name: "stats socket", args: "<address> [mode <octal>] [level <level>] [expose-fd listeners] ...", min: 1, max: many, apply: (*call).statsSocket},
		{name: "stats timeout", lax: true, args: "<time>", min: 1, max: 1, apply: func(c *call, g *Global) (err error) {
			g.StatsTimeout, err = duration(c.name, c.args[0], time.Millisecond)
			if err == nil && g.StatsTimeout <= 0 {
				err = errors.New("'stats timeout' expects more than 0")
			}
			return err
		}},
		{name: "uid", args: "<number>", min: 1, max: 1, apply: numbered(func(g *Global, w string) (err error) {
			g.UID, err = number("uid", w, 0, big)
			return err
		})},
		{name: "unix-bind", args: "[prefix <path>] [mode <octal>] [user <name>] [uid <number>] [group <name>] [gid <number>]", max: many, apply: (*call).unixBind},
		{name: "unsetenv", args: "<name> ...", min: 1, max: many, apply: func(c *call, _ *Global) error {
			for _, name := range c.args {
				c.p.env.Unset(name)
			}
			return nil
		}},
		{name: "tune.ssl.ssl-ctx-cache-size", loose: cutsTail | wordIsZero, args: "<number>", min: 1, max: 1, apply: count(0, 1<<31-1, func(g *Global, n int) { g.GeneratedCerts = n }), doc: "how many certificates of generate-certificates are kept"},
		{name: "tune.bufsize", loose: cutsTail, args: "<bytes>", min: 1, max: 1, apply: count(1024, 16<<20, func(g *Global, n int) { g.MaxHead = n })},
		{name: "tune.http.maxhdr", loose: cutsTail, args: "<number>", min: 1, max: 1, apply: count(1, 32767, func(g *Global, n int) { g.MaxFields = n })},
		{name: "tune.ssl.capture-buffer-size", loose: cutsTail | wordIsZero, args: "<bytes>", min: 1, max: 1, apply: captureHello, doc: "for `ssl_fc_cipherlist_bin` and its kin; kept where a rule or a log line shows one of them"},
		{name: "tune.ssl.capture-cipherlist-size", loose: cutsTail | wordIsZero, args: "<bytes>", min: 1, max: 1, status: Translated, doc: "it is read as 'tune.ssl.capture-buffer-size'", apply: captureHello},
		{name: "user", args: "<name>", min: 1, max: 1, apply: identity(func(g *Global, w string) error { g.User = w; return nil })},
		{name: "expose-experimental-directives", apply: func(c *call, _ *Global) error { c.p.experimental = true; return nil }},
		{name: "zero-warning", apply: func(c *call, _ *Global) error { c.p.zeroWarning = true; return nil }},

		{name: "cluster-secret", args: "<secret>", min: 1, max: 1, status: Ignored, doc: "only QUIC uses it, which is not spoken"},
		{name: "default-path", args: "current|config|parent|origin <path>", min: 1, max: 2, apply: (*call).defaultPath},
		{name: "external-check", args: "[preserve-env]", max: 1, apply: (*call).externalChecks, doc: "lets `option external-check` run programs; with `preserve-env`, a word of newer HAProxy, they get lb's environment too"},
		{name: "insecure-fork-wanted", negate: true, apply: func(c *call, g *Global) error { g.Programs.Fork = !c.no; return nil }, doc: "without it `option external-check` gets a warning as in HAProxy, but runs its programs"},
		{name: "insecure-setuid-wanted", apply: flag(func(g *Global) { g.Programs.SetUID = true }), doc: "without it a program of `option external-check` gets no rights of its file's owner"},
		{name: "h1-accept-payload-with-any-method", status: Ignored, doc: "GET, HEAD and DELETE with a body are served anyway, as RFC 9110 says"},
		{name: "h1-case-adjust", args: "<from> <to>", min: 2, max: 2, apply: func(c *call, g *Global) error { return c.adjustCase(g, c.args[0], c.args[1]) }},
		{name: "h1-case-adjust-file", args: "<file>", min: 1, max: 1, apply: (*call).adjustCases},
		{name: "httpclient.resolvers.id", args: "<name>", min: 1, max: 1, status: Ignored, doc: "only scripts and OCSP updates use that client; lb runs neither"},
		{name: "httpclient.resolvers.prefer", args: "<family>", min: 1, max: 1, status: Ignored, doc: "only scripts and OCSP updates use that client; lb runs neither"},
		{name: "httpclient.ssl.ca-file", args: "<file>", min: 1, max: 1, status: Ignored, doc: "only scripts and OCSP updates use that client; lb runs neither"},
		{name: "httpclient.ssl.verify", args: "<mode>", min: 1, max: 1, status: Ignored, doc: "only scripts and OCSP updates use that client; lb runs neither"},
		{name: "lua-load", args: "<file>", min: 1, max: many, status: Ignored, loud: true, apply: (*call).loadScript, doc: scriptsIdle},
		{name: "lua-load-per-thread", args: "<file>", min: 1, max: many, status: Ignored, loud: true, apply: (*call).loadScript, doc: scriptsIdle},
		{name: "lua-prepend-path", args: "<path>", min: 1, max: many, status: Ignored, doc: "it only says where scripts are looked for, and each line that calls one is refused"},
		{name: "h2-workaround-bogus-websocket-clients", apply: flag(func(g *Global) { g.NoH2WebSocket = true }), doc: "clients are not offered WebSockets over HTTP/2 (RFC 8441), and open connections of HTTP/1.1 for them"},
		{name: "nosplice", apply: flag(func(g *Global) { g.NoSplice = true }), doc: "long plain bodies go through a buffer, too; without it they are spliced from socket to socket"},
		{name: "pp2-never-send-local", apply: flag(func(g *Global) { g.NeverLocal = true })},
		{name: "ssl-propquery", args: "<query>", min: 1, max: 1, status: Ignored, loud: true, apply: (*call).provider, doc: "TLS is Go's, which has no providers"},
		{name: "ssl-provider", args: "<name>", min: 1, max: 1, status: Ignored, loud: true, apply: (*call).provider, doc: "TLS is Go's, which has no providers"},
		{name: "ssl-provider-path", args: "<path>", min: 1, max: 1, status: Ignored, doc: "TLS is Go's, which has no providers"},
		{name: "stats bind-process", args: "<set>", min: 1, max: many, status: Ignored, doc: "there is one worker process"},
	}
	for i := range table {
		table[i].in = inGlobal
	}
	return table
}

// externalChecks applies external-check [preserve-env].
func (c *call) externalChecks(g *Global) error {
	if len(c.args) > 0 {
		if err := oneOf(c.name, c.args[0], "preserve-env"); err != nil {
			return err
		}
		g.Programs.Environ = true
	}
	g.Programs.Allowed = true
	return nil
}

// chroot is for root; whoever is not root is confined by other means.
func (c *call) chroot(g *Global) error {
	if !c.p.opt.Privileged {
		c.p.report.Notef(c.pos, "'chroot %s' is ignored: only root could do it, and lb was not started by root", c.args[0])
		return nil
	}
	dir := c.args[0]
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("'chroot' expects an absolute path, not '%s'", dir)
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		// As HAProxy does: the text may be checked on another machine.
		c.p.report.Advisef(c.pos, "cannot chroot to '%s': there is no such directory, and without it lb does not start; create it, owned by root and writable for nobody else", dir)
	}
	g.Chroot = dir
	return nil
}

// numbered is identity for a number; HAProxy passes over what is none.
func numbered(set func(g *Global, word string) error) func(*call, *Global) error {
	apply := identity(set)
	return func(c *call, g *Global) error {
		if strings.Trim(c.args[0], "0123456789") != "" {
			c.p.report.Warnf(c.pos, "'%s %s' is ignored, as in HAProxy: it is no number; '%s' takes a name", c.name, c.args[0], map[string]string{"uid": "user", "gid": "group"}[c.name])
			return nil
		}
		return apply(c, g)
	}
}

// identity applies user, group, uid and gid.
func identity(set func(g *Global, word string) error) func(*call, *Global) error {
	return func(c *call, g *Global) error {
		if !c.p.opt.Privileged {
			c.p.report.Notef(c.pos, "'%s %s' has no effect: only root can change it, and lb was not started by root", c.name, c.args[0])
			return set(g, c.args[0])
		}
		switch c.name {
		case "user":
			if _, err := user.Lookup(c.args[0]); err != nil {
				return fmt.Errorf("cannot find user id for '%s': create the user, or name another one", c.args[0])
			}
		case "group":
			if _, err := user.LookupGroup(c.args[0]); err != nil {
				return fmt.Errorf("cannot find group id for '%s': create the group, or name another one", c.args[0])
			}
		}
		return set(g, c.args[0])
	}
}

func (c *call) nbproc(*Global) error {
	n, err := number("nbproc", c.args[0], 1, 1<<30)
	if err != nil {
		return err
	}
	if n > 1 {
		return fmt.Errorf("'nbproc %d' is not possible: one worker process uses all cores by threads; write 'nbthread %d' instead", n, n)
	}
	c.p.report.Notef(c.pos, "'nbproc 1' is ignored: there is always one worker process")
	return nil
}

// unixBind applies unix-bind: what bind lines say nothing about.
func (c *call) unixBind(*Global) error {
	model := bindDraft{Bind: Bind{Pos: c.pos, UID: -1, GID: -1}}
	for words := c.args; len(words) > 0; words = words[2:] {
		if len(words) < 2 {
			return fmt.Errorf("'unix-bind' : '%s' expects a value", words[0])
		}
		if words[0] == "prefix" {
			c.p.unix.prefix = words[1]
			continue
		}
		if err := oneOf(c.name, words[0], "prefix", "mode", "user", "uid", "group", "gid"); err != nil {
			return err
		}
		if err := c.bindOptions(&model, words[:2], c.name); err != nil {
			return err
		}
	}
	c.p.unix.Bind = model.Bind
	return nil
}

// defaultPath is about where relative paths begin.
func (c *call) defaultPath(*Global) error {
	if err := oneOf(c.name, c.args[0], "current", "config", "parent", "origin"); err != nil {
		return err
	}
	switch {
	case c.args[0] == "origin" && len(c.args) == 1:
		return fmt.Errorf("'default-path origin' expects a directory")
	case c.args[0] != "origin" && len(c.args) > 1:
		return fmt.Errorf("'default-path %s' cannot handle unexpected argument '%s'", c.args[0], c.args[1])
	}
	c.p.place = c.args
	return nil
}

// statsSocket applies a stats socket line.
func (c *call) statsSocket(g *Global) error {
	binds, err := c.p.bindAddresses("stats socket", c.args[0])
	if err != nil {
		return err
	}
	model := bindDraft{Bind: Bind{Pos: c.pos, UID: -1, GID: -1}, level: "operator"}
	if err := c.bindOptions(&model, c.args[1:], "stats socket"); err != nil {
		return err
	}
	if model.TLS != nil {
		return fmt.Errorf("'stats socket' : TLS is not possible here; use a unix socket")
	}
	for _, b := range binds {
		one := model.Bind
		one.Network, one.Address = b.Network, b.Address
		c.p.unix.owned(&one)
		g.StatsSockets = append(g.StatsSockets, StatsSocket{Bind: one, Level: model.level, Expose: model.expose, Severity: model.severity})
	}
	return nil
}

// globalLog applies a log line of the global section.
func (c *call) globalLog(g *Global) error {
	if c.no {
		g.Logs = nil
		return c.noArguments()
	}
	if c.args[0] == "global" {
		return fmt.Errorf("'log global' refers to the log lines of this section: name an address here")
	}
	c.p.globalLogs = true
	l, err := c.logTarget()
	if err == nil {
		g.Logs = append(g.Logs, l)
	}
	return err
}

// globalTuning holds the keywords that tune HAProxy's own machinery. They are
// ignored, each with the reason.
func globalTuning() []row[*Global] {
	const (
		memory  = "memory is taken as needed"
		http2   = "the limits of HTTP/2 connections are fixed, docs/http2.md has them"
		quic    = "QUIC is not spoken"
		lua     = "scripts are not run"
		library = "TLS is Go's, not OpenSSL's"
		vars    = "variables have a fixed place in each transaction"
		poller  = "events come from epoll"
		devices = "devices are not detected"
	)
	reasons := []struct{ reason, names string }{
		{"the number of file descriptors is raised as far as maxconn needs and the limits allow", "fd-hard-limit ulimit-n strict-limits"},
		{"loops are spread over the CPUs by the kernel", "cpu-map numa-cpu-mapping thread-group thread-groups"},
		{"an event loop sleeps when there is nothing to do", "busy-polling"},
		{"a worker that was replaced leaves when its connections are gone or were moved", "grace mworker-max-reloads"},
		{"peers are sent what there is, 64 KiB at a time", "tune.peers.max-updates-at-once"},
		{"compression has one level and keeps no memory, as HAProxy's with libslz", "maxzlibmem tune.comp.maxlevel tune.zlib.memlevel tune.zlib.windowsize"},
		{"pipes are taken as needed", "maxpipes tune.pipesize"},
		{memory, "no-memory-trimming tune.buffers.limit tune.buffers.reserve tune.pool-high-fd-ratio tune.pool-low-fd-ratio tune.fail-alloc"},
		{"rules may add to a head what its buffer has room for, 15 KiB and more", "tune.maxrewrite"},
		{"captures and log lines have their own limits (len)", "tune.http.cookielen tune.http.logurilen"},
		{poller, "noepoll nopoll nokqueue noevports tune.fd.edge-triggered tune.maxpollevents"},
		{"names are resolved by Go's resolver", "nogetaddrinfo"},
		{"listeners are shared by all workers, the master holds them", "noreuseport tune.listener.multi-queue tune.maxaccept"},
		{"bodies are moved as is cheapest for their size", "tune.idletimer tune.recv_enough"},
		{"`set profiling tasks on` on the stats socket begins a profile", "profiling.tasks"},
		{"the -q option makes lb quiet", "quiet"},
		{"each loop has its own queue", "tune.runqueue-depth tune.sched.low-latency"},
		{"each loop keeps its own idle connections", "tune.idle-pool.shared"},
		{"the kernel sizes socket buffers by itself", "tune.rcvbuf.client tune.rcvbuf.server tune.sndbuf.client tune.sndbuf.server"},
		{"patterns are compiled, there is no cache", "tune.pattern.cache-size"},
		{http2, "tune.h2.header-table-size tune.h2.initial-window-size tune.h2.max-concurrent-streams tune.h2.max-frame-size"},
		{quic, "tune.quic.frontend.conn-tx-buffers.limit tune.quic.frontend.max-idle-timeout tune.quic.frontend.max-streams-bidi tune.quic.retry-threshold"},
		{lua, "tune.lua.forced-yield tune.lua.maxmem tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout"},
		{"there is no DHE key exchange, ECDHE is used", "ssl-dh-param-file tune.ssl.default-dh-param"},
		{"sessions are resumed by tickets, there is no cache", "tune.ssl.cachesize tune.ssl.force-private-cache tune.ssl.lifetime"},
		{"TLS records are small after a pause, and as large as they may be while data flows", "tune.ssl.hard-maxrecord tune.ssl.maxrecord"},
		{library, "ssl-engine ssl-mode-async ssl-skip-self-issued-ca tune.ssl.keylog"},
		{"servers are offered AES-128-GCM, AES-256-GCM and CHACHA20-POLY1305, and choose", "ssl-default-server-ciphersuites"},
		{vars, "tune.vars.check-max-size tune.vars.global-max-size tune.vars.proc-max-size tune.vars.reqres-max-size tune.vars.sess-max-size tune.vars.txn-max-size"},
		{devices, "51degrees-cache-size 51degrees-data-file 51degrees-property-name-list 51degrees-property-separator deviceatlas-json-file deviceatlas-log-level deviceatlas-properties-cookie deviceatlas-separator wurfl-cache-size wurfl-data-file wurfl-information-list wurfl-information-list-separator"},

		// Words of HAProxy 2.7 to 3.4.
		{"what a worker counted passes to the next one by itself", "stats-file shm-stats-file shm-stats-file-max-objects"},
		{"loops are spread over the CPUs by the kernel", "thread-hard-limit cpu-policy cpu-set"},
		{"the limits of HTTP/2 connections are fixed, docs/http2.md has them", "tune.h2.be.initial-window-size tune.h2.be.max-concurrent-streams tune.h2.be.rxbuf tune.h2.be.glitches-threshold tune.h2.fe.initial-window-size tune.h2.fe.max-concurrent-streams tune.h2.fe.max-total-streams tune.h2.fe.rxbuf tune.h2.fe.glitches-threshold tune.h2.zero-copy-fwd-send tune.glitches.kill.cpu-usage"},
		{"bodies are moved as is cheapest for their size", "tune.disable-fast-forward tune.disable-zero-copy-forwarding tune.applet.zero-copy-forwarding tune.h1.zero-copy-fwd-recv tune.h1.zero-copy-fwd-send tune.pt.zero-copy-forwarding"},
		{"memory is taken as needed", "tune.memory.hot-size tune.bufsize.small prealloc-fd tune.ring.queues"},
		{"checks run on goroutines of their own", "tune.max-checks-per-thread"},
		{"rules run to their end, which takes microseconds", "tune.max-rules-at-once warn-blocked-traffic-after"},
		{"the kernel sizes socket buffers by itself", "tune.notsent-lowat.client tune.notsent-lowat.server tune.rcvbuf.backend tune.rcvbuf.frontend tune.sndbuf.backend tune.sndbuf.frontend"},
		{"give the unit Nice= instead", "tune.renice.runtime tune.renice.startup"},
		{"events come from epoll", "tune.events.max-events-at-once"},
		{"each loop keeps its own idle connections", "tune.takeover-other-tg-connections"},
		{"listeners are shared by all workers, the master holds them", "tune.listener.default-shards"},
		{"OCSP answers are not fetched", "ocsp-update.disable ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode tune.ssl.ocsp-update.maxdelay tune.ssl.ocsp-update.mindelay"},
		{"QUIC is not spoken", "limited-quic no-quic tune.quic.disable-udp-gso tune.quic.disable-tx-pacing tune.quic.frontend.default-max-window-size tune.quic.frontend.max-data-size tune.quic.frontend.max-tx-mem tune.quic.max-frame-loss tune.quic.reorder-ratio tune.quic.socket-owner tune.quic.zero-copy-fwd-send"},
		{"scripts are not run", "tune.lua.bool-sample-conversion tune.lua.burst-timeout tune.lua.log.loggers tune.lua.log.stderr tune.lua.openlibs"},
		{"privileged ports are no different from others to lb", "harden.reject-privileged-ports.quic harden.reject-privileged-ports.tcp"},
		{"deprecated keywords are reported one by one", "expose-deprecated-directives"},
		{"TLS is Go's, not OpenSSL's", "ssl-security-level ssl-default-bind-sigalgs ssl-default-bind-client-sigalgs ssl-default-server-sigalgs ssl-default-server-client-sigalgs tune.ssl.certificate-compression"},
	}
	var table []row[*Global]
	for _, group := range reasons {
		for name := range strings.FieldsSeq(group.names) {
			table = append(table, row[*Global]{
				name: name, args: "...", max: many, in: inGlobal, status: Ignored, doc: group.reason,
				negate: true,
			})
		}
	}
	return append(table, row[*Global]{
		name: "stats maxconn", args: "<number>", min: 1, max: 1, in: inGlobal,
		status: Ignored, doc: "connections to the stats socket are few and not limited",
	})
}

// procVar sets a variable of scope proc while the configuration is read: what
// its expression shows must be known then.
func (c *call) procVar(g *Global) error {
	name, text := c.args[0], c.args[1]
	if !strings.HasPrefix(name, "proc.") {
		return fmt.Errorf("'%s' : '%s' must be a variable of the process, such as 'proc.%s'", c.name, name, name[strings.LastIndexByte(name, '.')+1:])
	}
	if g.Vars == nil {
		g.Vars = &sample.ProcVars{}
	}
	switch err := SetVar(g.Vars, name, text, c.name == "set-var-fmt"); {
	case errors.Is(err, errNoValue): // no error in HAProxy
		c.p.report.Advisef(c.pos, "'%s %s' sets nothing: %v", c.name, name, err)
	case err != nil:
		return fmt.Errorf("'%s' : %w", c.name, err)
	}
	return nil
}

// errNoValue is of an expression that finds nothing.
var errNoValue = errors.New("no value")

// SetVar gives a variable of scope proc the value of an expression, or of a
// format string, that nothing but the process itself is needed for.
func SetVar(vars *sample.ProcVars, name, text string, format bool) error {
	if err := sample.CheckVar(name); err != nil {
		return err
	}
	host, _ := os.Hostname() // without one the variable is not set
	x := &sample.Ctx{Rec: &sample.Record{Pid: os.Getpid(), Hostname: host, Timers: sample.Timers{Accept: time.Now()}}, Proc: vars}
	if format {
		f, err := logformat.Parse(text, nil)
		if err != nil {
			return err
		}
		x.SetVar(name, sample.StrValue(f.Append(nil, x)), 0)
		return nil
	}
	e, err := sample.ParseExpr(text, sample.InConn, nil)
	if err != nil {
		return err
	}
	v, ok := e.Eval(x)
	if !ok {
		return fmt.Errorf("%w: '%s' has none outside of requests, or here; use str(...), int(...), env(...) and variables of the process", errNoValue, text)
	}
	x.SetVar(name, v, 0)
	return nil
}

// loadExtraFiles reads ssl-load-extra-files: which files next to a certificate's
// are read.
func loadExtraFiles(c *call, g *Global) error {
	g.TLSExtras = certs.Extras{DelExt: g.TLSExtras.DelExt}
	for _, word := range c.args {
		e := &g.TLSExtras
		switch word {
		case "none":
			*e = certs.Extras{DelExt: e.DelExt}
		case "all":
			del := e.DelExt
			*e = certs.AllExtras()
			e.DelExt = del
		case "bundle":
			e.Bundle = true
		case "sctl":
			e.SCTL = true
		case "ocsp":
			e.OCSP = true
		case "issuer":
			e.Issuer = true
		case "key":
			e.Key = true
		default:
			return oneOf(c.name, word, "none", "all", "bundle", "sctl", "ocsp", "issuer", "key")
		}
	}
	return nil
}
