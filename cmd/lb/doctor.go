package main

import (
	"fmt"
	"io"
	"strings"

	"lbsyslogd/cmd/internal/hooks"
)

// doctor looks for what restarts or signals a balancer, or a log daemon in a way that nobody can wait for.
func doctor(args []string, out, errs io.Writer) error {
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			if strings.TrimLeft(a, "-") == "help" || a == "-h" {
				return helped(out, "doctor", nil)
			}
			return usageError{fmt.Sprintf("doctor: %q is not understood; name files of logrotate, crontabs, timers or services, or none for all that this machine has", a)}
		}
	}
	return hooks.Doctor{Out: out, Errs: errs}.Run(args)
}
