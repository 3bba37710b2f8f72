// Command syslogd receives log messages, writes them to files and rotates those without losing a line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/buildinfo"
	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/cmd/internal/notify"
	"lbsyslogd/cmd/internal/orphans"
	"lbsyslogd/cmd/internal/patience"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/daemon"
)

const usage = `syslogd receives log messages, writes them to files and rotates those.

  syslogd [-f FILE] [-c]           run; -c only checks the configuration
  syslogd reopen|rotate|flush      have the running daemon do it, and return when it is done
          [-s SOCK] [--output NAME] [--timeout 30s]
  syslogd reload [-s SOCK]         have it read its configuration again
  syslogd status [-s SOCK] [--json]
  syslogd cat [-f] [--output NAME] [--since TIME] [--until TIME] ...
  syslogd grep [-f] ... PATTERN    print lines that are stored; syslogd cat -h says more
  syslogd pipe [--size 100MB] ... FILE
                                   write the standard input to a file and rotate that; syslogd pipe -h says more
  syslogd verify [--output NAME] [--pub FILE]
                                   find what was changed in files that have a chain; syslogd verify -h says more
  syslogd sign --key FILE          sign the chains
  syslogd verify --kafka           read back what was sent to Kafka, and count gaps and duplicates
          [-f FILE] [--output NAME] [--timeout 10m]
  syslogd -v                       print the version

Without -f it reads /etc/syslogd/syslogd.yaml if that exists, and else receives on udp://127.0.0.1:514 and writes to
/var/log/lb/lb.log, rotated daily and at 100 MB. SIGHUP reopens the files and reloads the configuration, SIGUSR1 rotates.

Exit status: 0 done, 1 refused or failed with the reason on the standard error, 2 wrong usage.
`

const shortUsage = `usage: syslogd [-f FILE] [-c]
       syslogd reopen|rotate|flush|reload|status [-s SOCK] ...
       syslogd cat|grep|pipe|verify|sign ...
       syslogd -h says more`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(args []string, out, stderr *os.File) int {
	errs := &console.Writer{File: stderr, Prefix: "SYSLOGD_", IDs: daemon.MessageIDs()}
	defer errs.Flush()
	var err error
	switch {
	case len(args) > 0 && args[0] == daemon.CompressArg:
		err = daemon.Compress(args[1:])
	case len(args) > 0 && slices.Contains(commands(), args[0]):
		err = ask(args, out)
	case len(args) > 0 && offline()[args[0]] != nil:
		err = named(args[0], offline()[args[0]](args, out, errs))
	case len(args) > 0 && args[0] == "version":
		err = serve([]string{"-v"}, out, errs)
	case len(args) > 0 && args[0] == "help":
		err = flag.ErrHelp
	case len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		err = usageError{fmt.Errorf("there is no command %q; %s are", args[0], strings.Join(slices.Sorted(maps.Keys(verbs())), ", "))}
	default:
		err = serve(args, out, errs)
	}
	var wrong usageError
	var help helpText
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNothing):
		return 1
	case errors.As(err, &help):
		io.WriteString(out, string(help))
		return 0
	case errors.Is(err, flag.ErrHelp):
		io.WriteString(out, usage)
		return 0
	case errors.As(err, &wrong):
		if errs.Journal() {
			errs.Fail(fmt.Sprintf("syslogd: %v; see syslogd -h", err))
		} else {
			errs.Fail(fmt.Sprintf("syslogd: %v\n%s", err, shortUsage))
		}
		return 2
	}
	errs.Fail(err.Error())
	return 1
}

// commands are those for the running daemon.
func commands() []string { return []string{"reopen", "rotate", "flush", "reload", "status"} }

// offline are those that need no daemon.
func offline() map[string]func(args []string, out io.Writer, errs *console.Writer) error {
	return map[string]func(args []string, out io.Writer, errs *console.Writer) error{
		"cat":    search,
		"grep":   search,
		"pipe":   pipe,
		"sign":   sign,
		"verify": verify,
	}
}

// named is err with the command's name before it, where it has a file and no more, or has none.
func named(verb string, err error) error {
	var wrong usageError
	var help helpText
	var lines config.Errors // each begins with its place
	if err == nil || errors.Is(err, errNothing) || errors.As(err, &wrong) || errors.As(err, &help) || errors.As(err, &lines) || strings.HasPrefix(err.Error(), "syslogd ") {
		return err
	}
	return fmt.Errorf("syslogd %s: %w", verb, err)
}

// verbs are all of them.
func verbs() map[string]bool {
	all := make(map[string]bool)
	for _, name := range commands() {
		all[name] = true
	}
	for name := range offline() {
		all[name] = true
	}
	return all
}

// helpText is what a verb says of itself, in the place of an error.
type helpText string

func (h helpText) Error() string { return string(h) }

// errNothing is a command that has done its work and has nothing good to say: it has printed what there is.
var errNothing = errors.New("nothing was found")

// usageError is a command line that makes no sense.
type usageError struct{ error }

func parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected %q", flags.Arg(0))}
	}
	return nil
}

// ask has the running daemon carry out a command.
func ask(args []string, out io.Writer) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	socket := flags.String("s", "", "")
	output := flags.String("output", "", "")
	timeout := flags.Duration("timeout", 30*time.Second, "")
	asJSON := flags.Bool("json", false, "")
	file := flags.String("f", "", "")
	if err := parse(flags, args[1:]); err != nil {
		return err
	}
	words := args[:1]
	if *asJSON {
		words = append(words[:1:1], "--json")
	}
	if *output != "" {
		words = append(words[:1:1], "--output", *output)
	}
	if *socket == "" {
		*socket = config.DefaultControl
		if cfg, _, err := load(*file); err == nil {
			*socket = cfg.Control.Path
		}
	}
	if args[0] != "status" && console.Into(out) != nil {
		out = io.Discard // the daemon tells the journal what there is to tell
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if err := control.Ask(ctx, *socket, words, out); err != nil {
		return fmt.Errorf("syslogd %s: %w", args[0], err)
	}
	return nil
}

// serve runs the daemon, or checks what it would run.
func serve(args []string, out io.Writer, errs *console.Writer) error {
	flags := flag.NewFlagSet("syslogd", flag.ContinueOnError)
	file := flags.String("f", "", "")
	check := flags.Bool("c", false, "")
	version := flags.Bool("version", false, "")
	flags.BoolVar(version, "v", false, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *version {
		fmt.Fprintf(out, "syslogd %s\n", buildinfo.Version())
		return nil
	}
	if *check {
		_, from, err := load(*file)
		if err == nil && from != "" {
			err = config.Check(from)
		}
		if err == nil && console.Into(out) == nil {
			fmt.Fprintln(out, "the configuration is valid")
		}
		return err
	}
	defer orphans.Reap()()
	manager := notify.Find()
	starts := startsOf(manager, *file)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	goOn := starts.Wait(signals)
	signal.Stop(signals)
	if !goOn {
		return nil
	}
	ready := false
	err := start(*file, errs, manager, func() { ready = true; starts.Worked() })
	if err != nil && !ready {
		starts.Failed()
	}
	return err
}

// startsOf remembers starts that failed, where a service manager tries them again.
func startsOf(manager *notify.Manager, file string) *patience.Patience {
	if file == "" {
		file = config.DefaultPath
	}
	starts := &patience.Patience{Unit: "syslogd", Config: []string{file}, Write: func(path string, data []byte, mode os.FileMode) error {
		return os.WriteFile(path, data, mode) // RuntimeDirectory= is ours alone
	}}
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); manager != nil && dir != "" {
		starts.Path = filepath.Join(dir, "failed-starts")
		starts.Notify = func(status string) { _ = manager.Send("STATUS=" + status) } // nothing depends on it
	}
	return starts
}

// start runs the daemon to its end. ready is called once it has started.
func start(file string, errs *console.Writer, manager *notify.Manager, ready func()) error {
	cfg, from, err := load(file)
	if err != nil {
		return err
	}
	d := daemon.Daemon{
		Config: cfg, File: from, Version: buildinfo.Version(), Log: logger(errs),
		Ready:      ready,
		Sinks:      sinks(),
		Executable: "/proc/self/exe", // this very program, also after an upgrade has replaced the file
	}
	for _, kept := range notify.Take() {
		d.Passed = append(d.Passed, daemon.Passed(kept))
	}
	if manager != nil {
		d.Keeper = manager
	}
	if err := d.Run(context.Background()); err != nil {
		return fmt.Errorf("syslogd: %w", err)
	}
	return nil
}

// load reads the configuration from path, or from the usual place, or takes the built-in one. from is the file it came from.
func load(path string) (cfg *config.Config, from string, err error) {
	if path != "" {
		cfg, err = config.Load(path)
		return cfg, path, err
	}
	cfg, err = config.Load(config.DefaultPath)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), "", nil
	}
	return cfg, config.DefaultPath, err
}

// logger writes to the standard error, or to the journal. Attributes that are fields of the journal alone are left out elsewhere.
func logger(to *console.Writer) *slog.Logger {
	if to.Journal() {
		return console.Logger(to, os.Getpid(), false)
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if console.Hidden(a) {
				return slog.Attr{}
			}
			return a
		},
	}))
}
