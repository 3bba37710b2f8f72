package master

import (
	"fmt"
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
	s.level = to
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

// prefix has a worker lower the level of its session before it runs commands.
func (l level) prefix() string {
	if l == admin {
		return ""
	}
	return l.name() + ";"
}

// mode takes `expert-mode` and its kin: nothing needs them here, as for a worker.
func (s *session) mode(words []string) {
	if s.level != admin || s.onlooker {
		s.say("Permission denied!")
	} else if len(words) > 0 && words[0] != "on" && words[0] != "off" {
		s.say("It is %q: 'on' or 'off'.", strings.Join(words, " "))
	}
}
