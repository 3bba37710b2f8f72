package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"path"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/syslogd/message"
	finder "lbsyslogd/syslogd/search"
)

const searchUsage = `syslogd cat prints lines that the outputs have stored; syslogd grep prints those that match a pattern. Both read current, rotated and
compressed files as the configuration names them, and need no daemon.

  syslogd cat  [OPTION]...
  syslogd grep [OPTION]... PATTERN

  --since TIME, --until TIME   from the one on, and before the other: 2026-11-21T03:04:05Z, 2026-11-21 03:04, 2026-11-21, 03:04 (today),
                               now, today, yesterday, 90m (so long ago; also 2h, 3d)
  --host PATTERN, --tag PATTERN
                               shell patterns on the host and the program's name; several are alternatives
  --severity NAME              this or worse, where the format of the output has it
  --output NAME                of one output; else the lines of all are merged by time
  -f                           go on with what is written from now on, until it is interrupted
  --json                       one JSON object a line
  -H                           begin each line with the path of its log
  -i, -v, -F, -c, -m NUMBER    as grep: any case, lines that do not match, a text and no pattern, the number only, at most so many
  --zone NAME                  of times without one; else time_zone of the configuration
  --slack DURATION, --exact    how far out of order lines may be in files without an index (10m), or read all there is
  --config FILE                the daemon's configuration

PATTERN is a regular expression of Go's (RE2). Exit status: 0 lines were found, 1 none or an error, 2 wrong usage.
`

// request is what a command line asks for.
type request struct {
	finder.Searcher
	follow, asJSON, names, count bool
	most                         int
}

// search is cat and grep.
func search(args []string, out io.Writer, errs *console.Writer) error {
	r, err := parseSearch(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if !r.follow {
		stop() // the end of a search that is interrupted is the end
	}
	defer r.Close()
	p := &printer{request: r, to: bufio.NewWriterSize(out, 64<<10)}
	err = r.Run(r.follow, p.print)
	if err == nil && r.follow && !p.enough() {
		err = r.Follow(ctx, p.flush, p.print)
	}
	if r.count && err == nil {
		fmt.Fprintln(p.to, p.found)
	}
	p.flush()
	switch {
	case err != nil:
		return fmt.Errorf("syslogd %s: %w", args[0], err)
	case p.err != nil:
		return p.err
	case p.found == 0:
		return errNothing
	}
	return nil
}

// A printer writes what is found.
type printer struct {
	*request
	to    *bufio.Writer
	found int
	err   error
}

func (p *printer) enough() bool { return p.err != nil || p.most > 0 && p.found >= p.most }

func (p *printer) flush() {
	if err := p.to.Flush(); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *printer) print(l finder.Line) bool {
	p.found++
	switch {
	case p.count:
	case p.asJSON:
		p.printJSON(l)
	default:
		if p.names {
			fmt.Fprint(p.to, l.Log.Path, ":")
		}
		_, _ = p.to.Write(l.Text) // an error comes back with the newline
		if err := p.to.WriteByte('\n'); err != nil {
			p.err = err
		}
	}
	return !p.enough()
}

// found is a line as JSON, with the names of the format json.
type found struct {
	Output   string `json:"output"`
	Time     string `json:"time,omitempty"`
	Host     string `json:"host,omitempty"`
	Facility string `json:"facility,omitempty"`
	Severity string `json:"severity,omitempty"`
	Tag      string `json:"tag,omitempty"`
	PID      string `json:"pid,omitempty"`
	MsgID    string `json:"msgid,omitempty"`
	Data     string `json:"structured_data,omitempty"`
	Text     string `json:"text"`
}

func (p *printer) printJSON(l finder.Line) {
	r := l.Record
	f := found{
		Output: l.Log.Output, Host: string(r.Host), Tag: string(r.Tag), PID: string(r.PID), MsgID: string(r.MsgID), Data: string(r.Data),
		Text: string(r.Text),
	}
	if !r.Time.IsZero() {
		f.Time = r.Time.Format(time.RFC3339Nano)
	}
	if r.Priority >= 0 {
		f.Facility = message.Facility(r.Priority / message.Severities).String()
		f.Severity = message.Severity(r.Priority % message.Severities).String()
	}
	e := json.NewEncoder(p.to)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		p.err = err
	}
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string { return strings.Join(*t, ",") }

func (t *texts) Set(text string) error {
	if _, err := path.Match(text, ""); err != nil {
		return fmt.Errorf("%q is not a shell pattern: %w", text, err)
	}
	*t = append(*t, text)
	return nil
}

func parseSearch(args []string) (*request, error) {
	r := new(request)
	q := &r.Query
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	since, until := flags.String("since", "", ""), flags.String("until", "", "")
	flags.Var((*texts)(&q.Hosts), "host", "")
	flags.Var((*texts)(&q.Tags), "tag", "")
	severity, output := flags.String("severity", "", ""), flags.String("output", "", "")
	file, zone := flags.String("config", "", ""), flags.String("zone", "", "")
	flags.BoolVar(&r.follow, "f", false, "")
	flags.BoolVar(&r.asJSON, "json", false, "")
	flags.BoolVar(&r.names, "H", false, "")
	flags.BoolVar(&r.count, "c", false, "")
	flags.IntVar(&r.most, "m", 0, "")
	flags.DurationVar(&q.Slack, "slack", 0, "")
	flags.BoolVar(&q.Exact, "exact", false, "")
	flags.BoolVar(&q.Invert, "v", false, "")
	anyCase, fixed := flags.Bool("i", false, ""), flags.Bool("F", false, "")
	words, err := parseMixed(flags, args[1:], searchUsage)
	if err != nil {
		return nil, err
	}
	switch {
	case args[0] == "cat" && len(words) > 0:
		return nil, usageError{fmt.Errorf("unexpected %q; syslogd grep looks for a pattern", words[0])}
	case args[0] == "grep" && len(words) != 1:
		return nil, usageError{errors.New("grep wants one pattern; see syslogd grep -h")}
	case r.follow && *until != "":
		return nil, usageError{errors.New("-f goes on with new lines, which --until would not let through")}
	case args[0] == "grep":
		if q.Pattern, err = patternOf(words[0], *anyCase, *fixed); err != nil {
			return nil, usageError{err}
		}
	}
	if *severity != "" {
		if q.Severity, q.Rated = message.ParseSeverity(*severity); !q.Rated {
			return nil, usageError{fmt.Errorf("severity %q is not known; emerg, alert, crit, err, warning, notice, info and debug are", *severity)}
		}
	}
	cfg, _, err := load(*file)
	if err != nil {
		return nil, err
	}
	if *zone != "" {
		if cfg.Zone, err = time.LoadLocation(*zone); err != nil {
			return nil, usageError{fmt.Errorf("zone: %w", err)}
		}
	}
	now := time.Now()
	if cfg.Zone != nil {
		now = now.In(cfg.Zone)
	}
	if q.Since, err = finder.ParseTime(*since, now); err != nil {
		return nil, usageError{fmt.Errorf("--since: %w", err)}
	}
	if q.Until, err = finder.ParseTime(*until, now); err != nil {
		return nil, usageError{fmt.Errorf("--until: %w", err)}
	}
	r.Fields = r.asJSON && !r.count
	r.Logs, err = finder.Logs(cfg, *output)
	return r, err
}

func patternOf(text string, anyCase, fixed bool) (*regexp.Regexp, error) {
	if fixed {
		text = regexp.QuoteMeta(text)
	}
	if anyCase {
		text = "(?i)" + text
	}
	return regexp.Compile(text)
}

// parseMixed reads flags that words may stand between.
func parseMixed(flags *flag.FlagSet, args []string, usage string) (words []string, err error) {
	flags.SetOutput(io.Discard)
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, helpText(usage)
		} else if err != nil {
			return nil, usageError{err}
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return words, nil
		}
		if len(rest) < len(args) && args[len(args)-len(rest)-1] == "--" {
			return append(words, rest...), nil
		}
		words, args = append(words, rest[0]), rest[1:]
	}
}
