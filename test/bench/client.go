package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// load is what sends a subject's requests. It begins paused; between rounds its connections stay as they are, so that a round measures requests and nothing
// else.
type load interface {
	resume() error
	pause() error
	stop() error
}

// counter is what knows how many requests were served: the loop for its own, the server for those of other programs.
type counter interface {
	count(ctx context.Context) (int64, error)
}

// program is a load generator of its own. SIGSTOP pauses it.
type program struct {
	proc *rig.Process
	bad  *regexp.Regexp // what it prints at the end if an answer was wrong
}

// startProgram starts the case's client, pinned to core.
func startProgram(c benchCase, addr *net.TCPAddr, dir string, core int) (*program, error) {
	scheme := "http"
	if c.tls {
		scheme = "https"
	}
	url := fmt.Sprintf("%s://%s%s", scheme, addr, c.path())
	p := &program{}
	var args []string
	switch c.client {
	case byHTTP1:
		args = []string{"wrk", "-t1", "-c", strconv.Itoa(c.conns), "-d", "1h", "--timeout", "60s"}
		if c.perConn {
			args = append(args, "-H", "Connection: close")
		}
		if c.upload {
			script := dir + "/upload.lua"
			text := fmt.Sprintf("wrk.method = 'POST'\nwrk.body = string.rep('x', %d)\n", c.size)
			if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
				return nil, err
			}
			args = append(args, "-s", script)
		}
		p.bad = regexp.MustCompile(`Non-2xx|Socket errors`)
	case byHTTP2:
		args = []string{"h2load", "-n", "1000000000", "-c", strconv.Itoa(c.conns), "-m", "10"}
	case byAB:
		args = []string{"ab", "-q", "-n", "20000000", "-t", "3600", "-c", strconv.Itoa(c.conns)}
		p.bad = regexp.MustCompile(`Non-2xx|Failed requests: +[1-9]`)
	}
	var err error
	p.proc, err = rig.Start("taskset", append(append([]string{"-c", strconv.Itoa(core)}, args...), url)...)
	return p, err
}

func (p *program) resume() error { return p.proc.Signal(syscall.SIGCONT) }
func (p *program) pause() error  { return p.proc.Signal(syscall.SIGSTOP) }

// stop ends the program, and returns what it complains about.
func (p *program) stop() error {
	if err := p.proc.Signal(syscall.SIGINT); err != nil {
		return err
	}
	if err := p.proc.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	select {
	case <-p.proc.Done(): // wrk and ab print what they have seen
	case <-time.After(3 * time.Second):
	}
	_ = p.proc.Stop() // its exit status is that of a program that was interrupted
	if out := p.proc.Output(); p.bad != nil && p.bad.MatchString(out) {
		return fmt.Errorf("the client complains:\n%s", out)
	}
	return nil
}
