package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lbsyslogd/cmd/internal/console"
)

// A monitor that cannot ask must not take that for an outage: each answer has
// an exit status of its own.
func TestStatusOfEachAnswer(t *testing.T) {
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, tt := range []struct {
		name, socket string
		want         int
	}{
		{"serves", answers(t, "lb 1, master 2\ngeneration 1 (worker 3) serves since today\n"), done},
		{"no worker", answers(t, "lb 1, master 2\nno worker serves\n"), refused},
		{"no master", filepath.Join(dir, "none"), refused},
		{"dead master", dead, refused},
		{"no answer", answers(t, ""), untold},
		{"a stats socket", answers(t, "Unknown command. Please enter one of the following commands only:\n  help\n"), untold},
		{"another stats socket", answers(t, "Unknown command, but maybe one of the following ones is a better match:\n  stop\n"), untold},
		{"no socket at all", "/dev/null/socket", untold},
	} {
		var out strings.Builder
		err := health([]string{"-S", tt.socket, "--timeout", "5s"}, &out, io.Discard)
		if got := status(err, &console.Writer{File: os.Stderr}); got != tt.want {
			t.Errorf("%s: exit status %d (%v), want %d", tt.name, got, err, tt.want)
		}
	}
	denied := unknown{fmt.Errorf("cannot tell: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)})}
	if status(denied, &console.Writer{File: os.Stderr}) != untold || !errors.Is(denied, os.ErrPermission) {
		t.Error("who may not ask is told that nothing serves")
	}
}

// What a stats socket answers to a command for the master is no success of it.
func TestStatsSocketIsNoMaster(t *testing.T) {
	for answer, want := range map[string]string{
		"Unknown command. Please enter one of the following commands only:\n  help\n\n":    "is a stats socket",
		"Unknown command, but maybe one of the following ones is a better match:\n  get\n": "is a stats socket",
		"Unknown command: 'stop', but `help` lists those that there are.\n":                "lb upgrade",
	} {
		for verb, args := range map[string][]string{
			"reload": nil, "upgrade": nil, "stop": nil, "detach": nil, "status": nil, "canary": {"promote"},
		} {
			socket := answers(t, answer)
			var out strings.Builder
			err := verbs()[verb].run(append(args, "-S", socket, "--timeout", "5s"), &out, io.Discard)
			if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
				t.Errorf("%s, answered %q: %v, %q", verb, answer, err, &out)
			}
		}
	}
}

// Nor is what the master answers to a command for a stats socket.
func TestMasterIsNoStatsSocket(t *testing.T) {
	for _, verb := range []string{"top", "sessions", "errors"} {
		var out strings.Builder
		err := verbs()[verb].run([]string{"-s", answers(t, "Unknown command: 'show x', but `help` lists those that there are.\n")}, &out, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "is no stats socket") || out.Len() > 0 {
			t.Errorf("%s: %v, %q", verb, err, &out)
		}
		err = verbs()[verb].run([]string{"-s", answers(t, "there\n"), "--json"}, &out, io.Discard)
		if verb != "top" && (err == nil || !strings.Contains(err.Error(), "is of a release that does not know") || out.Len() > 0) {
			t.Errorf("%s --json: %v", verb, err)
		}
	}
}

// answers is a socket where every line is answered with text.
func answers(t *testing.T, text string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, text)
			c.Close()
		}
	}()
	return path
}

// `lb reload --help` is reload's, and a wrong command is answered in a line.
func TestShortUsage(t *testing.T) {
	for command := range verbs() {
		text := usageOf(command)
		switch command {
		case "help":
			continue
		default:
			if !strings.HasPrefix(text, "  lb "+command+" ") || strings.Count(text, "\n") > 8 {
				t.Errorf("lb %s --help:\n%s", command, text)
			}
		}
	}
	if !strings.Contains(usageOf("reload"), "--if-changed") {
		t.Error("reload's second line is missing")
	}
}

// A mistake is told once: the verdict does not repeat what stands above it.
func TestOnce(t *testing.T) {
	for answer, want := range map[string]string{
		"[ALERT] : parsing [lb.cfg:6] : unknown mode\nReload failed: [lb.cfg:6] : unknown mode\n": "[ALERT] : parsing [lb.cfg:6] : unknown mode\nReload failed, for the reason above.\n",
		"Reload failed: the new worker (7) exited with code 2\n":                                  "Reload failed: the new worker (7) exited with code 2\n",
		"[NOTICE] : something\nReload failed: it was not ready within 60s\n":                      "[NOTICE] : something\nReload failed: it was not ready within 60s\n",
		"Generation 2 serves.\n": "Generation 2 serves.\n",
	} {
		if got := once(answer); got != want {
			t.Errorf("%q becomes %q", answer, got)
		}
	}
}
