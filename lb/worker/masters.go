package worker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// Adoption: a master may die while its workers go on serving. The next master
// finds a worker either through the end of the connection that systemd kept
// in its fd store (then the worker notices nothing until it is asked to
// introduce itself), or by dialling the worker's rendezvous.

// masterGone is called when the master is gone.
func (l *life) masterGone() {
	l.Link.Close()
	l.Link, l.orders = nil, nil
	if next := l.next; next != nil {
		l.next = nil
		l.read(next)
		return
	}
	if l.trial {
		l.say(slog.LevelWarn, event.TrialEnded, "the master is gone, which would have judged this trial: giving back what is open")
		l.drain()
		return
	}
	if l.Rendezvous == nil {
		l.say(slog.LevelWarn, event.MasterGone, "the master is gone, finishing what is open")
		l.drain()
		return
	}
	l.say(slog.LevelWarn, event.MasterGone, "the master is gone, serving on until the next one comes")
	l.watchService()
}

// acceptPause is how long after a failure a worker tries again.
const acceptPause = 100 * time.Millisecond

// acceptMasters begins to accept masters at the rendezvous.
func (l *life) acceptMasters() {
	masters := make(chan *handoff.Conn)
	l.masters = masters
	go func() {
		failing := false
		for {
			c, err := l.Rendezvous.AcceptUnix()
			if errors.Is(err, net.ErrClosed) {
				return // the process ends
			}
			if err != nil {
				// Out of descriptors, most likely, which passes: without a master this worker could not be replaced any more.
				if !failing {
					failing = true
					l.Env.Logger.Warn("accept a master: " + err.Error())
				}
				select {
				case <-time.After(acceptPause):
					continue
				case <-l.quit:
					return
				}
			}
			failing = false
			if err := mayCommand(c); err != nil {
				l.Env.Logger.Warn("refused a master: " + err.Error())
				c.Close()
				continue
			}
			select {
			case masters <- handoff.FromUnix(c):
			case <-l.quit:
				c.Close()
				return
			}
		}
	}()
}

// mayCommand refuses all but root and the user this process was started as.
func mayCommand(c *net.UnixConn) error {
	cred, err := handoff.Peer(c)
	if err != nil {
		return err
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("pid %d belongs to user %d", cred.Pid, cred.Uid)
	}
	return nil
}

// newMaster takes a new master, unless there is one. When the one before has just
// ended, what it said to the last is obeyed first.
func (l *life) newMaster(c *handoff.Conn) {
	switch {
	case l.Link == nil:
		l.read(c)
	case l.Link.Ended():
		if l.next != nil {
			l.next.Close()
		}
		l.next = c
	default:
		c.Close()
	}
}

// introduce tells a new master what this worker is and gives it the sockets,
// and what it needs should this worker be killed.
func (l *life) introduce() {
	if l.trial { // its judge is gone
		l.drain()
	}
	if fd, err := memfile(l.plan.Snapshot); err == nil {
		// An error tells the next message too.
		_ = l.Link.Send(handoff.Report{Kind: handoff.Snapshot}, []int{fd}, linkWait)
		unix.Close(fd)
	}
	l.leaveRecord()
	names := l.set.Names()
	facts := l.facts
	for first := true; first || len(names) > 0; first = false {
		part := names[:min(len(names), handoff.Batch)]
		names = names[len(part):]
		r := handoff.Report{Kind: handoff.Adopted, More: len(names) > 0, Draining: l.draining}
		if first {
			r.Facts = &facts
		}
		var fds []int
		for _, name := range part {
			if fd, ok := l.set.Get(name); ok {
				r.Names = append(r.Names, name)
				fds = append(fds, fd)
			}
		}
		if err := l.Link.Send(r, fds, linkWait); err != nil {
			l.Env.Logger.Warn("introduce to the new master: " + err.Error())
			return
		}
	}
	l.say(event.AsHAProxy, event.Adopted, "a new master has taken over") // which says so itself
}
