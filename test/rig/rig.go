// Package rig starts the programs under test, waits until they serve, and ends them: what the demo, the benchmark and the
// end-to-end tests have in common.
package rig

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Programs are the paths of the daemons.
type Programs struct{ LB, Syslogd string }

// Build builds daemons, both if none is named, into dir, from the module that the working directory is in.
func Build(dir string, names ...string) (Programs, error) {
	if len(names) == 0 {
		names = []string{"lb", "syslogd"}
	}
	args := []string{"build", "-buildvcs=false", "-o", dir + "/"} // a version in hatop's header must not grow with the state of the tree
	for _, name := range names {
		args = append(args, "lbsyslogd/cmd/"+name)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build %s: %w\n%s", strings.Join(names, " and "), err, out)
	}
	return Programs{LB: filepath.Join(dir, "lb"), Syslogd: filepath.Join(dir, "syslogd")}, nil
}

// FreePorts returns n TCP ports of host that are free for UDP as well. They lie below the range the kernel takes a client's
// ports from, so that no outgoing connection sits on one before its server is started, and are given once: one that nobody listens on yet,
// or that nobody is to listen on, is not another's.
func FreePorts(host string, n int) ([]int, error) {
	given.Lock()
	defer given.Unlock()
	var ports []int
	for try := 0; len(ports) < n; try++ {
		if try > 1000 {
			return nil, fmt.Errorf("no free ports on %s", host)
		}
		port := 10000 + rand.IntN(20000)
		if given.ports[port] {
			continue
		}
		addr := fmt.Sprintf("%s:%d", host, port)
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		ln.Close()
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		pc.Close()
		if len(given.ports) > 10_000 { // of a soak that goes on for hours
			clear(given.ports)
		}
		given.ports[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

// given are the ports that this process has given away.
var given = struct {
	sync.Mutex
	ports map[int]bool // guarded by Mutex
}{ports: map[int]bool{}}

// Until calls cond every few milliseconds until it reports true; when ctx ends first, the error says what was waited for.
func Until(ctx context.Context, what string, cond func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// Alive reports whether a process runs that may be nobody's child here. One that has ended and was not waited for does not: a worker
// outlives its master, and not every machine's process 1 collects orphans at once.
func Alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := text[bytes.LastIndexByte(text, ')')+1:] // the name may have anything in it
	return !bytes.HasPrefix(state, []byte(" Z")) && !bytes.HasPrefix(state, []byte(" X"))
}

// Process is a program that was started here. It is killed if the program that started it dies.
type Process struct {
	PID  int
	name string
	out  output
	done chan struct{} // closed when the process has ended
	err  error         // of Wait; read it after done
}

// Start starts a program in a process group of its own; what it prints is kept.
func Start(name string, args ...string) (*Process, error) {
	return StartCommand(exec.Command(name, args...))
}

// StartCommand is Start for a command that somebody has prepared. What it prints is kept unless its Stdout is set: to a file, if its children are to
// print there after it has ended.
func StartCommand(cmd *exec.Cmd) (*Process, error) {
	p := &Process{name: filepath.Base(cmd.Path), done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.out
	}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = 2 * time.Second // a child of the program may hold its output open
	started := make(chan error)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends, so that thread stays with this goroutine.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			p.PID = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns how the process ended; call it after Done.
func (p *Process) Err() error { return p.err }

// Output returns what the process and its children have printed.
func (p *Process) Output() string { return p.out.String() }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal signals the process, not its children.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("%s has ended: %v\n%s", p.name, p.err, p.Output())
	}
	return syscall.Kill(p.PID, sig)
}

// Stop asks the process to end with SIGTERM and waits for it; one that is still there after a minute is killed, with its whole group,
// and that is an error. Stopping a process that has ended returns how it ended.
func (p *Process) Stop() error {
	syscall.Kill(p.PID, syscall.SIGTERM)
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	select {
	case <-p.done:
		syscall.Kill(-p.PID, syscall.SIGKILL) // children that were left over
		return p.err
	case <-t.C:
		syscall.Kill(-p.PID, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s did not end within a minute of SIGTERM\n%s", p.name, p.Output())
	}
}

// await waits until cond holds while the process runs.
func (p *Process) await(ctx context.Context, what string, cond func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := Until(ctx, what, func() bool { return cond() || !p.Running() })
	if err == nil && !p.Running() {
		err = fmt.Errorf("%s ended (%v) before %s", p.name, p.err, what)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Output())
	}
	return nil
}

// output keeps what is written to it.
type output struct {
	// mu guards the fields below.
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// verb runs one of a daemon's synchronous commands and returns what it printed.
func verb(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	// A file needs nobody to read it, however busy the machine is, and no child of the program can hold it open.
	f, err := os.CreateTemp("", "verb-")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	err = cmd.Run()
	out, readErr := os.ReadFile(f.Name())
	if err == nil && readErr != nil {
		return "", readErr
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), err
}
