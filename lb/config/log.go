package config

import (
	"fmt"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/rule"
	"lbsyslogd/syslogd/message"
)

// logTable holds what proxies say about logs.
func logTable() []row[*draft] {
	return []row[*draft]{
		{name: "log", args: "global | <address> [len <n>] [format <f>] [sample <ranges>:<size>] <facility> [<level> [<minlevel>]]", min: 1, max: many, in: anywhere, negate: true, apply: (*call).log},
		{name: "log-format", args: "<format>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error {
			return c.logFormat(d, c.args[0], logCustom)
		}},
		{name: "error-log-format", args: "<format>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error {
			f, err := logformat.Parse(c.args[0], &d.acls.Uses)
			c.formatError(d, c.name, err)
			d.ErrorLogFormat = f
			return nil
		}},
		{name: "log-format-sd", args: "<format>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error {
			f, err := logformat.Parse(c.args[0], &d.acls.Uses)
			c.formatError(d, c.name, err)
			d.LogData = f
			return nil
		}, doc: "for log lines with 'format rfc5424', and the fields of those with `format journal`"},
		{name: "log-tag", args: "<tag>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) error { d.LogTag = c.args[0]; return nil }},
		{name: "unique-id-format", args: "<format>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) (err error) {
			d.UniqueID, err = logformat.ParseText(c.args[0], &d.acls.Uses)
			c.formatError(d, c.name, err)
			return nil
		}},
		{name: "unique-id-header", lax: true, args: "<name>", min: 1, max: 1, in: front, apply: func(c *call, d *draft) error {
			if !rule.IsHeaderName(c.args[0]) {
				return fmt.Errorf("'%s' : '%s' is not a header name", c.name, c.args[0])
			}
			d.UniqueHeader, d.uniquePos = c.args[0], c.pos
			return nil
		}},
		{name: "option httplog", args: "[clf|json]", max: 1, in: front, check: logNamed("clf", "json"), apply: namedLog(logHTTP, namedLogs{"": logformat.HTTPLog, "clf": commonLog, "json": logformat.HTTPLogJSON}), doc: jsonLog},
		{name: "option httpslog", args: "[json]", max: 1, in: front, check: logNamed("json"), apply: namedLog(logHTTP, namedLogs{"": logformat.HTTPSLog, "json": logformat.HTTPSLogJSON}), doc: jsonLog},
		{name: "option tcplog", args: "[json]", max: 1, in: front, check: logNamed("json"), apply: namedLog(logTCP, namedLogs{"": logformat.TCPLog, "json": logformat.TCPLogJSON}), doc: jsonLog},
		{name: "option dontlognull", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.DontLogNull })},
		{name: "option dontlog-normal", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.DontLogNormal })},
		{name: "option logasap", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.LogAsap })},
		{name: "option log-separate-errors", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.LogSeparateErrors })},
		{name: "option log-health-checks", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.LogHealthCheck })},
	}
}

// jsonLog is said of all three.
const jsonLog = "`json` is lb's own: HAProxy since 3.0 has `log-format '%{+json}o %(name)...'`, which works too"

// namedLogs are the formats of an option, by its argument.
type namedLogs map[string]string

func namedLog(kind logKind, formats namedLogs) func(c *call, d *draft) error {
	return func(c *call, d *draft) error {
		argument := ""
		if len(c.args) > 0 {
			argument = c.args[0]
		}
		return c.logFormat(d, formats[argument], kind)
	}
}

// logNamed checks the argument of such an option.
func logNamed(names ...string) func(c *call) error {
	return func(c *call) error {
		if len(c.args) == 0 {
			return nil
		}
		return oneOf(c.name, c.args[0], names...)
	}
}

// commonLog is option httplog clf: what tools for web servers' logs read.
const commonLog = `%{+Q}o %{-Q}ci - - [%trg] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`

// noArguments refuses words after "no log".
func (c *call) noArguments() error {
	if len(c.args) > 0 {
		return fmt.Errorf("log : 'no log' does not expect arguments, and '%s' is one", c.args[0])
	}
	return nil
}

// log applies a log line of a proxy.
func (c *call) log(d *draft) error {
	if c.no {
		d.logs = nil
		return c.noArguments()
	}
	if c.args[0] == "global" {
		if len(c.args) > 1 {
			return fmt.Errorf("'log global' cannot handle unexpected argument '%s'", c.args[1])
		}
		for _, l := range d.logs {
			if l.global {
				return nil
			}
		}
		d.logs = append(d.logs, logLine{global: true, Log: Log{Pos: c.pos}})
		return nil
	}
	l, err := c.logTarget()
	if err == nil {
		d.logs = append(d.logs, logLine{Log: l})
	}
	return err
}

// logTarget reads ADDRESS [len N] [format F] [sample S] FACILITY [LEVEL [MINLEVEL]].
func (c *call) logTarget() (l Log, err error) {
	if len(c.args) < 2 {
		return l, fmt.Errorf("log : expects <address> and <facility> or global as arguments")
	}
	l = Log{Pos: c.pos, Len: 1024, Level: int(message.Debug)}
	if l.Network, l.Address, err = c.p.logAddress(c.args[0]); err != nil {
		return l, err
	}
	words := c.args[1:]
	for len(words) >= 2 {
		switch words[0] {
		case "len":
			if l.Len, err = number("log len", c.numeral("log len", words[1], cutsTail), 80, 65535); err != nil {
				return l, err
			}
		case "format":
			l.Format = words[1]
			if err = oneOf("log format", l.Format, append(logFormats(), "journal")...); err != nil {
				return l, err
			}
		case "sample":
			if l.Sample, err = parseSample(words[1]); err != nil {
				return l, err
			}
		default:
			return l, l.selector(words)
		}
		words = words[2:]
	}
	if l.Address == journalSocket && l.Format == "" {
		l.Format = "journal"
	}
	if l.Format == "journal" && l.Network != "unixgram" {
		return l, fmt.Errorf("log : 'format journal' is for the journal's socket, not for '%s': use %s", c.args[0], journalSocket)
	}
	return l, l.selector(words)
}

// journalSocket takes messages of format journal only, so that is what goes there when nothing is said.
const journalSocket = "/run/systemd/journal/socket"

// parseSample reads RANGES:SIZE, such as 1,3-5:10.
func parseSample(word string) (*Sample, error) {
	ranges, size, ok := strings.Cut(word, ":")
	if !ok {
		return nil, fmt.Errorf("log : 'sample' expects <ranges>:<size>, such as 1:10 for one line of ten, not '%s'", word)
	}
	s := &Sample{}
	var err error
	if s.Size, err = number("log sample", size, 1, 1<<30); err != nil {
		return nil, err
	}
	for one := range strings.SplitSeq(ranges, ",") {
		first, last, isRange := strings.Cut(one, "-")
		low, err := number("log sample", first, 1, s.Size)
		if err != nil {
			return nil, err
		}
		high := low
		if isRange {
			if high, err = number("log sample", last, low, s.Size); err != nil {
				return nil, err
			}
		}
		for _, r := range s.Ranges {
			if low <= r[1] && high >= r[0] {
				return nil, fmt.Errorf("log : the ranges of 'sample %s' overlap", word)
			}
		}
		s.Ranges = append(s.Ranges, [2]int{low, high})
	}
	return s, nil
}

// selector reads FACILITY [LEVEL [MINLEVEL]].
func (l *Log) selector(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("log : the facility is missing (local0 or daemon are usual)")
	}
	facility, ok := message.ParseFacility(words[0])
	if !ok {
		return fmt.Errorf("log : unknown log facility '%s'%s", words[0], didYouMean(cfgfile.Suggest(words[0], []string{
			"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp", "ntp", "audit", "alert", "cron2",
			"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
		})))
	}
	l.Facility = int(facility)
	levels := []*int{&l.Level, &l.MinLevel}
	if len(words) > 1+len(levels) {
		return fmt.Errorf("log : cannot handle unexpected argument '%s'", words[3])
	}
	for i, word := range words[1:] {
		level, ok := message.ParseSeverity(word)
		if !ok {
			return fmt.Errorf("log : unknown optional log level '%s'%s", word, didYouMean(cfgfile.Suggest(word, []string{
				"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
			})))
		}
		*levels[i] = int(level)
	}
	return nil
}

// logFormat compiles what a proxy's log lines look like.
func (c *call) logFormat(d *draft, text string, kind logKind) error {
	f, err := logformat.Parse(text, &d.acls.Uses)
	c.formatError(d, "log-format", err)
	const overrides = "'%s' overrides what line %d of %s says about the log format"
	switch at := d.LogFormatPos; {
	case d.logKind == logNone:
	case d.kind == inDefaults:
		c.p.report.Warnf(c.pos, overrides, c.name, at.Line, at.File)
	case d.logKind != kind && (d.base == nil || at != d.base.LogFormatPos): // HAProxy says nothing
		c.p.report.Advisef(c.pos, overrides, c.name, at.Line, at.File)
	}
	d.LogFormat, d.LogFormatPos, d.logKind = f, c.pos, kind
	return nil
}

// wrongFormat is what is wrong with a format, which is an error only if a
// frontend uses it: HAProxy reads the last one of each frontend.
type wrongFormat struct {
	pos cfgfile.Pos
	err error
}

// formatError keeps what is wrong with the format of a keyword; nil is nothing.
func (c *call) formatError(d *draft, keyword string, err error) {
	if err == nil {
		delete(d.wrongFormat, keyword)
		return
	}
	if d.wrongFormat == nil {
		d.wrongFormat = map[string]wrongFormat{}
	}
	d.wrongFormat[keyword] = wrongFormat{c.pos, fmt.Errorf("'%s' : %w", c.name, err)}
}

// checkFormats refuses the formats that a proxy uses and that are wrong.
func (p *parser) checkFormats(d *draft) {
	for keyword, wrong := range d.wrongFormat {
		if d.Frontend || keyword == "unique-id-format" {
			p.report.Errorf(wrong.pos, "%v", wrong.err)
		}
	}
	refused := p.globalLogs && len(p.cfg.Global.Logs) == 0 // which was said
	if d.Frontend && (d.LogFormat != nil || d.LogData != nil) && len(d.Logs) == 0 && !refused {
		at := d.LogFormatPos
		if d.LogFormat == nil {
			at = d.Pos
		}
		p.report.Warnf(at, "log format ignored for %s '%s' since it has no log address", d.section, d.Name)
	}
}
