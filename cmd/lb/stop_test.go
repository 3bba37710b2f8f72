package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJob: what systemd is doing to a unit decides whether its workers end; a systemd that does not answer at once is asked again, and one
// that does not answer at all ends nothing.
func TestJob(t *testing.T) {
	const jobs = "412 lb.service restart running\n413 other.service stop waiting\n"
	busy := errors.New("connection timed out")
	for _, c := range []struct {
		name, unit string
		answers    []error // to one question after the other, then jobs
		job        string
		asked      int
		detach     bool
	}{
		{"a restart", "lb.service", nil, "restart", 1, true},
		{"a stop", "other.service", nil, "stop", 1, false},
		{"nothing", "third.service", nil, "", 1, false},
		{"a busy systemd", "lb.service", []error{busy, busy}, "restart", 3, true},
		{"a dead systemd", "lb.service", []error{busy, busy, busy, busy, busy}, "", 4, true},
		{"no systemd", "lb.service", []error{&exec.Error{Name: "systemctl", Err: exec.ErrNotFound}, busy}, "", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := 0
			job, err := jobOf(c.unit, func() ([]byte, error) {
				asked++
				if asked <= len(c.answers) {
					return nil, c.answers[asked-1]
				}
				return []byte(jobs), nil
			})
			if job != c.job || asked != c.asked || (err != nil) != (asked <= len(c.answers)) {
				t.Errorf("%q, %v, asked %d times", job, err, asked)
			}
			if mayDetach(job, err) != c.detach {
				t.Errorf("detaches: %v", !c.detach)
			}
		})
	}
}

// TestStopped: a worker without a master asks whether there is still a service.
func TestStopped(t *testing.T) {
	units := t.TempDir()
	if err := os.Symlink("166a86dea1e34103828e260e5951258c", filepath.Join(units, "invocation:lb.service")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unit, units string
		want        bool
	}{
		{"lb.service", units, false},
		{"gone.service", units, true},
		{"gone.service", filepath.Join(units, "none"), false}, // systemd does not tell
	} {
		if got := stopped(c.unit, c.units); got != c.want {
			t.Errorf("stopped(%s, %s) is %v", c.unit, c.units, got)
		}
	}
}
