package cfgfile

import (
	"maps"
	"slices"
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

// Environ gives all variables as "NAME=value", in the order of their names.
func (e *Env) Environ() (list []string) {
	for _, name := range slices.Sorted(maps.Keys(e.vars)) {
		list = append(list, name+"="+e.vars[name])
	}
	return list
}

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

// Expand replaces $NAME and ${NAME} in an address. HAProxy does so even outside
// quotes (fd@${FD} and *:$PORT are common), and an unset variable gives
// nothing. A dollar that no name follows stays, and so does one after a
// backslash.
func (e *Env) Expand(address string) string {
	if !strings.Contains(address, "$") {
		return address
	}
	var out strings.Builder
	for i := 0; i < len(address); {
		name, size := variable(address[i:])
		if size == 0 || i > 0 && address[i-1] == '\\' {
			out.WriteByte(address[i])
			i++
			continue
		}
		out.WriteString(e.vars[name])
		i += size
	}
	return out.String()
}

// variable gives the name of the variable that text begins with, and how many
// bytes it takes; 0 for none.
func variable(text string) (name string, size int) {
	if !strings.HasPrefix(text, "$") {
		return "", 0
	}
	if rest, braced := strings.CutPrefix(text, "${"); braced {
		name, _, closed := strings.Cut(rest, "}")
		if !closed {
			return "", 0
		}
		return name, len(name) + len("${}")
	}
	end := 1
	for end < len(text) && (isAlpha(text[end]) || text[end] == '_' || end > 1 && isDigit(text[end])) {
		end++
	}
	if end == 1 {
		return "", 0
	}
	return text[1:end], end
}
