package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// subject is a balancer that is measured.
type subject struct {
	program string
	args    []string
	dir     string
	address string
	cmd     *exec.Cmd
	said    output
}

// output is what a process said up to now.
type output struct {
	mu sync.Mutex
	// mu guards the field below.
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (s *subject) file(name string) string { return filepath.Join(s.dir, name) }

// prepare makes the directory and chooses the address.
func (s *subject) prepare() error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = ln.Addr().String()
	return ln.Close()
}

// configure writes the configuration and the map.
func (s *subject) configure(o options, ports []string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	check := ""
	if o.inter != "0" {
		check = " check inter " + o.inter
	}
	var text, names strings.Builder
	fmt.Fprintf(&text, "global\n  stats socket %s level admin\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n"+
		"frontend f\n  bind %s\n  use_backend %%[req.hdr(host),lower,map(%s,b0)]\n", s.file("s.sock"), s.address, s.file("m"))
	for i := range o.backends {
		fmt.Fprintf(&names, "h%d b%d\n", i, i)
		fmt.Fprintf(&text, "backend b%d\n  server s1 127.0.0.1:%s%s\n  server s2 127.0.0.1:%s%s\n", i, ports[i%4], check, ports[(i+1)%4], check)
	}
	return errors.Join(os.WriteFile(s.file("m"), []byte(names.String()), 0o644), os.WriteFile(s.file("c.cfg"), []byte(text.String()), 0o644))
}

func (s *subject) start(ctx context.Context) error {
	s.cmd = exec.CommandContext(ctx, s.program, append(slices.Clone(s.args), "-S", s.file("m.sock"), "-f", s.file("c.cfg"))...)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.WaitDelay = 5 * time.Second
	return s.cmd.Start()
}

// serves waits until it answers, and says how long that took.
func (s *subject) serves() (time.Duration, error) {
	begun := time.Now()
	for {
		if status, err := get(s.address); err == nil && status == 200 {
			return time.Since(begun), nil
		}
		if time.Since(begun) > 60*time.Second {
			return 0, fmt.Errorf("it does not serve: %s", s.said.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *subject) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	gone := time.AfterFunc(10*time.Second, func() { syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) })
	defer gone.Stop()
	s.cmd.Wait()
}

// loaded is what both masters print when a new worker has taken over.
const loaded = "Loading success"

// reload is measured alike for both: from the signal until the master says that the reload has gone well. lb's says it when the new worker has
// reported that it serves.
func (s *subject) reload() (time.Duration, error) {
	begun, count := time.Now(), strings.Count(s.said.String(), loaded)
	if err := s.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		return 0, err
	}
	for strings.Count(s.said.String(), loaded) == count {
		if time.Since(begun) > 60*time.Second {
			return 0, fmt.Errorf("the reload does not end: %s", s.said.String())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(begun), nil
}

// processes are the subject's own: the master first. They are asked for while latencies are measured: the kernel's list of a process's children costs
// little, a look at all processes of the machine some milliseconds.
func (s *subject) processes() []int {
	list := []int{s.cmd.Process.Pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	for _, name := range files {
		text, _ := os.ReadFile(name)
		for _, word := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				list = append(list, pid)
			}
		}
	}
	return list
}

// afterName are the fields of /proc/PID/stat after the command's name: state, parent...
func afterName(stat []byte) []string {
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
}

// cpu is what all processes have used, those that have ended included.
func (s *subject) cpu() time.Duration {
	var ticks int64
	for _, pid := range s.processes() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		f := afterName(text)
		for _, i := range []int{11, 12, 13, 14} { // utime, stime, and those of children that have ended
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100
}

// rss is the memory of the largest process, in KiB.
func (s *subject) rss() (most int) {
	for _, pid := range s.processes() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, _ := strconv.Atoi(strings.Fields(v)[0])
				most = max(most, n)
			}
		}
	}
	return most
}

// timeWait counts the connections to the ports that wait for their time to be over.
func timeWait(ports []string) (n int) {
	var hex []string
	for _, p := range ports {
		port, _ := strconv.Atoi(p)
		hex = append(hex, fmt.Sprintf(":%04X", port))
	}
	text, _ := os.ReadFile("/proc/net/tcp")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[3] == "06" && slices.ContainsFunc(hex, func(p string) bool { return strings.HasSuffix(f[1], p) || strings.HasSuffix(f[2], p) }) {
			n++
		}
	}
	return n
}
