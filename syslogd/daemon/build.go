package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/route"
	"lbsyslogd/syslogd/write"
)

func (d *Daemon) openOutputs() error {
	var rules []route.Rule
	for _, o := range d.Config.Outputs {
		options := o.Rotate
		options.Log = d.Log
		if d.Executable != "" {
			options.Compressor = compressWith(d.Executable)
		}
		owner, err := ownerOf(o.Owner, o.Group)
		if err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		options.Owner = owner
		options.LossLine = d.lossLine
		file, err := rotate.Open(o.Path, options)
		if err != nil {
			return fmt.Errorf("output %s: %w", o.Name, err)
		}
		out := write.New(o.Name, file, o.Queue)
		d.outputs = append(d.outputs, out)
		rule := o.Rule
		rule.Output = out
		rules = append(rules, rule)
	}
	table, err := route.Compile(rules)
	if err != nil {
		return err
	}
	d.table.Store(table)
	return nil
}

func (d *Daemon) closeOutputs() error {
	var problems []error
	for _, o := range d.outputs {
		if err := o.Close(); err != nil {
			problems = append(problems, fmt.Errorf("output %s: %w", o.Name(), err))
		}
	}
	d.outputs = nil
	return errors.Join(problems...)
}

// ownerOf makes numbers of names. Neither is nil: files belong to the process.
func ownerOf(name, group string) (*rotate.Owner, error) {
	if name == "" && group == "" {
		return nil, nil
	}
	o := &rotate.Owner{UID: -1, GID: -1}
	if name != "" {
		id, err := strconv.Atoi(name)
		if err != nil {
			u, err := user.Lookup(name)
			if err != nil {
				return nil, err
			}
			id, _ = strconv.Atoi(u.Uid) // always a number on Linux
		}
		o.UID = id
	}
	if group != "" {
		id, err := strconv.Atoi(group)
		if err != nil {
			g, err := user.LookupGroup(group)
			if err != nil {
				return nil, err
			}
			id, _ = strconv.Atoi(g.Gid) // always a number on Linux
		}
		o.GID = id
	}
	return o, nil
}

// openInputs opens what the configuration listens on. A socket that systemd holds for the same address is taken instead, because
// what is queued in it while we are away is not lost.
func (d *Daemon) openInputs(ctx context.Context) error {
	host := d.Config.Host
	if host == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("host name: %w; set host in the configuration", err)
		}
		host = name
	}
	d.shared = route.Shared{Table: &d.table, Host: host, Allow: d.Config.Allow, RefuseOversized: d.Config.Refuse}

	passed := activation.Files(true)
	for _, l := range d.Config.Listen {
		sockets, rest, err := d.open(ctx, l, passed)
		passed = rest
		for _, s := range sockets {
			in := &input{}
			reader, readerErr := receive.NewReader(s, route.NewStage(&d.shared, &in.counts), d.Config.MaxMessage, d.Log)
			if readerErr != nil {
				err = errors.Join(err, readerErr, s.Close())
				continue
			}
			in.reader = reader
			d.inputs = append(d.inputs, in)
			d.Log.Info("listening", "input", s.Name, "address", s.Address(), "receive_buffer", s.Granted, "inherited", s.Inherited)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s: %w", l, err), closeAll(passed))
		}
	}
	for _, f := range passed {
		d.Log.Warn("systemd passed a socket that nothing in the configuration listens on", "name", f.Name())
	}
	return closeAll(passed)
}

func closeAll(files []*os.File) error {
	var err error
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// open opens the sockets of one listen entry, and returns the passed ones it had no use for.
func (d *Daemon) open(ctx context.Context, l config.Listen, passed []*os.File) (sockets []*receive.Socket, rest []*os.File, err error) {
	for _, f := range passed {
		if !meant(l, f) {
			rest = append(rest, f)
			continue
		}
		s, err := receive.Adopt(f, l.String(), d.Config.Buffer)
		if err != nil {
			return sockets, append(rest, passed[len(rest)+len(sockets)+1:]...), err
		}
		sockets = append(sockets, s)
	}
	if len(sockets) > 0 {
		return sockets, rest, nil
	}
	var s *receive.Socket
	switch l.Scheme {
	case "udp":
		s, err = receive.ListenUDP(ctx, l.Address, d.Config.Buffer)
	case "unix":
		s, err = receive.ListenUnix(l.Address, 0o666)
	case "systemd":
		err = fmt.Errorf("systemd passed no socket of this name; is FileDescriptorName=%s set in the socket unit?", l.Address)
	}
	if err != nil {
		return nil, rest, err
	}
	return []*receive.Socket{s}, rest, nil
}

// meant says whether a passed socket is the one to listen on: by name, or by address.
func meant(l config.Listen, f *os.File) bool {
	if l.Scheme == "systemd" {
		return f.Name() == l.Address
	}
	address, err := receive.AddressOf(f)
	return err == nil && address == l.Address
}

func (d *Daemon) closeInputs() error {
	var problems []error
	for _, in := range d.inputs {
		problems = append(problems, in.reader.Close())
	}
	d.inputs = nil
	return errors.Join(problems...)
}
