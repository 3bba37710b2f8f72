package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// scriptsIdle is why lua-load does nothing.
const scriptsIdle = "scripts are not run: a line that uses a function of one is refused with what can take its place, and so is a script that works by itself (register_task, register_init)"

// alone finds what of a script runs without a line that calls it.
var alone = regexp.MustCompile(`\bregister_(task|init)\b`)

// loadScript reads a lua-load line. Scripts are not run, and each line that
// calls one is refused; so one that only offers functions changes nothing where
// the rest of the file loads.
func (c *call) loadScript(*Global) error {
	path := c.p.under("", c.args[0])
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("'%s' : cannot read the script: %w", c.name, err)
	}
	for line := range strings.Lines(string(text)) {
		code, _, _ := strings.Cut(line, "--")
		if what := alone.FindString(code); what != "" {
			return fmt.Errorf("'%s' is known to HAProxy, but not supported by lb yet: scripts are not run, and '%s' does work of its own (%s): give that to a program with a unit or a timer, which can use the stats socket, and remove this line", c.name, c.args[0], what)
		}
	}
	return nil
}
