package main

import (
	"fmt"
	"os"
	"strconv"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/safefile"
	"lbsyslogd/lb/worker"
)

// pidfile is the pid file of a process that serves itself. It is opened as
// long as the process is root, as whom it may write to /run, and written when
// everything serves, by when it is another user.
type pidfile struct {
	worker.Source
	path func(configured string) string
	file *os.File // nil without one
	made bool     // there was none before, and nothing is in it yet
}

// Open comes after the configuration was read and before root is given up.
func (p *pidfile) Open(plan *worker.Plan) (*handoff.Set, error) {
	if path := p.path(plan.Facts.Pidfile); path != "" {
		// It is not truncated: should this start fail, the file still names the old process.
		f, made, err := safefile.Open(path, 0o644)
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		p.file, p.made = f, made
	}
	return p.Source.Open(plan)
}

// write says that this process serves.
func (p *pidfile) write() error {
	if p.file == nil {
		return nil
	}
	p.made = false
	if err := p.file.Truncate(0); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	if _, err := p.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return nil
}

// remove removes the file if it still names this process, or nobody because
// this process did not come to serve.
func (p *pidfile) remove() {
	if p.file == nil {
		return
	}
	path := p.file.Name()
	p.file.Close()
	text, err := os.ReadFile(path)
	if err == nil && (string(text) == strconv.Itoa(os.Getpid())+"\n" || p.made && len(text) == 0) {
		_ = os.Remove(path) // a stale one does no harm
	}
}
