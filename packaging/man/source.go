package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// expand reads a page and puts the sections it names in their places.
func expand(root, source string) (string, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "{{")
		if !ok {
			b.WriteString(line)
			continue
		}
		file, heading, _ := strings.Cut(strings.TrimSuffix(name, "}}"), "#")
		other, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", fmt.Errorf("%s: %w", source, err)
		}
		part, ok := section(string(other), heading)
		if !ok {
			return "", fmt.Errorf("%s: %s has no section %q", source, file, heading)
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

// section is what stands below a heading of the second level.
func section(text, heading string) (string, bool) {
	_, rest, ok := strings.Cut(text, "\n## "+heading+"\n")
	if !ok {
		return "", false
	}
	part, _, _ := strings.Cut(rest, "\n## ")
	return part + "\n", true
}
