package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"reflect"
	"slices"
	"strconv"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/route"
	"lbsyslogd/syslogd/write"
)

// openOutputs opens the outputs of a configuration, but for those that are in keep and configured in the same way. On an error
// nothing new stays open. A nil keep is the start: a daemon that does not run receives nothing, so that no file is a reason not to start, whatever
// it looks like. What is wrong is reported, and tried again.
func (d *Daemon) openOutputs(c *config.Config, keep []*output) (outputs []*output, err error) {
	for _, o := range c.Outputs {
		i := slices.IndexFunc(keep, func(old *output) bool { return sameFile(old.config, o) })
		if i >= 0 {
			outputs = append(outputs, keep[i])
			continue
		}
		out, err := d.openOutput(c, o, keep == nil)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("output %s: %w", o.Name, err), closeOutputs(without(outputs, keep)))
		}
		outputs = append(outputs, out)
	}
	return outputs, nil
}

// sameFile says whether two outputs differ at most in what goes to them. The format is what lines of loss are written in.
func sameFile(a, b config.Output) bool {
	a.Rule, b.Rule = route.Rule{Format: a.Rule.Format}, route.Rule{Format: b.Rule.Format}
	return reflect.DeepEqual(a, b)
}

// without is those of all that are not in others.
func without[T comparable](all, others []T) (rest []T) {
	for _, x := range all {
		if !slices.Contains(others, x) {
			rest = append(rest, x)
		}
	}
	return rest
}

func (d *Daemon) openOutput(c *config.Config, o config.Output, atStart bool) (*output, error) {
	options, err := d.rotation(c, o)
	if err != nil {
		return nil, err
	}
	if o.Files != nil {
		s, err := openSet(o, options, &d.memory)
		if s == nil {
			return nil, err
		}
		if err != nil && !atStart {
			return nil, errors.Join(err, s.Close())
		}
		if err != nil {
			d.Log.Error("the files of an output cannot be made", "SYSLOGD_OUTPUT", o.Name, "err", err)
		}
		return &output{writer: s, config: o}, nil
	}
	options.Late = atStart
	file, err := rotate.Open(o.Path, options)
	if err != nil {
		return nil, err
	}
	sender, err := d.newSender(o.Forward, file, d.Log)
	if err != nil && (!atStart || sender == nil) { // its own connection reports it at the start
		if sender != nil {
			err = errors.Join(err, sender.Close())
		}
		return nil, errors.Join(err, file.Close())
	}
	return &output{writer: write.New(o.Name, file, o.Queue, &d.memory), config: o, forward: sender}, nil
}

// rotation is how the files of an output are kept.
func (d *Daemon) rotation(c *config.Config, o config.Output) (rotate.Options, error) {
	options := o.Rotate
	if zone := c.Zone; zone != nil {
		options.Now = func() time.Time { return time.Now().In(zone) }
	}
	options.Log = d.Log.With("SYSLOGD_OUTPUT", o.Name)
	if o.Files != nil {
		options.Log = newSharedLog(options.Log)
	}
	options.Memory = &d.memory
	options.Times = TimesOf(o.Rule.Format, c.Zone)
	if d.Executable != "" {
		options.Compressor = CompressWith(d.Executable, o.Rule.Format, c.Zone)
	}
	owner, err := ownerOf(o.Owner, o.Group)
	if err != nil {
		return options, err
	}
	options.Owner = owner
	host, err := hostName(c)
	if err != nil {
		return options, err
	}
	form, err := format.New(o.Rule.Format)
	if err != nil {
		return options, err
	}
	options.LossLine = func(dst []byte, l rotate.Loss) []byte { return lossLine(dst, form, host, l) }
	return options, nil
}

// compile makes the table that sends messages to outputs, which are those of c in the same order.
func (d *Daemon) compile(c *config.Config, outputs []*output) (*route.Table, error) {
	host, err := hostName(c)
	if err != nil {
		return nil, err
	}
	var rules []route.Rule
	for i, o := range c.Outputs {
		rule := o.Rule
		switch s := outputs[i].writer.(type) {
		case *write.Output:
			rule.Output = s
		case *write.Set:
			rule.Files, rule.Path = s, o.Files.Template
		}
		rules = append(rules, rule)
	}
	return route.Compile(rules, route.Settings{Host: host, Zone: c.Zone, Allow: c.Allow, RefuseOversized: c.Refuse, Ledger: d.ledger})
}

func closeOutputs(outputs []*output) error {
	var problems []error
	for _, o := range outputs {
		if err := o.Close(); err != nil {
			problems = append(problems, fmt.Errorf("output %s: %w", o.Name(), err))
		}
	}
	return errors.Join(problems...)
}

// hostName is what messages of this host are from when they do not say so.
func hostName(c *config.Config) (string, error) {
	if c.Host != "" {
		return c.Host, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("host name: %w; set host in the configuration", err)
	}
	return name, nil
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

// openInputs opens what a configuration listens on, but for what is in keep. A socket that was passed for the same place is taken
// instead, because what is queued in it while we are away is not lost. On an error nothing new stays open.
func (d *Daemon) openInputs(ctx context.Context, c *config.Config, keep []*input, passed []Passed) (inputs []*input, err error) {
	meant, rest := claim(c.Listen, passed)
	defer func() {
		for _, left := range meant {
			err = errors.Join(err, closeAll(left))
		}
		if err != nil {
			err = errors.Join(err, closeInputs(without(inputs, keep)))
			inputs = nil
		}
	}()
	if err := d.disown(rest); err != nil {
		return nil, err
	}
	for _, l := range c.Listen {
		old := slices.DeleteFunc(slices.Clone(keep), func(in *input) bool { return in.listen != l })
		if len(old) > 0 {
			inputs = append(inputs, old...)
			continue
		}
		mine := meant[l]
		delete(meant, l)
		if l.Scheme == "systemd" && len(mine) == 0 {
			return inputs, fmt.Errorf("listen on %s: systemd passed no socket of this name; is FileDescriptorName=%s set in the socket unit?", l, l.Address)
		}
		if len(mine) == 0 {
			mine = []Passed{{}} // to be opened
		}
		for i, p := range mine {
			in := &input{listen: l}
			in.counts.Input = l.String()
			if in.source, err = d.open(ctx, c, p, in); err != nil {
				return inputs, errors.Join(fmt.Errorf("listen on %s: %w", l, err), closeAll(mine[i+1:]))
			}
			inputs = append(inputs, in)
			what := in.Describe()
			d.Log.Debug("listening", "input", what.Name, "address", what.Address, "receive_buffer", what.Buffer, "inherited", p.File != nil)
			if hint := smallBuffer(what, c.Buffer); hint != "" {
				d.Log.Warn("the receive buffer is small", "err", hint, "input", what.Name)
			}
			if hint := absent(what); hint != "" {
				d.Log.Warn("the address is not there yet", "err", hint, "input", what.Name)
			}
		}
	}
	return inputs, nil
}

// open makes a source of a listen entry, from the socket that was passed for it or, without one, from a new socket.
func (d *Daemon) open(ctx context.Context, c *config.Config, passed Passed, in *input) (source, error) {
	l := in.listen
	stream := l.Stream()
	if passed.File != nil && l.Scheme == "systemd" {
		place, err := receive.PlaceOf(passed.File)
		if err != nil {
			return nil, errors.Join(err, passed.File.Close())
		}
		stream = place.Network == "tcp"
	}
	if passed.ours() && d.Keeper != nil {
		in.kept = passed.Name
	}
	if stream {
		return d.openStream(ctx, c, passed.File, in)
	}
	var s *receive.Socket
	var err error
	switch {
	case passed.File != nil:
		if s, err = receive.Adopt(passed.File, l.String(), c.Buffer); err == nil && passed.ours() {
			path := ""
			if l.Scheme == "unix" {
				path = l.Address
			}
			s.Reclaim(path)
		}
	case l.Scheme == "udp":
		s, err = receive.ListenUDP(ctx, l.Address, c.Buffer)
	case l.Scheme == "unix":
		s, err = receive.ListenUnix(l.Address, 0o666)
	}
	if err != nil {
		return nil, err
	}
	reader, err := receive.NewReader(s, route.NewStage(&d.table, &in.counts), c.MaxMessage, d.Log)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return reader, nil
}

func (d *Daemon) openStream(ctx context.Context, c *config.Config, passed *os.File, in *input) (source, error) {
	l := in.listen
	s := &receive.Stream{
		Name: l.String(), Size: c.MaxMessage, Most: c.Connections, MostEach: c.ConnectionsEach, Idle: c.Idle, Log: d.Log,
		NewHandler: func() receive.Handler { return route.NewStage(&d.table, &in.counts) }, RELP: l.RELP(),
		Allowed: func(a netip.Addr) bool { return d.table.Load().Allows(a) },
	}
	if l.RELP() {
		s.NewHandler = func() receive.Handler { return route.NewDeliverer(&d.table, &in.counts) }
	}
	if l.Secure() {
		s.TLS = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return d.certs.Load().Current() },
		}
	}
	if err := s.Listen(ctx, l.Address, passed); err != nil {
		return nil, err
	}
	return s, nil
}

// certificates reads the server side of TLS, if anything listens with it; nil and no error otherwise.
func (d *Daemon) certificates(c *config.Config) (*receive.Certs, error) {
	if !slices.ContainsFunc(c.Listen, config.Listen.Secure) {
		return nil, nil
	}
	certs := &receive.Certs{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, Names: c.TLS.Names, Log: d.Log}
	if _, err := certs.Current(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return certs, nil
}

// closeInputs ends and closes inputs, started or not.
func closeInputs(inputs []*input) error {
	var problems []error
	for _, in := range inputs {
		problems = append(problems, in.finish())
	}
	return errors.Join(problems...)
}
