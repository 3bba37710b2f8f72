// Package daemon puts syslogd together: sockets, readers, stages, outputs, the control socket, signals and systemd.
//
//  1. Run opens the outputs, then the sockets, then the control socket, and tells systemd that it is ready (build.go),
//  2. each socket has a Reader on its own thread with a route.Stage, each output a goroutine (receive, route, write),
//  3. commands and signals go to the same few methods (commands.go),
//  4. when ctx is done, the Readers end first, then the outputs write what they were given and sync.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/route"
	"lbsyslogd/syslogd/write"
)

// Daemon is a running syslogd.
type Daemon struct {
	// Config is what to run.
	Config *config.Config
	// File is where Config was read from, empty for the built-in one.
	File string
	// Version is what status reports.
	Version string
	// Executable compresses rotated files when it is started with CompressArg; empty: this process does it itself.
	Executable string
	Log        *slog.Logger

	// Immutable once Run has started everything.
	started time.Time
	inputs  []*input
	outputs []*write.Output
	shared  route.Shared
	table   atomic.Pointer[route.Table]
}

// A source is a receive.Reader or a receive.Stream.
type source interface {
	Run(ctx context.Context)
	Barrier(ctx context.Context) error
	Counts() receive.Counts
	Describe() receive.Description
	Close() error
}

// input is a source and what its Stages counted.
type input struct {
	source
	counts route.Counts
}

// Run runs until ctx is done, or SIGTERM or SIGINT arrives. An error means that it could not start, or that lines given to an
// output could not be written at the end.
func (d *Daemon) Run(ctx context.Context) (err error) {
	d.started = time.Now()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGUSR1, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)

	if err := d.openOutputs(); err != nil {
		return errors.Join(err, d.closeOutputs())
	}
	defer func() { err = errors.Join(err, d.closeOutputs()) }()
	if err := d.openInputs(ctx); err != nil {
		return errors.Join(err, d.closeInputs())
	}
	defer func() { err = errors.Join(err, d.closeInputs()) }()
	server, err := control.Listen(d.Config.Control.Path, d.Config.Control.Mode, d.commands(), d.Log)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel() // runs before Wait
	for _, in := range d.inputs {
		tasks.Go(func() { in.Run(ctx) })
	}
	tasks.Go(func() { server.Serve(ctx) })
	tasks.Go(func() { d.watchDrops(ctx) })
	tasks.Go(func() { d.watchdog(ctx) })

	d.notify(sd.SdNotifyReady + "\nSTATUS=" + d.summary())
	d.Log.Info("ready", "inputs", len(d.inputs), "outputs", len(d.outputs), "control", d.Config.Control.Path)
	for {
		select {
		case s := <-signals:
			if s == unix.SIGTERM || s == unix.SIGINT {
				d.Log.Info("stopping", "signal", s.String())
				d.notify(sd.SdNotifyStopping)
				return nil
			}
			tasks.Go(func() { d.onSignal(ctx, s) })
		case <-ctx.Done():
			d.notify(sd.SdNotifyStopping)
			return nil
		}
	}
}

// onSignal does what the command of the same meaning does, and has only the log to tell how it went.
func (d *Daemon) onSignal(ctx context.Context, s os.Signal) {
	ctx, cancel := context.WithTimeout(ctx, signalTime)
	defer cancel()
	var err error
	switch s {
	case unix.SIGHUP:
		_, err = d.reopen(ctx, "")
	case unix.SIGUSR1:
		_, err = d.rotate(ctx, "")
	}
	if err != nil {
		d.Log.Error("after "+s.(syscall.Signal).String(), "err", err)
	}
}

const (
	signalTime  = 30 * time.Second
	dropsPeriod = time.Second
)

// watchDrops tells the log when the kernel had to drop messages: once a second at most, with the number.
func (d *Daemon) watchDrops(ctx context.Context) {
	ticker := time.NewTicker(dropsPeriod)
	defer ticker.Stop()
	told := make([]uint64, len(d.inputs))
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for i, in := range d.inputs {
			now := in.Counts().KernelDrops
			if now > told[i] {
				what := in.Describe()
				d.Log.Warn("the kernel dropped messages because the receive buffer was full", "input", what.Name,
					"messages", now-told[i], "since_start", now, "receive_buffer", what.Buffer)
				told[i] = now
			}
		}
	}
}

// watchdog tells systemd that the readers still read, as often as it wants to know.
func (d *Daemon) watchdog(ctx context.Context) {
	period, err := sd.SdWatchdogEnabled(false)
	if err != nil || period == 0 {
		return
	}
	ticker := time.NewTicker(period / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := d.barrier(ctx); err == nil {
			d.notify(sd.SdNotifyWatchdog + "\nSTATUS=" + d.summary())
		}
	}
}

// summary is the line that systemctl status shows.
func (d *Daemon) summary() string {
	s := d.status()
	return fmt.Sprintf("%d received, %d written, %d dropped by the kernel", s.Total.Received, s.Total.Written, s.Total.KernelDrops)
}

// notify tells systemd; without one it does nothing.
func (d *Daemon) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		d.Log.Debug("notify systemd", "err", err)
	}
}
