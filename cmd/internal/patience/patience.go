// Package patience has a daemon wait before a start that will most likely fail as the ones before it did. systemd tries again a moment
// after a start has failed, which is right for a daemon that died, and with a configuration that is wrong it would fill the journal with
// the same lines several times a second.
package patience

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Patience is the memory of failed starts.
type Patience struct {
	Unit   string   // what systemd calls the daemon
	Path   string   // remembers failed starts from one process to the next; "" does nothing
	Config []string // files whose change ends the wait
	Notify func(status string)
	// Write writes the file at Path, whose directory may be somebody else's.
	Write func(path string, data []byte, mode os.FileMode) error
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
func (p *Patience) remembered() (f failures) {
	text, err := os.ReadFile(p.Path)
	if err != nil || json.Unmarshal(text, &f) != nil || time.Since(f.Last) > forgiven || time.Since(f.Last) < 0 {
		return failures{}
	}
	return f
}

// Failed is called when a start has failed.
func (p *Patience) Failed() {
	if p.Path == "" {
		return
	}
	f := p.remembered()
	if p.changed(f.Last) {
		f.Row = 0
	}
	text, err := json.Marshal(failures{f.Row + 1, time.Now()})
	if err == nil {
		// Where it cannot be written the next start does not wait.
		_ = p.Write(p.Path, text, 0o600)
	}
}

// Worked is called when a start has not failed.
func (p *Patience) Worked() {
	if p.Path != "" {
		_ = os.Remove(p.Path) // as a rule there is nothing
	}
}

// Wait waits, unless something has changed since the last failure. A signal to
// end ends the wait: ok is false then.
func (p *Patience) Wait(signals <-chan os.Signal) (ok bool) {
	if p.Path == "" {
		return true
	}
	f := p.remembered()
	d := pauseAfter(f.Row)
	if d == 0 {
		return true
	}
	p.Notify(fmt.Sprintf("%d starts in a row failed (journalctl -u %s -p err); the next one is in %v, or when the configuration changes", f.Row, p.Unit, d))
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
func (p *Patience) changed(since time.Time) bool {
	for _, name := range p.Config {
		names, _ := filepath.Glob(filepath.Join(name, "*")) // of a directory; a file has none
		for _, name := range append(names, name) {
			if st, err := os.Stat(name); err == nil && st.ModTime().After(since) {
				return true
			}
		}
	}
	return false
}
