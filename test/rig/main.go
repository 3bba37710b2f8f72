package rig

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// Main is a TestMain: it has the daemons built into a directory of the run, and
// ends the process with the tests' status. tools are what the tests of a package
// call: CI must have them all; elsewhere each test asks for its own
// (tape.Require) and is skipped without them.
//
// A shell starts what runs in its background with SIGINT ignored. The daemons and programs that tests start are not to inherit that.
func Main(m *testing.M, name string, tools []string, build func(dir string) error) {
	if signal.Ignored(syscall.SIGINT) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	}
	code, err := runTests(m, name, tools, build)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M, name string, tools []string, build func(dir string) error) (int, error) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if os.Getenv("CI") != "" {
		for _, tool := range tools {
			if _, err := exec.LookPath(tool); err != nil {
				return 0, fmt.Errorf("%s is missing: test/setup installs what the tests need", tool)
			}
		}
	}
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
