package hooks

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// finding is a line that does something to a daemon.
type finding struct {
	line
	what    string // it does
	happens string // then
	instead string // to write
	harm    bool   // to a balancer
}

var (
	balancer    = regexp.MustCompile(`(?:^|[\s/"'=({\x60@])(haproxy|hapee-\S*lb|lb)(?:@\S*)?\*?(?:\.service|\.pid|\.sock)?(?:$|[\s/"';)}&|\x60,])`)
	balancerLog = regexp.MustCompile(`haproxy|/lb(?:/|\.log|\b)`)
	logger      = regexp.MustCompile(`\b(rsyslogd?|syslog-ng|syslogd)\b`)
	signal      = regexp.MustCompile(`^-(?:s|-signal=?)?(?:SIG)?(HUP|USR1|USR2|TERM|INT|KILL|QUIT|1|2|9|10|12|15)$`)
	exporter    = regexp.MustCompile(`\S*exporter\S*`)
	masterTalk  = regexp.MustCompile(`\breload\b.*\|.*\b(?:socat|nc|ncat)\b.*\b(haproxy|lb)\b`)
	hidden      = regexp.MustCompile(`\bsyslogd\s+reopen\b.*(?:\|\|\s*(?:true|:|exit 0)|;\s*true)\b?`)
)

// ofBalancer reports whether one of some files is a balancer's log. What asks a balancer for its figures has a log of its own.
func ofBalancer(files string) bool {
	return balancerLog.MatchString(exporter.ReplaceAllString(files, ""))
}

// examineAll says what a line does to daemons: itself, or the script that it calls.
// text is the line with what is known of its variables.
func examineAll(root string, l line, text string) []finding {
	if l.text == "copytruncate" {
		return []finding{{line: l, what: "truncates a balancer's log", happens: "What is written between the copy and the truncation is lost.",
			instead: "Remove the word, and let the log daemon reopen its file in a postrotate: /usr/sbin/syslogd reopen >/dev/null"}}
	}
	if file := emptiesLog(l.text); file != "" {
		return []finding{{line: l, what: "empties " + file, happens: "What is written between the copy, if there is one, and this is lost.",
			instead: "Let the log daemon that owns the file rotate it: /usr/sbin/syslogd rotate, or reopen after it was moved"}}
	}
	if hidden.MatchString(l.text) {
		return []finding{{line: l, what: "hides that syslogd did not reopen", happens: "logrotate then compresses a file that is still written to.",
			instead: "Write only: /usr/sbin/syslogd reopen >/dev/null (as /etc/logrotate.d/lb does)"}}
	}
	if m := masterTalk.FindStringSubmatch(l.text); m != nil {
		return []finding{verdict(l, deed{"reloads", ""}, m[1], true)}
	}
	var found []finding
	for _, words := range commands(text) {
		if words[0] == "xargs" && len(words) > 1 {
			words = append(words[1:], text) // whom it means stands before the bar
		}
		if f, ok := examine(l, words); ok {
			found = append(found, f)
			continue
		}
		if texts := given(words); len(texts) > 0 {
			for _, text := range texts {
				for _, words := range commands(text) {
					if f, ok := examine(l, words); ok {
						found = append(found, f)
					} else {
						found = append(found, examineCalled(root, l, words)...)
					}
				}
			}
			continue
		}
		found = append(found, examineCalled(root, l, words)...)
	}
	return found
}

// examineCalled says what the script does that a command calls.
func examineCalled(root string, l line, words []string) (found []finding) {
	r := called(root, words)
	if r == nil {
		return nil
	}
	var vars variables
	for _, inner := range r.lines {
		inner.by = fmt.Sprintf("%s (%s:%d)", l.by, l.file, l.n)
		for _, words := range commands(vars.expand(inner)) {
			if f, ok := examine(inner, words); ok {
				found = append(found, f)
			}
		}
	}
	return found
}

// rank orders findings: what ends service first, what loses lines last.
func (f *finding) rank() int {
	for i, what := range []string{"stops ", "restarts ", "signals ", "reloads "} {
		if f.harm && strings.HasPrefix(f.what, what) {
			return i
		}
	}
	if strings.HasPrefix(f.what, "truncates ") || strings.HasPrefix(f.what, "empties ") {
		return 4
	}
	return 5
}

// deed is what a command does.
type deed struct {
	what   string // "restarts", "reloads", "stops", "signals"
	signal string // with "signals", if it is known
}

// examine says what a command does to a daemon, if it does anything to one.
func examine(l line, words []string) (finding, bool) {
	d, about := act(words)
	if d.what == "" {
		return finding{}, false
	}
	if m := balancer.FindStringSubmatch(" " + about + " "); m != nil {
		return verdict(l, d, m[1], true), true
	}
	if name := logger.FindString(about); name != "" {
		return verdict(l, d, name, false), true
	}
	return finding{}, false
}

// act says what a command does, and the words that tell to whom.
func act(words []string) (d deed, about string) {
	rest := words[1:]
	all := strings.Join(rest, " ")
	program := filepath.Base(words[0])
	switch {
	case strings.HasPrefix(words[0], "/etc/init.d/"), strings.HasPrefix(words[0], "/etc/rc.d/init.d/"):
		if len(rest) > 0 {
			d.what = verb(rest[0])
		}
		return d, program
	case program == "rsyslog-rotate":
		return deed{"signals", "HUP"}, "rsyslog"
	}
	switch program {
	case "systemctl", "initctl":
		for i, w := range rest {
			if strings.HasPrefix(w, "-") || i > 0 && (rest[i-1] == "-s" || rest[i-1] == "-H" || rest[i-1] == "-M") {
				continue
			}
			d.what = verb(w)
			if w == "kill" {
				d = deed{"signals", signalOf(rest)}
			}
			return d, strings.Join(rest[i+1:], " ")
		}
	case "service", "rc-service", "invoke-rc.d":
		if i := slices.IndexFunc(rest, func(w string) bool { return !strings.HasPrefix(w, "-") }); i >= 0 && i+1 < len(rest) {
			if rest[i+1] == "rotate" {
				return deed{"signals", "HUP"}, rest[i]
			}
			return deed{what: verb(rest[i+1])}, rest[i]
		}
	case "kill", "pkill", "killall", "killproc", "skill":
		if slices.Contains(rest, "-0") {
			return deed{}, "" // a question
		}
		return deed{"signals", signalOf(rest)}, all
	case "start-stop-daemon":
		if slices.Contains(rest, "--stop") || slices.Contains(rest, "-K") || signalOf(rest) != "" {
			return deed{"signals", signalOf(rest)}, all
		}
	case "docker", "podman", "docker-compose", "nerdctl", "ctr":
		for i, w := range rest {
			// compose puts a name together: site_haproxy_1, site-haproxy-1.
			about := strings.NewReplacer("_", " ", "-", " ").Replace(strings.Join(rest[i+1:], " "))
			switch w {
			case "restart", "stop":
				return deed{what: verb(w)}, about
			case "kill":
				return deed{"signals", signalOf(rest)}, about
			}
		}
	case "lb":
		if len(rest) > 0 && (rest[0] == "reload" || rest[0] == "upgrade") && !slices.Contains(rest, "--if-changed") {
			return deed{what: "reloads"}, "lb"
		}
		if len(rest) > 0 && rest[0] == "stop" {
			return deed{what: "stops"}, "lb"
		}
	}
	if (program == "haproxy" || program == "lb") && (slices.Contains(rest, "-sf") || slices.Contains(rest, "-st")) {
		return deed{what: "reloads"}, program
	}
	return deed{}, ""
}

// verb is what a service manager's word comes to.
func verb(word string) string {
	switch word {
	case "restart", "try-restart", "condrestart", "force-restart":
		return "restarts"
	case "reload", "force-reload", "reload-or-restart", "try-reload-or-restart", "reload-or-try-restart":
		return "reloads"
	case "stop":
		return "stops"
	}
	return ""
}

// signalOf is the signal that a command names; "" is the usual one, TERM.
func signalOf(words []string) string {
	numbers := map[string]string{"1": "HUP", "2": "INT", "9": "KILL", "10": "USR1", "12": "USR2", "15": "TERM"}
	for i, w := range words {
		if i+1 < len(words) && slices.Contains([]string{"-s", "--signal", "-S"}, w) {
			w = "-" + words[i+1]
		}
		if m := signal.FindStringSubmatch(w); m != nil {
			if name, ok := numbers[m[1]]; ok {
				return name
			}
			return m[1]
		}
	}
	return ""
}

// verdict says what comes of it.
func verdict(l line, d deed, name string, isBalancer bool) finding {
	f := finding{line: l, what: d.what + " " + name, harm: isBalancer}
	if d.signal != "" {
		f.what += " with " + d.signal
	}
	rotates := true
	for _, other := range []string{"cron", "anacron", "timer", "certbot", "network"} {
		rotates = rotates && !strings.HasPrefix(l.by, other)
	}
	if !isBalancer {
		switch {
		case d.what == "restarts" || d.what == "stops" || d.what == "signals" && d.signal != "HUP" && d.signal != "USR1":
			f.happens = "What is sent while " + name + " is away is lost."
			f.instead = "Have it reopen its files instead; with syslogd: /usr/sbin/syslogd reopen >/dev/null"
		default:
			f.happens = "Nobody waits for " + name + " to reopen its file: without delaycompress, lines written meanwhile are lost to the compressor."
			f.instead = "Keep delaycompress here; or, for the balancer's log, syslogd answers when it is done: /usr/sbin/syslogd reopen >/dev/null"
		}
		return f
	}
	switch {
	case d.what == "restarts" && name == "lb":
		f.happens = "No request is lost by it, but nothing is won either."
	case d.what == "restarts":
		f.happens = "New connections are refused until it serves again, and open ones are cut."
	case d.what == "stops", d.what == "signals" && !slices.Contains([]string{"HUP", "USR1", "USR2"}, d.signal):
		f.happens = "It ends, and every open connection with it; if nothing starts it again, so does the service."
	case d.what == "signals" && d.signal == "USR1":
		f.happens = "It stops listening and ends when its connections have: nobody serves then."
	case d.what == "signals":
		f.happens = "It is a reload whose outcome nobody hears; HAProxy refuses or cuts some connections in it, and its old processes stay as long as their connections do."
	case name == "lb":
		f.happens = "No request is lost by it, but it is done whether anything has changed or not."
	default:
		f.happens = "HAProxy refuses or cuts some connections in it, and its old processes stay as long as their connections do."
	}
	switch {
	case rotates:
		f.instead = "A balancer has no log file to reopen: it logs to a socket. Remove this line, have the log daemon that owns the file reopen it, and wait for it: /usr/sbin/syslogd reopen >/dev/null"
	case strings.HasPrefix(l.by, "certbot"), strings.HasPrefix(l.by, "network"):
		f.instead = "A reload loses nothing, and does nothing when nothing has changed: /usr/sbin/lb reload --if-changed"
	default:
		f.instead = "If it is for the logs, remove it. If it is for certificates or a configuration that something else has written: /usr/sbin/lb reload --if-changed"
	}
	return f
}
