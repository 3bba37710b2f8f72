package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/config"
)

const usage = `lb balances TCP and HTTP connections over servers, as its haproxy.cfg says.

  lb -f FILE [-c] [-W|-Ws|-D|-db] [more options]    run; -c only checks the configuration
  lb reload  [-S SOCK] [--timeout 90s]              load the configuration anew; the answer is the outcome
             [--if-changed]                         unless it, its certificates and the program are what serves already
             [--canary 5%] [--for 60s]              on trial: a share of the new connections gets it, and it is taken back if it does
             [--abort-if 'errors > 1%']...          worse than what serves: 5xx > 1%, 4xx > 10%, errors > 1% or p99 > 500ms
  lb diff    [-S SOCK] [-f FILE]... [--json]        what a reload would change now: listeners, proxies, servers, certificates, rules; of other
                                                    files with -f
  lb canary  [status|promote|abort] [-S SOCK]       the trial that is under way: its figures so far; end it well, or badly
  lb status  [-S SOCK]                              what serves, and how the last reload went; exit status 1 if nothing serves, 4 if it cannot tell
  lb stop    [-S SOCK] [--now] [--timeout 0]        finish what is open, then end; --now does not finish it
  lb upgrade [-S SOCK] [--timeout 90s]              the running master becomes the program on disk, then reloads
  lb detach  [-S SOCK]                              end the master only; the next one takes the workers over
  lb top     [-s SOCK] [--every 2s] [--json]        what is busy, slow or failing; once if the output is no terminal
             [--sort COLUMN] [--filter TEXT]        by name, sessions, queue, rate, requests, errors or p99
  lb sessions [-s SOCK] [--json]                    the client connections
  lb errors  [-s SOCK] [--json]                     the last requests and answers that could not be read
  lb version                                        the version
  lb doctor  [FILE...]                              find what logrotate, cron, timers, certbot and network hooks would do to a balancer or its log daemon

  -f FILE|DIR   configuration, repeatable; of a directory the *.cfg in order; without -f /etc/lb/lb.cfg
  -c            check the configuration and exit; reports every mistake, with its line
  -W            a master that is reloaded (SIGUSR2, lb reload) and workers that serve
  -Ws           the same for systemd (Type=notify)
  -D            go to the background once everything serves
  -db, -d       stay in the foreground, whatever the configuration says; -d undoes -q
  -S ADDR       the master's command socket, PATH[,mode,600][,user,NAME][,group,NAME][,uid,N][,gid,N] or fd@N;
                with -Ws and RuntimeDirectory= it is there without being asked for
  -p FILE       write the process id (the master's with -W) once everything serves
  -x SOCK       take the listening sockets of the HAProxy or lb behind that stats socket
  -sf [PID...]  when everything serves, tell these processes to finish and leave; -st: to end at once
  -n N          maxconn, over the configuration's
  -L NAME       the name of this node among peers, over localpeer; $HAPROXY_LOCALPEER
  -C DIR        change to DIR first
  -q, -V        tell errors only; undo -q
  -v, -vv       version; with build details
  -cc EXPR      evaluate a condition as .if does; exit 0 true, 1 false, 2 wrong
  -dW           a warning is an error, as zero-warning in the file
  -m -N -dM -dr -dS and other -d options of HAProxy are accepted and have no effect

Commands speak to /run/lb/master.sock unless -S names another socket; top, sessions and errors to the stats socket, /run/lb/admin.sock
unless -s names another.
Exit status: 0 done, 1 refused or failed with the reason on the standard error, 2 wrong usage.
`

// usageOf is what the usage says of one command: its lines, and the last ones,
// which hold for all commands.
func usageOf(command string) string {
	var b strings.Builder
	in := false
	for line := range strings.Lines(usage) {
		switch {
		case strings.HasPrefix(line, "  lb "):
			in = strings.HasPrefix(line, "  lb "+command+" ")
		case !strings.HasPrefix(line, "     "):
			in = false
		}
		if in {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		return usage
	}
	_, last, _ := strings.Cut(usage, "\nCommands speak")
	return b.String() + "\nCommands speak" + last
}

// notACommand says what there is in place of a word that is no command.
func notACommand(word string) string {
	names := slices.Sorted(maps.Keys(verbs()))
	hint := "a configuration file is named with -f"
	if near := cfgfile.Suggest(word, names); near != "" {
		hint = "did you mean lb " + near + "?"
	}
	return fmt.Sprintf("%q is neither an option nor a command (%s); %s", word, strings.Join(names, ", "), hint)
}

// helpFor is where help about a wrong command line is.
func helpFor(wrong string) string {
	if verb, _, ok := strings.Cut(wrong, ": "); ok {
		if _, known := verbs()[verb]; known {
			return "lb " + verb + " --help"
		}
	}
	return "lb -h"
}

// details is what -vv says after the version.
func details() string {
	var features []string
	for _, f := range config.Features() {
		features = append(features, "+"+f)
	}
	return fmt.Sprintf(`Build options :
  TARGET = linux
  CPU    = %s
  CC     = %s

Feature list : %s

Available polling systems :
      epoll : pref=300,  test result OK
Total: 1 (1 usable), will use epoll.

Available services : prometheus-exporter
Available filters :
	[CACHE] cache
	[COMP] compression
	[SPOE] spoe
`, runtime.GOARCH, runtime.Version(), strings.Join(features, " "))
}

// evaluate is -cc.
func evaluate(condition string, errs io.Writer) int {
	env := cfgfile.NewEnv(os.Environ())
	env.Version, env.Features = config.CompatVersion, config.Features()
	ok, err := env.Eval(condition)
	switch {
	case err != nil:
		fmt.Fprintf(errs, "lb: -cc %q: %v\n", condition, err)
		return misused
	case ok:
		return done
	}
	return refused
}
