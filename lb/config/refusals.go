package config

import (
	"slices"

	"lbsyslogd/lb/cfgfile"
)

// noMail is why mailers and email-alert do nothing.
const noMail = "no mail is sent; Prometheus alerts from the metrics, packaging/monitoring/alerts.yaml has rules to begin with (a backend that is down, errors, reloads that fail)"

// noTraces is why the section traces does nothing.
const noTraces = "nothing is traced but by commands: show sess, show errors and the log say what became of a connection"

// logForward is what to do instead of a log-forward section.
const logForward = "syslogd receives logs and passes them on: `listen: [\"udp://HOST:PORT\", \"tcp://HOST:PORT\"]` and an output with `forward: tcp://HOST:PORT` in its configuration (docs/syslogd.md) stand for bind, dgram-bind and log"

// proxyRefusals holds the keywords of proxies that belong to features lb does
// not have, and those that are only about HAProxy's own machinery.
func proxyRefusals() []row[*draft] {
	const (
		session = "use 'stick on' with the cookie that the servers set, or 'cookie ... insert'"
		content = "answers are not looked into; use http-response rules in mode http"
	)
	type refusal struct {
		name   string
		in     sections
		status Status
		doc    string
	}
	var table []row[*draft]
	for _, r := range []refusal{
		{"bind-process", anywhere, Ignored, "there is one worker process"},
		{"grace", anywhere, Ignored, "a worker that was replaced leaves when its connections are gone or were moved"},
		{"max-session-srv-conns", anywhere, Ignored, "idle connections to servers are shared by all clients"},
		{"max-keep-alive-queue", back, Ignored, "idle connections to servers are shared by all clients"},

		{"appsession", back, Refused, session},
		{"cliexp", front, Refused, "write http-response rules"},
		{"filter", ownAnywhere, Refused, "of the filters there are cache, compression and spoe; scripts are not run"},
		{"monitor-net", front, Refused, "it is gone since HAProxy 2.1; write http-request return rules with an ACL on src"},
		{"option spoe", anywhere, Refused, "write 'filter spoe'"},
		{"reqsetbe", ownFront, Refused, "write use_backend rules"},
		{"reqisetbe", ownFront, Refused, "write use_backend rules"},
		{"srvexp", back, Refused, "write http-response rules"},
		{"use-fcgi-app", ownBack, Refused, "servers speak HTTP/1 or HTTP/2: let a web server beside the application (nginx, Caddy, Apache) speak FastCGI, and name it in the server line"},
	} {
		table = append(table, row[*draft]{name: r.name, args: "...", max: many, in: r.in, status: r.status, doc: r.doc, loud: r.doc == noMail})
	}
	return append(table, row[*draft]{
		name: "email-alert", args: "mailers|from|to|level|myhostname <text>", lax: true, min: 2, max: 2, in: anywhere, status: Ignored, doc: noMail, loud: true,
		apply: func(c *call, d *draft) error {
			what, text := c.args[0], c.args[1]
			m := &d.mail
			switch what {
			case "mailers":
				m.mailers = text
			case "from":
				m.from = true
			case "to":
				m.to = true
			case "level":
				if err := oneOf("email-alert level", text, "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"); err != nil {
					return err
				}
			}
			m.pos = c.pos
			return oneOf("email-alert", what, "mailers", "from", "to", "level", "myhostname")
		},
	})
}

// mail is what a proxy's email-alert lines say.
type mail struct {
	mailers  string
	from, to bool
	pos      cfgfile.Pos // of the last of them
}

// checkMail refuses mailers that no section is for, although nobody mails. HAProxy
// looks for them only where all that a mail needs is there.
func (p *parser) checkMail(d *draft) {
	m := &d.mail
	switch {
	case m.pos.File == "":
	case m.mailers == "" || !m.from || !m.to:
		p.report.Warnf(m.pos, "'email-alert' will be ignored for %s '%s': it needs each of 'email-alert mailers', 'email-alert from' and 'email-alert to'", d.section, d.Name)
	case !slices.Contains(p.mailers, m.mailers):
		p.report.Errorf(m.pos, "unable to find mailers '%s'%s", m.mailers, didYouMean(cfgfile.Suggest(m.mailers, p.mailers)))
	}
}
