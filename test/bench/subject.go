package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/test/rig"
)

// subject is a balancer that is being measured.
type subject struct {
	program string
	label   string
	addr    *net.TCPAddr
	proc    *rig.Process
}

// config is the same text for all, but for the port.
func config(c benchCase, log, addr, backend string, certificate string) string {
	if c.log {
		log = fmt.Sprintf("    log %s local0\n    option httplog\n", log)
	} else {
		log = ""
	}
	bind, server := addr, backend
	if c.tls {
		bind += " ssl crt " + certificate + " alpn h2,http/1.1"
	}
	if c.client == byHTTP2 && !c.tls {
		bind += " proto h2"
	}
	if c.toHTTP2 {
		server += " proto h2"
	}
	reuse := ""
	if c.reuse != "" {
		reuse = "    http-reuse " + c.reuse + "\n"
	}
	return fmt.Sprintf(`global
    nbthread 1
    maxconn 4000
defaults
    mode http
%s    timeout connect 5s
    timeout client 120s
    timeout server 120s
frontend fe
    bind %s
    default_backend be
backend be
%s    server b1 %s
`, log, bind, reuse, server)
}

// startSubject starts program in master-worker mode, as it runs in production, pinned to core. Its configuration goes to path.
func startSubject(ctx context.Context, program string, c benchCase, l *loop, backend, path string, core int) (*subject, error) {
	ports, err := rig.FreePorts("127.0.0.1", 1)
	if err != nil {
		return nil, err
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[0]}
	certificate := path + ".pem"
	if c.tls {
		if _, err := rig.WriteCertificate(certificate, "www.example.org"); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(path, []byte(config(c, l.logAddr(), addr.String(), backend, certificate)), 0o600); err != nil {
		return nil, err
	}
	proc, err := rig.Start("taskset", "-c", strconv.Itoa(core), program, "-W", "-f", path)
	if err != nil {
		return nil, err
	}
	s := &subject{program: program, addr: addr, proc: proc}
	if err := listening(ctx, program, addr.String(), proc); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// listening waits until a process that was started accepts connections.
func listening(ctx context.Context, program, addr string, proc *rig.Process) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := rig.Until(ctx, program+" to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil || !proc.Running()
	})
	if err == nil && !proc.Running() {
		err = fmt.Errorf("%s ended: %v", program, proc.Err())
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, proc.Output())
	}
	return nil
}

func (s *subject) stop() { s.proc.Stop() }

// cpu returns what the subject's processes have used since they began, in user space and in the kernel.
func (s *subject) cpu() (time.Duration, error) {
	total := time.Duration(0)
	err := s.each(func(pid int) error {
		used, err := processCPU(pid)
		total += used
		return err
	})
	return total, err
}

// memory returns how many bytes of the subject's processes are resident.
func (s *subject) memory() (int, error) {
	total := 0
	err := s.each(func(pid int) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return err
		}
		pages := 0
		_, err = fmt.Sscanf(string(text), "%d %d", new(int), &pages)
		total += pages * os.Getpagesize()
		return err
	})
	return total, err
}

// each calls f for all of the subject's processes.
func (s *subject) each(f func(pid int) error) error {
	pids := []int{s.proc.PID}
	for len(pids) > 0 {
		pid := pids[0]
		pids = pids[1:]
		if err := f(pid); err != nil {
			return err
		}
		children, err := childrenOf(pid)
		if err != nil {
			return err
		}
		pids = append(pids, children...)
	}
	return nil
}

// processCPU reads utime + stime of all of a process's threads, and of the children it has waited for: proc(5), fields 14 to 17.
// Their unit, the clock tick, is 10 ms on every Linux that Go knows.
func processCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the command's name may hold spaces
	ticks := 0
	for _, field := range f[11:15] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// childrenOf asks every thread of a process: a child belongs to the thread that forked it.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			pids = append(pids, n)
		}
	}
	return pids, nil
}
