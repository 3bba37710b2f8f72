package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/ledger"
)

// disk is a small file system in a file of its own. What is in that file at a moment is what a power cut would leave of it.
type disk struct{ image, dir string }

// openDisk makes one. It takes root and a loop device.
func openDisk(dir string) (*disk, error) {
	d := &disk{image: filepath.Join(dir, "disk.image"), dir: filepath.Join(dir, "disk")}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(48<<20), f.Close(), os.Mkdir(d.dir, 0o755)); err != nil {
		return nil, err
	}
	if err := tool("mkfs.ext4", "-q", "-F", d.image); err != nil {
		return nil, err
	}
	return d, tool("mount", "-o", "loop", d.image, d.dir)
}

func tool(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if path, err := exec.LookPath("/usr/sbin/" + name); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func (d *disk) close() error { return unix.Unmount(d.dir, unix.MNT_DETACH) }

// cutPower looks at what would be there if the power were cut now: f gets the directory.
func (d *disk) cutPower(f func(dir string) error) (err error) {
	image, dir := d.image+".cut", d.dir+".cut"
	if err := tool("cp", "--sparse=always", d.image, image); err != nil {
		return err
	}
	defer os.Remove(image)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Writable, for the journal to be applied.
	if err := tool("mount", "-o", "loop", image, dir); err != nil {
		return err
	}
	// A child that was forked and has not become its program yet may hold a file of it for a moment.
	defer func() { err = errors.Join(err, unix.Unmount(dir, unix.MNT_DETACH)) }()
	return f(dir)
}

// audit is numbered lines that a program sends to syslogd, for an output on the small disk.
type audit struct {
	// mu guards the fields below.
	mu    sync.Mutex
	round int
	sent  []time.Duration // when each was
}

// auditRate is how many lines a second a program sends.
const auditRate = 200

// send sends lines until ctx ends.
func (a *audit) send(ctx context.Context, s *site, round int) error {
	a.mu.Lock()
	a.round, a.sent = round, nil
	a.mu.Unlock()
	c, err := net.Dial("udp", s.log.UDP)
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(time.Second / auditRate)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := fmt.Fprintf(c, "<141>audit[%d]: audit/%d/%d %s", os.Getpid(), round, n, strings.Repeat(".", n%300)); err != nil {
			return err
		}
		a.mu.Lock()
		a.sent = append(a.sent, time.Since(s.epoch))
		a.mu.Unlock()
	}
}

// upTo is how many lines have been sent.
func (a *audit) upTo() (round, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.round, len(a.sent)
}

// auditLog is the output's file in a directory.
func auditLog(dir string) string { return filepath.Join(dir, "audit.log") }

// readAudit counts the lines of a round in a directory, by their number.
func readAudit(dir string, round, n int) ([]int, error) {
	files, err := ledger.Files(auditLog(dir))
	if err != nil {
		return nil, err
	}
	count := make([]int, n)
	for _, name := range files {
		f, err := ledger.Open(name)
		if err != nil {
			return nil, err
		}
		err = countAudit(f, round, count)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return count, nil
}

func countAudit(src io.Reader, round int, count []int) error {
	lines := bufio.NewScanner(src)
	mark := fmt.Sprintf("]: audit/%d/", round)
	for lines.Scan() {
		_, rest, ok := strings.Cut(lines.Text(), mark)
		if !ok {
			continue
		}
		number, dots, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(number)
		if err != nil || strings.Trim(dots, ".") != "" || len(dots) != n%300 {
			return fmt.Errorf("a torn line: %q", lines.Text())
		}
		if n < len(count) { // later ones were sent meanwhile
			count[n]++
		}
	}
	return lines.Err()
}

// audited compares what was sent with what the files on the small disk have.
func (j *judge) audited(s *site) {
	round, n := s.audit.upTo()
	count, err := readAudit(s.disk.dir, round, n)
	if err != nil {
		j.complain("", "the program's lines: %v", err)
		return
	}
	for n, lines := range count {
		at := asked{ended: s.audit.sent[n]}
		switch {
		case lines == 1:
		case lines == 0 && j.excuse("no line of the program", func(w window) bool { return w.fault.permits.lines && w.ends(at) }):
		case lines == 0 && j.excuse("a line that waited", func(w window) bool { return w.fault.permits.lines && j.waited(at, w) }):
		default:
			j.complain("", "line %d of the program, sent at %v, is there %d times", n, at.ended, lines)
		}
	}
}

// retryPause is how long after a full disk's end syslogd may look again.
const retryPause = 2 * time.Second

// waited reports whether a line that was sent then was in syslogd's memory when it was killed, although it had come long before.
func (j *judge) waited(at asked, kill window) bool {
	for _, w := range j.windows {
		if w.fault.permits.waits && at.ended >= w.begin-slack && at.ended <= kill.begin+slack && kill.begin <= w.end+retryPause+slack {
			return true
		}
	}
	return false
}

// powerCut asks syslogd to rotate, which promises that what had arrived before is on the disk, and looks at what a power cut would leave then.
func (h *doer) powerCut(uint32) error {
	if h.disk == nil {
		return errSkipped
	}
	round, n := h.audit.upTo()
	if err := told(h.log.Verb(h.ctx, "rotate", "--output", auditLog(h.disk.dir))); err != nil {
		return err
	}
	return h.disk.cutPower(func(dir string) error {
		left, err := readAudit(dir, round, n)
		if err != nil {
			return fmt.Errorf("after a power cut: %w", err)
		}
		there, err := readAudit(h.disk.dir, round, n)
		if err != nil {
			return err
		}
		lost := 0
		for i := range left {
			if there[i] > 0 && left[i] == 0 {
				lost++
			}
		}
		if lost > 0 {
			return fmt.Errorf("%w: of %d lines that had arrived before `syslogd rotate`, a power cut after it takes %d", errLost, n, lost)
		}
		return nil
	})
}

// errLost is of a promise that was broken, whatever else happened: no fault excuses it.
var errLost = errors.New("lost")

// fillDisk fills the small disk for a while. Lines wait meanwhile.
func (h *doer) fillDisk(arg uint32) error {
	if h.disk == nil {
		return errSkipped
	}
	name := filepath.Join(h.disk.dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return errors.Join(err, f.Close(), os.Remove(name))
	}
	err = h.pause(span(arg))
	return errors.Join(err, f.Close(), os.Remove(name))
}
