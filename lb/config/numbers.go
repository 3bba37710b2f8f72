package config

import (
	"slices"
	"strings"
)

// looseness is what HAProxy takes for a number besides numbers: a set.
type looseness uint8

const (
	cutsTail    looseness = 1 << iota // the digits that a word begins with; the rest is passed over
	wordIsZero                        // a word that has none, for 0
	wrapsAround                       // a negative number, for a very large one
	likeC       = cutsTail | wordIsZero | wrapsAround
)

// veryLarge is what a negative number of HAProxy's comes to.
const veryLarge = "2147483647"

// numeral gives what HAProxy reads of a word that should be a number, with a
// warning where that is not all of it.
func (c *call) numeral(what, word string, loose looseness) string {
	number := strings.TrimLeft(word, " \t")
	sign := strings.HasPrefix(number, "-")
	rest := strings.TrimLeft(strings.TrimLeft(number, "+-"), "0123456789")
	number = strings.TrimSuffix(number, rest)
	switch some := strings.ContainsAny(number, "0123456789"); {
	case !some && loose&wordIsZero != 0:
		c.p.report.Advisef(c.pos, "'%s' : '%s' is no number, and is read as 0, as in HAProxy", what, word)
		return "0"
	case some && sign && loose&wrapsAround != 0 && strings.Trim(number, "-0") != "":
		c.p.report.Advisef(c.pos, "'%s' : '%s' is read as a very large number, as in HAProxy", what, word)
		return veryLarge
	case some && rest != "" && loose&cutsTail != 0:
		c.passedOver(what, number, word)
		return number
	}
	return word
}

// timed gives what HAProxy reads of a word that should be a time.
func (c *call) timed(what, word string) string {
	rest := strings.TrimLeft(word, "0123456789")
	if rest == word {
		return word
	}
	for _, u := range []string{"us", "ms", "s", "m", "h", "d"} {
		if after, ok := strings.CutPrefix(rest, u); ok && after != "" && strings.Trim(after, ";,.") == "" {
			whole := strings.TrimSuffix(word, after)
			c.passedOver(what, whole, word)
			return whole
		}
	}
	return word
}

// passedOver warns of a word that is read in part.
func (c *call) passedOver(what, read, word string) {
	c.p.report.Advisef(c.pos, "'%s' : only '%s' is read of '%s', as in HAProxy", what, read, word)
}

// trim drops what HAProxy passes over in the arguments of a keyword: after a
// number, the first argument, and after times.
func (c *call) trim(loose looseness, times bool) {
	for i, word := range c.args {
		switch {
		case times:
			word = c.timed(c.name, word)
		case i == 0 && loose != 0:
			word = c.numeral(c.name, word, loose)
		}
		if word != c.args[i] {
			c.args = slices.Clone(c.args)
			c.args[i] = word
		}
	}
}
