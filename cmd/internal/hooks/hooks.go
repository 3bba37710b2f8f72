// Package hooks looks for what reaches for a balancer, or for a log daemon in a way that loses lines, without the administrator's knowledge:
// the hooks of logrotate, crontabs, what systemd's timers start, certbot's hooks and those of the network.
//
//  1. where such commands stand     logrotate.go, cron.go, timer.go, renewal.go -> line
//  2. a line as commands and words  shell.go, variables.go
//  3. what a command does           examine.go -> finding
//  4. or the script that it calls   script.go, once around
//  5. said with file and line, what would happen, and what to write instead
package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Doctor reads an administrator's files.
type Doctor struct {
	Root string    // of the file system; empty for /
	Out  io.Writer // for what is well, and for advice
	Errs io.Writer // for what harms a balancer
}

// ErrHarm says that something reaches for a balancer.
var ErrHarm = errors.New("something reaches for a balancer")

// line is a line of shell that something runs.
type line struct {
	file string
	n    int
	by   string // who runs it: "postrotate", "cron", "timer backup.timer"
	text string
}

// reading is what was read. A file is read once.
type reading struct {
	root  string
	files []string
	lines []line
	notes []string // of what could not be read
}

// Run examines the named files, or the places that a machine has for such things. It returns ErrHarm if it found something that
// harms a balancer.
func (d Doctor) Run(names []string) error {
	r := &reading{root: d.Root}
	if len(names) == 0 {
		r.logrotate("/etc/logrotate.conf")
		r.crontabs()
		r.timers()
		r.certbot()
		r.network()
	}
	for _, name := range names {
		if _, err := os.Stat(d.Root + name); err != nil {
			return fmt.Errorf("doctor: %w", err)
		}
		if abs, err := filepath.Abs(name); err == nil && d.Root == "" {
			name = abs // what it is shows by its directory
		}
		switch {
		case strings.HasSuffix(name, ".timer"):
			r.timer(name, strings.TrimSuffix(filepath.Base(name), ".timer")+".service")
		case strings.HasSuffix(name, ".service"):
			r.unit(name, filepath.Base(name))
		case strings.Contains(name, "/renewal-hooks/"):
			r.script(name, "certbot hook")
		case strings.Contains(name, "/if-"), strings.Contains(name, "dispatcher"):
			r.script(name, "network hook")
		case strings.Contains(name, "/cron"):
			r.crontab(name, !strings.Contains(name, "/crontabs/"))
		default:
			r.logrotate(name)
		}
	}
	harmful := 0
	var vars variables
	var all []finding
	for _, l := range r.lines {
		for _, f := range examineAll(r.root, l, vars.expand(l)) {
			if asked := strings.HasPrefix(f.what, "signals ") || strings.HasPrefix(f.what, "reloads "); !f.harm && asked && r.delays(f.file) {
				continue // nothing is lost: the file is compressed a period later
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b finding) int { return cmp.Compare(a.rank(), b.rank()) })
	for _, f := range all {
		to := d.Out
		if f.harm {
			to = d.Errs
			harmful++
		}
		fmt.Fprintf(to, "%s:%d: %s %s: %s\n    %s %s\n", f.file, f.n, f.by, f.what, f.text, f.happens, f.instead)
	}
	for _, note := range r.notes {
		fmt.Fprintln(d.Out, note)
	}
	if harmful > 0 {
		return fmt.Errorf("doctor: %w: %d of %d lines in %d files", ErrHarm, harmful, len(r.lines), len(r.files))
	}
	fmt.Fprintf(d.Out, "%d files with %d lines of commands read: none reaches for a balancer.\n", len(r.files), len(r.lines))
	return nil
}

// delays reports whether a file of logrotate's leaves the newest old log to its writers for a period.
func (r *reading) delays(name string) bool {
	text, err := os.ReadFile(r.root + name)
	return err == nil && delaycompress.Match(text)
}

var delaycompress = regexp.MustCompile(`(?m)^\s*delaycompress\s*$`)

// open reads a file, once. What is not there is nothing; what cannot be read is noted.
func (r *reading) open(name string) (text string, ok bool) {
	if slices.Contains(r.files, name) {
		return "", false
	}
	data, err := os.ReadFile(r.root + name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err != nil {
		r.note(name, err)
		return "", false
	}
	r.files = append(r.files, name)
	return string(data), true
}

// list names what is in a directory, in order.
func (r *reading) list(dir string) []string {
	entries, err := os.ReadDir(r.root + dir)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.note(dir, err)
		}
		return nil
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names
}

func (r *reading) note(name string, err error) {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if text := fmt.Sprintf("%s was not read: %v", name, err); !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// add notes a line that is run. Continued lines are one, which stands where it begins.
func (r *reading) add(l line) {
	if text := strings.TrimSpace(l.text); text != "" && !strings.HasPrefix(text, "#") {
		l.text = text
		r.lines = append(r.lines, l)
	}
}

// joined walks over the lines of a text, and puts those together that a backslash continues.
func joined(text string, visit func(n int, line string)) {
	start, whole := 0, ""
	n := 0
	for l := range strings.Lines(text) {
		n++
		l = strings.TrimRight(l, "\r\n")
		if whole == "" {
			start = n
		}
		if rest, ok := strings.CutSuffix(l, `\`); ok {
			whole += rest + " "
			continue
		}
		visit(start, whole+l)
		whole = ""
	}
	if whole != "" {
		visit(start, whole)
	}
}
