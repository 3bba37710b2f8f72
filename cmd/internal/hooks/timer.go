package hooks

import (
	"path/filepath"
	"slices"
	"strings"
)

// unitPath is where systemd looks for units; what comes first wins.
func unitPath() []string {
	return []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
}

// timers reads what systemd's timers start.
func (r *reading) timers() {
	var seen []string
	for _, dir := range unitPath() {
		for _, name := range r.list(dir) {
			base := filepath.Base(name)
			if strings.HasSuffix(base, ".timer") && !slices.Contains(seen, base) {
				seen = append(seen, base)
				r.timer(name, strings.TrimSuffix(base, ".timer")+".service")
			}
		}
	}
}

// timer reads a timer and the unit that it starts, service unless it says another.
func (r *reading) timer(name, service string) {
	text, ok := r.open(name)
	if !ok {
		return
	}
	base := filepath.Base(name)
	joined(text, func(_ int, l string) {
		if value, ok := setting(l, "Unit"); ok {
			service = value
		}
	})
	dir := filepath.Dir(name)
	for _, d := range append([]string{dir}, unitPath()...) {
		if r.unit(filepath.Join(d, service), "timer "+base) {
			break
		}
	}
	for _, d := range append([]string{dir}, unitPath()...) {
		for _, dropIn := range r.list(filepath.Join(d, service+".d")) {
			if strings.HasSuffix(dropIn, ".conf") {
				r.unit(dropIn, "timer "+base)
			}
		}
	}
}

// unit reads the commands of a unit that something starts.
func (r *reading) unit(name, by string) bool {
	if slices.Contains(r.files, name) {
		return true
	}
	text, ok := r.open(name)
	joined(text, func(n int, l string) {
		for _, key := range []string{"ExecStartPre", "ExecStart", "ExecStartPost", "ExecStopPost", "ExecStop"} {
			if command, ok := setting(l, key); ok {
				r.add(line{name, n, by, strings.TrimLeft(command, "-+!@:")})
			}
		}
	})
	return ok
}

// setting reads KEY=VALUE.
func setting(l, key string) (string, bool) {
	k, value, ok := strings.Cut(l, "=")
	return strings.TrimSpace(value), ok && strings.TrimSpace(k) == key
}
