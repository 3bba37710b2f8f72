package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A subject is a log daemon to measure: how it is started, with its whole configuration.
type subject struct {
	name   string
	binary string
	args   func(dir string) []string
	argsAt func(dir string, port int) []string          // in the place of args
	files  func(dir string, port int) map[string]string // name in dir to text; nil: none
	cpus   string                                       // empty: the first one
}

// there says whether it is installed.
func (s subject) there() bool {
	_, err := exec.LookPath(s.binary)
	return err == nil
}

// text is the whole configuration, for whoever wants to see that a comparison is fair.
func (s subject) text() string {
	var b strings.Builder
	for name, text := range s.files("DIR", 514) {
		fmt.Fprintf(&b, "# %s: %s %s\n# %s\n%s", s.name, s.binary, strings.Join(s.args("DIR"), " "), name, text)
	}
	return b.String()
}

// running is a started subject.
type running struct {
	cmd  *exec.Cmd
	dir  string
	port int
}

// start runs a subject, on the first processor unless it says otherwise; the sender uses the second.
func (s subject) start(port int) (*running, error) {
	dir, err := os.MkdirTemp("", "bench-syslog-")
	if err != nil {
		return nil, err
	}
	files, args := map[string]string(nil), []string(nil)
	if s.files != nil {
		files = s.files(dir, port)
	}
	if s.argsAt != nil {
		args = s.argsAt(dir, port)
	} else {
		args = s.args(dir)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cpus := s.cpus
	if cpus == "" {
		cpus = "0"
	}
	cmd := exec.Command("taskset", append([]string{"-c", cpus, s.binary}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &running{cmd, dir, port}
	if err := wait(func() bool { return listens(port) }); err != nil {
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%s does not listen: %w: %s", s.name, err, text)
	}
	return r, nil
}

// stop ends it and removes what it wrote.
func (r *running) stop() error {
	r.cmd.Process.Signal(unix.SIGTERM)
	late := time.AfterFunc(20*time.Second, func() { r.cmd.Process.Kill() })
	defer late.Stop()
	r.cmd.Wait() // its exit status says nothing about what was measured
	return os.RemoveAll(r.dir)
}

// cpu is the processor time that its threads have used, to the nanosecond: the first number of each thread's schedstat.
func (r *running) cpu() (total time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", r.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("process %d has no threads any more", r.cmd.Process.Pid)
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		total += time.Duration(n)
	}
	return total, nil
}

// memory is the most it has held, in KiB.
func (r *running) memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

// settle waits until the file has not grown for a while, and counts its lines.
func (r *running) settle() (lines int, err error) {
	path := filepath.Join(r.dir, "out.log")
	size, since := int64(-1), time.Now()
	err = wait(func() bool {
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		if info.Size() != size {
			size, since = info.Size(), time.Now()
		}
		return time.Since(since) > 1500*time.Millisecond
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return countLines(path)
}

// listens says whether a UDP socket is bound to the port.
func listens(port int) bool {
	text, err := os.ReadFile("/proc/net/udp")
	return err == nil && strings.Contains(string(text), fmt.Sprintf("0100007F:%04X ", port))
}

func wait(ok func() bool) error {
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited a minute")
		}
		<-tick.C
	}
	return nil
}
