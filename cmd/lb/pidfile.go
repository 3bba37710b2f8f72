package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"lbsyslogd/lb/handoff"
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
		// Not O_TRUNC: should this start fail, the file still names the old process.
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		p.made = err == nil
		if errors.Is(err, os.ErrExist) {
			f, err = os.OpenFile(path, os.O_WRONLY, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		p.file = f
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
