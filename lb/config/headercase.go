package config

import (
	"fmt"
	"os"
	"strings"
)

// adjustCase takes one pair of names that differ in case alone.
func (c *call) adjustCase(g *Global, from, to string) error {
	as := from
	switch from = strings.ToLower(from); {
	case strings.ToLower(to) != from:
		return fmt.Errorf("'%s' : '%s' and '%s' must only differ in case", c.name, as, to)
	case g.HeaderCase[from] != "":
		return fmt.Errorf("'%s' : '%s' is adjusted already", c.name, from)
	}
	if g.HeaderCase == nil {
		g.HeaderCase = map[string]string{}
	}
	g.HeaderCase[from] = to
	return nil
}

// adjustCases reads the pairs of a file, one a line; "#" begins a comment.
func (c *call) adjustCases(g *Global) error {
	text, err := os.ReadFile(c.args[0])
	if err != nil {
		return fmt.Errorf("'%s' : %w", c.name, err)
	}
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch len(words) {
		case 0:
		case 2:
			if err := c.adjustCase(g, words[0], words[1]); err != nil {
				return fmt.Errorf("%s:%d: %w", c.args[0], n+1, err)
			}
		default:
			return fmt.Errorf("%s:%d: '%s' expects a name and how it is to be written", c.args[0], n+1, c.name)
		}
	}
	return nil
}
