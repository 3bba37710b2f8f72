package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"lbsyslogd/lb/worker"
)

// options is a command line, as HAProxy would understand it.
type options struct {
	help    bool
	version int // 1 -v, 2 -vv

	condition *string // -cc

	files     []string // -f, and what follows --
	dir       string   // -C
	check     bool
	quiet     bool
	maxConn   int    // -n; 0 not given
	localPeer string // -L
	strict    bool   // -dW
	noSplice  bool   // -dS

	foreground bool // -db, -d
	daemon     bool // -D
	master     bool // -W, -Ws
	systemd    bool // -Ws

	pidfile  string
	cli      string // -S with its options
	takeFrom string // -x
	finish   []int  // -sf
	end      []int  // -st
}

// loader reads the configuration that the command line names.
func (o *options) loader(out io.Writer) worker.Loader {
	return worker.Loader{Files: o.files, MaxConn: o.maxConn, LocalPeer: o.localPeer, Strict: o.strict, NoSplice: o.noSplice, Quiet: o.quiet, Out: out, Pid: os.Getpid()}
}

// option is one row of the table below.
type option struct {
	name string
	arg  bool // a value follows
	list bool // numbers follow
	set  func(o *options, v string) error
}

// ignored takes what HAProxy takes although it has nothing to say here.
func ignored(*options, string) error { return nil }

func on(field func(*options) *bool) func(*options, string) error {
	return func(o *options, _ string) error { *field(o) = true; return nil }
}

func text(field func(*options) *string) func(*options, string) error {
	return func(o *options, v string) error { *field(o) = v; return nil }
}

func pids(field func(*options) *[]int) func(*options, string) error {
	return func(o *options, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is not a process id", v)
		}
		*field(o) = append(*field(o), n)
		return nil
	}
}

// table lists the options. Those that have no meaning here are accepted, so
// that an init script written for HAProxy starts lb too.
func table() []option {
	return []option{
		{name: "-h", set: on(func(o *options) *bool { return &o.help })},
		{name: "-help", set: on(func(o *options) *bool { return &o.help })},
		{name: "-v", set: func(o *options, _ string) error { o.version = max(o.version, 1); return nil }},
		{name: "-version", set: func(o *options, _ string) error { o.version = max(o.version, 1); return nil }},
		{name: "-vv", set: func(o *options, _ string) error { o.version = 2; return nil }},
		{name: "-cc", arg: true, set: func(o *options, v string) error { o.condition = &v; return nil }},
		{name: "-f", arg: true, set: func(o *options, v string) error { o.files = append(o.files, v); return nil }},
		{name: "-C", arg: true, set: text(func(o *options) *string { return &o.dir })},
		{name: "-c", set: on(func(o *options) *bool { return &o.check })},
		{name: "-q", set: on(func(o *options) *bool { return &o.quiet })},
		{name: "-V", set: func(o *options, _ string) error { o.quiet = false; return nil }},
		{name: "-L", arg: true, set: text(func(o *options) *string { return &o.localPeer })},
		{name: "-n", arg: true, set: func(o *options, v string) (err error) {
			if o.maxConn, err = strconv.Atoi(v); err != nil || o.maxConn < 0 {
				return fmt.Errorf("%q is not a number of connections", v)
			}
			return nil
		}},
		{name: "-db", set: on(func(o *options) *bool { return &o.foreground })},
		{name: "-d", set: func(o *options, _ string) error { o.foreground, o.quiet = true, false; return nil }},
		{name: "-D", set: on(func(o *options) *bool { return &o.daemon })},
		{name: "-W", set: on(func(o *options) *bool { return &o.master })},
		{name: "-Ws", set: func(o *options, _ string) error { o.master, o.systemd = true, true; return nil }},
		{name: "-S", arg: true, set: text(func(o *options) *string { return &o.cli })},
		{name: "-dW", set: on(func(o *options) *bool { return &o.strict })},
		{name: "-dS", set: on(func(o *options) *bool { return &o.noSplice })},
		{name: "-p", arg: true, set: text(func(o *options) *string { return &o.pidfile })},
		{name: "-x", arg: true, set: text(func(o *options) *string { return &o.takeFrom })},
		{name: "-sf", list: true, set: pids(func(o *options) *[]int { return &o.finish })},
		{name: "-st", list: true, set: pids(func(o *options) *[]int { return &o.end })},

		{name: "-m", arg: true, set: ignored}, // memory is bounded by maxconn and buffer sizes
		{name: "-N", arg: true, set: ignored}, // a default that every proxy has already
		{name: "-dr", set: ignored},           // a name that does not resolve never stops a start
		{name: "-de", set: ignored},           // epoll is the only poller
		{name: "-dp", set: ignored},
		{name: "-dG", set: ignored}, // the resolver is Go's own
		{name: "-dR", set: ignored}, // SO_REUSEPORT is not used
		{name: "-dV", set: ignored},
		{name: "-dD", set: ignored},
		{name: "-dL", set: ignored},
		{name: "-dC", set: ignored},
	}
}

// parse reads a command line. --name is the same as -name.
func parse(args []string) (*options, error) {
	o := new(options)
	rows := table()
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			o.files = append(o.files, args[i+1:]...)
			break
		}
		row := find(rows, word)
		switch {
		case row == nil && (strings.HasPrefix(word, "-dM") || strings.HasPrefix(word, "-dK")):
			continue // memory poisoning and keyword dumps, with their values
		case row == nil && !strings.HasPrefix(word, "-"):
			return nil, usageError{notACommand(word)}
		case row == nil:
			return nil, usageError{fmt.Sprintf("there is no option %s", word)}
		}
		var values []string
		switch {
		case row.arg && i+1 == len(args):
			return nil, usageError{word + " needs a value"}
		case row.arg:
			i++
			values = args[i : i+1]
		case row.list:
			// An empty list is usual: -sf $(cat pidfile).
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				values = append(values, strings.Fields(args[i])...)
			}
		default:
			values = []string{""}
		}
		for _, v := range values {
			if err := row.set(o, v); err != nil {
				return nil, usageError{fmt.Sprintf("%s: %v", word, err)}
			}
		}
	}
	if len(o.files) == 0 {
		o.files = defaultFiles()
	}
	return o, nil
}

func find(rows []option, word string) *option {
	if strings.HasPrefix(word, "--") {
		word = word[1:]
	}
	for i := range rows {
		if rows[i].name == word {
			return &rows[i]
		}
	}
	return nil
}

// defaultFiles is what is read without -f.
func defaultFiles() []string {
	const file = "/etc/lb/lb.cfg"
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	return []string{file}
}
