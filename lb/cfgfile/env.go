package cfgfile

import (
	"strings"
)

// Env is what a configuration sees of its surroundings: environment
// variables, which setenv lines change while the files are read, and what .if
// can ask for. A load has its own; the process's environment stays as it is.
type Env struct {
	Version  string   // what version_atleast() compares with, "2.6.12"
	Features []string // what feature() knows, "OPENSSL"

	vars map[string]string
}

// NewEnv copies environ ("NAME=value" each).
func NewEnv(environ []string) *Env {
	e := &Env{vars: make(map[string]string, len(environ))}
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.vars[name] = value
		}
	}
	return e
}

// Get is a Lookup.
func (e *Env) Get(name string) (string, bool) {
	value, set := e.vars[name]
	return value, set
}

// Set gives name a value.
func (e *Env) Set(name, value string) { e.vars[name] = value }

// Unset removes name.
func (e *Env) Unset(name string) { delete(e.vars, name) }

// Keep removes all variables but those named.
func (e *Env) Keep(names []string) {
	kept := make(map[string]string, len(names))
	for _, name := range names {
		if value, set := e.vars[name]; set {
			kept[name] = value
		}
	}
	e.vars = kept
}

// Expand replaces ${NAME} in an address. HAProxy does so even outside quotes
// (fd@${FD} is common), and an unset variable gives nothing.
func (e *Env) Expand(address string) string {
	if !strings.Contains(address, "${") {
		return address
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(address, "${")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			out.WriteString(address)
			return out.String()
		}
		out.WriteString(before)
		out.WriteString(e.vars[name])
		address = after
	}
}
