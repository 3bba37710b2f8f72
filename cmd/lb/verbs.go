package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/cmd/internal/console"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/worker"
)

const defaultSocket = "/run/lb/master.sock"

// verb is a command for a running master.
type verb struct {
	run func(args []string, out, errs io.Writer) error
}

func verbs() map[string]verb {
	return map[string]verb{
		"reload":   {reload},
		"canary":   {canary},
		"upgrade":  {outcome("upgrade")},
		"status":   {health},
		"detach":   {tell("detach")},
		"stop":     {stop},
		"diff":     {diff},
		"doctor":   {doctor},
		"top":      {top},
		"sessions": {shown("sessions", "show sess")},
		"errors":   {shown("errors", "show errors")},
		"version": {func(_ []string, out, _ io.Writer) error {
			writeVersion(out, false)
			return nil
		}},
		"help": {func(_ []string, out, _ io.Writer) error {
			_, err := io.WriteString(out, usage)
			return err
		}},
	}
}

// request is the command line of a verb.
type request struct {
	socket  string
	timeout time.Duration
	flags   map[string]bool
	help    bool

	master   int  // the process that was asked
	sameUnit bool // the master that was asked runs in this process's own unit of systemd
}

// requested reads a verb's options. flags names those of its own.
func requested(verb string, args []string, timeout time.Duration, flags ...string) (*request, error) {
	r := &request{socket: defaultSocket, timeout: timeout, flags: map[string]bool{}}
	for ; len(args) > 0; args = args[1:] {
		name := "-" + strings.TrimLeft(args[0], "-")
		value, given := "", false
		if n, v, ok := strings.Cut(name, "="); ok {
			name, value, given = n, v, true
		}
		switch name {
		case "-h", "-help":
			r.help = true
			continue
		case "-S", "-timeout":
			if !given {
				if len(args) < 2 {
					return nil, usageError{fmt.Sprintf("%s: %s needs a value", verb, args[0])}
				}
				args = args[1:]
				value = args[0]
			}
		}
		switch {
		case name == "-S":
			r.socket = strings.TrimPrefix(strings.TrimPrefix(value, "unix@"), "unix:")
		case name == "-timeout":
			d, err := time.ParseDuration(value)
			if value == "0" {
				d, err = 0, nil
			}
			if err != nil || d < 0 {
				return nil, usageError{fmt.Sprintf("%s: --timeout %s is not a duration like 90s", verb, value)}
			}
			r.timeout = d
		case strings.HasPrefix(args[0], "-") && slices.Contains(flags, name):
			r.flags[name] = true
		default:
			return nil, usageError{fmt.Sprintf("%s: %q is not understood", verb, args[0])}
		}
	}
	return r, nil
}

// noMaster says that no master is at a socket, and what to do.
type noMaster string

func (e noMaster) Error() string { return string(e) }

// ask sends a command to the master and returns all that it answers.
func (r *request) ask(command string) (string, error) {
	c, err := net.DialTimeout("unix", r.socket, 5*time.Second)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", noMaster(fmt.Sprintf("no master has its socket at %s: is lb running with -W or -Ws, and with this -S?", r.socket))
	case errors.Is(err, syscall.ECONNREFUSED):
		return "", noMaster(fmt.Sprintf("the master whose socket is %s is gone: start lb again; workers that it left serve until then", r.socket))
	case err != nil:
		return "", fmt.Errorf("the master's socket: %w", err)
	}
	defer c.Close()
	if u, ok := c.(*net.UnixConn); ok {
		if cred, err := handoff.Peer(u); err == nil {
			unit := unitOf("self")
			r.master = int(cred.Pid)
			r.sameUnit = unit != "" && unit == unitOf(strconv.Itoa(int(cred.Pid)))
		}
	}
	if r.timeout > 0 {
		if err := c.SetDeadline(time.Now().Add(r.timeout)); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return "", fmt.Errorf("ask the master at %s: %w", r.socket, err)
	}
	answer, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return string(answer), fmt.Errorf("the master at %s did not finish within %v; it goes on (see lb status)", r.socket, r.timeout)
	}
	if err != nil {
		return string(answer), fmt.Errorf("the master's answer: %w", err)
	}
	return string(answer), r.stray(command, string(answer))
}

// stray is an error if whoever answered does not know the command: nothing was done.
func (r *request) stray(command, answer string) error {
	verb, _, _ := strings.Cut(command, " ")
	switch {
	case !strings.HasPrefix(answer, "Unknown command"):
		return nil
	case strings.HasPrefix(answer, "Unknown command: "):
		return fmt.Errorf("the master at %s is of a release without `%s`: `lb upgrade` makes it this one", r.socket, verb)
	}
	return fmt.Errorf("%s is a stats socket, whose process does not know `%s`: -S names the master's socket (the default is %s)", r.socket, verb, defaultSocket)
}

// insist is ask for what may be asked twice. A master that becomes another
// program (`lb upgrade`) in that moment leaves its clients without an answer,
// and is there again at once.
func (r *request) insist(command string) (string, error) {
	for try := 0; ; try++ {
		answer, err := r.ask(command)
		if err != nil || answer != "" || try == 3 || !r.lives() {
			return answer, err
		}
	}
}

// lives says that the process that was asked listens still.
func (r *request) lives() bool {
	c, err := net.DialTimeout("unix", r.socket, 5*time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	cred, err := handoff.Peer(c.(*net.UnixConn))
	return err == nil && int(cred.Pid) == r.master
}

// outcome runs a command that is answered with Success=0 or 1.
func outcome(command string, flags ...string) func([]string, io.Writer, io.Writer) error {
	return func(args []string, out, errs io.Writer) error {
		r, err := requested(command, args, 90*time.Second, flags...)
		if err != nil || r.help {
			return helped(out, command, err)
		}
		line := command
		if r.flags["-if-changed"] {
			line += " if-changed"
		}
		ask := r.insist
		if command == "upgrade" { // a program that died of the first one need not be asked again
			ask = r.ask
		}
		answer, err := ask(line)
		if err != nil {
			return err
		}
		return r.conclude(answer, out, errs)
	}
}

// conclude shows how a reload went, and is an error if it failed.
func (r *request) conclude(answer string, out, errs io.Writer) error {
	if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
		return errors.New(strings.TrimSpace(text))
	}
	head, rest, _ := strings.Cut(answer, "\n--\n")
	switch head {
	case "Success=1":
		return r.say(out, rest)
	case "Success=0":
		_ = r.say(errs, rest) // the exit status tells it too
		return worker.ErrSaid
	case "":
		return fmt.Errorf("the master at %s ended before it answered", r.socket)
	}
	return errors.New(strings.TrimSpace(answer))
}

// say shows the master's answer. A journal needs its last line only, and
// nothing when the master has just written the same to the journal.
func (r *request) say(to io.Writer, answer string) error {
	w := console.Into(to)
	switch {
	case w == nil:
		_, err := io.WriteString(to, once(answer))
		return err
	case r.sameUnit:
		return nil
	}
	answer = strings.TrimSuffix(answer, "\n")
	line := answer[strings.LastIndex(answer, "\n")+1:]
	tag := "[NOTICE]  "
	if strings.HasPrefix(line, "Reload failed") {
		tag = "[ALERT]   "
	}
	_, err := fmt.Fprintf(w, "%s (%d) : %s\n", tag, os.Getpid(), line)
	return err
}

// once leaves out of the verdict, the last line, what the lines before it say
// already: a mistake is reported once.
func once(answer string) string {
	text := strings.TrimSuffix(answer, "\n")
	at := strings.LastIndex(text, "\n") + 1
	reason, ok := strings.CutPrefix(text[at:], "Reload failed: ")
	if !ok || !strings.Contains(text[:at], reason) {
		return answer
	}
	return text[:at] + "Reload failed, for the reason above.\n"
}

// tell runs a command whose answer is shown.
func tell(command string) func([]string, io.Writer, io.Writer) error {
	return func(args []string, out, _ io.Writer) error {
		r, err := requested(command, args, 30*time.Second)
		if err != nil || r.help {
			return helped(out, command, err)
		}
		answer, err := r.ask(command)
		if err != nil {
			return err
		}
		if text, ok := strings.CutPrefix(answer, "Refused: "); ok {
			return errors.New(strings.TrimSpace(text))
		}
		_, err = io.WriteString(out, answer)
		return err
	}
}

// unknown is what status ends with when it cannot tell: the question was not
// answered, which says nothing of what serves.
type unknown struct{ error }

func (u unknown) Unwrap() error { return u.error }

// health is status, whose exit status says whether anything serves: health checks of containers and monitors ask for no more.
func health(args []string, out, errs io.Writer) error {
	r, err := requested("status", args, 30*time.Second)
	if err != nil || r.help {
		return helped(out, "status", err)
	}
	answer, err := r.insist("status")
	var none noMaster
	switch {
	case errors.As(err, &none):
		if left := waiting(r.socket); len(left) > 0 {
			_, err := fmt.Fprintf(out, "The master whose socket is %s is gone: worker %s serves on until the next one. Start lb again.\n", r.socket, strings.Join(left, " and "))
			return err
		}
		return err
	case errors.Is(err, os.ErrPermission):
		return unknown{fmt.Errorf("cannot tell what serves: %w; the socket's group may ask, and root", err)}
	case err != nil:
		return unknown{fmt.Errorf("cannot tell what serves: %w", err)}
	case answer == "":
		return unknown{fmt.Errorf("cannot tell what serves: the master at %s ended before it answered", r.socket)}
	}
	if _, err := io.WriteString(out, answer); err != nil {
		return err
	}
	if strings.Contains(answer, "\nno worker serves\n") {
		return worker.ErrSaid
	}
	return nil
}

// waiting are the workers that listen for their next master. They are looked for where the kernel lists sockets: whoever connects is that master.
func waiting(socket string) (pids []string) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	names := []string{socket}
	if abs, err := filepath.Abs(socket); err == nil {
		names = append(names, abs)
	}
	for l := range strings.Lines(string(table)) {
		f := strings.Fields(l) // Num RefCount Protocol Flags Type St Inode Path
		if len(f) != 8 || f[3] != "00010000" {
			continue // it does not listen
		}
		for _, name := range names {
			if pid, ok := strings.CutPrefix(f[7], name+".worker."); ok && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// unitOf is the unit that a process runs in: a part of its control group. ""
// is none, or not to be found out.
func unitOf(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			for part := range strings.SplitSeq(path, "/") {
				if strings.HasSuffix(part, ".service") {
					return part
				}
			}
		}
	}
	return ""
}

// helped answers --help with what belongs to the command, unless the command
// line was wrong.
func helped(out io.Writer, command string, err error) error {
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, usageOf(command))
	return err
}
