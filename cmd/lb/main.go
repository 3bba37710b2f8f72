// Command lb is a TCP and HTTP load balancer that reads HAProxy's configuration
// and is reloaded without losing a request.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"lbsyslogd/cmd/internal/buildinfo"
	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/lb/assemble"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/master"
	"lbsyslogd/lb/worker"
)

// Exit statuses.
const (
	done    = 0
	refused = 1 // with the reason on the standard error
	misused = 2
	untold  = 4 // lb status cannot tell, as init scripts say it
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(args []string, out, stderr *os.File) int {
	errs := &console.Writer{File: stderr, Prefix: "LB_", Skip: event.SumsUp}
	defer errs.Flush()
	if len(args) > 0 {
		if args[0] == master.WorkerArg {
			return beWorker(args[1:], errs)
		}
		if v, ok := verbs()[args[0]]; ok {
			return status(v.run(args[1:], out, errs), errs)
		}
	}
	o, err := parse(args)
	if err != nil {
		return status(err, errs)
	}
	switch {
	case o.help:
		io.WriteString(out, usage)
		return done
	case o.version > 0:
		writeVersion(out, o.version > 1)
		return done
	case o.condition != nil:
		return evaluate(*o.condition, errs)
	}
	if o.dir != "" {
		if err := os.Chdir(o.dir); err != nil {
			return status(fmt.Errorf("-C: %w", err), errs)
		}
	}
	if o.check {
		return check(o, out, errs)
	}
	return serve(o, args, errs)
}

// usageError is a wrong command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// status prints an error and turns it into an exit status.
func status(err error, errs *console.Writer) int {
	var wrong usageError
	switch {
	case err == nil:
		return done
	case errors.Is(err, worker.ErrSaid):
		return refused
	case errors.As(err, &wrong):
		errs.Fail(fmt.Sprintf("lb: %v; see %s", err, helpFor(wrong.text)))
		return misused
	}
	if errors.Is(err, assemble.ErrNothing) {
		errs.Fail(fmt.Sprintf("lb: %v", err))
		return misused
	}
	if u := (unknown{}); errors.As(err, &u) {
		errs.Fail(fmt.Sprintf("lb: %v", err))
		return untold
	}
	errs.Fail(fmt.Sprintf("lb: %v", err))
	return refused
}

// check is -c: all that is wrong, and nothing is touched.
func check(o *options, out io.Writer, errs *console.Writer) int {
	l := o.loader(errs)
	cfg, _, err := l.Config()
	if err == nil {
		err = l.CheckOf(cfg)
	}
	if errors.Is(err, assemble.ErrNothing) { // as HAProxy says it, with its status
		fmt.Fprintf(errs, "[ALERT]    (%d) : config : %v\n", os.Getpid(), err)
		if !o.quiet {
			fmt.Fprintf(out, "Configuration file has no error but will not start (no listener) => exit(%d).\n", misused)
		}
		return misused
	}
	if err != nil {
		return status(err, errs)
	}
	if warnings := o.unreadable(cfg, defaultSocket); !o.quiet || o.strict {
		for _, text := range warnings {
			fmt.Fprintf(errs, "[WARNING]  (%d) : config : %s\n", os.Getpid(), text)
		}
		if o.strict && len(warnings) > 0 {
			return refused
		}
	}
	if !o.quiet {
		fmt.Fprintln(out, "Configuration file is valid")
	}
	return done
}

// writeVersion is -v and -vv, in the shape that HAProxy's tools read.
func writeVersion(out io.Writer, long bool) {
	fmt.Fprintf(out, "lb version %s (speaks the configuration language of HAProxy version %s)\n", buildinfo.Version(), config.CompatVersion)
	if long {
		io.WriteString(out, details())
	}
}
