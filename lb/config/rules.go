package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/lb/sample"
)

// ruleTable holds ACLs, rules and the choice of a backend.
func ruleTable() []row[*draft] {
	const pattern = "write http-request rules (replace-path, replace-header, deny, del-header) with ACLs"
	return append(stageRows(), []row[*draft]{
		{name: "tcp-request inspect-delay", lax: true, args: "<time>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) (err error) {
			if err = d.namedDefaults(c.name); err == nil {
				d.InspectDelay, err = duration(c.name, c.args[0], time.Millisecond)
			}
			return err
		}},
		{name: "tcp-response inspect-delay", hard: true, lax: true, args: "<time>", min: 1, max: 1, in: back, apply: func(c *call, d *draft) (err error) {
			if err = d.namedDefaults(c.name); err == nil {
				d.ResponseDelay, err = duration(c.name, c.args[0], time.Millisecond)
			}
			return err
		}},
		{name: "acl", args: "<name> <criterion> [flags] [--] <pattern> ...", min: 2, max: many, in: anywhere, apply: func(c *call, d *draft) error {
			if err := d.namedDefaults(c.name); err != nil {
				return err
			}
			return d.acls.Define(c.args)
		}},
		{name: "monitor fail", args: "if|unless <condition>", min: 1, max: many, in: ownFront, apply: func(c *call, d *draft) error {
			c.takesTurn(d, turnMonitor)
			cond, err := c.condition(c.args, d.acls)
			d.MonitorFails = append(d.MonitorFails, cond)
			return err
		}},
		{name: "redirect", args: "location|prefix|scheme <target> [code <code>] [if|unless <condition>]", min: 2, max: many, in: ownAnywhere, apply: func(c *call, d *draft) error {
			c.takesTurn(d, turnRedirect)
			r, err := rule.ParseRedirect(c.args, d.acls)
			if err != nil {
				return err
			}
			d.Redirects = append(d.Redirects, r)
			return nil
		}},
		{name: "use_backend", args: "<backend> [if|unless <condition>]", min: 1, max: many, in: ownFront, apply: (*call).useBackend},

		{name: "use-server", args: "<server> if|unless <condition>", min: 2, max: many, in: ownBack, apply: (*call).useServer},
		{name: "force-persist", args: "if|unless <condition>", min: 1, max: many, in: ownBack, apply: (*call).persist},
		{name: "ignore-persist", args: "if|unless <condition>", min: 1, max: many, in: ownBack, apply: (*call).persist},

		{name: "block", args: "if|unless <condition>", min: 2, max: many, in: ownAnywhere, status: Translated, doc: "it is read as 'http-request deny' before all other rules", apply: func(c *call, d *draft) error {
			r, err := rule.ParseRule(rule.Request, append([]string{"deny"}, c.args...), d.acls)
			if err != nil {
				return err
			}
			d.blocks = append(d.blocks, r)
			return nil
		}},
		{name: "reqadd", args: "<header line> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-request add-header'", apply: (*call).addHeader},
		{name: "rspadd", args: "<header line> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-response add-header'", apply: (*call).addHeader},
		{name: "reqdel", args: "<pattern> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-request del-header'", apply: (*call).delHeader},
		{name: "reqidel", args: "<pattern> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-request del-header'", apply: (*call).delHeader},
		{name: "rspdel", args: "<pattern> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-response del-header'", apply: (*call).delHeader},
		{name: "rspidel", args: "<pattern> [if|unless <condition>]", min: 1, max: many, in: anywhere, status: Translated, doc: "it is read as 'http-response del-header'", apply: (*call).delHeader},

		{name: "reqallow", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqiallow", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqdeny", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqideny", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqpass", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqipass", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqrep", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqirep", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqtarpit", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "reqitarpit", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "rspdeny", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "rspideny", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "rsprep", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
		{name: "rspirep", args: "...", max: many, in: anywhere, status: Refused, doc: pattern},
	}...)
}

// stageRows are the keywords of the rule sets: http-request, tcp-request
// connection and so on.
func stageRows() []row[*draft] {
	var rows []row[*draft]
	for stage := range rule.Stages {
		in := anywhere
		switch atFront, atBack := stage.Sides(); {
		case !atBack:
			in = front
		case !atFront:
			in = back
		}
		rows = append(rows, row[*draft]{name: stage.String(), hard: in != anywhere, args: "<action> [<argument> ...] [if|unless <condition>]", min: 1, max: many, in: in, apply: func(c *call, d *draft) error {
			if err := d.namedDefaults(c.name); err != nil {
				return err
			}
			if c.args[0] == "normalize-uri" && !c.p.experimental {
				return fmt.Errorf("'%s normalize-uri' is experimental in HAProxy, and must be allowed by a line 'expose-experimental-directives' in the global section before", stage)
			}
			c.takesTurn(d, stageTurns[stage])
			return c.addRule(d, stage, c.args)
		}})
	}
	return rows
}

// namedDefaults refuses what only a defaults section with a name may hold:
// rules that every later proxy would have without asking.
func (d *draft) namedDefaults(keyword string) error {
	if d.kind == inDefaults && d.Name == "" {
		return fmt.Errorf("'%s' not allowed in anonymous 'defaults' section: give the section a name, and the proxies that should have it 'from <name>'", keyword)
	}
	return nil
}

// slot gives a capture rule with a length its slot: 'capture <sample> len <n>'
// declares one and fills it.
func (c *call) slot(d *draft, stage rule.Stage, words []string) ([]string, error) {
	if len(words) < 4 || words[0] != "capture" || words[2] != "len" {
		return words, nil
	}
	if stage != rule.Request && stage != rule.Content || !d.Frontend {
		return nil, fmt.Errorf("'%s capture' : 'len' declares a slot, which only a frontend's request rules can; use 'id <slot>'", stage)
	}
	n, err := number("capture len", c.numeral("capture len", words[3], cutsTail), 1, 1<<16)
	if err != nil {
		return nil, err
	}
	d.ReqCaptures = append(d.ReqCaptures, Capture{Len: n})
	return slices.Concat(words[:2], []string{"id", strconv.Itoa(len(d.ReqCaptures) - 1)}, words[4:]), nil
}

func (c *call) addRule(d *draft, stage rule.Stage, words []string) error {
	if words[0] == "set-timeout" && !d.Backend && d.kind != inDefaults {
		return fmt.Errorf("'%s set-timeout' : %s '%s' has no servers; write the rule in the backend", stage, d.section, d.Name)
	}
	if words[0] == "switch-mode" && d.kind == inBackend {
		return fmt.Errorf("'%s switch-mode' not allowed because %s '%s' has no frontend capability: write the rule in the frontend, in mode tcp", stage, d.section, d.Name)
	}
	words, err := c.slot(d, stage, words)
	if err != nil {
		return err
	}
	r, err := rule.ParseRule(stage, words, d.acls)
	if err == nil {
		if n := len(d.Rules[stage]); n > 0 && (d.base == nil || n > len(d.base.Rules[stage])) {
			r.Follows(d.Rules[stage][n-1])
			if stage.HTTP() && d.Rules[stage][n-1].Final() {
				c.p.report.Warnf(c.pos, "previous '%s' action is final and has no condition attached, further entries are NOOP", stage)
			}
		}
		r.Place = &sample.Place{File: c.pos.File, Line: c.pos.Line}
		if name, _ := r.Pages(); name != "" {
			c.p.usedPages = append(c.p.usedPages, pagesUse{r, name, c.pos})
		}
		d.Rules[stage] = append(d.Rules[stage], r)
	}
	return err
}

// useBackend applies use_backend NAME [if|unless ...].
func (c *call) useBackend(d *draft) error {
	d.switched = true
	c.takesTurn(d, turnUseBackend)
	cond, err := c.condition(c.args[1:], d.acls)
	if err != nil {
		return err
	}
	use := UseBackend{Backend: c.args[0], Cond: cond, Pos: c.pos}
	use.Name, err = c.named(d, use.Backend)
	d.UseBackends = append(d.UseBackends, use)
	return err
}

// named compiles a name that each request makes; nil for one that is fixed.
func (c *call) named(d *draft, word string) (*logformat.Format, error) {
	if !strings.Contains(word, "%") {
		return nil, nil
	}
	f, err := logformat.ParseText(word, &d.acls.Uses)
	if err != nil {
		return nil, fmt.Errorf("'%s %s' : %w", c.name, word, err)
	}
	return f, nil
}

// useServer applies use-server NAME if|unless ...
func (c *call) useServer(d *draft) error {
	c.takesTurn(d, turnUseServer)
	cond, err := c.condition(c.args[1:], d.acls)
	if err != nil {
		return err
	}
	use := UseServer{Server: c.args[0], Cond: cond, Pos: c.pos}
	use.Name, err = c.named(d, use.Server)
	d.UseServers = append(d.UseServers, use)
	return err
}

// persist applies force-persist and ignore-persist.
func (c *call) persist(d *draft) error {
	cond, err := c.condition(c.args, d.acls)
	if err != nil {
		return err
	}
	d.Persistence = append(d.Persistence, PersistRule{Ignore: c.name == "ignore-persist", Cond: cond})
	return nil
}

// addHeader translates reqadd and rspadd: "Name: value", taken literally.
func (c *call) addHeader(d *draft) error {
	name, value, ok := strings.Cut(c.args[0], ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return fmt.Errorf("'%s' expects a header line such as X-Name:\\ value (with the blank escaped), not '%s'", c.name, c.args[0])
	}
	words := append([]string{"add-header", name, literal(strings.TrimSpace(value))}, c.args[1:]...)
	return c.translated(d, words)
}

// delHeader translates reqdel, reqidel, rspdel and rspidel when the pattern
// is a header's name: ^Name: with or without something that matches any value.
func (c *call) delHeader(d *draft) error {
	name, value, ok := strings.Cut(strings.TrimPrefix(c.args[0], "^"), ":")
	switch value {
	case "", ".*", ".*$", "\\ .*", " .*":
	default:
		ok = false
	}
	if !ok || name == "" || !strings.HasPrefix(c.args[0], "^") || strings.IndexFunc(name, func(r rune) bool { return !nameRune(r) || r == '.' || r == ':' }) >= 0 {
		return fmt.Errorf("'%s %s' cannot be translated: only patterns of the form ^Name: can; write 'http-request del-header' or 'replace-header' rules", c.name, c.args[0])
	}
	return c.translated(d, append([]string{"del-header", name}, c.args[1:]...))
}

// translated adds a rule for an old keyword; rsp... are for responses.
func (c *call) translated(d *draft, words []string) error {
	stage := rule.Request
	if strings.HasPrefix(c.name, "rsp") {
		stage = rule.Response
	}
	if err := c.addRule(d, stage, words); err != nil {
		return fmt.Errorf("'%s' : %w", c.name, err)
	}
	return nil
}
