package health

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// programSpec is a check that runs a shell script.
func programSpec(t *testing.T, script string) (s *Spec, dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "check")
	// Another test's child that is being started may hold the file open for
	// writing, and then it cannot be run.
	syscall.ForkLock.Lock()
	err := os.WriteFile(path, []byte(script), 0o700)
	syscall.ForkLock.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return &Spec{
		Inter: time.Minute, Rise: 1, Fall: 1,
		Program: &Program{Command: path, Path: "/usr/bin:/bin", Environ: []string{"KEPT=1", "PATH=/none"}, Null: null},
		Subject: func() (args, env []string) {
			return []string{"NOT_USED", "NOT_USED", "192.0.2.1", "80"}, []string{"DIR=" + dir}
		},
	}, dir
}

// written waits for what a program wrote into a file, which is a line.
func written(t *testing.T, path string) string {
	t.Helper()
	var text string
	wait.Until(t, "what the program writes to "+path, func() bool {
		b, _ := os.ReadFile(path)
		text = string(b)
		return strings.HasSuffix(text, "\n")
	})
	return strings.TrimSuffix(text, "\n")
}

// gone waits until a process has ended.
func gone(t *testing.T, pid string) {
	t.Helper()
	wait.Until(t, "the end of process "+pid, func() bool {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return true
		}
		_, state, _ := strings.Cut(string(b), ") ")
		return strings.HasPrefix(state, "Z")
	})
}

// The exit code is the outcome, as in HAProxy.
func TestPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   result
	}{
		"good":       {"#!/bin/sh\nexit 0", result{status: ProcOK}},
		"bad":        {"#!/bin/sh\nexit 3", result{status: ProcError, code: 3}},
		"signal":     {"#!/bin/sh\nkill -9 $$", result{status: ProcError, code: -1}},
		"no #!":      {"[ $# = 4 ] && [ $3 = 192.0.2.1 ]", result{status: ProcOK}},
		"no program": {"#!/nowhere/sh", result{status: ProcError, code: 255, info: "No such file or directory"}},
	} {
		s, _ := programSpec(t, c.script)
		if got := ask(t.Context(), s, true); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	s, _ := programSpec(t, "")
	for command, want := range map[string]result{
		"/nowhere/at/all":   {status: ProcError, code: 255, info: "No such file or directory"},
		"no-such-program":   {status: ProcError, code: 255, info: "No such file or directory"},
		"/etc/passwd":       {status: ProcError, code: 255, info: "Permission denied"},
		"/":                 {status: ProcError, code: 255, info: "Permission denied"},
		"true":              {status: ProcOK},
		"/usr/bin/../false": {status: ProcError, code: 255, info: "No such file or directory"},
	} {
		p := *s.Program
		p.Command = command
		one := *s
		one.Program = &p
		if got := ask(t.Context(), &one, true); got != want {
			t.Errorf("%s: %+v, want %+v", command, got, want)
		}
	}
}

// A program sees its arguments, its environment, and none of lb's descriptors,
// not even one that children inherit.
func TestProgramSees(t *testing.T) {
	s, dir := programSpec(t, `#!/bin/sh
{
echo "$@"
tr '\0' '\n' </proc/$$/environ | sort
for f in /proc/$$/fd/*; do echo "${f##*/} $(readlink $f)"; done
grep NoNewPrivs /proc/$$/status
echo pgid $(cut -d' ' -f5 /proc/$$/stat) $$
echo end
} >$DIR/out
`)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open, err := syscall.Dup(int(f.Fd())) // dup(2): it is inherited
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(open)
	if got := ask(t.Context(), s, true); got.status != ProcOK {
		t.Fatalf("%+v", got)
	}
	lines := strings.Split(written(t, filepath.Join(dir, "out")), "\n")
	for _, want := range []string{"NOT_USED NOT_USED 192.0.2.1 80", "DIR=" + dir, "KEPT=1", "PATH=/usr/bin:/bin", "0 /dev/null", "NoNewPrivs:\t1"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "HOME=") || strings.HasSuffix(l, " "+dir) {
			t.Errorf("the program has %q", l)
		}
		if words := strings.Fields(l); words[0] == "pgid" && words[1] != words[2] {
			t.Errorf("the program has no group of its own: %s", l)
		}
	}
}

// A program that is late ends with all that it started: it may tidy up at
// SIGTERM, and one that does not end then is killed.
func TestLateProgram(t *testing.T) {
	s, dir := programSpec(t, `#!/bin/sh
trap 'echo tidied >$DIR/tidied; exit 0' TERM
sleep 100000 &
echo $! >$DIR/child
wait
`)
	s.Inter, s.Check, s.Connect = time.Hour, time.Hour, 500*time.Millisecond
	for range 100 { // a machine under load may not have come as far as the trap
		if got := ask(t.Context(), s, true); got != (result{status: ProcTimeout}) {
			t.Fatalf("%+v", got)
		}
		if _, err := os.Stat(filepath.Join(dir, "tidied")); err == nil {
			break
		}
	}
	if got := written(t, filepath.Join(dir, "tidied")); got != "tidied" {
		t.Errorf("wrote %q", got)
	}
	gone(t, written(t, filepath.Join(dir, "child")))

	deaf, _ := programSpec(t, "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 100000; done\n")
	deaf.Inter = 100 * time.Millisecond
	if got := ask(t.Context(), deaf, true); got != (result{status: ProcTimeout}) {
		t.Errorf("one that ignores SIGTERM: %+v", got)
	}
}

// What a program leaves running in its group ends with it.
func TestProgramLeavesNothing(t *testing.T) {
	s, dir := programSpec(t, "#!/bin/sh\nsleep 100000 &\necho $! >$DIR/child\nexit 0\n")
	if got := ask(t.Context(), s, true); got != (result{status: ProcOK}) {
		t.Errorf("%+v", got)
	}
	gone(t, written(t, filepath.Join(dir, "child")))
}

// When Run has returned, no program is left, and a server never has two.
func TestProgramsEndWithTheChecks(t *testing.T) {
	s, dir := programSpec(t, "#!/bin/sh\nmkdir $DIR/one || echo two >$DIR/two\necho $$ >$DIR/pid\nexec sleep 100000\n")
	ctx, cancel := context.WithCancel(context.Background())
	var reports atomic.Int32
	c := New(*s, 1, func(Report) { reports.Add(1) })
	done := make(chan struct{})
	go func() {
		c.Run(ctx)
		close(done)
	}()
	pid := written(t, filepath.Join(dir, "pid"))
	cancel()
	<-done
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(n, 0); err != syscall.ESRCH {
		t.Errorf("the program is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "two")); err == nil || reports.Load() != 0 {
		t.Errorf("two at once (%v), or %d reports", err, reports.Load())
	}
}
