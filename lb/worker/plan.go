package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/handoff"
)

// Loader reads the configuration as the command line says.
type Loader struct {
	Files    []string // -f
	MaxConn  int      // -n; 0 leaves maxconn to the configuration
	Strict   bool     // -dW: a warning is an error
	Quiet    bool     // -q: errors only
	NoSplice bool     // -dS: as nosplice in global
	// LocalPeer is -L: this node's name among peers.
	LocalPeer string
	Out       io.Writer
	Pid       int

	// Snapshot is a configuration's text as a former worker read it; it is
	// used in place of Files.
	Snapshot io.Reader

	// Environ is what the configuration sees as its environment; nil is the
	// process's own.
	Environ []string
	// Seen gets each line that counts, and whether it begins a section; nil for
	// none.
	Seen func(line cfgfile.Line, begins bool)
}

// Config reads the configuration and prints what there is to say. The error is
// ErrSaid.
func (l Loader) Config() (*config.Config, []cfgfile.Source, error) {
	sources, err := l.sources()
	if err != nil {
		fmt.Fprintf(l.Out, "[ALERT]    (%d) : config : %v\n", l.Pid, err)
		return nil, nil, ErrSaid
	}
	cfg, err := config.LoadSources(sources, config.Options{
		Privileged: os.Geteuid() == 0, LocalPeer: l.LocalPeer, ZeroWarning: l.Strict, Environ: l.Environ, Seen: l.Seen,
	})
	if err != nil {
		l.say(err)
		return nil, nil, ErrSaid
	}
	if l.MaxConn > 0 {
		cfg.Global.MaxConn = l.MaxConn
	}
	cfg.Global.NoSplice = cfg.Global.NoSplice || l.NoSplice
	if !l.Quiet {
		if err := cfgfile.WriteNotes(l.Out, l.Pid, cfg.Notes); err != nil {
			return nil, nil, err
		}
	}
	return cfg, sources, nil
}

func (l Loader) sources() ([]cfgfile.Source, error) {
	if l.Snapshot != nil {
		var sources []cfgfile.Source
		if err := json.NewDecoder(l.Snapshot).Decode(&sources); err != nil {
			return nil, fmt.Errorf("the former configuration: %w", err)
		}
		return sources, nil
	}
	sources, err := cfgfile.ReadFiles(l.Files)
	switch {
	case err != nil:
		return nil, err
	case len(sources) > 0:
		return sources, nil
	case len(l.Files) > 0:
		return nil, fmt.Errorf("no *.cfg file in %v", l.Files)
	}
	return nil, errors.New("no configuration file: name one with -f FILE")
}

// say prints the errors of a configuration in HAProxy's form.
func (l Loader) say(err error) {
	var all *cfgfile.Errors
	if !errors.As(err, &all) {
		fmt.Fprintf(l.Out, "[ALERT]    (%d) : config : %v\n", l.Pid, err)
		return
	}
	if l.Quiet {
		all = &cfgfile.Errors{List: all.List}
	}
	// Nothing is left to tell it to where stderr itself fails.
	_ = all.Write(l.Out, l.Pid)
}

// Check says whether a worker could be built of the configuration: what -c
// does.
func (l Loader) Check() error {
	cfg, _, err := l.Config()
	if err != nil {
		return err
	}
	return l.CheckOf(cfg)
}

// CheckOf is Check for a configuration that was read: it prints what only the
// building and the opening find out.
func (l Loader) CheckOf(cfg *config.Config) error {
	notes, err := assemble.Check(cfg)
	errs := flatten(err)
	for _, text := range notes {
		if !l.Quiet {
			fmt.Fprintf(l.Out, "[WARNING]  (%d) : config : %s\n", l.Pid, text)
		}
	}
	wants := assemble.Wants(cfg)
	for _, twice := range handoff.Twice(wants) {
		errs = append(errs, twice)
	}
	for _, w := range wants {
		if err := w.Check(); err != nil {
			errs = append(errs, handoff.WantError{Where: w.Where, Text: err.Error()})
		}
	}
	if _, _, err := identity(&cfg.Global); err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil
	}
	if len(errs) == 1 && errors.Is(err, assemble.ErrNothing) {
		return err
	}
	for _, one := range errs {
		fmt.Fprintf(l.Out, "[ALERT]    (%d) : config : %v\n", l.Pid, one)
	}
	fmt.Fprintf(l.Out, "[ALERT]    (%d) : config : Fatal errors found in configuration.\n", l.Pid)
	return ErrSaid
}

// flatten takes a joined error apart; nil gives none.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}

// Plan reads the configuration and says what is needed to serve it.
func (l Loader) Plan() (*Plan, error) {
	cfg, sources, err := l.Config()
	if err != nil {
		return nil, err
	}
	return l.PlanOf(cfg, sources)
}

// PlanOf says what is needed to serve a configuration that was read.
func (l Loader) PlanOf(cfg *config.Config, sources []cfgfile.Source) (*Plan, error) {
	files := Files(cfg)
	snapshot, err := json.Marshal(keptSources(sources, files))
	if err != nil {
		return nil, fmt.Errorf("keep the configuration's text: %w", err)
	}
	uid, gid, err := identity(&cfg.Global)
	if err != nil {
		return nil, err
	}
	return &Plan{
		Wants: assemble.Wants(cfg),
		Facts: handoff.Facts{
			Digest:   digest(cfg, files),
			Pidfile:  cfg.Global.Pidfile,
			HardStop: cfg.Global.HardStopAfter,
		},
		UID: uid, GID: gid,
		Chroot:   cfg.Global.Chroot,
		Hide:     !cfg.Global.Dumpable && hasTLS(cfg),
		Dump:     cfg.Global.Dumpable,
		Files:    descriptors(cfg),
		Fit:      func(files uint64) int { return assemble.ConnsFor(cfg, files) },
		Snapshot: snapshot,
		Build: func(socks *handoff.Set, env assemble.Env) (Engine, error) {
			engine, err := assemble.Build(cfg, socks, env)
			if err == nil {
				return engine, nil
			}
			for _, one := range flatten(err) {
				fmt.Fprintf(l.Out, "[ALERT]    (%d) : config : %v\n", l.Pid, one)
			}
			return nil, ErrSaid
		},
	}, nil
}

// hasTLS reports whether a client may come, or a server be reached, over TLS.
func hasTLS(cfg *config.Config) bool {
	for _, p := range cfg.Proxies {
		for i := range p.Servers {
			if s := &p.Servers[i]; s.TLS.On || s.CheckTLS {
				return true
			}
		}
		for i := range p.Binds {
			if p.Binds[i].TLS != nil {
				return true
			}
		}
	}
	for _, s := range cfg.Peers {
		for i := range s.Nodes {
			if s.Nodes[i].TLS.On {
				return true
			}
		}
		for i := range s.Binds {
			if s.Binds[i].TLS != nil {
				return true
			}
		}
	}
	return false
}

// descriptors is the number of descriptors that maxconn asks for: two for each
// connection, some for listeners, checks, logs and control.
func descriptors(cfg *config.Config) uint64 {
	if cfg.Global.MaxConn <= 0 {
		return 0
	}
	n := 2*cfg.Global.MaxConn + 100
	for _, p := range cfg.Proxies {
		n += len(p.Binds) + 2*len(p.Servers)
	}
	for _, s := range cfg.Peers {
		n += len(s.Binds) + 5*len(s.Nodes) // a connection, one that crosses it, and strangers
	}
	return uint64(n)
}
