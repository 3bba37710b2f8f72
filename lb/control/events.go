package control

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Ring is a buffer of log lines that `show events` prints.
type Ring struct {
	Name  string
	Lines func() []byte // oldest first, each with its end
}

// ringed is a Runtime that has rings.
type ringed interface{ Rings() []Ring }

// showEvents writes `show events [<ring>] [-n]`.
func showEvents(c *session, args []string) {
	var rings []Ring
	if r, ok := c.Runtime.(ringed); ok {
		rings = r.Rings()
	}
	if len(args) == 0 {
		c.say("Supported events sinks are listed below. Add -n to show nothing that is there already.")
		for _, r := range rings {
			c.say(fmt.Sprintf("    %-20s : type=buffer, %d lines", r.Name, bytes.Count(r.Lines(), []byte{'\n'})))
		}
		return
	}
	i := slices.IndexFunc(rings, func(r Ring) bool { return r.Name == args[0] })
	if i < 0 {
		c.say("No such event sink")
		return
	}
	for _, word := range args[1:] {
		switch {
		case word == "-n":
			return
		case strings.HasPrefix(word, "-") && strings.Contains(word, "w"):
			c.say("'" + word + "' is not available here: ask again for newer lines")
			return
		default:
			c.say("unknown option")
			return
		}
	}
	c.out = append(c.out, rings[i].Lines()...)
}
