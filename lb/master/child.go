package master

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"lbsyslogd/lb/handoff"
)

// WorkerArg is the hidden first argument that makes the program a worker.
const WorkerArg = "@worker"

// WorkerEnv is the environment variable that holds a Birth as JSON.
const WorkerEnv = "LB_WORKER"

// Descriptors of a worker that is born.
const (
	LinkFD     = 3 // the connection to the master
	StdoutFD   = 4 // standard output for when it is ready
	StderrFD   = 5 // standard error for when it is ready
	SnapshotFD = 6 // a former configuration, if Birth says so
)

// Birth is what a master tells a worker when it starts it.
type Birth struct {
	Generation int    `json:"generation"`
	Reloads    int    `json:"reloads"`
	Master     int    `json:"master"`
	Rendezvous string `json:"rendezvous,omitempty"` // the beginning of its path
	Snapshot   bool   `json:"snapshot,omitempty"`
	Journal    bool   `json:"journal,omitempty"` // what it says ends in the journal: lines carry fields
	Kept       bool   `json:"kept,omitempty"`    // the service manager keeps the connection as long as there is a service
}

// RendezvousPath is where a worker waits for the next master.
func RendezvousPath(prefix string, pid int) string { return fmt.Sprintf("%s.worker.%d", prefix, pid) }

// spawn starts a worker. Until it is ready both its outputs are a pipe that is
// read here: whatever it says in the meantime, a panic included, is the reason
// why it did not come up.
// onTrial says that it is to serve what another worker gives it.
func (r *run) spawn(snapshot *os.File, onTrial bool) (*worker, error) {
	link, theirs, err := handoff.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	said, says, err := os.Pipe()
	if err != nil {
		link.Close()
		return nil, fmt.Errorf("pipe for a worker's words: %w", err)
	}
	defer says.Close()
	birth, err := json.Marshal(Birth{
		Generation: r.generation + 1, Reloads: r.reloads, Master: os.Getpid(),
		Rendezvous: r.Rendezvous, Snapshot: snapshot != nil, Journal: r.Terse, Kept: r.Notify != nil,
	})
	if err != nil {
		link.Close()
		said.Close()
		return nil, err
	}
	cmd := exec.Command(r.Binary, append([]string{WorkerArg}, r.Args...)...)
	cmd.Args[0] = r.Binary
	cmd.Env = append(workerEnviron(), WorkerEnv+"="+string(birth))
	cmd.Stdout, cmd.Stderr = says, says
	cmd.ExtraFiles = []*os.File{theirs, r.Stdout, r.Stderr}
	if snapshot != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, snapshot)
	}
	if err := cmd.Start(); err != nil {
		link.Close()
		said.Close()
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	r.generation++
	w := r.newWorker(link)
	w.pid, w.process = cmd.Process.Pid, cmd.Process
	w.facts = handoff.Facts{Pid: w.pid, Generation: r.generation, Reloads: r.reloads, Started: time.Now()}
	if !onTrial { // the next master would not know what to do with it
		r.keepLink(w)
	}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		defer said.Close()
		// The pipe ends when the worker is ready or gone; an error of Out
		// means that nobody listens.
		relay := &relay{words: &w.words, to: r.Out, terse: r.Terse}
		_, _ = io.Copy(relay, said)
		relay.end()
	}()
	go func() {
		err := cmd.Wait()
		// A child of the worker could hold the pipe open.
		select {
		case <-heard:
		case <-time.After(time.Second):
		}
		r.post(func() { r.processGone(w, fate(err)) })
	}()
	return w, nil
}

// workerEnviron is this process's environment without what the service manager
// means for the master alone.
func workerEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", WorkerEnv:
		default:
			env = append(env, kv)
		}
	}
	return append(env, "HAPROXY_MWORKER=1")
}

// fate says how a process ended, "" when it ended well.
func fate(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &exit):
		return err.Error()
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("was killed by signal %d (%v)", ws.Signal(), ws.Signal())
	}
	return fmt.Sprintf("exited with code %d", exit.ExitCode())
}

// words keeps the beginning of what a worker says.
type words struct {
	// mu guards the field below.
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxWords = 256 << 10

func (t *words) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p[:min(len(p), max(maxWords-t.buf.Len(), 0))])
	return len(p), nil
}

func (t *words) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
