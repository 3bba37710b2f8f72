package assemble

import (
	"log/slog"
	"time"

	"lbsyslogd/lb/handoff"
)

// Env is what Build needs to know besides the configuration.
type Env struct {
	Generation int       // 1 is the first worker of a master
	Reloads    int       // how often its master had reloaded when it started
	Pid        int       // of this process
	Master     int       // the master's pid; 0 without one
	Started    time.Time // when this process started
	Version    string
	Released   string       // the date of the version, YYYY/MM/DD
	Logger     *slog.Logger // the process's own messages, not the access log

	// Former is the connection to the worker that this one takes over from;
	// nil without one. The engine owns it.
	Former *handoff.Conn

	// Back is the connection over which this worker gives everything back to the
	// one before: it is on trial until Promote. nil as a rule. The engine owns it.
	Back *handoff.Conn

	// Gave hears which sockets were given to another process; nil: nobody
	// has to know.
	Gave func(names []string)

	// Settled hears that the start is over: all has come from the worker before,
	// and what it left of garbage was collected. nil: nobody has to know.
	Settled func()
}
