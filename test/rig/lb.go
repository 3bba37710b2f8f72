package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// LB is a balancer in master-worker mode.
type LB struct {
	*Process
	Config string // the configuration file
	Master string // the master's socket
	Stats  string // where the configuration should put the stats socket

	// Said is a file to which masters and workers append what they print; nil keeps it in memory, up to the master's end. With it, workers may
	// outlive their master for long.
	Said *os.File

	program, mode string
	pidfile       string
}

// LBIn names the files of a balancer that lives in dir, before it is started: the configuration's text needs them.
func LBIn(dir string) *LB {
	return &LB{
		Config:  filepath.Join(dir, "lb.cfg"),
		Master:  filepath.Join(dir, "master.sock"),
		Stats:   filepath.Join(dir, "stats.sock"),
		pidfile: filepath.Join(dir, "lb.pid"),
	}
}

// Start writes the configuration and starts the balancer with mode (-W or -Ws); it returns when the worker serves.
func (b *LB) Start(ctx context.Context, program, mode, config string) error {
	if err := b.Configure(config); err != nil {
		return err
	}
	b.program, b.mode = program, mode
	return b.begin(ctx)
}

// begin starts a master and waits until it serves.
func (b *LB) begin(ctx context.Context, more ...string) error {
	cmd := exec.Command(b.program, append([]string{b.mode, "-f", b.Config, "-p", b.pidfile, "-S", b.Master}, more...)...)
	if b.Said != nil {
		cmd.Stdout = b.Said
	}
	p, err := StartCommand(cmd)
	if err != nil {
		return err
	}
	b.Process = p
	return b.ready(ctx, p)
}

// Replace starts another balancer with -sf and the old one's pid, as an init script's restart does, and returns when the new one serves and the
// old one has left.
func (b *LB) Replace(ctx context.Context) error {
	old := b.Process
	if err := b.begin(ctx, "-sf", strconv.Itoa(old.PID)); err != nil {
		return err
	}
	return Until(ctx, "the old balancer to leave", func() bool { return !old.Running() })
}

// Restart ends the master alone and starts another one, as the unit's restart does: the workers serve meanwhile, and the new master finds them.
func (b *LB) Restart(ctx context.Context) error {
	old := b.Process
	if text, err := verb(ctx, b.program, "detach", "-S", b.Master); err != nil {
		return fmt.Errorf("detach: %w: %s", err, text)
	}
	select {
	case <-old.Done():
	case <-ctx.Done():
		return ctx.Err()
	}
	return b.begin(ctx)
}

// Revive kills the master alone, unless it is gone, and starts another one, which finds the workers.
func (b *LB) Revive(ctx context.Context) error {
	old := b.Process
	if old.Running() {
		if err := old.Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	<-old.Done()
	return b.begin(ctx)
}

// Upgrade runs `lb upgrade` and returns what it said.
func (b *LB) Upgrade(ctx context.Context) (string, error) {
	return verb(ctx, b.program, "upgrade", "-S", b.Master)
}

// ready waits until p serves, and stops it if it does not.
func (b *LB) ready(ctx context.Context, p *Process) error {
	// lb's master writes its pid only when its worker is ready; HAProxy's writes it earlier, so its sockets are asked too.
	err := p.await(ctx, "the balancer's pid file", func() bool {
		text, err := os.ReadFile(b.pidfile)
		if err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(p.PID) {
			return false
		}
		_, _, err = b.Workers()
		return err == nil
	})
	if err != nil {
		return errors.Join(err, p.Stop())
	}
	return nil
}

// Configure replaces the configuration file; a reload is the caller's to ask for.
func (b *LB) Configure(text string) error {
	return os.WriteFile(b.Config, []byte(text), 0o600)
}

// Reload runs `lb reload` and returns what it said.
func (b *LB) Reload(ctx context.Context, options ...string) (string, error) {
	return b.Verb(ctx, "reload", options...)
}

// Verb runs a command for the master.
func (b *LB) Verb(ctx context.Context, name string, words ...string) (string, error) {
	return verb(ctx, b.program, append([]string{name}, append(words, "-S", b.Master)...)...)
}

// Status runs `lb status`.
func (b *LB) Status(ctx context.Context) (string, error) {
	return verb(ctx, b.program, "status", "-S", b.Master)
}

// Command sends one command to the stats socket and returns the answer.
func (b *LB) Command(command string) (string, error) {
	return ask(b.Stats, command)
}

// MasterCommand sends a command to the master's socket.
func (b *LB) MasterCommand(command string) (string, error) { return ask(b.Master, command) }

// Info returns one number of `show info`.
func (b *LB) Info(name string) (int, error) {
	text, err := b.Command("show info")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("show info has no %s:\n%s", name, text)
}

// Workers returns the pids of the worker that serves and of those that finish what they had, as the master tells them.
func (b *LB) Workers() (serving int, leaving []int, err error) {
	text, err := ask(b.Master, "show proc")
	if err != nil {
		return 0, nil, err
	}
	old := false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "#" {
			old = f[1] == "old"
		}
		if len(f) < 2 || f[1] != "worker" {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		switch {
		case err != nil:
			return 0, nil, fmt.Errorf("show proc: %q", line)
		case old:
			leaving = append(leaving, pid)
		default:
			serving = pid
		}
	}
	if serving == 0 {
		return 0, leaving, fmt.Errorf("show proc names no worker:\n%s", text)
	}
	return serving, leaving, nil
}

// ask sends one command to a unix socket and reads the answer to its end, as `echo command | socat - SOCKET` does: HAProxy's master
// closes only when its client has ended.
func ask(socket, command string) (string, error) {
	c, err := net.DialTimeout("unix", socket, 20*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", err
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}
