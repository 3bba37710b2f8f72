package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/test/backend"
)

// What servers and machines do to the daemons.

// pause waits within a deed.
func (h *doer) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-h.ctx.Done():
		return h.ctx.Err()
	}
}

// any picks a server.
func (h *doer) any(arg uint32) *server {
	w := h.servers[int(arg)%len(h.servers)]
	h.server = w.name
	return w
}

// span is a time between 200 ms and a second and a half.
func span(arg uint32) time.Duration { return time.Duration(200+arg>>8%1300) * time.Millisecond }

// dieServer ends a server, with what it has in its hands, and starts it again at the same port.
func (h *doer) dieServer(arg uint32) error {
	w := h.any(arg)
	w.close()
	err := h.pause(span(arg))
	// A connection of somebody else may have the port for a moment.
	return errors.Join(err, h.until(w.name+" to listen again", func() bool { return w.start() == nil }))
}

func (h *doer) have(arg uint32, t *trouble) error {
	w := h.any(arg)
	w.trouble.Store(t)
	defer w.trouble.Store(nil)
	return h.pause(span(arg))
}

func (h *doer) garbage(arg uint32) error {
	return h.have(arg, &trouble{deed: backend.Garbage, every: 10})
}
func (h *doer) cutOff(arg uint32) error { return h.have(arg, &trouble{deed: backend.Cut, every: 10}) }
func (h *doer) unasked(arg uint32) error {
	return h.have(arg, &trouble{deed: backend.Unasked, every: 5})
}
func (h *doer) slow(arg uint32) error {
	return h.have(arg, &trouble{every: 3, delay: 300 * time.Millisecond})
}

// freeze stops a process for two seconds.
func (h *doer) freeze(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return errSkipped
	}
	stopped := false
	if err := h.until("it to stop", func() bool { stopped = inState(pid, "T"); return stopped || dead(pid) }); err != nil {
		return err
	}
	if !stopped { // it was leaving when it was looked up
		return errSkipped
	}
	err := h.pause(2 * time.Second)
	if cont := syscall.Kill(pid, syscall.SIGCONT); cont != nil {
		return fmt.Errorf("a stopped process did not live to go on: %w", cont)
	}
	return err
}

func (h *doer) freezeWorker(uint32) error {
	pid, _, err := h.lb.Workers()
	if err != nil {
		return errSkipped
	}
	before := h.masterPID()
	err = h.freeze(pid)
	// A master that ends with a stopped worker leaves an orphaned process group, which the kernel has go on at once (setpgid(2)): such a worker moves what it has to
	// the next one, and may have left before its two seconds are over.
	if errors.Is(err, syscall.ESRCH) && h.masterPID() != before {
		return nil
	}
	return err
}

func (h *doer) masterPID() int {
	h.master.Lock()
	defer h.master.Unlock()
	return h.lb.PID
}

func (h *doer) freezeMaster(uint32) error {
	h.master.Lock()
	defer h.master.Unlock()
	return h.freeze(h.lb.PID)
}

func (h *doer) freezeSyslogd(uint32) error {
	h.logs.Lock()
	defer h.logs.Unlock()
	return h.freeze(h.log.PID)
}

// upgrade puts the other build in the program's place and upgrades to it: there and, the next time, back.
func (h *doer) upgrade(uint32) error {
	h.turn++
	from := h.programs.LB
	if h.turn%2 == 1 {
		from = h.other
	}
	if err := install(from, h.program); err != nil {
		return err
	}
	h.master.Lock()
	defer h.master.Unlock()
	return told(h.lb.Upgrade(h.ctx))
}

// install puts a copy of a program in the place of another. Nothing is started here meanwhile: a child that has the copy open for writing until it
// becomes another program would have everybody else's attempt to run it fail (ETXTBSY).
func install(from, to string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		dst.Close()
		return err
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// canary tries a configuration on a part of the new connections, and takes it back or promotes it before its time.
func (h *doer) canary(arg uint32) error {
	if err := h.lb.Configure(fmt.Sprintf("# on trial: %d\n%s", arg, h.config())); err != nil {
		return err
	}
	verdict := "abort"
	if arg%2 == 0 {
		verdict = "promote"
	}
	type outcome struct {
		text string
		err  error
	}
	end := make(chan outcome, 1)
	go func() {
		text, err := h.lb.Reload(h.ctx, "--canary", "30%", "--for", "30s", "--abort-if", "errors > 50%")
		end <- outcome{text, err}
	}()
	var out outcome
	over := false
	err := h.until("the trial to begin", func() bool {
		select {
		case out = <-end:
			over = true
			return true
		default:
		}
		text, err := h.lb.Verb(h.ctx, "canary")
		return err == nil && strings.Contains(text, "generation")
	})
	if err != nil {
		return err
	}
	if over && strings.Contains(out.text, "another reload is under way") { // the master's own, after a crash or when it begins
		return errSkipped
	}
	if over {
		return fmt.Errorf("the trial did not begin: %w", told(out.text, out.err))
	}
	if err := h.pause(span(arg)); err != nil {
		return err
	}
	said, failed := h.lb.Verb(h.ctx, "canary", verdict)
	out = <-end
	switch {
	case failed != nil:
		return told(said, failed)
	case verdict == "promote":
		return told(out.text, out.err)
	case out.err == nil:
		return errors.New("a trial that was taken back ended with success: " + out.text)
	case !strings.Contains(out.text, "taken back"):
		return told(out.text, out.err)
	}
	return nil
}

// certificate changes the certificate: by a reload, or at run time.
func (h *doer) certificate(arg uint32) error {
	if err := h.signer.Write(h.cert, "localhost", host); err != nil {
		return err
	}
	if arg%2 == 0 {
		return told(h.lb.Reload(h.ctx))
	}
	text, err := os.ReadFile(h.cert)
	if err != nil {
		return err
	}
	if err := h.say(fmt.Sprintf("set ssl cert %s <<\n%s\n", h.cert, strings.TrimSpace(string(text))), "Transaction"); err != nil {
		return err
	}
	return h.say("commit ssl cert "+h.cert, "Success")
}

// say gives a command on the stats socket, whose answer has to hold a word, or to be empty.
func (h *doer) say(command, want string) error {
	text, err := h.lb.Command(command)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if want == "" && strings.TrimSpace(text) != "" || !strings.Contains(text, want) {
		return fmt.Errorf("%s: %q is not in the answer: %s", command, want, text)
	}
	return nil
}

// weigh changes weights; they end where they began.
func (h *doer) weigh(arg uint32) error {
	w := h.servers[int(arg)%len(h.servers)]
	if err := h.say(fmt.Sprintf("set server be/%s weight %d", w.name, arg>>8%256), ""); err != nil {
		return err
	}
	if err := h.pause(span(arg) / 4); err != nil {
		return err
	}
	return h.say("set server be/"+w.name+" weight 1", "")
}

// disable takes a server out and puts it back.
func (h *doer) disable(arg uint32) error {
	w := h.servers[int(arg)%len(h.servers)]
	if err := h.say("disable server be/"+w.name, ""); err != nil {
		return err
	}
	err := h.pause(span(arg))
	if back := h.say("enable server be/"+w.name, ""); back != nil {
		return back
	}
	return err
}
