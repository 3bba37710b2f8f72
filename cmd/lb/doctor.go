package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// logrotateFile is where logrotate begins to read; it includes the others.
const logrotateFile = "/etc/logrotate.conf"

// hook is a line of a script in logrotate's configuration.
type hook struct {
	file   string
	line   int
	script string // postrotate, prerotate, ...
	text   string
}

// finding is a hook that does something to a daemon.
type finding struct {
	hook
	what   string // it does
	advice string
	harm   bool // to a balancer: requests are lost
}

// doctor looks at logrotate's configuration for hooks that restart or signal a
// balancer, or a log daemon in a way that nobody can wait for.
func doctor(args []string, out, errs io.Writer) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			if strings.TrimLeft(a, "-") == "help" || a == "-h" {
				return helped(out, nil)
			}
			return usageError{fmt.Sprintf("doctor: %q is not understood; name logrotate's files, or none for %s and what it includes", a, logrotateFile)}
		}
	}
	usual := len(args) == 0
	if usual {
		args = []string{logrotateFile}
	}
	read, hooks, err := collect(args)
	if usual && errors.Is(err, fs.ErrNotExist) && len(read) == 0 {
		fmt.Fprintf(out, "There is no %s: logrotate does nothing here.\n", logrotateFile)
		return nil
	}
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	harmful := 0
	for _, h := range hooks {
		f, ok := examine(h)
		if !ok {
			continue
		}
		to := out
		if f.harm {
			to = errs
			harmful++
		}
		fmt.Fprintf(to, "%s:%d: %s %s: %s\n    %s\n", f.file, f.line, f.script, f.what, f.text, f.advice)
	}
	if harmful > 0 {
		return fmt.Errorf("doctor: %d of %d lines in logrotate's hooks reach for a balancer", harmful, len(hooks))
	}
	fmt.Fprintf(out, "%d files and %d lines in their hooks read: none reaches for a balancer.\n", len(read), len(hooks))
	return nil
}

// collect reads files, and what they include, each once.
func collect(files []string) (read []string, hooks []hook, err error) {
	for len(files) > 0 {
		name := files[0]
		files = files[1:]
		if slices.Contains(read, name) {
			continue
		}
		st, err := os.Stat(name)
		if err != nil {
			return read, hooks, err
		}
		if st.IsDir() {
			entries, err := os.ReadDir(name)
			if err != nil {
				return read, hooks, err
			}
			for _, e := range entries {
				if !e.IsDir() && !tabooed(e.Name()) {
					files = append(files, filepath.Join(name, e.Name()))
				}
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return read, hooks, err
		}
		found, includes, err := readHooks(name, f)
		f.Close()
		if err != nil {
			return read, hooks, err
		}
		read = append(read, name)
		hooks = append(hooks, found...)
		files = append(files, includes...)
	}
	return read, hooks, nil
}

// tabooed says whether logrotate passes over a name in an included directory.
func tabooed(name string) bool {
	return slices.ContainsFunc([]string{".rpmorig", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-bak", ".dpkg-del",
		".disabled", ".ucf-old", ".ucf-dist", ".ucf-new", ".cfsaved", ".swp", ".v", "~"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// readHooks reads one file of logrotate's: the lines of its scripts, and what
// it includes.
func readHooks(name string, r io.Reader) (hooks []hook, includes []string, err error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	script := ""
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case script != "" && word == "endscript":
			script = ""
		case script != "":
			hooks = append(hooks, hook{file: name, line: n, script: script, text: line})
		case slices.Contains([]string{"postrotate", "prerotate", "firstaction", "lastaction", "preremove"}, word):
			script = word
		case word == "include":
			path := strings.Trim(strings.TrimSpace(rest), `"'`)
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(name), path)
			}
			includes = append(includes, path)
		}
	}
	if err := s.Err(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return hooks, includes, nil
}

var (
	balancers = regexp.MustCompile(`(?:^|[\s/"'=({])(haproxy|hapee-\S*lb|lb)(?:\.service|\.pid|\.sock)?(?:$|[\s/"';)}&|\x60])`)
	loggers   = regexp.MustCompile(`\b(?:rsyslogd?|syslog-ng|syslogd)\b`)
	restarts  = regexp.MustCompile(`\b(?:systemctl|service|rc-service|invoke-rc\.d|initctl)\b.*\b(?:try-)?restart\b|/init\.d/\S+\s+(?:force-|try-|cond)?restart\b|\bstop\b|\bstart\b`)
	reloads   = regexp.MustCompile(`\b(?:systemctl|service|rc-service|invoke-rc\.d|initctl|lb)\b.*\breload\b|/init\.d/\S+\s+(?:force-)?reload\b`)
	signals   = regexp.MustCompile(`\b(?:p?kill|killall|start-stop-daemon)\b|\bsystemctl\s.*\bkill\b|rsyslog-rotate`)
	// waits is what to write: it returns when the file is complete and closed.
	waits = regexp.MustCompile(`\bsyslogd\s+(?:reopen|rotate|flush|status)\b`)
)

// examine says what a line of a hook does to a daemon, if it does anything.
func examine(h hook) (finding, bool) {
	if waits.MatchString(h.text) {
		return finding{}, false
	}
	f := finding{hook: h}
	daemon := ""
	if m := balancers.FindStringSubmatch(h.text); m != nil {
		daemon, f.harm = m[1], true
	} else if daemon = loggers.FindString(h.text); daemon == "" {
		return finding{}, false
	}
	switch {
	case restarts.MatchString(h.text):
		f.what = "restarts " + daemon
	case reloads.MatchString(h.text):
		f.what = "reloads " + daemon
	case signals.MatchString(h.text):
		f.what = "signals " + daemon
	default:
		return finding{}, false
	}
	switch {
	case f.harm:
		f.advice = "A balancer has no log file to reopen: it logs to a socket. Remove this line, have the log daemon that owns the file reopen it, and wait for it: /usr/sbin/syslogd reopen >/dev/null"
	case strings.HasPrefix(f.what, "restarts"):
		f.advice = "What is sent while " + daemon + " is away is lost. Have it reopen its files instead; with syslogd: /usr/sbin/syslogd reopen >/dev/null"
	default:
		f.advice = "Nobody waits for " + daemon + " to reopen its file: keep delaycompress here, or lines written meanwhile are lost to the compressor. With syslogd, which answers when it is done: /usr/sbin/syslogd reopen >/dev/null"
	}
	return f, true
}
