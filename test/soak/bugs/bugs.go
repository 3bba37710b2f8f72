// Package bugs holds bugs that are planted to see whether the soak finds them: each patch in this directory breaks one promise.
package bugs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Bug is a patch of the source that breaks one promise.
type Bug struct {
	Name  string // of the file, without .patch
	About string // the lines above the patch
	hunks []hunk
}

// hunk is one change: before stands exactly once in the file.
type hunk struct{ file, before, after string }

// Read reads the patches of a directory.
func Read(dir string) ([]Bug, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var list []Bug
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		b, err := parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.Name = strings.TrimSuffix(filepath.Base(name), ".patch")
		list = append(list, b)
	}
	return list, nil
}

// parse reads a unified diff with a text above it. Line numbers are not looked at: the lines of a hunk say where it belongs.
func parse(text string) (Bug, error) {
	var b Bug
	file := ""
	var h *hunk
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "index "):
			h = nil
		case strings.HasPrefix(line, "+++ b/"):
			file = strings.TrimSpace(strings.TrimPrefix(line, "+++ b/"))
		case strings.HasPrefix(line, "@@ "):
			if file == "" {
				return b, errors.New("a hunk before the name of its file")
			}
			b.hunks = append(b.hunks, hunk{file: file})
			h = &b.hunks[len(b.hunks)-1]
		case h == nil && file == "":
			b.About += line
		case h == nil:
			return b, fmt.Errorf("%q is in no hunk", line)
		case line[0] == ' ', line == "\n":
			rest := strings.TrimPrefix(line, " ")
			h.before += rest
			h.after += rest
		case line[0] == '-':
			h.before += line[1:]
		case line[0] == '+':
			h.after += line[1:]
		default:
			return b, fmt.Errorf("%q is no line of a hunk", line)
		}
	}
	b.About = strings.TrimSpace(b.About)
	if len(b.hunks) == 0 || b.About == "" {
		return b, errors.New("want a text that says what is broken, and a patch")
	}
	return b, nil
}

// apply returns the changed files, by their path from root.
func (b Bug) apply(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, h := range b.hunks {
		text, ok := files[h.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(root, h.file))
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
		if n := strings.Count(text, h.before); n != 1 {
			return nil, fmt.Errorf("%s: these lines stand %d times in %s, want once:\n%s", b.Name, n, h.file, h.before)
		}
		files[h.file] = strings.Replace(text, h.before, h.after, 1)
	}
	return files, nil
}

// Overlay writes the changed files to dir, and the file that `go build -overlay` wants. The tree stays as it is.
func (b Bug) Overlay(root, dir string) (string, error) {
	files, err := b.apply(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range files {
		path := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = path
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}
