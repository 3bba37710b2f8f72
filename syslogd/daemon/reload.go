package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/receive"
)

// reload reads the configuration again and changes what has changed. Inputs and outputs that stay the same are not touched. An error
// means that nothing has changed at all. What it starts ends with run. said is what the operator should know.
func (d *Daemon) reload(run context.Context) (said []string, err error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.File == "" {
		return nil, errors.New("there is no configuration file to read again")
	}
	d.notify(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec())
	defer func() {
		state := d.summary()
		if err != nil {
			state = "the new configuration was refused: " + firstLine(err)
		}
		d.notify(sd.SdNotifyReady + "\nSTATUS=" + state)
	}()
	next, err := config.Load(d.File)
	if err != nil {
		return nil, err
	}
	d.localZone(next)
	if said, err = d.change(run, next); err == nil {
		d.Log.Info("the configuration was reloaded", "config", d.File, "now", strings.Join(said, "; "))
	}
	return said, err
}

// change makes the configuration next the current one. Called with reloading held.
func (d *Daemon) change(run context.Context, next *config.Config) (said []string, err error) {
	certs, err := d.certificates(next)
	if err != nil {
		return nil, err
	}
	oldInputs, oldOutputs := d.now()
	outputs, err := d.openOutputs(next, oldOutputs)
	if err != nil {
		return nil, err
	}
	table, err := d.compile(next, outputs)
	if err != nil {
		return nil, errors.Join(err, closeOutputs(without(outputs, oldOutputs)))
	}
	inputs, err := d.openInputs(run, next, found(oldInputs), nil)
	if err != nil {
		return nil, errors.Join(err, closeOutputs(without(outputs, oldOutputs)))
	}

	// From here on nothing fails.
	d.keep(inputs)
	d.resize(run, next, without(inputs, oldInputs))
	d.memory.SetLimit(next.Memory)
	d.mu.Lock()
	if d.first == nil {
		d.first = d.Config
	}
	d.Config, d.inputs, d.outputs = next, inputs, outputs
	d.leaving = closing{without(oldInputs, inputs), without(oldOutputs, outputs)}
	setInputLimits(next, inputs)
	setOutputLimits(next, outputs)
	old := d.table.Swap(table)
	if certs != nil { // else the inputs that are about to be closed may still be in a handshake
		d.certs.Store(certs)
	}
	for _, in := range without(inputs, oldInputs) {
		in.start(run, &d.tasks)
	}
	d.mu.Unlock()
	for _, in := range inputs {
		if s, ok := in.source.(*receive.Stream); ok {
			s.Review()
		}
	}
	d.resize(run, next, inputs)
	d.announce(inputs)
	// The old inputs still have messages for whichever table is current; the old outputs have what the old table gave them.
	err = d.discard(without(oldInputs, inputs), inputs)
	old.Retire()
	err = errors.Join(err, closeOutputs(without(oldOutputs, outputs)))
	startForwarding(without(outputs, oldOutputs))
	d.remember()
	if err != nil {
		d.Log.Error("close what the new configuration has no more", "err", err)
	}
	said = append(said, fmt.Sprintf("%d inputs (%d new), %d outputs (%d new)", len(inputs), len(without(inputs, oldInputs)),
		len(outputs), len(without(outputs, oldOutputs))))
	for _, key := range needRestart(d.first, next) {
		said = append(said, key+" differs from its value at the start; the new one takes effect at the next restart")
	}
	return append(said, next.Warnings...), nil
}

// remember keeps what was counted by inputs and outputs that are closed now, so that the totals go on adding up.
func (d *Daemon) remember() {
	d.mu.Lock()
	leaving, past := d.leaving, d.past
	d.mu.Unlock()
	past = leaving.total(past)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.past, d.leaving = past, closing{}
}

// total adds what was counted so far to what was counted before.
func (c closing) total(past control.Total) control.Total {
	var s control.Status
	for _, in := range c.inputs {
		s.Inputs = append(s.Inputs, inputStatus(in, 0))
	}
	for _, o := range c.outputs {
		s.Outputs = append(s.Outputs, outputStatus(o))
	}
	s.AddUp(past)
	return s.Total
}

// needRestart is the keys that are others in b than in a, by which the process was started, and that are taken only when something is opened.
func needRestart(a, b *config.Config) (keys []string) {
	for _, k := range []struct {
		name    string
		changed bool
	}{
		{"control", a.Control != b.Control},
		{"metrics", a.Metrics != b.Metrics},
		{"max_message", a.MaxMessage != b.MaxMessage},
		{"receive_buffer", a.Buffer != b.Buffer},
		{"connections", a.Connections != b.Connections || a.ConnectionsEach != b.ConnectionsEach || a.Idle != b.Idle},
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	return keys
}

func firstLine(err error) string {
	text := err.Error()
	for i, c := range text {
		if c == '\n' {
			return text[:i]
		}
	}
	return text
}
