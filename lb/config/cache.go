package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/sample"
)

// noCache is why caches do nothing.
const noCache = "nothing is cached, and each request goes to its server, as with an empty cache; a cache such as Varnish or nginx can stand between lb and the servers"

// caches are the cache sections and what names them. They have no effect; what
// they say is held to HAProxy's rules all the same.
type caches struct {
	sizes   map[string]*cacheSize
	atCache *cacheSize // being read
	used    []cacheUse
}

type cacheSize struct {
	pos        cfgfile.Pos
	name       string
	megabytes  int // 0: no line; -1: a wrong one
	maxObject  int
	objectFrom cfgfile.Pos
}

// cacheUse is a rule or a filter that names a cache.
type cacheUse struct {
	name   string
	pos    cfgfile.Pos
	filter *draft // the proxy of a filter line; nil for a rule
}

// beginCache opens a cache section.
func (p *parser) beginCache(pos cfgfile.Pos, args []string) error {
	p.skip = true
	switch {
	case len(args) == 0:
		return fmt.Errorf("'cache' expects a name")
	case len(args) > 1:
		return fmt.Errorf("'cache' cannot handle unexpected argument '%s'", args[1])
	case p.sizes[args[0]] != nil:
		return fmt.Errorf("cache '%s' was declared before: give it another name", args[0])
	}
	p.skip = false
	p.atCache = &cacheSize{pos: pos, name: args[0]}
	p.sizes[args[0]] = p.atCache
	p.report.Warnf(pos, "section 'cache' has no effect: %s", noCache)
	return nil
}

// cacheLine applies a line of a cache section.
func (p *parser) cacheLine(c *call, words []string) (err error) {
	low, high := 1, 0
	switch words[0] {
	case "total-max-size":
		high = 4095
		p.atCache.megabytes = -1 // until it is known to be sound
	case "max-object-size":
		high = 4095 << 19
	case "max-age", "max-secondary-entries":
		high = 1<<31 - 1
	case "process-vary":
	default:
		return oneOf("cache", words[0], "max-age", "max-object-size", "max-secondary-entries", "process-vary", "total-max-size")
	}
	if len(words) < 2 {
		return fmt.Errorf("'%s' expects a value", words[0])
	}
	if len(words) > 2 {
		return fmt.Errorf("'%s' cannot handle unexpected argument '%s'", words[0], words[2])
	}
	if words[0] == "process-vary" {
		return oneOf(words[0], words[1], "on", "off")
	}
	if words[0] == "max-age" {
		low = 0
	}
	n, err := strconv.Atoi(words[1])
	if err != nil || n < low || n > high {
		return fmt.Errorf("'%s' expects a number from %d to %d, not '%s'", words[0], low, high, words[1])
	}
	switch words[0] {
	case "total-max-size":
		p.atCache.megabytes = n
	case "max-object-size":
		p.atCache.maxObject, p.atCache.objectFrom = n, c.pos
	}
	return nil
}

// filterCache checks a filter cache line.
func (c *call) filterCache(d *draft) error {
	name := c.args[0]
	if slices.ContainsFunc(c.p.used, func(u cacheUse) bool { return u.filter == d && u.name == name }) {
		return fmt.Errorf("'%s' : '%s' is there twice: remove one of the lines", c.name, name)
	}
	c.p.used = append(c.p.used, cacheUse{name, c.pos, d})
	return nil
}

// noteCache keeps what a rule names.
func (p *parser) noteCache(r *sample.CacheRef, pos cfgfile.Pos) {
	p.used = append(p.used, cacheUse{r.Name, pos, nil})
}

// resolveCaches checks that each cache has a size, and that what is named exists.
func (p *parser) resolveCaches() {
	for _, name := range slices.Sorted(maps.Keys(p.sizes)) {
		s := p.sizes[name]
		switch {
		case s.megabytes == 0:
			p.report.Errorf(s.pos, "cache '%s' has no size: write total-max-size <megabytes>", s.name)
		case s.megabytes > 0 && s.maxObject > s.megabytes<<19:
			p.report.Errorf(s.objectFrom, "'max-object-size' may be half of total-max-size at most: %d bytes", s.megabytes<<19)
		}
	}
	for _, u := range p.used {
		if p.sizes[u.name] == nil {
			p.report.Errorf(u.pos, "unable to find the cache '%s'%s", u.name, didYouMean(cfgfile.Suggest(u.name, sortedNames(p.sizes))))
		}
	}
}
