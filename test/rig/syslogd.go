package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
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
	Config  string // the configuration file

	program string
	held    *os.File // the UDP socket, if Hold was called
}

// SyslogdIn names the files of a syslogd that lives in dir, and picks its port, before it is started: the configuration's text needs them.
func SyslogdIn(dir, host string) (*Syslogd, error) {
	ports, err := FreePorts(host, 1)
	if err != nil {
		return nil, err
	}
	return &Syslogd{
		Log:     filepath.Join(dir, "log", "lb.log"),
		Control: filepath.Join(dir, "syslogd.sock"),
		UDP:     fmt.Sprintf("%s:%d", host, ports[0]),
		Unix:    filepath.Join(dir, "log.sock"),
		Config:  filepath.Join(dir, "syslogd.yaml"),
	}, nil
}

// Hold opens the UDP socket and keeps it over the daemon's deaths, as systemd does.
func (s *Syslogd) Hold() error {
	pc, err := net.ListenPacket("udp", s.UDP)
	if err != nil {
		return err
	}
	defer pc.Close()
	s.held, err = pc.(*net.UDPConn).File()
	return err
}

// Start starts the daemon with the configuration in s.Config, once more if it has ended. It returns when the control socket answers.
func (s *Syslogd) Start(ctx context.Context, program string) (err error) {
	cmd := exec.Command(program, "-f", s.Config)
	if s.held != nil {
		// systemd's protocol wants the daemon's pid, which only the process itself knows before it becomes the daemon.
		cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", program, "-f", s.Config)
		cmd.ExtraFiles = []*os.File{s.held}
	}
	s.program = program
	if s.Process, err = StartCommand(cmd); err != nil {
		return err
	}
	s.name = filepath.Base(program) // not the shell's
	err = s.await(ctx, "syslogd's control socket", func() bool {
		_, err := s.Status(ctx)
		return err == nil
	})
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

// StartSyslogd starts syslogd with its files in dir and one output, dir/log/lb.log, rotated by rotate (a YAML flow mapping; "" for
// syslogd's defaults). It returns when the control socket answers.
func StartSyslogd(ctx context.Context, program, dir, host, rotate string) (*Syslogd, error) {
	s, err := PrepareSyslogd(dir, host, rotate)
	if err != nil {
		return nil, err
	}
	return s, s.Start(ctx, program)
}

// PrepareSyslogd writes what StartSyslogd starts the daemon with.
func PrepareSyslogd(dir, host, rotate string) (*Syslogd, error) {
	s, err := SyslogdIn(dir, host)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(s.Log), 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listen: [\"udp://%s\", \"unix://%s\"]\ncontrol: %s\noutputs:\n  - match: \"*.*\"\n    file: %s\n", s.UDP, s.Unix, s.Control, s.Log)
	if rotate != "" {
		text += "    rotate: " + rotate + "\n"
	}
	return s, os.WriteFile(s.Config, []byte(text), 0o600)
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
