package hooks

import (
	"regexp"
	"strings"
)

var (
	assigns   = regexp.MustCompile(`(?:^|[;&|{(\s])(?:export\s+|local\s+)?([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\$\([^)]*\)|\x60[^\x60]*\x60|[^\s;&|]*)`)
	loops     = regexp.MustCompile(`\bfor\s+([A-Za-z_]\w*)\s+in\s+([^;]+)`)
	expansion = regexp.MustCompile(`\$\{?([A-Za-z_]\w*)\}?`)
)

// valueSize bounds a value, which may contain others.
const valueSize = 4096

// variables are what the lines of one script have said so far. The zero value is empty.
type variables struct {
	file   string
	values map[string]string
}

// expand puts values in the place of names that are known, and takes note of what the line says.
func (v *variables) expand(l line) string {
	if v.file != l.file || v.values == nil {
		v.file, v.values = l.file, map[string]string{}
	}
	text := expansion.ReplaceAllStringFunc(l.text, func(name string) string {
		if value, ok := v.values[strings.Trim(name, "${}")]; ok {
			return value
		}
		return name
	})
	for _, m := range append(assigns.FindAllStringSubmatch(text, -1), loops.FindAllStringSubmatch(text, -1)...) {
		if value := strings.Trim(m[2], `"'`); len(value) < valueSize {
			v.values[m[1]] = value
		}
	}
	// Within its own line too: for p in $(pidof haproxy); do kill $p; done
	return expansion.ReplaceAllStringFunc(text, func(name string) string {
		if value, ok := v.values[strings.Trim(name, "${}")]; ok {
			return value
		}
		return name
	})
}
