package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// What an operator types for a trial, and what the master is asked, or what is wrong.
func TestReloadCanary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			asked <- strings.TrimSpace(line)
			io.WriteString(c, "Success=1\n--\nGeneration 2 serves.\n")
			c.Close()
		}
	}()
	row := func(want string, args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		err := verbs()[args[0]].run(append(args[1:], "-S", path), &out, &errs)
		var usage usageError
		got := ""
		switch {
		case errors.As(err, &usage):
			got = usage.Error()
		case err != nil:
			t.Fatal(err)
		default:
			got = <-asked
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", args, got, want)
		}
	}
	row("reload canary 5% for 1m0s abort-if errors>1%", "reload", "--canary", "5%")
	row("reload canary 2.5% for 10s abort-if 5xx>1% abort-if p99>500ms", "reload", "--for=10s", "-canary=2.5%", "--abort-if", "5xx > 1%", "--abort-if", "p99 > 500ms")
	row("canary promote", "canary", "promote")
	row("canary status", "canary")
	row("reload", "reload")
	row("reload: --for belongs to --canary, which is missing", "reload", "--for", "10s")
	row("reload: --canary: \"5\" is not a share between 0.01% and 50%", "reload", "--canary", "5")
	row("reload: \"--if-changed\" is not understood", "reload", "--canary", "5%", "--if-changed")
	row("canary: \"stop\" is not one of status, promote and abort", "canary", "stop")
}
