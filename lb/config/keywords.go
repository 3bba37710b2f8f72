package config

import "strings"

// Keyword is a row of the keyword tables as documents and tools see it.
type Keyword struct {
	Name   string
	Args   string   // how arguments are written
	Places []string // "global", "defaults", "frontend", "listen", "backend", "bind", "server"
	Status Status
	Note   string // the reason, the replacement or the way out
}

// Keywords gives all keywords of a kind in the order of the tables. Kinds are
// "global", "proxy", "bind" and "server".
func Keywords(kind string) []Keyword {
	p := newParser(Options{Environ: []string{}})
	switch kind {
	case "global":
		return describe(p.globals)
	case "proxy":
		return describe(p.proxies)
	case "bind":
		return describe(p.binds)
	case "server":
		return describe(p.servers)
	}
	return nil
}

// Sections gives the words that begin a section, with the hint of those that
// are refused.
func Sections() map[string]string { return sectionKeywords() }

func describe[T any](x *index[T]) []Keyword {
	all := make([]Keyword, 0, len(x.names))
	for _, name := range x.names {
		r := x.rows[name]
		all = append(all, Keyword{Name: r.name, Args: r.args, Places: r.in.names(), Status: r.status, Note: r.doc})
	}
	return all
}

// names lists the places of a set.
func (s sections) names() []string {
	var names []string
	for i, name := range strings.Fields("global defaults frontend listen backend bind server") {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
