package master

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/payload"
)

// Commands for a worker: @1 is the one that serves, @!PID one by its process
// id, and @master the master again. A worker gets one end of a connection, and
// answers there as on its own stats socket.

// workerWait bounds the wait for a worker's answer.
const workerWait = 60 * time.Second

// maxPayload is as much as a worker's own socket takes.
const maxPayload = 16 << 20

// split cuts a line into its commands, at each ";" that no backslash takes.
func split(line string) (list []string) {
	start, escaped := 0, false
	for i := range len(line) {
		switch {
		case escaped:
			escaped = false
		case line[i] == '\\':
			escaped = true
		case line[i] == ';':
			list = append(list, line[start:i])
			start = i + 1
		}
	}
	return append(list, line[start:])
}

// line runs a line of commands. Those for one worker that follow each other go
// to it together.
func (s *session) line(text string, in *bufio.Reader) {
	var batch []string
	to := s.target
	send := func() {
		if len(batch) > 0 {
			s.forward(to, strings.Join(batch, ";"), in)
			batch = nil
		}
	}
	for _, command := range split(strings.TrimRight(text, "\r\n")) {
		words := strings.Fields(command)
		target, rest := s.target, command
		if len(words) > 0 && strings.HasPrefix(words[0], "@") {
			target = words[0]
			if target == "@" || target == "@master" {
				target = ""
			}
			_, rest, _ = strings.Cut(strings.TrimLeft(command, " \t"), words[0])
			if len(words) == 1 {
				send()
				s.target = target
				continue
			}
		}
		if target != to {
			send()
			to = target
		}
		switch {
		case len(strings.Fields(rest)) == 0:
		case target == "":
			s.command(strings.Fields(rest))
		case rest == command && words[0] == "quit":
			s.quit = true
		default:
			batch = append(batch, strings.TrimLeft(rest, " \t"))
		}
	}
	send()
}

// find finds the worker that a target means; nil if there is none.
func (r *run) find(target string) *worker {
	if target == "@1" {
		return r.current
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(target, "@!"))
	if err != nil || !strings.HasPrefix(target, "@!") {
		return nil
	}
	for _, w := range r.workers() {
		if w.pid == pid && w.ready {
			return w
		}
	}
	return nil
}

// forward has a worker answer.
func (s *session) forward(target, commands string, in *bufio.Reader) {
	if s.onlooker {
		s.say("Refused: commands for a worker are for root and for the user of the master (%d).", os.Geteuid())
		return
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.say("Reach the worker: %v.", err)
		return
	}
	f := os.NewFile(uintptr(fds[0]), "worker")
	conn, err := net.FileConn(f)
	f.Close()
	if err != nil {
		unix.Close(fds[1])
		s.say("Reach the worker: %v.", err)
		return
	}
	defer conn.Close()
	found := make(chan bool, 1)
	if !s.post(func() {
		w := s.find(target)
		if w == nil {
			unix.Close(fds[1])
		} else {
			s.send(w, parcel{order: handoff.Order{Kind: handoff.Converse}, fds: []int{fds[1]}, own: true})
		}
		found <- w != nil
	}) {
		unix.Close(fds[1])
		return
	}
	if !<-found {
		s.say("Can't find the target PID matching the prefix '%s': `show proc` lists the workers; @1 is the one that serves, @!PID one by its process id, @master the master.", target)
		return
	}
	conn.SetDeadline(time.Now().Add(workerWait))
	commands = s.prefix() + commands
	if s.payload && payload.Announced(commands) {
		if _, err := io.WriteString(conn, commands+s.tail); err == nil {
			s.passPayload(conn, in)
		}
	} else {
		_, _ = io.WriteString(conn, commands+"\n") // a worker that is gone is noticed by the answer that does not come
	}
	if u, ok := conn.(*net.UnixConn); ok {
		_ = u.CloseWrite()
	}
	n, err := s.passAnswer(conn)
	switch {
	case n == 0 && (err == nil || errors.Is(err, unix.ECONNRESET)): // reset with the question in it
		s.say("The worker has no answer: it has just ended, or is of a release that is asked on its own stats socket only.")
	case err != nil:
		s.say("The worker's answer: %v.", err)
	}
}

// passAnswer passes on what a worker answers, without the empty lines that are the answers to what stands before the commands.
func (s *session) passAnswer(conn io.Reader) (int64, error) {
	silent := strings.Repeat("\n", strings.Count(s.prefix(), ";"))
	first := make([]byte, len(silent))
	if n, err := io.ReadFull(conn, first); err != nil || string(first) != silent {
		if _, werr := s.w.Write(first[:n]); werr != nil || err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = nil
			}
			return int64(n), err
		}
	}
	n, err := io.Copy(s.w, conn)
	return n + int64(len(first)), err
}

// cutPayload parts a line after the first command that ends with payload.Mark:
// the payload begins on the next line, or after a ";" on this one.
func cutPayload(line string) (commands, tail string, ok bool) {
	at := 0
	for _, command := range split(strings.TrimRight(line, "\r\n")) {
		if at += len(command); payload.Announced(command) {
			return line[:at], line[at:], true
		}
		at++
	}
	return line, "", false
}

// goesOn says whether a payload is not over with the line that it begins on.
func goesOn(tail string) bool { return strings.TrimRight(tail, "\r\n") != ";" }

// passPayload passes on what follows the line that is answered, once.
func (s *session) passPayload(to io.Writer, in *bufio.Reader) {
	if s.payload && goesOn(s.tail) {
		passLines(to, in)
	}
	s.payload = false
}

// passLines passes the lines on that follow a command, up to an empty one. All
// are read, also those that are too many or that nobody takes any more.
func passLines(to io.Writer, in *bufio.Reader) {
	for left, whole := maxPayload, true; ; {
		line, err := in.ReadSlice('\n')
		if left > 0 {
			if _, werr := to.Write(line); werr != nil {
				left = 0
			}
			left -= len(line)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			whole = false // what follows is the rest of this line, not an empty one
		case err != nil, whole && len(strings.TrimRight(string(line), "\r\n")) == 0:
			return
		default:
			whole = true
		}
	}
}

// at is what the prompt shows.
func (s *session) at() string {
	if s.target == "" {
		return "master"
	}
	return fmt.Sprint(strings.TrimLeft(s.target, "@!"))
}
