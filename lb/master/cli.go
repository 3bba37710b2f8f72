package master

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/payload"
)

// cliIdle ends a command connection on which nothing happens.
const cliIdle = 10 * time.Minute

// maxLine is the longest line of commands.
const maxLine = 16 << 10

// serveCLI answers commands until the listener is closed.
func (r *run) serveCLI(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: others will be closed.
			r.Log.Warn(fmt.Sprintf("command socket: %v", err))
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-r.over:
				return
			}
		}
		go r.converse(c)
	}
}

// converse answers one connection as HAProxy does: one line of commands, or
// lines until quit once `prompt` was said.
func (r *run) converse(c net.Conn) {
	defer c.Close()
	s := &session{run: r, w: c, stranger: stranger(c)}
	s.onlooker = r.Onlookers && s.stranger
	in := bufio.NewReaderSize(io.LimitReader(c, 1<<30), maxLine)
	for {
		if err := c.SetReadDeadline(time.Now().Add(cliIdle)); err != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		if len(line) == 0 && err != nil {
			return
		}
		text, long := string(line), errors.Is(err, bufio.ErrBufferFull)
		if long { // read to its end, as a client that is refused halfway reads no answer
			s.tail = ""
			s.payload, s.doubt = endOfLine(text, in)
		} else {
			text, s.tail, s.payload = cutPayload(text)
			s.doubt = slices.ContainsFunc(split(strings.TrimRight(text, "\r\n")), payload.WordAfter)
		}
		r.answering.RLock()
		if long {
			s.say("The line is longer than %d bytes, nothing was done.", maxLine)
		}
		if s.doubt {
			s.say(payload.WordAfterSaid)
			s.quit = true
		} else if !long {
			s.line(text, in)
		}
		r.answering.RUnlock()
		if s.quit {
			s.readOut(in)
			return
		}
		s.passPayload(io.Discard, in)
		if !s.prompt {
			return
		}
		if _, err := io.WriteString(c, "\n"+s.at()+"> "); err != nil {
			return
		}
	}
}

// endOfLine reads to the end of a line that begins with text, and says whether
// a payload goes on after it, or what may be one whose end is not known.
func endOfLine(text string, in *bufio.Reader) (goesOn, unknown bool) {
	next := func() (b byte, err error) {
		if text == "" {
			return in.ReadByte()
		}
		b, text = text[0], text[1:]
		return b, nil
	}
	var scan payload.Scan
	for {
		b, err := next()
		if err != nil {
			return false, false
		}
		switch scan.Feed(b) {
		case payload.Line:
			return false, false
		case payload.Unknown:
			return false, true
		case payload.Payload:
			goesOn = b == '\n'
			for b != '\n' && err == nil { // the payload's first line is on this one, and an empty one ends it
				b, err = next()
				goesOn = goesOn || b != '\r' && b != '\n'
			}
			return goesOn, false
		}
	}
}

// readOut reads what a client still sends that is refused, for a moment: it would read no answer if the connection were closed meanwhile.
func (s *session) readOut(in *bufio.Reader) {
	c, ok := s.w.(interface {
		CloseWrite() error
		SetReadDeadline(time.Time) error
	})
	if ok && s.doubt && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		_, _ = io.CopyN(io.Discard, in, maxPayload)
	}
}

// answered waits, but not for long, until everybody who asked something has
// been answered. It is the last act of Run.
func (r *run) answered() {
	all := make(chan struct{})
	go func() {
		r.answering.Lock()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(time.Second):
	}
}

// session is one command connection.
type session struct {
	*run
	w        io.Writer
	stranger bool // neither root nor this process's user
	onlooker bool // may look, and change nothing
	level    level
	modes    []string // those that are on, for workers
	prompt   bool
	quit     bool
	payload  bool   // one belongs to the line that is answered, and nobody has read it: its lines are no commands
	tail     string // what of that line is after payload.Mark
	doubt    bool   // what may be a payload follows, and nobody knows where it ends
	target   string // who gets the commands: "@1", "@!PID"; "" is the master
}

// stranger says that a client is neither root nor this process's user.
func stranger(c net.Conn) bool {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return true
	}
	cred, err := handoff.Peer(u)
	return err != nil || cred.Uid != 0 && int(cred.Uid) != os.Geteuid()
}

// command is one word, or two, of the command language.
type command struct {
	name string
	help string
	do   func(*session, []string)
	acts bool // it is not for onlookers
}

func commands() []command {
	return []command{
		{"@<pid>", "send a command to a worker: `@1 show info` to the one that serves, `@!PID show info` to another; `@1` alone sends all that follow, until `@master`", (*session).showHelp, false},
		{"help", "this list", (*session).showHelp, false},
		{"prompt", "stay and ask for the next command", func(s *session, _ []string) { s.prompt = true }, false},
		{"quit", "end the connection", func(s *session, _ []string) { s.quit = true }, false},
		{"reload", "start a new worker with the configuration of now, wait for it and say how it went; `reload if-changed` does nothing for an equal one", (*session).reloadNow, true},
		{"canary", "`canary status`, `promote` or `abort`: the trial that `reload canary 5% for 60s` has begun", (*session).canaryNow, false},
		{"configuration", "what the serving worker was loaded from, for `lb diff`: two lines of JSON, secrets and all", (*session).showConfiguration, true},
		{"upgrade", "replace this master by the program on disk, then reload", (*session).upgradeNow, true},
		{"operator", "lower the level of this connection: it may look, and reload", func(s *session, _ []string) { s.lower(operator) }, false},
		{"user", "lower it further: it may look", func(s *session, _ []string) { s.lower(user) }, false},
		{"show cli level", "the level of this connection", (*session).showLevel, false},
		{"show cli sockets", "the addresses of the stats socket, of which the master has none: ask `@1 show cli sockets`", func(*session, []string) {}, false},
		{"expert-mode", "`expert-mode on`: also for the workers that are asked through this connection", func(s *session, words []string) { s.mode("expert-mode", words) }, false},
		{"experimental-mode", "the same of this mode", func(s *session, words []string) { s.mode("experimental-mode", words) }, false},
		{"mcli-debug-mode", "taken, and needed for nothing", func(s *session, words []string) { s.mode("", words) }, false},
		{"show proc", "the processes", (*session).showProc, false},
		{"show version", "the version", func(s *session, _ []string) { fmt.Fprintln(s.w, s.Version) }, false},
		{"status", "what serves, how the last reload went, what the workers are doing", (*session).showStatus, false},
		{"stop", "finish what is open, then end; `stop now` does not finish it", (*session).stopNow, true},
		{"detach", "end this master and leave the workers to the next one", (*session).detachNow, true},
	}
}

func (s *session) command(words []string) {
	if len(words) == 0 || s.quit {
		return
	}
	for _, c := range commands() {
		name := strings.Fields(c.name)
		if len(words) >= len(name) && slices.Equal(words[:len(name)], name) {
			if c.acts && s.onlooker {
				s.say("Refused: '%s' is for root and for the user of the master (%d).", c.name, os.Geteuid())
				return
			}
			if !s.level.permits(&c) {
				s.say("Permission denied")
				return
			}
			c.do(s, words[len(name):])
			return
		}
	}
	s.say("Unknown command: '%s', but `help` lists those that there are.", strings.Join(words, " "))
}

// say answers a line. Who hung up does not want it.
func (s *session) say(format string, args ...any) { fmt.Fprintf(s.w, format+"\n", args...) }

func (s *session) showHelp([]string) {
	s.say("The following commands are valid at this level:")
	for _, c := range commands() {
		s.say("  %-42s : %s", c.name, c.help)
	}
}

// reloadNow waits for the outcome and says it as HAProxy does: Success=0 or 1,
// two dashes, all messages.
func (s *session) reloadNow(words []string) {
	waiter := make(chan Outcome, 1)
	if len(words) > 0 && words[0] == "canary" {
		c, err := ParseCanary(words[1:])
		if err != nil {
			s.sayOutcome(Outcome{Reason: err.Error()})
			return
		}
		s.post(func() { s.try(waiter, c) })
	} else {
		ifChanged := slices.Contains(words, "if-changed")
		s.post(func() { s.reload(waiter, ifChanged) })
	}
	select {
	case o := <-waiter:
		s.sayOutcome(o)
	case <-s.over:
		select {
		case o := <-waiter: // at the very end
			s.sayOutcome(o)
		default:
			s.sayOutcome(Outcome{Reason: "the master has ended"})
		}
	}
}

func (s *session) sayOutcome(o Outcome) { SayOutcome(s.w, o) }

// SayOutcome writes the answer to `reload`. The line after the messages is the
// one that `lb reload` shows to an operator who wants no more.
func SayOutcome(w io.Writer, o Outcome) {
	success := 0
	if o.OK {
		success = 1
	}
	fmt.Fprintf(w, "Success=%d\n--\n%s", success, o.Text)
	if o.Text != "" && !strings.HasSuffix(o.Text, "\n") {
		fmt.Fprintln(w)
	}
	switch {
	case o.Unchanged:
		fmt.Fprintf(w, "Nothing has changed, generation %d serves on.\n", o.Generation)
	case o.OK:
		fmt.Fprintf(w, "Generation %d serves.%s\n", o.Generation, withSpace(o.Verdict))
	default:
		fmt.Fprintf(w, "Reload failed: %s\n", o.Reason)
	}
}

func withSpace(text string) string {
	if text == "" {
		return ""
	}
	return " " + text
}

// stopNow answers when the workers have ended, by the end of the connection.
func (s *session) stopNow(words []string) {
	hard := slices.Contains(words, "now")
	s.post(func() {
		if hard {
			s.stopHard(0)
			return
		}
		s.stopSoft()
	})
	<-s.over
}

func (s *session) detachNow([]string) {
	errs := make(chan error, 1)
	if s.post(func() { errs <- s.detach() }) {
		if err := <-errs; err != nil {
			s.say("Refused: %v", err)
			return
		}
		s.say("The workers serve on.")
	}
	<-s.over
}
