package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lbsyslogd/syslogd/control"
)

// EnoughBuffer is the receive buffer, in bytes, below which a burst of access log lines over UDP may be lost on a busy machine: the
// kernel grants more only to a privileged process, or up to net.core.rmem_max.
const EnoughBuffer = 8 << 20

// Syslogd is a running syslogd with one output.
type Syslogd struct {
	*Process
	Log     string // the output's file
	Control string // the control socket
	UDP     string // host:port
	Unix    string // the datagram socket

	program string
}

// StartSyslogd starts syslogd with its files in dir and one output, dir/log/lb.log, rotated by rotate (a YAML flow mapping; "" for
// syslogd's defaults). It returns when the control socket answers.
func StartSyslogd(ctx context.Context, program, dir, host, rotate string) (*Syslogd, error) {
	ports, err := FreePorts(host, 1)
	if err != nil {
		return nil, err
	}
	s := &Syslogd{
		Log:     filepath.Join(dir, "log", "lb.log"),
		Control: filepath.Join(dir, "syslogd.sock"),
		UDP:     fmt.Sprintf("%s:%d", host, ports[0]),
		Unix:    filepath.Join(dir, "log.sock"),
		program: program,
	}
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listen: [\"udp://%s\", \"unix://%s\"]\ncontrol: %s\noutputs:\n  - match: \"*.*\"\n    file: %s\n", s.UDP, s.Unix, s.Control, s.Log)
	if rotate != "" {
		text += "    rotate: " + rotate + "\n"
	}
	config := filepath.Join(dir, "syslogd.yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.Process, err = Start(program, "-f", config); err != nil {
		return nil, err
	}
	err = s.await(ctx, "syslogd's control socket", func() bool {
		_, err := s.Status(ctx)
		return err == nil
	})
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Status asks the daemon for its counters.
func (s *Syslogd) Status(ctx context.Context) (control.Status, error) {
	text, err := s.Verb(ctx, "status", "--json")
	if err != nil {
		return control.Status{}, err
	}
	var st control.Status
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		return control.Status{}, fmt.Errorf("syslogd status --json: %w: %s", err, text)
	}
	return st, nil
}

// Verb runs one of syslogd's commands: reopen, rotate, flush.
func (s *Syslogd) Verb(ctx context.Context, name string, args ...string) (string, error) {
	return verb(ctx, s.program, append([]string{name, "-s", s.Control}, args...)...)
}

// Target is the address a balancer should log to without losing a line: UDP, as in production, if the kernel granted the receive
// buffer for it, and the unix socket otherwise.
func (s *Syslogd) Target(ctx context.Context) (string, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, in := range st.Inputs {
		if in.Name == "udp://"+s.UDP && in.ReceiveBuffer >= EnoughBuffer {
			return s.UDP, nil
		}
	}
	return s.Unix, nil
}
