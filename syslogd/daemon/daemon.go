// Package daemon puts syslogd together: sockets, readers, stages, outputs, the control socket, signals and systemd.
//
//  1. Run opens the outputs, then the sockets, then the control socket, and tells systemd that it is ready (build.go),
//  2. each socket has a Reader with a route.Stage, each connection a goroutine, each output a goroutine (receive, route, write),
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
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/forward"
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
	// Passed are the sockets that were handed over at the start. They belong to Run.
	Passed []Passed
	// Keeper keeps our sockets when this process goes; nil: nobody does.
	Keeper Keeper
	Log    *slog.Logger

	started time.Time
	table   atomic.Pointer[route.Table]
	self    route.Counts // of the lines that are our own
	tasks   sync.WaitGroup

	// reloading is held by one reload at a time.
	reloading sync.Mutex
	// mu guards the fields below and Config. The slices are replaced, never changed.
	mu      sync.Mutex
	inputs  []*input
	outputs []*output
	past    control.Total // of inputs and outputs that a reload has closed
}

// An output is a write.Output or a write.Set with what it was configured as.
type output struct {
	sink
	config     config.Output
	forward    *forward.Forwarder // nil: not forwarded
	forwarding bool               // it was started
}

// Close ends the forwarding, writes what the output was given and closes the file.
func (o *output) Close() error {
	var err error
	if o.forward != nil && o.forwarding {
		err = o.forward.Close()
	}
	return errors.Join(err, o.sink.Close())
}

// A sink is a write.Output or a write.Set.
type sink interface {
	Name() string
	Busy() bool
	Each(do func(o *write.Output) error) error
	Drain(ctx context.Context) error
	Close() error
}

// A source is a receive.Reader or a receive.Stream.
type source interface {
	Run(ctx context.Context)
	Barrier(ctx context.Context) error
	Counts() receive.Counts
	Describe() receive.Description
	Give(to func(fd int) error) error
	TakeBack()
	Close() error
}

// input is a source and what its Stages counted.
type input struct {
	source
	listen config.Listen
	kept   string // the name under which the Keeper has it; empty: it does not
	counts route.Counts
	stop   context.CancelFunc
	ended  chan struct{}
}

// start runs the source until ctx is done or finish is called.
func (in *input) start(ctx context.Context, tasks *sync.WaitGroup) {
	ctx, in.stop = context.WithCancel(ctx)
	in.ended = make(chan struct{})
	tasks.Go(func() {
		defer close(in.ended)
		in.Run(ctx)
	})
}

// finish ends the source and closes it.
func (in *input) finish() error {
	if in.stop != nil {
		in.stop()
		<-in.ended
	}
	return in.Close()
}

// Run runs until ctx is done, or SIGTERM or SIGINT arrives. An error means that it could not start, or that lines given to an
// output could not be written at the end.
func (d *Daemon) Run(ctx context.Context) (err error) {
	d.started = time.Now()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGUSR1, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)

	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		d.tasks.Wait()
		err = errors.Join(err, closeInputs(d.inputs), closeOutputs(d.outputs))
	}()
	if d.outputs, err = d.openOutputs(d.Config, nil); err != nil {
		return err
	}
	if err := startForwarding(d.outputs); err != nil {
		return err
	}
	table, err := d.compile(d.Config, d.outputs)
	if err != nil {
		return err
	}
	d.table.Store(table)
	if d.inputs, err = d.openInputs(ctx, d.Config, nil, d.Passed); err != nil {
		return err
	}
	d.keep(d.inputs)
	server, err := control.Listen(d.Config.Control.Path, d.Config.Control.Mode, d.commands(ctx), d.Log)
	if err != nil {
		return err
	}
	if err := d.serveMetrics(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	for _, in := range d.inputs {
		in.start(ctx, &d.tasks)
	}
	d.Log.Info("ready", "inputs", len(d.inputs), "outputs", len(d.outputs), "control", d.Config.Control.Path)
	d.tasks.Go(func() { server.Serve(ctx) }) // from here on a reload may change what mu guards
	d.tasks.Go(func() { d.watchDrops(ctx) })
	d.tasks.Go(func() { d.watchdog(ctx) })

	d.notify(sd.SdNotifyReady + "\nSTATUS=" + d.summary())
	for {
		select {
		case s := <-signals:
			if s == unix.SIGTERM || s == unix.SIGINT {
				d.Log.Info("stopping", "signal", s.String())
				d.notify(sd.SdNotifyStopping)
				return nil
			}
			d.tasks.Go(func() { d.onSignal(ctx, s) })
		case <-ctx.Done():
			d.notify(sd.SdNotifyStopping)
			return nil
		}
	}
}

// onSignal does what the command of the same meaning does, and has only the log to tell how it went.
func (d *Daemon) onSignal(ctx context.Context, s os.Signal) {
	limited, cancel := context.WithTimeout(ctx, signalTime)
	defer cancel()
	var err error
	switch s {
	case unix.SIGHUP:
		_, err = d.reopen(limited, "")
		if d.File != "" {
			_, reloadErr := d.reload(ctx)
			err = errors.Join(err, reloadErr)
		}
	case unix.SIGUSR1:
		_, err = d.rotate(limited, "")
	}
	if err != nil {
		d.Log.Error("after "+s.(syscall.Signal).String(), "err", err)
	}
}

const (
	signalTime  = 30 * time.Second
	dropsPeriod = time.Second
)

// watchDrops tells when the kernel had to drop messages, the journal and those outputs that take syslog.warning: once a second at
// most, with the number.
func (d *Daemon) watchDrops(ctx context.Context) {
	ticker := time.NewTicker(dropsPeriod)
	defer ticker.Stop()
	told := make(map[*input]uint64)
	marks := route.NewStage(&d.table, &d.self)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		inputs, _ := d.now()
		for _, in := range inputs {
			now := in.Counts().KernelDrops
			if now > told[in] {
				what := in.Describe()
				d.Log.Warn("the kernel dropped messages because the receive buffer was full", "input", what.Name,
					"messages", now-told[in], "since_start", now, "receive_buffer", what.Buffer)
				d.mark(marks, fmt.Sprintf("the kernel dropped %d messages of %s because the receive buffer was full", now-told[in], what.Name))
				told[in] = now
			}
		}
	}
}

// watchdog tells systemd that the readers still read, as often as it wants to know. One that waits for a disk is not stuck in a way
// that a restart would help: that would only lose what waits in memory.
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
		limited, cancel := context.WithTimeout(ctx, period/4)
		err := d.barrier(limited)
		cancel()
		state := d.summary()
		if err != nil {
			if !d.diskBusy() {
				d.Log.Error("a reader does not read", "err", err)
				continue
			}
			state = "waiting for the disk; " + state
		}
		d.notify(sd.SdNotifyWatchdog + "\nSTATUS=" + state)
	}
}

func (d *Daemon) diskBusy() bool {
	_, outputs := d.now()
	return slices.ContainsFunc(outputs, func(o *output) bool { return o.Busy() })
}

// summary is the line that systemctl status shows.
func (d *Daemon) summary() string {
	s := d.status()
	return fmt.Sprintf("%d received, %d written, %d dropped by the kernel", s.Total.Received, s.Total.Written, s.Total.KernelDrops)
}

// now is the inputs and outputs of this moment.
func (d *Daemon) now() ([]*input, []*output) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inputs, d.outputs
}

// notify tells systemd; without one it does nothing.
func (d *Daemon) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		d.Log.Debug("notify systemd", "err", err)
	}
}
