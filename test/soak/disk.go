package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// readAudit counts the lines of a round in a directory, by their number, and returns those that are torn, too.
func readAudit(dir string, round, n int) (count []int, torn []string, err error) {
	for try := 0; ; try++ {
		count, torn, err = readAuditOnce(dir, round, n)
		if !errors.Is(err, fs.ErrNotExist) || try == 20 { // of a file that was rotated meanwhile
			return count, torn, err
		}
	}
}

func readAuditOnce(dir string, round, n int) (count []int, torn []string, err error) {
	files, err := ledger.Files(auditLog(dir))
	if err != nil {
		return nil, nil, err
	}
	count = make([]int, n)
	for _, name := range files {
		f, err := ledger.Open(name)
		if err != nil {
			return nil, nil, err
		}
		more, err := countAudit(f, round, count)
		f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, line := range more {
			torn = append(torn, fmt.Sprintf("%s: a torn line: %q", name, line))
		}
	}
	return count, torn, nil
}

func countAudit(src io.Reader, round int, count []int) (torn []string, err error) {
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
			torn = append(torn, lines.Text())
			continue
		}
		if n < len(count) { // later ones were sent meanwhile
			count[n]++
		}
	}
	return torn, lines.Err()
}

// audited compares what was sent with what the files on the small disk have.
func (j *judge) audited(s *site) {
	round, n := s.audit.upTo()
	count, torn, err := readAudit(s.disk.dir, round, n)
	if err != nil {
		j.complain("", "the program's lines: %v", err)
		return
	}
	j.torn(torn)
	for n, lines := range count {
		at := written{s.audit.sent[n], s.audit.sent[n]}
		switch {
		case lines == 1:
		case lines == 0 && j.excuse("no line of the program", func(w window) bool { return j.loses(w, at) }):
		default:
			j.complain("", "line %d of the program, sent at %v, is there %d times", n, at.from, lines)
		}
	}
}

// retryPause is how long after a full disk's end syslogd may look again.
const retryPause = 2 * time.Second

// loses reports whether a line that was sent then can have been in syslogd's memory when it was killed: it came a moment before, or waited there.
func (j *judge) loses(kill window, at written) bool {
	if !kill.fault.permits.lines {
		return false
	}
	for _, w := range j.windows {
		if w.fault.permits.waits && at.to >= w.begin-slack && at.from <= kill.begin+slack && kill.begin <= w.end+retryPause+slack {
			return true
		}
	}
	return at.from <= kill.end+slack && at.to >= kill.begin-slack
}

// written is when a line was sent to syslogd: at some moment in this time.
type written struct{ from, to time.Duration }

// written is when the line of a request can have been sent: as a rule when the request ended. A worker that was stopped before sends it when it goes on, and
// what one that was killed had in flight is for the next to send, which takes its time to begin.
func (j *judge) written(a asked) written {
	at := written{a.ended, a.ended}
	for range j.windows { // the next one may be stopped or killed in its turn
		before := at.to
		for _, w := range j.windows {
			if (w.fault.permits.breaks || w.fault.permits.late) && at.from <= w.end+slack && at.to >= w.begin-slack {
				at.to = max(at.to, w.end)
			}
		}
		if at.to == before {
			break
		}
	}
	return at
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
		left, _, err := readAudit(dir, round, n) // a torn line is one that is not left
		if err != nil {
			return fmt.Errorf("after a power cut: %w", err)
		}
		there, _, err := readAudit(h.disk.dir, round, n)
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
