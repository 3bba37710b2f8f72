package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/safefile"
)

// patience waits before a start that will most likely fail as the ones before
// it did. systemd tries again a moment after a start has failed, which is right
// for a master that died, and with a configuration that is wrong it would fill
// the journal with the same lines four times a second.
type patience struct {
	path   string   // remembers failed starts from one process to the next; "" does nothing
	config []string // files whose change ends the wait
	notify func(status string)
}

// failures is what is remembered.
type failures struct {
	Row  int       `json:"row"`
	Last time.Time `json:"last"`
}

const (
	longestWait = 5 * time.Second
	// forgiven is how long after a failed start the next one is a first one:
	// nobody but an operator comes so late.
	forgiven = time.Minute
	lookAt   = 100 * time.Millisecond
)

// pauseAfter is the wait before the start that follows so many failed ones.
func pauseAfter(row int) time.Duration {
	if row <= 1 {
		return 0
	}
	return min(500*time.Millisecond<<min(row-2, 8), longestWait)
}

// remembered reads what the processes before have left.
func (p *patience) remembered() (f failures) {
	text, err := os.ReadFile(p.path)
	if err != nil || json.Unmarshal(text, &f) != nil || time.Since(f.Last) > forgiven || time.Since(f.Last) < 0 {
		return failures{}
	}
	return f
}

// failed is called when a start has failed.
func (p *patience) failed() {
	if p.path == "" {
		return
	}
	f := p.remembered()
	if p.changed(f.Last) {
		f.Row = 0
	}
	text, err := json.Marshal(failures{f.Row + 1, time.Now()})
	if err == nil {
		// Where it cannot be written the next start does not wait.
		_ = safefile.Write(p.path, text, 0o600)
	}
}

// worked is called when a start has not failed.
func (p *patience) worked() {
	if p.path != "" {
		_ = os.Remove(p.path) // as a rule there is nothing
	}
}

// wait waits, unless something has changed since the last failure. A signal to
// end ends the wait: ok is false then.
func (p *patience) wait(signals <-chan os.Signal) (ok bool) {
	if p.path == "" {
		return true
	}
	f := p.remembered()
	d := pauseAfter(f.Row)
	if d == 0 {
		return true
	}
	p.notify(fmt.Sprintf("%d starts in a row failed (journalctl -u lb -p err); the next one is in %v, or when the configuration changes", f.Row, d))
	end := time.After(d)
	tick := time.NewTicker(lookAt)
	defer tick.Stop()
	for !p.changed(f.Last) {
		select {
		case <-end:
			return true
		case <-tick.C:
		case sig := <-signals:
			if !slices.Contains([]os.Signal{unix.SIGUSR2, unix.SIGHUP, unix.SIGPIPE, unix.SIGTTOU, unix.SIGTTIN}, sig) {
				return false
			}
		}
	}
	return true
}

// changed says whether a configuration file, or a directory of them, is newer
// than the last failure.
func (p *patience) changed(since time.Time) bool {
	for _, name := range p.config {
		names, _ := filepath.Glob(filepath.Join(name, "*")) // of a directory; a file has none
		for _, name := range append(names, name) {
			if st, err := os.Stat(name); err == nil && st.ModTime().After(since) {
				return true
			}
		}
	}
	return false
}
