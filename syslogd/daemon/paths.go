package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/receive"
	"lbsyslogd/syslogd/seldom"
)

// pathsPeriod is how often the paths of unix sockets are looked at. Two looks in a row must agree.
const pathsPeriod = 500 * time.Millisecond

// watchPaths serves the control socket, and opens it and unix sockets to listen on anew when somebody, such as a cleaner of old files, has removed
// their paths: a socket without a path stays open, but nobody finds it. What was sent to the old one is still read.
func (d *Daemon) watchPaths(ctx context.Context, server *control.Server, place config.Control) {
	opened := seldom.Report{Say: func(n int, why error) {
		d.Log.Warn("somebody removed a unix socket; it was opened again", "the_last", why, "number", n)
	}}
	failed := seldom.Report{Say: func(n int, why error) {
		d.Log.Error("somebody removed a unix socket, which cannot be opened again; it is tried again", "err", why, "number", n)
	}}
	defer opened.Stop()
	defer failed.Stop()
	stop := d.serve(ctx, server)
	defer func() { stop() }()
	ticker := time.NewTicker(pathsPeriod)
	defer ticker.Stop()
	note := func(what string, err error) {
		if err != nil {
			failed.Note(err)
		} else {
			opened.Note(fmt.Errorf("%s", what))
		}
	}
	commands, inputs := 0, 0 // looks that found one astray
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if commands++; !server.Astray() {
			commands = 0
		}
		if commands > 1 {
			next, err := control.Listen(place.Path, place.Mode, d.commands(ctx), d.Log)
			if err == nil {
				stop()
				server, stop = next, d.serve(ctx, next)
			}
			note(place.Path, err)
		}
		now, _ := d.now()
		if inputs++; !slices.ContainsFunc(now, astray) {
			inputs = 0
		}
		if inputs > 1 {
			note(d.reopenInputs(ctx))
		}
	}
}

// serve answers on the control socket until stop is called.
func (d *Daemon) serve(ctx context.Context, server *control.Server) (stop context.CancelFunc) {
	ctx, stop = context.WithCancel(ctx)
	d.tasks.Go(func() { server.Serve(ctx) })
	return stop
}

// reopenInputs opens anew what is astray, by the configuration that is in use.
func (d *Daemon) reopenInputs(run context.Context) (what string, err error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	now, _ := d.now()
	var names []string
	for _, in := range now {
		if astray(in) {
			names = append(names, in.listen.String())
		}
	}
	_, err = d.change(run, d.Config)
	return strings.Join(names, " "), err
}

// astray says whether an input is a unix socket that nobody finds.
func astray(in *input) bool {
	r, ok := in.source.(*receive.Reader)
	return ok && r.Astray()
}

// found leaves out the inputs that are to be opened anew, because nobody finds them.
func found(inputs []*input) []*input { return slices.DeleteFunc(slices.Clone(inputs), astray) }
