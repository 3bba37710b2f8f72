package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"slices"
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
		var mine, rest []*os.File
		for _, f := range passed {
			if meant(l, f) {
				mine = append(mine, f)
			} else {
				rest = append(rest, f)
			}
		}
		passed = rest
		if l.Scheme == "systemd" && len(mine) == 0 {
			err := fmt.Errorf("systemd passed no socket of this name; is FileDescriptorName=%s set in the socket unit?", l.Address)
			return errors.Join(fmt.Errorf("listen on %s: %w", l, err), closeAll(passed))
		}
		if len(mine) == 0 {
			mine = []*os.File{nil} // to be opened
		}
		for i, f := range mine {
			in := &input{}
			source, err := d.open(ctx, l, f, in)
			if err != nil {
				return errors.Join(fmt.Errorf("listen on %s: %w", l, err), closeAll(mine[i+1:]), closeAll(passed))
			}
			in.source = source
			d.inputs = append(d.inputs, in)
			what := in.Describe()
			d.Log.Info("listening", "input", what.Name, "address", what.Address, "receive_buffer", what.Buffer, "inherited", f != nil)
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

// open makes a source of a listen entry, from the socket that was passed for it or, without one, from a new socket.
func (d *Daemon) open(ctx context.Context, l config.Listen, passed *os.File, in *input) (source, error) {
	stream := l.Scheme == "tcp" || l.Scheme == "tls"
	if passed != nil && l.Scheme == "systemd" {
		stream = !receive.IsDatagram(passed)
	}
	if stream {
		return d.openStream(ctx, l, passed, in)
	}
	var s *receive.Socket
	var err error
	switch {
	case passed != nil:
		s, err = receive.Adopt(passed, l.String(), d.Config.Buffer)
	case l.Scheme == "udp":
		s, err = receive.ListenUDP(ctx, l.Address, d.Config.Buffer)
	case l.Scheme == "unix":
		s, err = receive.ListenUnix(l.Address, 0o666)
	}
	if err != nil {
		return nil, err
	}
	reader, err := receive.NewReader(s, route.NewStage(&d.shared, &in.counts), d.Config.MaxMessage, d.Log)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return reader, nil
}

func (d *Daemon) openStream(ctx context.Context, l config.Listen, passed *os.File, in *input) (source, error) {
	c := d.Config
	s := &receive.Stream{
		Name: l.String(), Size: c.MaxMessage, Most: c.Connections, MostEach: c.ConnectionsEach, Idle: c.Idle, Log: d.Log,
		NewHandler: func() receive.Handler { return route.NewStage(&d.shared, &in.counts) },
		Allowed: func(a netip.Addr) bool {
			return len(c.Allow) == 0 || slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
		},
	}
	if l.Scheme == "tls" {
		certs := &receive.Certs{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, Names: c.TLS.Names}
		config, err := certs.Config()
		if err != nil {
			return nil, err
		}
		s.TLS = config
	}
	if err := s.Listen(ctx, l.Address, passed); err != nil {
		return nil, err
	}
	return s, nil
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
		problems = append(problems, in.Close())
	}
	d.inputs = nil
	return errors.Join(problems...)
}
