package config

import "lbsyslogd/lb/rule"

// turn is when rules of a kind are asked; kinds have their turns in this order,
// wherever their lines stand.
type turn uint8

const (
	turnAny turn = iota // rules whose lines may stand anywhere
	turnConnection
	turnSession
	turnContent
	turnMonitor
	turnRequest
	turnRedirect
	turnUseBackend
	turnUseServer
)

// stageTurns are those of the rule sets that have one.
var stageTurns = [rule.Stages]turn{rule.Connection: turnConnection, rule.Session: turnSession, rule.Content: turnContent, rule.Request: turnRequest}

// turns are the kinds of rules that a section's own lines hold, a bit each.
type turns uint16

// takesTurn warns of a rule whose line stands after one of a kind that is asked
// later. The words are HAProxy's.
func (c *call) takesTurn(d *draft, t turn) {
	name := map[turn]string{turnConnection: "tcp-request", turnSession: "tcp-request", turnContent: "tcp-request", turnMonitor: "monitor fail", turnRequest: "http-request", turnRedirect: "redirect"}[t]
	later := [...]string{
		turnSession: "a 'tcp-request session'", turnContent: "a 'tcp-request content'", turnMonitor: "a 'monitor fail'", turnRequest: "an 'http-request'",
		turnRedirect: "a 'redirect'", turnUseBackend: "a 'use_backend'", turnUseServer: "a 'use-server'",
	}
	for l := t + 1; name != "" && int(l) < len(later); l++ {
		if d.turns&(1<<l) != 0 {
			c.p.report.Warnf(c.pos, "a '%s' rule placed after %s rule will still be processed before", name, later[l])
			break
		}
	}
	d.turns |= 1 << t
}
