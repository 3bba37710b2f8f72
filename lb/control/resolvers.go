package control

import "fmt"

// Nameserver is what one name server of a resolvers section answered so far.
type Nameserver struct {
	Section, ID                                               string
	Sent, Valid, NX, Refused, Timeout, Other, Invalid, TooBig uint64
}

// resolving is a Runtime that has resolvers sections.
type resolving interface{ Nameservers() []Nameserver }

// showResolvers writes `show resolvers [<section>]`.
func showResolvers(c *session, args []string) {
	r, ok := c.Runtime.(resolving)
	if !ok {
		return
	}
	section, found := "", false
	for _, n := range r.Nameservers() {
		if len(args) > 0 && n.Section != args[0] {
			continue
		}
		found = true
		if n.Section != section {
			section = n.Section
			c.say("Resolvers section " + section)
		}
		c.say(" nameserver " + n.ID + ":")
		for _, f := range []struct {
			name string
			n    uint64
		}{
			{"sent", n.Sent}, {"snd_error", 0}, {"valid", n.Valid}, {"update", 0}, {"cname", 0}, {"cname_error", 0}, {"any_err", 0},
			{"nx", n.NX}, {"timeout", n.Timeout}, {"refused", n.Refused}, {"other", n.Other}, {"invalid", n.Invalid}, {"too_big", n.TooBig},
			{"truncated", 0}, {"outdated", 0},
		} {
			c.say(fmt.Sprintf("  %-12s %d", f.name+":", f.n))
		}
	}
	if len(args) > 0 && !found {
		c.say("Can't find that resolvers section")
	}
}
