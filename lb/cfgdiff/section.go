package cfgdiff

import (
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
)

// Side is one of the two configurations. Its zero value is ready; Add its lines in
// their order.
type Side struct {
	sections []*section
	byKey    map[string]*section
	current  *section
	defaults *section // the last: what proxies without "from" begin with
	unnamed  int
}

// section is what the lines under one name say; global may stand more than once.
type section struct {
	key   string // "frontend www"
	kind  string
	pos   cfgfile.Pos
	items []item
	base  *section // the defaults section that a proxy, or another one, begins with
	last  []string // the default-server words that the next server has
}

// item is one line.
type item struct {
	group string   // the order counts within it
	words []string // as they were written
	full  []string // of a server: with the words of default-server
	pos   cfgfile.Pos
}

// text is the line for comparing, not for showing.
func (i *item) text() string { return strings.Join(i.words, "\x00") }

func isProxy(kind string) bool { return kind == "frontend" || kind == "backend" || kind == "listen" }

// Add adds a line. begins says that it begins a section.
func (s *Side) Add(line cfgfile.Line, begins bool) {
	words := make([]string, len(line.Words))
	for i, w := range line.Words {
		words[i] = w.Text
	}
	for len(words) > 1 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	if begins {
		s.begin(line.Pos, words)
		return
	}
	if s.current == nil {
		return // an error, which was reported
	}
	sec := s.current
	it := item{group: group(words), words: words, pos: line.Pos}
	switch words[0] {
	case "default-server":
		sec.last = append(slices.Clip(sec.last), words[1:]...)
	case "server", "server-template":
		n := min(len(words), 3)
		if words[0] == "server-template" {
			n = min(len(words), 4)
		}
		it.full = slices.Concat(words[:n], sec.last, words[n:])
	}
	sec.items = append(sec.items, it)
}

func (s *Side) begin(pos cfgfile.Pos, words []string) {
	kind, name, base := words[0], "", s.defaults
	rest := words[1:]
	if len(rest) > 0 && rest[0] != "from" {
		name, rest = rest[0], rest[1:]
	}
	if len(rest) > 1 && rest[0] == "from" {
		base = s.byKey["defaults "+rest[1]]
	} else if kind == "defaults" {
		base = nil
	}
	key := kind
	switch {
	case name != "":
		key += " " + name
	case kind == "defaults":
		if s.unnamed++; s.unnamed > 1 {
			key = fmt.Sprintf("defaults #%d", s.unnamed)
		}
	}
	if s.byKey == nil {
		s.byKey = map[string]*section{}
	}
	sec := s.byKey[key]
	if sec == nil {
		sec = &section{key: key, kind: kind, pos: pos}
		if kind == "defaults" || isProxy(kind) {
			if sec.base = base; base != nil {
				sec.last = base.last
			}
		}
		s.sections = append(s.sections, sec)
		s.byKey[key] = sec
	}
	s.current = sec
	if kind == "defaults" {
		s.defaults = sec
	}
}

// baseKey is the name of the section that this one begins with.
func (s *section) baseKey() string {
	if s.base == nil {
		return "no defaults section"
	}
	return s.base.key
}

// setting is the line of a proxy, or of what it begins with, that has the last word
// about a keyword; "" for none.
func (s *section) setting(group string) string {
	for ; s != nil; s = s.base {
		for i := range slices.Backward(s.items) {
			if s.items[i].group == group {
				return s.items[i].text()
			}
		}
	}
	return ""
}

// byArgument are the keywords whose lines are apart by their first argument: the
// order of lines with different ones means nothing.
var byArgument = []string{
	"acl", "bind", "errorfile", "errorloc", "errorloc302", "errorloc303", "group", "log", "nameserver", "option", "peer", "server", "server-template", "set-var", "set-var-fmt",
	"setenv", "presetenv", "stats", "tcp-request", "tcp-response", "timeout", "user", "hold", "capture", "email-alert", "cpu-map", "unsetenv",
}

// group is what the order of lines counts within.
func group(words []string) string {
	if len(words) > 1 && (words[0] == "no" || words[0] == "default") {
		words = words[1:]
	}
	switch {
	case len(words) == 1:
		return words[0]
	case (words[0] == "user" || words[0] == "group") && len(words) == 2: // of the global section
		return words[0]
	case words[0] == "stats" && (words[1] == "socket" || words[1] == "auth") && len(words) > 2:
		return strings.Join(words[:3], " ")
	case slices.Contains(byArgument, words[0]):
		return words[0] + " " + words[1]
	}
	return words[0]
}
