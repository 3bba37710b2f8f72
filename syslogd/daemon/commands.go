package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/message"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/write"
)

// commands are what the control socket understands.
func (d *Daemon) commands(run context.Context) map[string]control.Command {
	say := func(reply io.Writer, lines []string, err error) error {
		for _, line := range lines {
			fmt.Fprintln(reply, line)
		}
		return err
	}
	onOutputs := func(verb string) control.Command {
		return func(ctx context.Context, args []string, reply io.Writer) error {
			output, err := outputArg(args)
			if err != nil {
				return err
			}
			lines, err := d.order(ctx, run, verb, output)
			return say(reply, lines, err)
		}
	}
	return map[string]control.Command{
		"reopen": onOutputs("reopen"),
		"rotate": onOutputs("rotate"),
		"flush":  onOutputs("flush"),
		"status": d.answerStatus,
		"reload": func(ctx context.Context, args []string, reply io.Writer) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected %q", strings.Join(args, " "))
			}
			lines, err := d.order(ctx, run, "reload", "")
			return say(reply, lines, err)
		},
	}
}

// orderTime bounds what one order may take, however many wait for it.
const orderTime = 2 * time.Minute

// order carries out a command, once for all who give it while another is under way. run is the daemon's own context.
func (d *Daemon) order(ctx, run context.Context, verb, output string) ([]string, error) {
	return d.orders.do(ctx, strings.TrimSpace(verb+" "+output), d.tasks.Go, func() ([]string, error) {
		limited, cancel := context.WithTimeout(run, orderTime)
		defer cancel()
		switch verb {
		case "reopen":
			return d.reopen(limited, output)
		case "rotate":
			return d.rotate(limited, output)
		case "flush":
			return d.flush(limited, output)
		}
		return d.reload(run) // what it starts lives on after the command
	})
}

// outputArg reads "--output NAME", the only argument there is. A name may have spaces.
func outputArg(args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	if args[0] != "--output" || len(args) < 2 {
		return "", fmt.Errorf("unexpected %q; want --output NAME or nothing", strings.Join(args, " "))
	}
	return strings.Join(args[1:], " "), nil
}

// each brings everything that was sent before the call into the files, and then does something with each output, or with one. Outputs do not wait for
// each other: the disk of one may hang.
func (d *Daemon) each(ctx context.Context, name string, do func(o *write.Output) (string, error)) (lines []string, err error) {
	d.reloading.RLock()
	defer d.reloading.RUnlock()
	if err := d.barrier(ctx); err != nil {
		return nil, err
	}
	_, outputs := d.now()
	if name != "" {
		known := make([]string, 0, len(outputs))
		for _, o := range outputs {
			known = append(known, o.Name())
		}
		outputs = slices.DeleteFunc(slices.Clone(outputs), func(o *output) bool { return o.Name() != name })
		if len(outputs) == 0 {
			return nil, fmt.Errorf("there is no output %q; %s are", name, strings.Join(known, ", "))
		}
	}
	type result struct {
		lines []string
		err   error
	}
	results := make([]result, len(outputs))
	var all sync.WaitGroup
	for i, o := range outputs {
		all.Go(func() {
			r := &results[i]
			if r.err = o.Drain(ctx); r.err != nil {
				return
			}
			err := o.Each(func(of *write.Output) error {
				line, err := do(of)
				if err == nil {
					r.lines = append(r.lines, line)
				}
				return err
			})
			if err != nil {
				r.err = fmt.Errorf("output %s: %w", o.Name(), err)
			}
		})
	}
	all.Wait()
	var problems []error
	for _, r := range results {
		lines = append(lines, r.lines...)
		problems = append(problems, r.err)
	}
	return lines, errors.Join(problems...)
}

// barrier returns when the readers have taken what was in their sockets.
func (d *Daemon) barrier(ctx context.Context) error {
	inputs, _ := d.now()
	for _, in := range inputs {
		if err := in.Barrier(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) reopen(ctx context.Context, name string) ([]string, error) {
	return d.each(ctx, name, func(o *write.Output) (string, error) {
		r, err := o.File().Reopen()
		return fmt.Sprintf("%s: inode %d -> %d, %d bytes written to the old file", o.Name(), r.OldInode, r.NewInode, r.Bytes), err
	})
}

func (d *Daemon) rotate(ctx context.Context, name string) ([]string, error) {
	return d.each(ctx, name, func(o *write.Output) (string, error) {
		r, err := o.File().Rotate()
		if r.To == "" {
			return o.Name() + ": nothing to rotate, the file is empty", err
		}
		return fmt.Sprintf("%s: %d bytes are now %s", o.Name(), r.Bytes, r.To), err
	})
}

func (d *Daemon) flush(ctx context.Context, name string) ([]string, error) {
	return d.each(ctx, name, func(o *write.Output) (string, error) {
		err := o.File().Flush()
		return fmt.Sprintf("%s: %d lines written", o.Name(), o.Counts().Written), err
	})
}

func (d *Daemon) answerStatus(_ context.Context, args []string, reply io.Writer) error {
	s := d.status()
	if len(args) == 1 && args[0] == "--json" {
		e := json.NewEncoder(reply)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	if len(args) > 0 {
		return fmt.Errorf("unexpected %q; want --json or nothing", strings.Join(args, " "))
	}
	return s.WriteTable(reply, time.Now())
}

// hintBuffer is the receive buffer below which a burst of some hundred thousand messages does not fit.
const hintBuffer = 32 << 20

// worstSenders is how many of the senders that miss something status lists.
const worstSenders = 20

func (d *Daemon) status() *control.Status {
	d.mu.Lock()
	inputs, outputs, wanted, leaving, past := d.inputs, d.outputs, d.Config.Buffer, d.leaving, d.past
	d.mu.Unlock()
	s := &control.Status{Version: d.Version, PID: os.Getpid(), Started: d.started, Config: d.File}
	for _, in := range inputs {
		s.Inputs = append(s.Inputs, inputStatus(in, wanted))
	}
	if n := d.self.Received.Load(); n > 0 {
		s.Inputs = append(s.Inputs, control.Input{Name: "syslogd itself", Received: n, Routed: d.self.Routed.Load(), Unmatched: d.self.Unmatched.Load()})
	}
	for _, o := range outputs {
		s.Outputs = append(s.Outputs, outputStatus(o))
	}
	s.AddUp(leaving.total(past))
	s.Ledger = d.ledgerStatus()
	return s
}

// inputStatus is what is known of an input for which a receive buffer of so many bytes was wanted.
func inputStatus(in *input, wanted int) control.Input {
	what, c, n := in.Describe(), in.Counts(), &in.counts
	i := control.Input{
		Name: what.Name, Address: what.Address, ReceiveBuffer: what.Buffer, Connections: c.Connections, Refused: c.Refused,
		Received: n.Received.Load(), Bytes: c.Bytes, KernelDrops: c.KernelDrops, EarlierDrops: c.EarlierDrops,
		ReceiveErrors: c.ReceiveErrors, Routed: n.Routed.Load(), Unmatched: n.Unmatched.Load(),
		Oversized: n.Oversized.Load(), Cut: n.Cut.Load(), CutBytes: n.CutBytes.Load(), Denied: n.Denied.Load(), Limited: n.Limited.Load(), Undecodable: n.Empty.Load(), Beats: n.Beats.Load(),
		Broken: c.Broken, HandshakesFailed: c.HandshakesFailed, LastHandshake: c.LastHandshake, OutOfStep: c.OutOfStep,
		Acknowledged: c.Acknowledged, Unacknowledged: c.Unacknowledged, BadFrames: c.BadFrames, LastBadFrame: c.LastBadFrame,
	}
	if g, ok := in.source.(*receive.Group); ok {
		for _, c := range g.Each() {
			i.Readers = append(i.Readers, control.Reader{Received: c.Received, KernelDrops: c.KernelDrops, EarlierDrops: c.EarlierDrops})
		}
	}
	i.LimitedSenders = limitedStatus(&n.Limit)
	i.SequenceGaps, i.SequenceLate = n.Sequences.Totals()
	for _, q := range n.Sequences.Worst(worstSenders) {
		i.Gaps = append(i.Gaps, control.Sequence{Sender: q.Sender, Seen: q.Seen, Missing: q.Gaps - q.Late})
	}
	i.Hint = strings.Join(slices.DeleteFunc([]string{absent(what), smallBuffer(what, wanted), in.fewReaders(len(i.Readers))}, func(s string) bool { return s == "" }), "; ")
	return i
}

// smallBuffer says so when the kernel granted less than was wanted and a burst needs; empty otherwise.
func smallBuffer(what receive.Description, wanted int) string {
	if what.Buffer == 0 || what.Buffer >= hintBuffer || what.Buffer >= wanted {
		return ""
	}
	return fmt.Sprintf("the kernel granted %d KiB of receive buffer, so a burst of messages may be dropped; "+
		"run with CAP_NET_ADMIN or raise net.core.rmem_max to %d", what.Buffer>>10, wanted)
}

// absent says so as long as no interface has the address of an input; empty otherwise.
func absent(what receive.Description) string {
	if !what.Absent {
		return ""
	}
	address, err := netip.ParseAddrPort(what.Address)
	if err != nil {
		return ""
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, has := range interfaces {
		if n, ok := has.(*net.IPNet); ok && n.IP.Equal(address.Addr().WithZone("").AsSlice()) {
			return ""
		}
	}
	return fmt.Sprintf("no interface of this host has the address %s; messages arrive as soon as one has it", address.Addr())
}

func outputStatus(o *output) control.Output {
	var c write.SetCounts
	path := o.config.Path
	switch s := o.writer.(type) {
	case *write.Output:
		c.Counts, path = s.Counts(), s.File().Path()
	case *write.Set:
		c = s.Counts()
	}
	f := c.File
	s := control.Output{
		Name: o.Name(), File: path, Files: c.Open, Names: c.Names, Renamed: c.Renamed, Inode: f.Inode, Size: f.Size, Given: c.Given, Written: c.Written,
		Waiting: c.Waiting, RingOverflow: c.Overflow, DiskLost: c.Lost, Rotations: f.Rotations, Reopens: f.Reopens,
		Followed: f.Followed, Truncations: f.Truncations, Compressed: f.Compressed, Removed: f.Removed, Stalls: f.Stalls,
		Limited: o.limit.Dropped(),
		Forward: forwardStatus(o), Chain: chainStatus(f),
	}
	for _, e := range append([]string{f.WriteError, f.RotateError, f.ReopenError, f.CleanError, f.SyncError, f.ChainError}, c.Errors...) {
		if e != "" {
			s.Errors = append(s.Errors, e)
		}
	}
	if s.Forward != nil && s.Forward.Error != "" {
		s.Errors = append(s.Errors, "forward to "+s.Forward.To+": "+s.Forward.Error)
	}
	return s
}

// chainStatus is how the chain of an output's file is; nil: it keeps none.
func chainStatus(f rotate.Stats) *control.Chain {
	c := f.Chain
	if !c.Kept {
		return nil
	}
	s := &control.Chain{
		State: "ok", Journal: c.Journal, Records: c.Records, Lines: c.Lines, Adopted: c.Adopted, Waiting: c.Waiting, Last: c.Last,
		Failures: c.Failures, Error: f.ChainError,
	}
	if c.Journal == "" {
		s.State = "failed"
	}
	return s
}

// lossLine is the line that stands where lines are missing, in the form of all the others.
func lossLine(dst []byte, form format.Format, host string, l rotate.Loss) []byte {
	raw := message.AppendHeader(nil, message.Priority(message.Syslog, message.Warning), l.To, "", "syslogd", os.Getpid())
	raw = fmt.Appendf(raw, "lost %d messages (%d bytes) between %s and %s: %s", l.Lines, l.Bytes, l.From.Format(time.RFC3339),
		l.To.Format(time.RFC3339), l.Cause)
	var m message.Message
	m.Parse(raw)
	return form.Append(dst, &m, &format.Envelope{Received: l.To, Host: host, Raw: raw, Size: len(raw)})
}
