package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Room for what a daemon holds besides connections of clients and to servers: at the end of a test nothing of what the test had asked for is left.
const (
	roomForConnections = 32 // checks, agents, peers, a name server
	roomForFiles       = 60 // files, epoll, memory, pipes
	roomForThreads     = 40
	roomForGoroutines  = 100
)

// Leaks says what the balancer holds that it does not account for, and waits a moment for it to go: TCP connections of the worker that serves, beyond the
// clients that it counts and the connections to servers that it counts, files, threads and goroutines. It is "" if all is well, and if nobody can be asked:
// a test may have ended, killed or stopped whomever it liked.
func (b *LB) Leaks() (text string) {
	if b.Process == nil || !b.Running() || !strings.HasPrefix(filepath.Base(b.program), "lb") {
		return ""
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		worker, _, err := b.Workers()
		if err != nil || stopped(worker) || stopped(b.PID) {
			return ""
		}
		if text, err = b.leaks(worker); err != nil {
			return ""
		}
		if text == "" || time.Now().After(end) {
			return text
		}
	}
}

func (b *LB) leaks(worker int) (string, error) {
	if text, err := leaked("the master", b.PID); text != "" || err != nil {
		return text, err
	}
	if text, err := leaked("the worker", worker); text != "" || err != nil {
		return text, err
	}
	list, err := Connections(worker)
	if err != nil {
		return "", err
	}
	clients, err := b.Info("CurrConns")
	if err != nil {
		return "", err
	}
	idle, used, err := b.IdleServerConnections()
	if err != nil {
		return "", err
	}
	n, err := b.Goroutines()
	switch {
	case err != nil:
		return "", err
	case len(list) > clients+idle+used+roomForConnections:
		return fmt.Sprintf("the worker has %d TCP connections, and counts %d clients and %d connections to servers, %d of them idle", len(list), clients, idle+used, idle), nil
	case n > roomForGoroutines:
		return fmt.Sprintf("the worker has %d goroutines", n), nil
	}
	return "", nil
}

// leaked looks at a process without its sockets.
func leaked(who string, pid int) (string, error) {
	v, err := Look(pid)
	if err != nil {
		return "", err
	}
	if v.Descriptors-v.Sockets > roomForFiles || v.Threads > roomForThreads {
		return fmt.Sprintf("%s has %d descriptors that are no sockets %v, and %d threads", who, v.Descriptors-v.Sockets, v.Kinds, v.Threads), nil
	}
	return "", nil
}

// stopped reports whether a process is stopped by a signal, or gone: it answers nobody.
func stopped(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "T")
}

// Leaks is as the balancer's, of a log daemon with a few outputs.
func (s *Syslogd) Leaks() string {
	if s.Process == nil || !s.Running() || stopped(s.PID) {
		return ""
	}
	text, err := leaked("syslogd", s.PID)
	if err != nil {
		return ""
	}
	return text
}
