// Package daemon puts syslogd together: sockets, readers, stages, outputs, the control socket, signals and systemd.
//
//  1. Run opens the outputs, then the sockets, then the control socket, and tells systemd that it is ready (build.go),
//  2. each socket has a Reader with a route.Stage, each connection a goroutine, each output a goroutine (receive, route, write),
//  3. commands and signals go to the same few methods (commands.go),
//  4. at the end clients are informed, then the Readers end, then the outputs write what they were given and sync.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/ledger"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/route"
	"lbsyslogd/syslogd/seldom"
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
	// Sinks opens what outputs can be sent to besides syslog servers, by the scheme of the address.
	Sinks map[string]OpenSink
	// Now is the clock of this machine, which somebody may set; nil: time.Now.
	Now func() time.Time
	// Ready is called once all is open; nil: nobody wants to know.
	Ready func()
	Log   *slog.Logger

	started time.Time
	first   *config.Config // what it was started with; nil before a reload. Guarded by reloading
	table   atomic.Pointer[route.Table]
	certs   atomic.Pointer[receive.Certs] // nil when nothing listens with TLS
	self    route.Counts                  // of the lines that are our own
	ledger  *ledger.Book                  // what senders say they have sent, and what came
	tasks   sync.WaitGroup
	orders  coalescer
	memory  rotate.Memory // what waits in all outputs

	// reloading is held by one reload at a time, and read-locked by the commands for outputs: one that a reload is still closing has its
	// file open too.
	reloading sync.RWMutex
	// mu guards the fields below, Config, and the start of an input. The slices are replaced, never changed.
	mu      sync.Mutex
	inputs  []*input
	outputs []*output
	leaving closing       // by the reload that is under way
	past    control.Total // of inputs and outputs that a reload has closed
}

// closing is what a reload closes.
type closing struct {
	inputs  []*input
	outputs []*output
}

// An output is a write.Output or a write.Set with what it was configured as.
type output struct {
	writer
	config  config.Output
	forward sender // nil: not forwarded
	limit   route.Limiter
}

// Close ends the forwarding, writes what the output was given and closes the file.
func (o *output) Close() error {
	var err error
	if o.forward != nil {
		err = o.forward.Close()
	}
	return errors.Join(err, o.writer.Close())
}

// A writer is a write.Output or a write.Set.
type writer interface {
	Name() string
	Busy() bool
	Each(do func(o *write.Output) error) error
	Drain(ctx context.Context) error
	Close() error
}

// A source is a receive.Reader, a receive.Group or a receive.Stream.
type source interface {
	Run(ctx context.Context)
	Barrier(ctx context.Context) error
	Counts() receive.Counts
	Describe() receive.Description
	Give(to func(nth, fd int) error) error
	TakeBack()
	Close() error
}

// input is a source and what its Stages counted.
type input struct {
	source
	listen  config.Listen
	readers atomic.Int32   // that the configuration wants; of UDP
	kept    map[int]string // the names under which the Keeper has its sockets
	counts  route.Counts
	stop    context.CancelFunc
	ended   chan struct{}
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
	if err := control.Free(d.Config.Control.Path); err != nil {
		return err // the files have a daemon already
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGUSR1, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)

	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		d.endStreams()
		cancel()
		d.tasks.Wait()
		err = errors.Join(err, closeInputs(d.inputs), closeOutputs(d.outputs), d.ledger.Close())
	}()
	d.openLedger()
	d.localZone(d.Config)
	certs, err := d.certificates(d.Config)
	if err != nil {
		return err
	}
	d.certs.Store(certs)
	d.memory.SetLimit(d.Config.Memory)
	if d.outputs, err = d.openOutputs(d.Config, nil); err != nil {
		return err
	}
	table, err := d.compile(d.Config, d.outputs)
	if err != nil {
		return err
	}
	d.table.Store(table)
	setOutputLimits(d.Config, d.outputs)
	if d.inputs, err = d.openInputs(ctx, d.Config, nil, d.Passed); err != nil {
		return err
	}
	setInputLimits(d.Config, d.inputs)
	d.keep(d.inputs)
	server, err := control.Listen(d.Config.Control.Path, d.Config.Control.Mode, d.commands(ctx), d.Log)
	if err != nil {
		return err
	}
	if err := d.serveMetrics(ctx); err != nil {
		return errors.Join(err, server.Close())
	}
	startForwarding(d.outputs) // nothing fails any more: a start that is refused has sent nothing
	d.resize(ctx, d.Config, d.inputs)
	for _, in := range d.inputs {
		in.start(ctx, &d.tasks)
	}
	d.announce(d.inputs)
	defer d.silence()
	d.Log.Info("ready", "inputs", names(d.inputs), "outputs", names(d.outputs))
	place := d.Config.Control
	d.tasks.Go(func() { d.watchPaths(ctx, server, place) }) // from here on a reload may change what mu guards
	d.tasks.Go(func() { d.watchDrops(ctx) })
	d.tasks.Go(func() { d.watchLimits(ctx) })
	d.tasks.Go(func() { d.watchdog(ctx) })

	d.notify(sd.SdNotifyReady + "\nSTATUS=" + d.summary())
	if d.Ready != nil {
		d.Ready()
	}
	for {
		select {
		case s := <-signals:
			if s == unix.SIGTERM || s == unix.SIGINT {
				d.Log.Info("stopping", "totals", d.summary())
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

// endStreams has clients end their connections, for which they have a moment; datagrams are read meanwhile.
func (d *Daemon) endStreams() {
	var ended []chan struct{}
	d.mu.Lock()
	for _, in := range d.inputs {
		if _, ok := in.source.(*receive.Stream); ok && in.stop != nil {
			in.stop()
			ended = append(ended, in.ended)
		}
	}
	d.mu.Unlock()
	for _, e := range ended {
		<-e
	}
}

// onSignal does what the command of the same meaning does, and has only the log to tell how it went.
func (d *Daemon) onSignal(ctx context.Context, s os.Signal) {
	limited, cancel := context.WithTimeout(ctx, signalTime)
	defer cancel()
	var err error
	switch s {
	case unix.SIGHUP:
		_, err = d.order(limited, ctx, "reopen", "")
		if d.File != "" {
			_, reloadErr := d.order(limited, ctx, "reload", "")
			err = errors.Join(err, reloadErr)
		}
	case unix.SIGUSR1:
		_, err = d.order(limited, ctx, "rotate", "")
	}
	if err != nil {
		d.Log.Error("after "+s.(syscall.Signal).String(), "err", err)
	}
}

const (
	signalTime  = 30 * time.Second
	dropsPeriod = time.Second
	dropsPause  = time.Minute
)

// dropsTold is what is known of the drops of an input or an output. Owned by watchDrops.
type dropsTold struct {
	marked, logged uint64
	last           time.Time // when the journal heard of them
}

// watchDrops tells when the kernel had to drop messages, with the number: those outputs that take syslog.warning once a second at
// most, the journal at once and then once a minute at most. The journal also hears of outputs whose queue was full.
func (d *Daemon) watchDrops(ctx context.Context) {
	ticker := time.NewTicker(dropsPeriod)
	defer ticker.Stop()
	told, slow := make(map[*input]*dropsTold), make(map[*output]*dropsTold)
	marks := route.NewStage(&d.table, &d.self)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		inputs, outputs := d.now()
		maps.DeleteFunc(told, func(in *input, _ *dropsTold) bool { return !slices.Contains(inputs, in) })
		maps.DeleteFunc(slow, func(o *output, _ *dropsTold) bool { return !slices.Contains(outputs, o) })
		for _, o := range outputs {
			t := slow[o]
			if t == nil {
				t = new(dropsTold)
				slow[o] = t
			}
			if now := outputStatus(o).RingOverflow; now > t.logged && time.Since(t.last) >= dropsPause {
				d.Log.Warn("lines were dropped because the disk is too slow and the queue full; the file says where", "SYSLOGD_OUTPUT", o.Name(),
					"lines", now-t.logged, "since_start", now)
				t.logged, t.last = now, time.Now()
			}
		}
		for _, in := range inputs {
			t := told[in]
			if t == nil {
				t = new(dropsTold)
				told[in] = t
			}
			now, what := in.Counts().KernelDrops, in.Describe()
			if now > t.marked {
				d.mark(marks, fmt.Sprintf("the kernel dropped %d messages of %s because the receive buffer was full", now-t.marked, what.Name))
				t.marked = now
			}
			if now > t.logged && time.Since(t.last) >= dropsPause {
				d.Log.Warn("the kernel dropped messages because the receive buffer was full", "input", what.Name,
					"messages", now-t.logged, "since_start", now, "receive_buffer", what.Buffer)
				t.logged, t.last = now, time.Now()
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
	stuck := seldom.Report{Say: func(n int, why error) { d.Log.Error("a reader does not read", "number", n, "err", why) }}
	defer stuck.Stop()
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
				stuck.Note(err)
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
	// Beats are received too, and nobody would look for them among what is written.
	text := fmt.Sprintf("%d received, %d written, %d dropped by the kernel", s.Total.Received-s.Total.Beats, s.Total.Written, s.Total.KernelDrops)
	for _, o := range s.Outputs {
		if o.Waiting > 0 && len(o.Errors) > 0 {
			text += fmt.Sprintf("; %s: %d lines wait: %s", o.Name, o.Waiting, o.Errors[0])
		}
	}
	return text
}

// names lists inputs or outputs for an operator.
func names[T interface{ String() string }](list []T) string {
	var all []string
	for _, x := range list {
		all = append(all, x.String())
	}
	return strings.Join(all, ", ")
}

func (in *input) String() string { return in.listen.String() }
func (o *output) String() string { return o.Name() }

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
