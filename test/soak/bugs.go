package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"lbsyslogd/test/rig"
)

// bug is a planted bug: a patch of the source that breaks one promise. The soak has to find it.
type bug struct {
	name  string // of the file, without .patch
	about string // the lines above the patch
	hunks []hunk
}

// hunk is one change: before stands exactly once in the file.
type hunk struct{ file, before, after string }

// readBugs reads the patches of a directory.
func readBugs(dir string) ([]bug, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var list []bug
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		b, err := parseBug(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.name = strings.TrimSuffix(filepath.Base(name), ".patch")
		list = append(list, b)
	}
	return list, nil
}

// parseBug reads a unified diff with a text above it. Line numbers are not looked at: the lines of a hunk say where it belongs.
func parseBug(text string) (bug, error) {
	var b bug
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
			b.about += line
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
	b.about = strings.TrimSpace(b.about)
	if len(b.hunks) == 0 || b.about == "" {
		return b, errors.New("want a text that says what is broken, and a patch")
	}
	return b, nil
}

// apply returns the changed files, by their path from root.
func (b bug) apply(root string) (map[string]string, error) {
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
			return nil, fmt.Errorf("%s: these lines stand %d times in %s, want once:\n%s", b.name, n, h.file, h.before)
		}
		files[h.file] = strings.Replace(text, h.before, h.after, 1)
	}
	return files, nil
}

// overlay writes the changed files to dir, and the file that `go build -overlay` wants. The tree stays as it is.
func (b bug) overlay(root, dir string) (string, error) {
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

// builder builds the daemons.
type builder struct {
	overlay string
	race    bool
	version string
}

func (o builder) build(dir string) (rig.Programs, error) {
	args := []string{"build", "-o", dir + "/"}
	if o.overlay != "" {
		args = append(args, "-overlay", o.overlay)
	}
	if o.race {
		args = append(args, "-race")
	}
	if o.version != "" {
		args = append(args, "-ldflags", "-X lbsyslogd/cmd/internal/buildinfo.version="+o.version)
	}
	cmd := exec.Command("go", append(args, "lbsyslogd/cmd/lb", "lbsyslogd/cmd/syslogd")...)
	if !o.race {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return rig.Programs{}, fmt.Errorf("build: %w\n%s", err, out)
	}
	return rig.Programs{LB: filepath.Join(dir, "lb"), Syslogd: filepath.Join(dir, "syslogd")}, nil
}
