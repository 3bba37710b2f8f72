//go:build !profile

package main

// profiled runs the worker. Built with the tag profile it writes a profile meanwhile (profile.go).
func profiled(run func() int) int { return run() }
