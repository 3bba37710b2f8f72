package config

import (
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/rule"
)

// statsTable holds the keywords of the statistics page. Each turns it on, as
// in HAProxy.
func statsTable() []row[*draft] {
	flag := func(set func(s *StatsPage)) func(*call, *draft) error {
		return func(c *call, d *draft) error {
			set(d.page(c.pos))
			return nil
		}
	}
	text := func(set func(s *StatsPage, text string)) func(*call, *draft) error {
		return func(c *call, d *draft) error {
			set(d.page(c.pos), strings.Join(c.args, " "))
			return nil
		}
	}
	return []row[*draft]{
		{name: "stats enable", lax: true, in: anywhere, apply: flag(func(*StatsPage) {})},
		{name: "stats uri", lax: true, args: "<prefix>", min: 1, max: 1, in: anywhere, apply: text(func(s *StatsPage, t string) { s.URI = t })},
		{name: "stats realm", lax: true, args: "<realm>", min: 1, max: 1, in: anywhere, apply: text(func(s *StatsPage, t string) { s.Realm = t })},
		{name: "stats auth", lax: true, args: "<user>:<password>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) error {
			user, password, _ := strings.Cut(c.args[0], ":")
			if user == "" || password == "" {
				c.p.report.Advisef(c.pos, "'stats auth' : %q has an empty user or password, and whoever leaves it empty gets in: write <user>:<password>", c.args[0])
			}
			s := d.page(c.pos)
			s.Auths = append(s.Auths, user+":"+password)
			return nil
		}},
		{name: "stats http-request", args: "allow|deny|auth [realm <realm>] [if|unless <condition>]", min: 1, max: many, in: ownAnywhere, apply: func(c *call, d *draft) error {
			words := c.args
			if err := oneOf(c.name, words[0], "allow", "deny", "auth"); err != nil {
				return err
			}
			if words[0] == "auth" && (len(words) < 2 || words[1] != "realm") {
				words = slices.Insert(slices.Clone(words), 1, "realm", "HAProxy Statistics")
			}
			r, err := rule.ParseRule(rule.Request, words, d.acls)
			if err != nil {
				return err
			}
			s := d.page(c.pos)
			s.Rules = append(s.Rules, r)
			return nil
		}},
		{name: "stats refresh", lax: true, args: "<time>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) (err error) {
			d.page(c.pos).Refresh, err = duration(c.name, c.args[0], time.Second)
			return err
		}},
		{name: "stats hide-version", lax: true, in: anywhere, apply: flag(func(s *StatsPage) { s.HideVersion = true })},
		{name: "stats show-legends", lax: true, in: anywhere, apply: flag(func(s *StatsPage) { s.ShowLegends = true })},
		{name: "stats show-node", lax: true, args: "[<name>]", max: 1, in: anywhere, apply: text(func(s *StatsPage, t string) { s.ShowNode, s.NodeShown = t, true })},
		{name: "stats show-desc", args: "[<text>]", max: many, in: anywhere, apply: text(func(s *StatsPage, t string) { s.ShowDesc, s.DescShown = t, true })},

		{name: "stats admin", args: "if|unless <condition>", min: 1, max: many, in: ownAnywhere, apply: func(c *call, d *draft) error {
			cond, err := c.condition(c.args, d.acls)
			if err != nil {
				return err
			}
			d.page(c.pos).Admin = cond
			return nil
		}},
		{name: "stats scope", lax: true, args: "<proxy>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) error {
			s := d.page(c.pos)
			s.Scope = append(s.Scope, c.args[0])
			return nil
		}},
		{name: "stats show-modules", lax: true, in: anywhere, status: Ignored, doc: "there are no modules with counters of their own"},
	}
}
