package cfgdiff

import (
	"slices"
	"strconv"
	"strings"
)

// Runtime is something that was changed at run time.
type Runtime struct {
	What string `json:"what"`
	Now  string `json:"now"`
	Kept bool   `json:"kept"` // by a reload
	Why  string `json:"why,omitempty"`
}

// Runtime says of each line of `show runtime-changes` whether a reload keeps it: it
// does, unless the configuration has something else to say about that thing now.
func (d *Diff) Runtime(text string) []Runtime {
	list := []Runtime{}
	for line := range strings.Lines(text) {
		what, now, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		if !ok {
			continue
		}
		why := d.drops(what, now)
		list = append(list, Runtime{What: what, Now: now, Kept: why == "", Why: why})
	}
	return list
}

// drops is why a reload drops a change; "" if it keeps it.
func (d *Diff) drops(what, now string) string {
	kind, name, _ := strings.Cut(what, " ")
	switch kind {
	case "map", "acl", "cert", "ca-file", "crl-file":
		for _, f := range d.Files {
			if f.Name == name && (f.Section == kind || f.Section == "file" && kind != "map" && kind != "acl") {
				if f.Change == removed {
					return "nothing names the file any more"
				}
				return "the file has changed"
			}
		}
	case "global":
		groups := map[string][]string{
			"maxconn": {"maxconn", "ulimit-n"}, "rate-limit connections": {"maxconnrate"}, "rate-limit sessions": {"maxsessrate"},
			"rate-limit ssl-sessions": {"maxsslrate"}, "rate-limit http-compression": {"maxcomprate"},
		}
		for _, g := range groups[name] {
			if d.old.byKey["global"].setting(g) != d.now.byKey["global"].setting(g) {
				return g + " has changed"
			}
		}
	case "variable":
		for _, g := range []string{"set-var " + name, "set-var-fmt " + name} {
			if d.old.byKey["global"].setting(g) != d.now.byKey["global"].setting(g) {
				return g + " has changed"
			}
		}
	case "frontend":
		name = strings.TrimSuffix(name, " maxconn")
		was, is := d.old.proxy(name, "frontend"), d.now.proxy(name, "frontend")
		switch {
		case is == nil:
			return "the frontend goes"
		case was.setting("maxconn") != is.setting("maxconn"):
			return "maxconn has changed"
		}
	case "server":
		return d.dropsServer(name, now)
	}
	return ""
}

func (d *Diff) dropsServer(name, now string) string {
	backend, server, _ := strings.Cut(name, "/")
	was, is := d.old.proxy(backend, "backend").server(server), d.now.proxy(backend, "backend").server(server)
	isAdded := strings.HasPrefix(now, "added")
	switch {
	case d.now.proxy(backend, "backend") == nil:
		return "the backend goes"
	case is == nil && was != nil:
		return "the server goes"
	case isAdded && is != nil:
		return "the configuration has the server now"
	case is == nil || was == nil:
		return ""
	case was.address() != is.address():
		return "its address has changed"
	}
	for _, option := range []string{"weight", "maxconn"} {
		if strings.HasPrefix(now, option+" ") && value(was.full, option) != value(is.full, option) {
			return option + " has changed"
		}
	}
	if strings.HasPrefix(now, "state ") && slices.Contains(was.full, "disabled") != slices.Contains(is.full, "disabled") {
		return "disabled has changed"
	}
	return ""
}

// proxy finds a proxy that has one of the two sides.
func (s *Side) proxy(name, side string) *section {
	if p := s.byKey[side+" "+name]; p != nil {
		return p
	}
	return s.byKey["listen "+name]
}

// server finds a server line, or the server-template line that makes the server.
func (s *section) server(name string) *item {
	if s == nil {
		return nil
	}
	for i := range s.items {
		it := &s.items[i]
		switch {
		case it.group == "server "+name:
			return it
		case it.words[0] == "server-template":
			n, err := strconv.Atoi(strings.TrimPrefix(name, arg(it.words, 1)))
			if err != nil || !strings.HasPrefix(name, arg(it.words, 1)) {
				continue
			}
			first, last, ranged := strings.Cut(arg(it.words, 2), "-")
			if !ranged {
				first, last = "1", first
			}
			low, _ := strconv.Atoi(first) // they were read before
			high, _ := strconv.Atoi(last)
			if low <= n && n <= high {
				return it
			}
		}
	}
	return nil
}

// address is where a line has its server.
func (i *item) address() string {
	if i.words[0] == "server-template" {
		return arg(i.words, 3)
	}
	return arg(i.words, 2)
}

// Going is something whose connections end.
type Going struct {
	What, Why     string
	Proxy, Server string // Server is "" for a proxy's clients
	Template      bool   // Server is how its servers' names begin
}

// Going lists whose connections end: of proxies, listeners and servers that are not
// in the configuration any more.
func (d *Diff) Going() (list []Going) {
	for _, was := range d.old.sections {
		name := strings.TrimPrefix(was.key, was.kind+" ")
		if was.off() || was.kind != "frontend" && was.kind != "listen" {
			continue
		}
		is := d.now.proxy(name, "frontend")
		if is == nil || is.off() {
			list = append(list, Going{What: "frontend " + name, Why: "it goes", Proxy: name})
			continue
		}
		// A client whose listener goes moves to another one that speaks as it does.
		for _, tls := range []bool{false, true} {
			if addresses := was.listeners(tls); len(addresses) > 0 && len(is.listeners(tls)) == 0 {
				what := "no listener without TLS is left"
				if tls {
					what = "no listener with TLS is left"
				}
				list = append(list, Going{What: "frontend " + name, Why: "those on " + strings.Join(addresses, ", ") + ", as " + what + "; the number is of the whole frontend", Proxy: name})
			}
		}
	}
	for _, c := range d.Servers {
		kind, name, _ := strings.Cut(c.Section, " ")
		if !isProxy(kind) || c.Change == added || c.Change == reordered || c.Change == changed && !movesAddress(c) {
			continue
		}
		why := "it goes"
		if c.Change == changed {
			why = "its address changes"
		}
		list = append(list, Going{What: "server " + name + "/" + c.Name, Why: why, Proxy: name, Server: c.Name, Template: strings.HasPrefix(c.Was, "server-template ")})
	}
	return list
}

func movesAddress(c Change) bool {
	return slices.ContainsFunc(c.Details, func(d string) bool { return strings.HasPrefix(d, "address ") })
}

// off says that a proxy is disabled.
func (s *section) off() bool {
	off := false
	for i := range s.items {
		switch s.items[i].words[0] {
		case "disabled":
			off = true
		case "enabled":
			off = false
		}
	}
	return off
}

// listeners are the addresses of a proxy with TLS, or without.
func (s *section) listeners(tls bool) (list []string) {
	for i := range s.items {
		if words := s.items[i].words; words[0] == "bind" && slices.Contains(words, "ssl") == tls {
			list = append(list, arg(words, 1))
		}
	}
	return list
}
