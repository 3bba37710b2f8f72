package control

import "lbsyslogd/lb/peers"

// withPeers is a Runtime that has peers sections.
type withPeers interface{ Peers() peers.Set }

// showPeers writes `show peers [dict|-] [<section>]`.
func showPeers(c *session, args []string) {
	var all peers.Set
	if r, ok := c.Runtime.(withPeers); ok {
		all = r.Peers()
	}
	dict := false
	if len(args) > 0 && (args[0] == "dict" || args[0] == "-") {
		dict, args = args[0] == "dict", args[1:]
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	out, ok := all.AppendShow(c.out, name, dict)
	if !ok {
		c.fail("No such peers")
		return
	}
	c.out = out
}
