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

	"golang.org/x/sys/unix"

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
	a.Limit, b.Limit = route.Rate{}, route.Rate{}
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
		s, err := openSet(o, options, &d.memory, d.watched)
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
	return &output{writer: d.watched(write.New(o.Name, file, o.Queue, &d.memory)), config: o, forward: sender}, nil
}

// watched has it known what an output has not written yet, should the process be killed.
func (d *Daemon) watched(o *write.Output) *write.Output {
	if d.ledger != nil {
		if held := d.ledger.Hold(o.File().Path()); held != nil {
			o.Watch(held)
		}
	}
	return o
}

// rotation is how the files of an output are kept.
func (d *Daemon) rotation(c *config.Config, o config.Output) (rotate.Options, error) {
	options := o.Rotate
	if options.Now = d.Now; options.Now == nil {
		options.Now = time.Now
	}
	if clock, zone := options.Now, c.Zone; zone != nil {
		options.Now = func() time.Time { return clock().In(zone) }
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
		if o.Limit.PerSecond > 0 {
			rule.Limit = &outputs[i].limit
		}
		rules = append(rules, rule)
	}
	return route.Compile(rules, route.Settings{Host: host, Zone: c.Zone, Allow: c.Allow, RefuseOversized: c.Refuse, Ledger: d.ledger})
}

// wayOut is what to do when an address cannot be listened on.
func wayOut(err error, scheme string) string {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return `; "ss -lnp" shows which process has it: stop that, or choose another address`
	case errors.Is(err, unix.EACCES) && scheme != "unix":
		return "; a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE, as the packages' unit has it"
	}
	return ""
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
			d.keep(keep) // what was prepared for them stays open
			inputs = nil
		}
	}()
	if err := d.disown(rest); err != nil {
		return nil, err
	}
	for _, l := range c.Listen {
		old := slices.DeleteFunc(slices.Clone(keep), func(in *input) bool { return in.listen != l.Listen })
		if len(old) == 0 {
			mine := meant[l.Listen]
			delete(meant, l.Listen)
			if l.Scheme == "systemd" && len(mine) == 0 {
				return inputs, fmt.Errorf("listen on %s: systemd passed no socket of this name; is FileDescriptorName=%s set in the socket unit?", l, l.Address)
			}
			var opened []*input
			opened, err = d.openListener(ctx, c, l.Listen, mine)
			inputs = append(inputs, opened...)
			if err != nil {
				return inputs, fmt.Errorf("listen on %s: %w%s", l, err, wayOut(err, l.Scheme))
			}
		}
		inputs = append(inputs, old...)
		for _, in := range inputs {
			if in.listen != l.Listen {
				continue
			}
			if err := in.prepare(ctx, l.Readers, d.Log); err != nil {
				return inputs, fmt.Errorf("listen on %s: %w", l, err)
			}
		}
	}
	return inputs, nil
}

// openListener opens the inputs of a listen entry: one, or one for each place that sockets of a unit are at.
func (d *Daemon) openListener(ctx context.Context, c *config.Config, l config.Listen, passed []Passed) (inputs []*input, err error) {
	places := byPlace(passed)
	if len(places) == 0 {
		places = [][]Passed{nil} // to be opened
	}
	for i, mine := range places {
		in := &input{listen: l}
		in.counts.Input = l.String()
		if in.source, err = d.open(ctx, c, mine, in); err != nil {
			problems := []error{err}
			for _, left := range places[i+1:] {
				problems = append(problems, closeAll(left))
			}
			return inputs, errors.Join(problems...)
		}
		inputs = append(inputs, in)
		what := in.Describe()
		d.Log.Debug("listening", "input", what.Name, "address", what.Address, "receive_buffer", what.Buffer, "inherited", len(mine) > 0)
		if hint := smallBuffer(what, c.Buffer); hint != "" {
			d.Log.Warn("the receive buffer is small", "err", hint, "input", what.Name)
		}
		if hint := absent(what); hint != "" {
			d.Log.Warn("the address is not there yet", "err", hint, "input", what.Name)
		}
	}
	return inputs, nil
}

// byPlace puts sockets of UDP together that have one place; all others are alone.
func byPlace(passed []Passed) (places [][]Passed) {
	at := make(map[receive.Place]int)
	for _, p := range passed {
		place, err := receive.PlaceOf(p.File)
		i, known := at[place]
		if err != nil || place.Network != "udp" || !known {
			i = len(places)
			places = append(places, nil)
			at[place] = i
		}
		places[i] = append(places[i], p)
	}
	return places
}

// open makes a source of a listen entry, from the sockets that were passed for it or, without one, from a new socket.
func (d *Daemon) open(ctx context.Context, c *config.Config, passed []Passed, in *input) (source, error) {
	l := in.listen
	network := l.Scheme
	if l.Stream() {
		network = "tcp"
	}
	if len(passed) > 0 && l.Scheme == "systemd" {
		place, err := receive.PlaceOf(passed[0].File)
		if err != nil {
			return nil, errors.Join(err, closeAll(passed))
		}
		network = place.Network
	}
	for i, p := range passed {
		if p.ours() && d.Keeper != nil {
			if in.kept == nil {
				in.kept = make(map[int]string)
			}
			in.kept[i] = p.Name
		}
	}
	switch {
	case network == "udp":
		return d.openGroup(ctx, c, passed, in)
	case network == "tcp" && len(passed) > 0:
		return d.openStream(ctx, c, passed[0].File, in)
	case network == "tcp":
		return d.openStream(ctx, c, nil, in)
	}
	var s *receive.Socket
	var err error
	if len(passed) > 0 {
		s, err = adopt(passed[0], l, c)
	} else {
		s, err = receive.ListenUnix(l.Address, 0o666)
	}
	if err != nil {
		return nil, err
	}
	reader, err := receive.NewReader(s, d.newStage(in), c.MaxMessage, d.Log)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return reader, nil
}

// newStage is the Handler of one reader.
func (d *Daemon) newStage(in *input) receive.Handler {
	stage := route.NewStage(&d.table, &in.counts)
	if d.Now != nil {
		return timed{stage, d.Now}
	}
	return stage
}

// timed is a Stage with another clock.
type timed struct {
	*route.Stage
	now func() time.Time
}

// Begin implements receive.Handler.
func (t timed) Begin(time.Time) { t.Stage.Begin(t.now()) }

// adopt takes a socket of datagrams that was passed for a listen entry.
func adopt(p Passed, l config.Listen, c *config.Config) (*receive.Socket, error) {
	s, err := receive.Adopt(p.File, l.String(), c.Buffer)
	if err == nil && p.ours() {
		path := ""
		if l.Scheme == "unix" {
			path = l.Address
		}
		s.Reclaim(path)
	}
	return s, err
}

// openGroup is open for UDP.
func (d *Daemon) openGroup(ctx context.Context, c *config.Config, passed []Passed, in *input) (source, error) {
	var sockets []*receive.Socket
	for i, p := range passed {
		s, err := adopt(p, in.listen, c)
		if err != nil {
			problems := []error{err, closeAll(passed[i+1:])}
			for _, s := range sockets {
				problems = append(problems, s.Close())
			}
			return nil, errors.Join(problems...)
		}
		sockets = append(sockets, s)
	}
	if len(passed) == 0 {
		s, err := receive.ListenUDP(ctx, in.listen.Address, c.Buffer)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return receive.NewGroup(sockets, in.listen.Address, c.Buffer, c.MaxMessage, func() receive.Handler { return d.newStage(in) }, d.Log)
}

func (d *Daemon) openStream(ctx context.Context, c *config.Config, passed *os.File, in *input) (source, error) {
	l := in.listen
	s := &receive.Stream{
		Name: l.String(), Size: c.MaxMessage, Most: c.Connections, MostEach: c.ConnectionsEach, Idle: c.Idle, Log: d.Log,
		NewHandler: func() receive.Handler { return d.newStage(in) }, RELP: l.RELP(),
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
	if !slices.ContainsFunc(c.Listen, func(l config.Listener) bool { return l.Secure() }) {
		return nil, nil
	}
	certs := &receive.Certs{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, Names: c.TLS.Names, Log: d.Log}
	if _, err := certs.Current(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if err := certs.Validity(); err != nil {
		d.Log.Warn("clients will refuse the TLS certificate", "err", err)
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
