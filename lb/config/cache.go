package config

import (
	"fmt"
	"slices"
	"strconv"

	"lbsyslogd/lb/cache"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/sample"
)

// Cache is a cache section.
type Cache struct {
	cache.Settings
	Pos cfgfile.Pos

	sized      bool // by its total-max-size line, perhaps a wrong one
	objectFrom cfgfile.Pos
}

// caches are what names cache sections, and the one that is being read.
type caches struct {
	atCache *Cache
	used    []cacheUse
}

// cacheUse is a rule or a filter that names a cache.
type cacheUse struct {
	name   string
	pos    cfgfile.Pos
	from   *draft
	filter bool // of a filter line, not a rule
	late   bool // a 'filter compression' line stands above what is the first here to name it
}

// beginCache opens a cache section.
func (p *parser) beginCache(pos cfgfile.Pos, args []string) error {
	p.skip = true
	switch {
	case len(args) == 0:
		return fmt.Errorf("'cache' expects a name")
	case len(args) > 1:
		return fmt.Errorf("'cache' cannot handle unexpected argument '%s'", args[1])
	case p.cacheNamed(args[0]) != nil:
		return fmt.Errorf("cache '%s' was declared before: give it another name", args[0])
	}
	p.skip = false
	p.atCache = &Cache{Pos: pos, Settings: cache.Settings{Name: args[0], MaxAge: cache.DefaultMaxAge, MaxSecondary: cache.DefaultMaxSecondary}}
	p.cfg.Caches = append(p.cfg.Caches, p.atCache)
	return nil
}

// cacheNamed finds a section.
func (p *parser) cacheNamed(name string) *Cache {
	i := slices.IndexFunc(p.cfg.Caches, func(c *Cache) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return p.cfg.Caches[i]
}

// cacheLine applies a line of a cache section.
func (p *parser) cacheLine(c *call, words []string) (err error) {
	low, high := 1, 0
	switch words[0] {
	case "total-max-size":
		high = 4095
		p.atCache.sized = true
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
		p.atCache.Vary = words[1] == "on"
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
		p.atCache.Size = int64(n) << 20
	case "max-object-size":
		p.atCache.MaxObject, p.atCache.objectFrom = int64(n), c.pos
	case "max-age":
		p.atCache.MaxAge = int64(n)
	case "max-secondary-entries":
		p.atCache.MaxSecondary = n
	}
	return nil
}

// filterCache checks a filter cache line.
func (c *call) filterCache(d *draft) error {
	name := c.args[0]
	if slices.ContainsFunc(c.p.used, func(u cacheUse) bool { return u.filter && u.from == d && u.name == name }) {
		return fmt.Errorf("'%s' : '%s' is there twice: remove one of the lines", c.name, name)
	}
	c.p.used = append(c.p.used, cacheUse{name, c.pos, d, true, c.p.lateCache(d, name)})
	return nil
}

// noteCache keeps what a rule names.
func (p *parser) noteCache(r *sample.CacheRef, from *draft, pos cfgfile.Pos) {
	p.used = append(p.used, cacheUse{r.Name, pos, from, false, p.lateCache(from, r.Name)})
}

// lateCache reports whether a proxy names a cache for the first time, below its
// 'filter compression'.
func (p *parser) lateCache(d *draft, name string) bool {
	return d.compresses && !slices.ContainsFunc(p.used, func(u cacheUse) bool { return u.from == d && u.name == name })
}

// resolveCaches checks that each cache has a size, and that what is named exists.
func (p *parser) resolveCaches() {
	var names []string
	for _, one := range p.cfg.Caches {
		names = append(names, one.Name)
		switch {
		case !one.sized:
			p.report.Errorf(one.Pos, "cache '%s' has no size: write total-max-size <megabytes>", one.Name)
		case one.Size > 0 && one.MaxObject > one.Size/2:
			p.report.Errorf(one.objectFrom, "'max-object-size' may be half of total-max-size at most: %d bytes", one.Size/2)
		}
	}
	for _, u := range p.used {
		if u.late {
			p.report.Errorf(u.pos, "%s '%s': unable to enable the compression filter before the cache '%s': write 'filter compression' below this line", u.from.section, u.from.Name, u.name)
		}
		if p.cacheNamed(u.name) == nil {
			p.report.Errorf(u.pos, "unable to find the cache '%s'%s", u.name, didYouMean(cfgfile.Suggest(u.name, names)))
		}
	}
}
