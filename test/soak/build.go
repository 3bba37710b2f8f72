package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"lbsyslogd/test/rig"
)

// builder builds the daemons.
type builder struct {
	overlay string
	race    bool
	version string
}

func (o builder) build(dir string) (rig.Programs, error) {
	args := []string{"build", "-o", dir + "/"}
	if o.overlay != "" {
		args = append(args, "-overlay", o.overlay)
	}
	if o.race {
		args = append(args, "-race")
	}
	if o.version != "" {
		args = append(args, "-ldflags", "-X lbsyslogd/cmd/internal/buildinfo.version="+o.version)
	}
	cmd := exec.Command("go", append(args, "lbsyslogd/cmd/lb", "lbsyslogd/cmd/syslogd")...)
	if !o.race {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return rig.Programs{}, fmt.Errorf("build: %w\n%s", err, out)
	}
	return rig.Programs{LB: filepath.Join(dir, "lb"), Syslogd: filepath.Join(dir, "syslogd")}, nil
}
