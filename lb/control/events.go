package control

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Ring is a buffer of log lines that `show events` prints.
type Ring struct {
	Name        string
	Description string
	// Lines are those that are kept, oldest first, each with its end; after
	// leaves out what end was at an earlier call.
	Lines func(after uint64) (lines []byte, end uint64)
}

// ringed is a Runtime that has rings.
type ringed interface{ Rings() []Ring }

// showEvents writes `show events [<ring>] [-w] [-n]`.
func showEvents(c *session, args []string) {
	var rings []Ring
	if r, ok := c.Runtime.(ringed); ok {
		rings = r.Rings()
	}
	nothing := func(uint64) ([]byte, uint64) { return nil, 0 }
	rings = append([]Ring{{"buf0", "in-memory ring buffer", nothing}}, rings...)
	if len(args) == 0 {
		c.say("Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop")
		line := func(name, kind, description string) {
			c.say(fmt.Sprintf("    %-10s : type=%s, 0 dropped, %s", name, kind, description))
		}
		line("stdout", "fd", "standard output (fd#1)")
		line("stderr", "fd", "standard output (fd#2)")
		for _, r := range rings {
			line(r.Name, "buffer", r.Description)
		}
		return
	}
	i := slices.IndexFunc(rings, func(r Ring) bool { return r.Name == args[0] })
	switch {
	case args[0] == "stdout" || args[0] == "stderr":
		c.fail("Nothing to report for this sink")
		return
	case i < 0:
		c.fail("No such event sink")
		return
	}
	wait, fresh := false, false
	for _, word := range args[1:] {
		flags, ok := strings.CutPrefix(word, "-")
		if !ok || flags == "" || strings.Trim(flags, "nw") != "" {
			c.fail("unknown option")
			return
		}
		wait = wait || strings.Contains(flags, "w")
		fresh = fresh || strings.Contains(flags, "n")
	}
	lines, end := rings[i].Lines(0)
	if !fresh {
		c.out = append(c.out, lines...)
	}
	if wait {
		c.follow(rings[i], end)
	}
}

// followEvery is how often newer lines are looked for.
const followEvery = 100 * time.Millisecond

// follow writes what comes after end, until the client sends anything or
// closes, or the server ends.
func (c *session) follow(r Ring, end uint64) {
	for c.flush() {
		select {
		case <-c.ending:
			return
		default:
		}
		if c.conn.SetReadDeadline(time.Now().Add(followEvery)) != nil {
			return
		}
		if _, err := c.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
			if err != nil {
				c.done = true
			}
			return
		}
		var lines []byte
		lines, end = r.Lines(end)
		c.out = append(c.out, lines...)
	}
	c.done = true
}
