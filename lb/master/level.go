package master

import (
	"fmt"
	"slices"
	"strings"
)

// level is what a command connection may do, the most first.
type level uint8

const (
	admin level = iota
	operator
	user
)

// lower lowers the connection's level; nothing raises it again.
func (s *session) lower(to level) {
	if s.level > to {
		s.say("Permission denied!")
		return
	}
	s.level, s.modes = to, nil
}

// name is the level as `show cli level` says it.
func (l level) name() string { return [...]string{"admin", "operator", "user"}[l] }

// showLevel says what this connection may do.
func (s *session) showLevel([]string) {
	l := s.level
	if s.onlooker {
		l = user
	}
	fmt.Fprintln(s.w, l.name())
}

// permits reports whether the level is enough for a command.
func (l level) permits(c *command) bool {
	return !c.acts || l == admin || l == operator && c.name == "reload"
}

// prefix has a worker's session be as this one, before it runs commands.
func (s *session) prefix() string {
	text := ""
	for _, mode := range s.modes {
		text += mode + " on;"
	}
	if s.level != admin {
		text += s.level.name() + ";"
	}
	return text
}

// mode takes `expert-mode` and its kin, of which a worker that is asked through this connection knows; "" is one of the master's own, that adds nothing.
func (s *session) mode(name string, words []string) {
	switch {
	case s.level != admin || s.onlooker:
		s.say("Permission denied!")
	case len(words) == 0:
	case words[0] == "on" || words[0] == "off":
		s.modes = slices.DeleteFunc(s.modes, func(m string) bool { return m == name })
		if words[0] == "on" && name != "" {
			s.modes = append(s.modes, name)
		}
	default:
		s.say("It is %q: 'on' or 'off'.", strings.Join(words, " "))
	}
}
