package config

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/health"
)

// checkTable holds how servers are checked.
func checkTable() []row[*draft] {
	const (
		setVar   = "(<name>[,<condition>...]) <expression>"
		expected = "[min-recv <bytes>] [comment <text>] [ok-status|error-status|tout-status <status>] [on-success|on-error <format>] [status-code <expression>] [!] "
	)
	protocol := func(script func() health.Script) func(*call, *draft) error {
		return func(_ *call, d *draft) error {
			d.check.kind = protocolCheck
			d.check.protocol = script()
			return nil
		}
	}
	return []row[*draft]{
		{name: "option httpchk", args: "[[<method>] <uri> [<version>]]", max: 3, in: back, negate: true, apply: (*call).httpCheck},
		{name: "http-check comment", args: "<text>", min: 1, max: 1, in: back, apply: checkStep(httpCheck, (*call).checkComment)},
		{name: "http-check connect", args: checkConnectArgs, max: many, in: back, apply: checkStep(httpCheck, (*call).checkConnect)},
		{name: "http-check disable-on-404", in: back, apply: func(_ *call, d *draft) error { d.Check.DisableOn404 = true; return nil }},
		{name: "http-check expect", args: expected + "status|rstatus|hdr|fhdr|string|rstring|string-lf <pattern>", min: 2, max: many, in: back, apply: checkStep(httpCheck, (*call).checkExpect)},
		{name: "http-check send", args: "[meth <method>] [uri <uri>|uri-lf <format>] [ver <version>] [hdr <name> <format>]... [body <text>|body-lf <format>] [comment <text>]", max: many, in: back, apply: checkStep(httpCheck, (*call).checkSend)},
		{name: "http-check send-state", in: back, apply: func(_ *call, d *draft) error { d.Check.SendState = true; return nil }},
		{name: "option tcp-check", in: back, negate: true, apply: func(c *call, d *draft) error { d.check.set(tcpCheck, !c.no); return nil }},
		{name: "tcp-check comment", args: "<text>", min: 1, max: 1, in: back, apply: checkStep(tcpCheck, (*call).checkComment)},
		{name: "tcp-check connect", args: checkConnectArgs, max: many, in: back, apply: checkStep(tcpCheck, (*call).checkConnect)},
		{name: "tcp-check expect", args: expected + "string|rstring|binary|rbinary|string-lf|binary-lf <pattern>", min: 1, max: many, in: back, apply: checkStep(tcpCheck, (*call).checkExpect)},
		{name: "tcp-check send", args: "<text> [comment <text>]", min: 1, max: 3, in: back, apply: checkStep(tcpCheck, (*call).checkSendBytes)},
		{name: "tcp-check send-binary", args: "<hex digits> [comment <text>]", min: 1, max: 3, in: back, apply: checkStep(tcpCheck, (*call).checkSendBytes)},
		{name: "option ldap-check", in: back, apply: protocol(health.LDAP)},
		{name: "option mysql-check", args: "[user <name> [pre-41|post-41]]", max: 3, in: back, apply: (*call).mysqlCheck},
		{name: "option pgsql-check", args: "user <name>", min: 2, max: 2, in: back, apply: (*call).pgsqlCheck},
		{name: "option external-check", in: back, apply: func(_ *call, d *draft) error { d.check.kind = externalCheck; return nil }, doc: "needs `external-check` in the global section; each check is a process, see operations.md"},
		{name: "external-check command", args: "<command>", min: 1, max: 1, in: back, apply: (*call).externalCommand},
		{name: "external-check path", args: "<path>", min: 1, max: 1, in: back, apply: func(c *call, d *draft) error { d.Check.Path = c.args[0]; return nil }},
		{name: "option redis-check", in: back, apply: protocol(health.Redis)},
		{name: "option smtpchk", args: "[HELO|EHLO <domain>]", max: 2, in: back, apply: (*call).smtpCheck},
		{name: "option spop-check", in: back, apply: protocol(health.SPOP)},
		{name: "option ssl-hello-chk", in: back, apply: protocol(health.SSLHello)},

		{name: "http-check set-var", paren: true, args: setVar, min: 2, max: many, in: back, apply: checkStep(httpCheck, (*call).checkVar)},
		{name: "http-check set-var-fmt", paren: true, args: "(<name>[,<condition>...]) <format>", min: 2, max: many, in: back, apply: checkStep(httpCheck, (*call).checkVar)},
		{name: "http-check unset-var", paren: true, args: "(<name>)", min: 1, max: many, in: back, apply: checkStep(httpCheck, (*call).checkVar)},
		{name: "tcp-check send-binary-lf", args: "<format of hex digits> [comment <text>]", min: 1, max: 3, in: back, apply: checkStep(tcpCheck, (*call).checkSendFormat)},
		{name: "tcp-check send-lf", args: "<format> [comment <text>]", min: 1, max: 3, in: back, apply: checkStep(tcpCheck, (*call).checkSendFormat)},
		{name: "tcp-check set-var", paren: true, args: setVar, min: 2, max: many, in: back, apply: checkStep(tcpCheck, (*call).checkVar)},
		{name: "tcp-check set-var-fmt", paren: true, args: "(<name>[,<condition>...]) <format>", min: 2, max: many, in: back, apply: checkStep(tcpCheck, (*call).checkVar)},
		{name: "tcp-check unset-var", paren: true, args: "(<name>)", min: 1, max: many, in: back, apply: checkStep(tcpCheck, (*call).checkVar)},
	}
}

// httpCheck applies option httpchk [URI | METHOD URI [VERSION]].
func (c *call) httpCheck(d *draft) error {
	d.check.set(httpCheck, !c.no)
	if c.no {
		return nil
	}
	d.check.begin(httpCheck)
	k := &d.check.request
	*k = health.Request{Method: "OPTIONS", URI: "/", Version: "HTTP/1.0"}
	switch {
	case len(c.args) == 1:
		k.URI = c.args[0]
	case len(c.args) > 1:
		k.Method, k.URI = c.args[0], c.args[1]
	}
	if len(c.args) > 2 {
		// Before http-check send, headers were hidden after the version.
		text := strings.ReplaceAll(strings.Join(c.args[2:], " "), "\r\n", "\n")
		head, body, _ := strings.Cut(text, "\n\n")
		lines := strings.Split(head, "\n")
		k.Version = lines[0]
		for _, line := range lines[1:] {
			name, value, ok := strings.Cut(line, ":")
			if line == "" {
				continue
			}
			if !ok || strings.ContainsAny(name, " \t") {
				return fmt.Errorf("'option httpchk' : '%s' after the version is no header line", line)
			}
			if err := checkHeader(d, k, name, strings.TrimSpace(value)); err != nil {
				return fmt.Errorf("'option httpchk' : %w", err)
			}
		}
		k.Body = body
		if len(lines) > 1 {
			c.p.report.Notef(c.pos, "'option httpchk' : hiding headers or body at the end of the version string is deprecated; 'http-check send hdr <name> <value>' is meant for them")
		}
	}
	k.Version = c.checkVersion(k.Version)
	return nil
}

// checkVersion gives what ends a check's request line, as HAProxy reads the
// version: what looks like a later one than HTTP/1.0 is HTTP/1.1, and anything
// else goes out as it is.
func (c *call) checkVersion(v string) string {
	switch {
	case len(v) == 8 && (v[5] > '1' || v[5] == '1' && v[7] >= '1'), len(v) == 6 && v[5] == '2':
		return "HTTP/1.1"
	case v != "HTTP/1.0":
		c.p.report.Advisef(c.pos, "'%s' : the request of the check ends in '%s', which servers do not take for a version; write HTTP/1.0 or HTTP/1.1, and header fields as 'http-check send hdr <name> <value>'", c.name, v)
	}
	return v
}

// mysqlCheck applies option mysql-check [user NAME [pre-41|post-41]].
func (c *call) mysqlCheck(d *draft) error {
	d.check.kind = protocolCheck
	user, old := "", false
	switch {
	case len(c.args) == 0:
	case c.args[0] != "user":
		return fmt.Errorf("'%s' only supports optional values: 'user' (got '%s')", c.name, c.args[0])
	case len(c.args) == 1:
		return fmt.Errorf("'%s user' expects <username> as argument", c.name)
	default:
		user = c.args[1]
	}
	if len(c.args) > 2 {
		if err := oneOf(c.name+" user", c.args[2], "post-41", "pre-41"); err != nil {
			return err
		}
		old = c.args[2] == "pre-41"
	}
	d.check.protocol = health.MySQL(user, old)
	return nil
}

// pgsqlCheck applies option pgsql-check user NAME.
func (c *call) pgsqlCheck(d *draft) error {
	d.check.kind = protocolCheck
	if c.args[0] != "user" {
		return fmt.Errorf("'%s' only supports optional values: 'user' (got '%s')", c.name, c.args[0])
	}
	d.check.protocol = health.PostgreSQL(c.args[1])
	return nil
}

// smtpCheck applies option smtpchk [HELO|EHLO DOMAIN].
func (c *call) smtpCheck(d *draft) error {
	d.check.kind = protocolCheck
	greeting := "HELO localhost"
	if len(c.args) == 2 && (c.args[0] == "HELO" || c.args[0] == "EHLO") {
		greeting = c.args[0] + " " + c.args[1]
	} else if len(c.args) > 0 {
		c.p.report.Advisef(c.pos, "'%s' : '%s' is read as '%s', as in HAProxy: write HELO <domain> or EHLO <domain>", c.name, strings.Join(c.args, " "), greeting)
	}
	if strings.ContainsAny(greeting, "\r\n") {
		return fmt.Errorf("'%s' : the domain contains a line end", c.name)
	}
	d.check.protocol = health.SMTP(greeting)
	return nil
}

// externalCommand applies external-check command COMMAND.
func (c *call) externalCommand(d *draft) error {
	d.Check.Command, d.check.command = c.args[0], c.pos
	d.check.ownCommand = true
	return nil
}

// checkProgram checks that what option external-check runs may be run, and is there.
func (p *parser) checkProgram(d *draft) {
	g := &p.cfg.Global
	if !d.Check.External {
		if d.check.ownCommand {
			p.report.Warnf(d.check.command, "'external-check command' will be ignored for %s '%s' (requires 'option external-check')", d.section, d.Name)
		}
		return
	}
	if !g.Programs.Allowed {
		p.report.Errorf(d.Pos, "%s '%s' : 'option external-check' unable to find required 'global.external-check': write 'external-check' in the global section if checks may run programs", d.section, d.Name)
	}
	if !g.Programs.Fork {
		p.report.Warnf(d.Pos, "%s '%s' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail in HAProxy; lb runs the program", d.section, d.Name)
	}
	if d.Check.Command == "" {
		p.report.Errorf(d.Pos, "%s '%s' : 'option external-check' unable to find required 'external-check command': add 'external-check command <path of the program>'", d.section, d.Name)
		return
	}
	if d.Check.Command[0] != '/' && d.Check.Path == "" {
		p.report.Errorf(d.check.command, "'external-check command %s' does not have a leading '/' and 'external-check path' is not set: write the program's whole path, or the directories to look in, as in 'external-check path /usr/bin:/bin'", d.Check.Command)
		return
	}
	program := health.Program{Command: d.Check.Command, Path: d.Check.Path}
	_, err := program.Find(g.Chroot)
	switch {
	case err == nil:
	case g.Chroot != "":
		p.report.Errorf(d.check.command, "'external-check command %s' cannot be run in 'chroot %s' (%v): put it there with all that it needs, or remove 'chroot'", d.Check.Command, g.Chroot, err)
	default:
		p.report.Advisef(d.check.command, "'external-check command %s' cannot be run (%v), so all checks of %s '%s' will fail; write the path of a program, or name the directories to look in with 'external-check path'", d.Check.Command, err, d.section, d.Name)
	}
}
