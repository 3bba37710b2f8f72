package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What happens to daemons that cannot have what they ask the kernel for.

// limit sets a resource's soft limit of a running process, and returns what sets it back.
func limit(pid, resource int, to uint64) (back func() error, err error) {
	var before unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &before); err != nil {
		return nil, err
	}
	if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: min(to, before.Max), Max: before.Max}, nil); err != nil {
		return nil, err
	}
	return func() error {
		if err := unix.Prlimit(pid, resource, &before, nil); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	}, nil
}

// starve takes descriptors from a process for a while: it may have a few more than it has now, or none.
func (h *doer) starve(pid int, arg uint32) error {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return errSkipped // it has left
	}
	back, err := limit(pid, unix.RLIMIT_NOFILE, uint64(len(entries))+uint64(arg%3)*4)
	if err != nil {
		return errSkipped
	}
	return errors.Join(h.pause(span(arg)), back())
}

func (h *doer) starveWorker(arg uint32) error {
	pid, _, err := h.lb.Workers()
	if err != nil {
		return errSkipped
	}
	return h.starve(pid, arg)
}

// starveSyslogd takes descriptors from the log daemon, and has it rotate meanwhile: it may refuse, and has to go on with the file that it has.
func (h *doer) starveSyslogd(arg uint32) error {
	h.logs.Lock()
	defer h.logs.Unlock()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.log.PID))
	if err != nil {
		return err
	}
	back, err := limit(h.log.PID, unix.RLIMIT_NOFILE, uint64(len(entries)+1))
	if err != nil {
		return err
	}
	// Without descriptors it may not even be able to take the command.
	short, cancel := context.WithTimeout(h.ctx, 2*time.Second)
	h.log.Verb(short, "rotate")
	cancel()
	err = errors.Join(h.pause(span(arg)), back())
	if err != nil {
		return err
	}
	return told(h.log.Verb(h.ctx, "rotate")) // with descriptors it works again
}

// starveMemory lets a worker have next to no more memory than it has, for a while. It lives with that, or dies of it and is replaced.
func (h *doer) starveMemory(arg uint32) error {
	h.master.Lock()
	defer h.master.Unlock()
	pid, _, err := h.lb.Workers()
	if err != nil {
		return err
	}
	used, err := dataOf(pid)
	if err != nil {
		return errSkipped
	}
	said, err := os.Stat(h.said.Name())
	if err != nil {
		return err
	}
	back, err := limit(pid, unix.RLIMIT_DATA, used+uint64(arg%16)<<16)
	if err != nil {
		return errSkipped
	}
	end := time.Now().Add(span(arg))
	for time.Now().Before(end) && !dead(pid) {
		if err := h.pause(20 * time.Millisecond); err != nil {
			return err
		}
	}
	if err := back(); err != nil {
		return err
	}
	// One that ran out of memory just before it had more says so, and ends, a moment later.
	for end := time.Now().Add(time.Second); !dead(pid) && (time.Now().Before(end) || h.starving(said.Size())); {
		if err := h.pause(20 * time.Millisecond); err != nil {
			return err
		}
	}
	h.cut = time.Since(h.epoch)
	if h.mild = !dead(pid); h.mild {
		return nil
	}
	h.starved.Add(1)
	return h.until("another worker", func() bool {
		now, _, err := h.lb.Workers()
		return err == nil && now != pid
	})
}

// starving reports whether a process has said, since what lb has printed was so long, that there is no memory: it ends, whenever it gets to that.
func (s *site) starving(from int64) bool {
	text, err := os.ReadFile(s.said.Name())
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text[min(from, int64(len(text))):])) {
		if outOfMemory.MatchString(line) {
			return true
		}
	}
	return false
}

// dataOf is how much private memory a process has for data, in bytes, as RLIMIT_DATA counts it.
func dataOf(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(text))
	if len(f) < 6 {
		return 0, fmt.Errorf("statm of %d: %q", pid, text)
	}
	var pages uint64
	if _, err := fmt.Sscan(f[5], &pages); err != nil {
		return 0, err
	}
	return pages * uint64(os.Getpagesize()), nil
}

// rotateByThree has three parties rotate at the same moment: syslogd's own command, logrotate, and a signal.
func (h *doer) rotateByThree(arg uint32) error {
	var all sync.WaitGroup
	errs := make([]error, 3)
	for i, f := range []func(uint32) error{h.rotate, h.logrotate, h.hangup} {
		all.Go(func() { errs[i] = f(arg) })
	}
	all.Wait()
	return errors.Join(errs...)
}
