package hooks

import (
	"path/filepath"
	"slices"
	"strings"
)

// scripts are the directives of logrotate that shell follows, up to endscript.
func scripts() []string {
	return []string{"postrotate", "prerotate", "firstaction", "lastaction", "preremove"}
}

// logrotate reads one of logrotate's files, or a directory of them, and what it includes.
func (r *reading) logrotate(name string) {
	if names := r.list(name); len(names) > 0 {
		for _, n := range names {
			if !tabooed(n) {
				r.logrotate(n)
			}
		}
		return
	}
	text, ok := r.open(name)
	if !ok {
		return
	}
	script, logs := "", ""
	joined(text, func(n int, l string) {
		l = strings.TrimSpace(l)
		word, rest, _ := strings.Cut(l, " ")
		word, _, _ = strings.Cut(word, "\t")
		switch {
		case script != "" && word == "endscript":
			script = ""
		case script != "":
			r.add(line{name, n, script, l})
		case strings.HasPrefix(l, "#"):
		case slices.Contains(scripts(), word):
			script = word
		case word == "include":
			path := strings.Trim(strings.TrimSpace(rest), `"'`)
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(name), path)
			}
			r.logrotate(path)
		case word == "copytruncate" && ofBalancer(logs):
			r.add(line{name, n, "logrotate", word})
		case strings.HasPrefix(word, "/") || strings.HasPrefix(word, `"/`):
			logs += l
		case word == "}":
			logs = ""
		}
	})
}

// tabooed says whether logrotate passes over a name in an included directory.
func tabooed(name string) bool {
	return slices.ContainsFunc([]string{".rpmorig", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-bak", ".dpkg-del",
		".disabled", ".ucf-old", ".ucf-dist", ".ucf-new", ".cfsaved", ".swp", ".v", "~"}, func(end string) bool { return strings.HasSuffix(name, end) })
}
