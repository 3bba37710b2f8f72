package master

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/event"
	"lbsyslogd/lb/handoff"
)

// FindWorkers dials the workers of a master that is gone. prefix is the
// beginning of their rendezvous paths. Workers that have a master hang up.
func FindWorkers(prefix string) []*handoff.Conn {
	paths, err := filepath.Glob(prefix + ".worker.*")
	if err != nil {
		return nil // the prefix has wildcards in it: there is no such path
	}
	var found []*handoff.Conn
	for _, path := range paths {
		c, err := net.DialTimeout("unixpacket", path, time.Second)
		if err != nil {
			if errors.Is(err, unix.ECONNREFUSED) {
				_ = os.Remove(path) // its worker was killed
			}
			continue
		}
		uc := c.(*net.UnixConn)
		if cred, err := handoff.Peer(uc); err != nil || cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
			c.Close()
			continue
		}
		found = append(found, handoff.FromUnix(uc))
	}
	return found
}

// TakeKept takes what the service manager kept for the next master, listening
// sockets and connections to workers, and what it opened itself (lb.socket).
func (m *Master) TakeKept(kept iter.Seq2[string, *os.File]) error {
	m.Sockets = new(handoff.Set)
	for name, f := range kept {
		if socket, ok := strings.CutPrefix(name, listenerPrefix); ok {
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
			f.Close()
			if err != nil {
				return fmt.Errorf("take back listener %s: %w", socket, err)
			}
			if err := unix.SetNonblock(fd, true); err != nil {
				return fmt.Errorf("take back listener %s: %w", socket, err)
			}
			m.Sockets.Add(socket, fd)
			continue
		}
		if !strings.HasPrefix(name, linkPrefix) {
			fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
			f.Close()
			if err != nil {
				return fmt.Errorf("take socket %s of the service manager: %w", name, err)
			}
			m.Opener.Activated.Add(fd)
			continue
		}
		link, err := handoff.NewConn(f)
		if err != nil {
			return fmt.Errorf("take back %s: %w", name, err)
		}
		m.Links = append(m.Links, link)
	}
	return nil
}

// adopt asks the workers that a former master left to introduce themselves.
// false means that there are none.
func (r *run) adopt(links []*handoff.Conn) bool {
	if len(links) == 0 {
		return false
	}
	for _, link := range links {
		if err := link.Identify(); err != nil {
			r.Log.Warn(fmt.Sprintf("adopt a worker: %v", err))
		}
		w := r.newWorker(link)
		w.adopting = true
		r.adopting = append(r.adopting, w)
		r.order(w, handoff.Adopt)
	}
	r.after(r.Introduction, func() {
		for _, w := range slices.Clone(r.adopting) {
			r.Log.Warn("a worker of the former master does not say who it is, going on without it")
			r.adoptedOrNot(w)
		}
	})
	return true
}

// introduced takes in what a worker says about itself and its sockets. It
// returns the descriptors that nobody needs.
func (r *run) introduced(w *worker, report *handoff.Report, from *unix.Ucred, fds []int) []int {
	if len(fds) != len(report.Names) {
		return fds
	}
	if report.Facts != nil && w.pid == 0 {
		if !ownRights(from) && (from == nil || int(from.Pid) != report.Facts.Pid) {
			r.Log.Error(fmt.Sprintf("a worker of the former master says that it is process %d, and is not: going on without it", report.Facts.Pid))
			w.adopting = false
			w.link.Close()
			r.adoptedOrNot(w)
			return fds
		}
		w.facts, w.draining = *report.Facts, report.Draining
		w.pid = w.facts.Pid
		r.inherit(w, from)
	}
	var spare []int
	// A worker that says it too late serves on only if nobody else does.
	late := r.stopping || r.current != nil && !slices.Contains(r.adopting, w)
	for i, name := range report.Names {
		if !plausible(name, fds[i]) {
			spare = append(spare, fds[i])
			continue
		}
		w.wants = append(w.wants, handoff.Want{Name: name})
		if _, ok := r.sockets.Get(name); ok || late {
			spare = append(spare, fds[i])
			continue
		}
		r.sockets.Add(name, fds[i])
		r.store(listenerPrefix+name, fds[i])
	}
	if report.More {
		return spare
	}
	if err := r.watch(w); err != nil {
		r.Log.Warn(err.Error())
	} else {
		w.adopting, w.ready, w.readyAt = false, true, w.facts.Started
		r.keepLink(w)
		r.take(w, late)
	}
	r.adoptedOrNot(w)
	return spare
}

// inherit decides over what only a worker with the rights of this process is
// believed: the path of the pid file, and the configuration that a replacement
// would run. The former master may have left the latter. Without it the
// replacement reads the files.
func (r *run) inherit(w *worker, from *unix.Ucred) {
	left := r.Snapshots[w.pid]
	delete(r.Snapshots, w.pid)
	if !ownRights(from) {
		w.facts.Pidfile = ""
	}
	switch {
	case left == nil:
	case w.snapshot == nil:
		w.snapshot = left
	default:
		left.Close()
	}
}

// plausible says whether a worker's socket can be one that a master opened.
func plausible(name string, fd int) bool {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && kind == unix.SOCK_STREAM && name != "" && !strings.ContainsFunc(name, unicode.IsControl)
}

// take gives a worker that has introduced itself its place. As a rule that is
// among the old ones, until all have done so.
func (r *run) take(w *worker, late bool) {
	if !late && !w.draining && !slices.Contains(r.adopting, w) {
		r.current = w // until the one that was started without it is ready
		r.generation = max(r.generation, w.facts.Generation)
		return
	}
	r.old = append(r.old, w)
	if late && !w.draining {
		r.leaveTo(w)
	}
}

// leaveTo has a worker leave of which the serving one may not know: as at a reload, it
// gives that one what it has counted and its connections.
func (r *run) leaveTo(w *worker) {
	if r.current == nil || r.stopping {
		r.drain(w)
		return
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.Log.Warn(fmt.Sprintf("connect worker %d to worker %d: %v; its counts are lost, and its connections will not move", w.pid, r.current.pid, err))
		r.drain(w)
		return
	}
	r.send(w, parcel{order: handoff.Order{Kind: handoff.Successor, Spare: true}, fds: fds[:1], own: true})
	r.send(r.current, parcel{order: handoff.Order{Kind: handoff.Meet}, fds: fds[1:], own: true, after: r.sentAll(w)})
	r.drain(w)
}

// watch waits for the end of a process that is, as a rule, not a child.
func (r *run) watch(w *worker) error {
	process, err := os.FindProcess(w.pid)
	if err != nil {
		return fmt.Errorf("adopt worker %d: %w", w.pid, err)
	}
	pidfd, err := unix.PidfdOpen(w.pid, 0)
	if err != nil {
		return fmt.Errorf("adopt worker %d: %w", w.pid, err)
	}
	w.process = process
	go func() {
		defer unix.Close(pidfd)
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
			if !errors.Is(err, unix.EINTR) {
				break
			}
		}
		// After an upgrade in place it is a child, and its status can be had.
		how := ""
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(w.pid, &ws, 0, nil)
		child := err == nil && pid == w.pid
		if child && ws.Signaled() {
			how = fmt.Sprintf("was killed by signal %d (%v)", ws.Signal(), ws.Signal())
		}
		r.post(func() {
			_ = process.Release() // its descriptor, which os.Process would keep until the next collection of garbage
			w.stranger = !child
			r.processGone(w, how)
		})
	}()
	return nil
}

// adoptedOrNot strikes a worker off the list of those that are waited for.
// After the last one the newest of them serves, and a new worker with the
// configuration and the binary of now is on its way.
func (r *run) adoptedOrNot(w *worker) {
	i := slices.Index(r.adopting, w)
	if i < 0 {
		return
	}
	r.adopting = slices.Delete(r.adopting, i, i+1)
	switch {
	case r.stopping:
		r.maybeStopped()
		return
	case len(r.adopting) > 0:
		return
	}
	for _, left := range r.Snapshots {
		left.Close() // of workers that did not introduce themselves
	}
	r.Snapshots = nil
	for _, w := range r.old {
		r.generation = max(r.generation, w.facts.Generation)
		r.reloads = max(r.reloads, w.facts.Reloads)
		if !w.draining && (r.current == nil || w.facts.Generation > r.current.facts.Generation) {
			r.current = w
		}
	}
	if r.current == nil {
		r.begin(attempt{why: starting})
		return
	}
	r.old = slices.DeleteFunc(r.old, func(w *worker) bool { return w == r.current })
	for _, w := range r.old {
		if !w.draining {
			r.leaveTo(w)
		}
	}
	r.logEvent(slog.LevelInfo, event.Adopted, fmt.Sprintf("found worker %d (generation %d) of the former master: it serves on until the next one does", r.current.pid, r.current.facts.Generation),
		event.Generation(r.current.facts.Generation), event.Worker(r.current.pid))
	r.good = time.Now()
	r.writePidfile()
	// The outcome of this reload is what tells the service manager that the
	// start is over: a restart returns with the current configuration in effect.
	r.begin(attempt{why: reloading, waiters: []chan Outcome{r.Upgraded}, owing: r.owing})
}

// mostLooks is how often a start looks again for the workers of the former master:
// for half a minute in all.
const mostLooks = 7

// awaitLeft is called when a start found an address taken. Where a former master
// left workers it may be one of theirs: one that is so busy, or whose machine is,
// that it has not said yet who it is, that had not noticed the end of the former
// master when it was asked, or that is about to leave. false: there is nothing to
// wait for, or somebody waits for the outcome: processes that this one replaces,
// which do not accept meanwhile.
func (r *run) awaitLeft() bool {
	if len(r.Links) == 0 || r.looks == mostLooks || len(r.Opener.Old) > 0 || r.Opener.Taken != nil {
		return false
	}
	d := 250 * time.Millisecond << r.looks
	r.looks++
	r.Log.Warn(fmt.Sprintf("an address is taken, maybe by a worker of the former master that has not said who it is, or is about to leave: looking again in %v", d))
	r.after(d, func() {
		switch {
		case r.stopping || r.attempt.why != "" || len(r.adopting) > 0:
		case r.current != nil: // it has said so
			r.begin(attempt{why: reloading, waiters: []chan Outcome{r.Upgraded}, owing: r.owing})
		case r.Rendezvous == "" || !r.adopt(FindWorkers(r.Rendezvous)):
			r.begin(attempt{why: starting})
		}
	})
	return true
}
