package health

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is what a check runs in place of a Script (option external-check).
// Immutable, shared by servers.
type Program struct {
	Command string   // a path, or a name to look for in Path
	Path    string   // the program's PATH
	Environ []string // what it gets besides Subject's
	SetUID  bool     // programs may get the rights of their file's owner
	Null    *os.File // /dev/null, opened while there is one
}

// lastWords is how long a program that is late has between SIGTERM and SIGKILL.
const lastWords = time.Second

// badExit is the code of a program that cannot be run: a forked child's exit(-1).
const badExit = 255

// limit is how long a program may take. `timeout check` itself bounds nothing:
// where it is set, `timeout connect` does, as in HAProxy.
func (s *Spec) limit() time.Duration {
	if s.Check > 0 && s.Connect > 0 {
		return min(s.Inter, s.Connect)
	}
	return s.Inter
}

// program does one check by running the spec's program, in a process group of
// its own. Nothing of the group is left when it returns.
func program(ctx context.Context, s *Spec) result {
	// The program gets a signal when the thread that started it ends: this one
	// is no other goroutine's until the program has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := s.Program.start(s.Subject())
	if err != nil {
		return startResult(err)
	}
	g := group{pid: cmd.Process.Pid}
	var late bool // guarded by g.mu
	term := time.AfterFunc(s.limit(), func() { g.signal(unix.SIGTERM, func() { late = true }) })
	kill := time.AfterFunc(s.limit()+lastWords, func() { g.signal(unix.SIGKILL, nil) })
	cancelled := context.AfterFunc(ctx, func() { g.signal(unix.SIGKILL, nil) })
	g.wait()
	term.Stop()
	kill.Stop()
	cancelled()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case late:
		return result{status: ProcTimeout}
	case err == nil:
		return result{status: ProcOK}
	case errors.As(err, &exit):
		return result{status: ProcError, code: exit.ExitCode()} // -1 for one that a signal ended
	}
	return result{status: ProcError, code: -1, info: said(err.Error())}
}

// start runs the program with arguments and variables.
func (p *Program) start(args, env []string) (*exec.Cmd, error) {
	path, err := p.Find("")
	if err != nil {
		return nil, err
	}
	// What a library or a worker before left open is no program's to use.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return nil, err
	}
	if !p.SetUID {
		// It holds for this thread, and those that it starts: none of them runs
		// anything else.
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return nil, err
		}
	}
	cmd := p.command(path, append([]string{p.Command}, args...), env)
	if err = cmd.Start(); errors.Is(err, unix.ENOEXEC) { // a script without #!, as execvp(3) runs it
		cmd = p.command("/bin/sh", append([]string{"/bin/sh", path}, args...), env)
		err = cmd.Start()
	}
	return cmd, err
}

func (p *Program) command(path string, args, env []string) *exec.Cmd {
	return &exec.Cmd{
		Path: path, Args: args, Env: p.environ(env),
		Stdin: p.Null, Stdout: p.Null, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{
			Setpgid: true, Pdeathsig: unix.SIGKILL,
			// A worker that starts is root again for moments.
			Credential: &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid()), NoSetGroups: true},
		},
	}
}

// environ is a program's environment: later ones count.
func (p *Program) environ(env []string) []string {
	all := make([]string, 0, len(p.Environ)+len(env)+1)
	all = append(append(all, p.Environ...), env...)
	return append(all, "PATH="+p.Path)
}

// Find gives the path of the program's file; below root, which is what a
// chroot will make "/".
func (p *Program) Find(root string) (string, error) {
	if strings.ContainsRune(p.Command, '/') {
		return p.Command, executable(filepath.Join(root, p.Command))
	}
	err := error(unix.ENOENT)
	for dir := range strings.SplitSeq(p.Path, ":") {
		path := filepath.Join("/", dir, p.Command)
		switch found := executable(root + path); {
		case found == nil:
			return path, nil
		case errors.Is(found, unix.EACCES):
			err = found
		}
	}
	return "", err
}

// executable reports why a file cannot be run; nil if it can.
func executable(path string) error {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case st.IsDir() || st.Mode()&0o111 == 0:
		return unix.EACCES
	}
	return nil
}

// startResult names what kept a program from being run.
func startResult(err error) result {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return result{status: ProcError, code: badExit, info: said(err.Error())}
	}
	switch errno {
	case unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return result{status: SocketError, info: sentence(errno.Error())}
	}
	return result{status: ProcError, code: badExit, info: sentence(errno.Error())}
}

// group is a program's process group, whose number is its first process's.
type group struct {
	pid int

	mu sync.Mutex
	// mu guards the fields below.
	gone bool // its first process may be reaped, and pid be another's
}

// signal sends sig to all of the group, if it is there, and calls then.
func (g *group) signal(sig unix.Signal, then func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return
	}
	_ = unix.Kill(-g.pid, sig) // fails if all have ended just now
	if then != nil {
		then()
	}
}

// wait returns when the first process has ended. It is not reaped yet, and the
// others of the group are killed.
func (g *group) wait() {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, g.pid, &info, unix.WEXITED|unix.WNOWAIT, nil); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	g.signal(unix.SIGKILL, nil)
	g.mu.Lock()
	g.gone = true
	g.mu.Unlock()
}
