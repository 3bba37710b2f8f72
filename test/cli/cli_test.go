// Package cli holds what the programs say and return on the command line, as scripts: testdata/*.txtar, each headed by why it exists.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/tape"
)

func TestScripts(t *testing.T) {
	if os.Getenv("CI") != "" {
		tape.Require(t, "logger") // without it a script is skipped
	}
	bin := t.TempDir()
	if _, err := rig.Build(bin); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			ports, err := rig.FreePorts("127.0.0.1", 3)
			if err != nil {
				return err
			}
			for i, port := range ports {
				e.Setenv(fmt.Sprintf("PORT%d", i+1), strconv.Itoa(port))
			}
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			// A socket's path may have 107 bytes, which $WORK leaves little of.
			dir, err := os.MkdirTemp("", "cli-")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("RUN", dir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"await":  await,
			"signal": signal,
			"subst":  subst,
		},
	})
}

// status N PROGRAM ARGS... runs a program and wants exit status N; its output is for stdout and stderr.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s: exit status %d, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// await FILE waits until a file exists; ! await FILE until it does not.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] await file")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := rig.Until(ctx, args[0], func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return (err == nil) != neg
	})
	ts.Check(err)
}

// signal NAME PIDFILE sends a signal to the process that a file names.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	names := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "TERM": syscall.SIGTERM}
	if neg || len(args) != 2 || names[args[0]] == 0 {
		ts.Fatalf("usage: signal HUP|USR1|USR2|TERM pidfile")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, names[args[0]]))
}

// subst FILE... replaces $NAME in files by the script's variables.
func subst(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: subst file...")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(filepath.Clean(ts.MkAbs(name)), []byte(text), 0o600))
	}
}
