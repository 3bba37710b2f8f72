//go:build profile

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
)

// A build for `make pgo` alone (test/pgo). Its workers write what their processor time is spent on, each a file of its own in the directory that
// LB_PROFILE names: what cmd/profile.pgo is made of.

func profiled(run func() int) int {
	dir := os.Getenv("LB_PROFILE")
	if dir == "" {
		return run()
	}
	f, err := os.Create(filepath.Join(dir, strconv.Itoa(os.Getpid())+".prof"))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "LB_PROFILE: %v\n", err)
		return refused
	}
	status := run()
	pprof.StopCPUProfile()
	if err := f.Close(); err != nil {
		fmt.Fprintf(os.Stderr, "LB_PROFILE: %v\n", err)
		return refused
	}
	return status
}
