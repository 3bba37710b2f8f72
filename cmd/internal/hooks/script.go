package hooks

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// scriptSize bounds what is taken for a script.
const scriptSize = 256 << 10

var interpreter = regexp.MustCompile(`^#!\s*\S*(?:/|\s)(?:ba|da|z|k|a)?sh\b`)

// shell notes the lines of a script.
func (r *reading) shell(name, by, text string) {
	if !interpreter.MatchString(text) {
		return
	}
	joined(text, func(n int, l string) { r.add(line{name, n, by, l}) })
}

// called are the lines of the shell script that a command calls by its path; none if it is something else.
func called(root string, words []string) *reading {
	if isShell(words[0]) {
		words = words[1:] // "sh SCRIPT"
	}
	for _, w := range words[:min(len(words), 1)] {
		st, err := os.Stat(root + w)
		if err != nil || !st.Mode().IsRegular() || st.Size() > scriptSize {
			continue
		}
		text, err := os.ReadFile(root + w)
		if err != nil || !filepath.IsAbs(w) || strings.HasPrefix(w, "/etc/init.d/") {
			continue
		}
		r := &reading{root: root}
		r.shell(w, "", string(text))
		if len(r.lines) > 0 {
			return r
		}
	}
	return nil
}

// isShell says whether a program takes a script.
func isShell(program string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ksh", "zsh", "su", "runuser"}, filepath.Base(program))
}

// hook is an option whose value a program runs: certbot's and lego's hooks, acme.sh's --reloadcmd.
var hook = regexp.MustCompile(`^--(?:[a-z]+-hook|reloadcmd)(=|$)`)

// given are the texts that a command is given to run: a shell's with -c, and hooks.
func given(words []string) (texts []string) {
	for i, w := range words {
		switch {
		case i == 0:
		case hook.MatchString(w):
			if _, value, joined := strings.Cut(w, "="); joined {
				texts = append(texts, value)
			} else if i+1 < len(words) {
				texts = append(texts, words[i+1])
			}
		case isShell(words[0]) && i+1 < len(words) && len(w) > 1 && w[0] == '-' && w[1] != '-' && strings.Contains(w, "c"):
			return []string{words[i+1]}
		}
	}
	return texts
}
