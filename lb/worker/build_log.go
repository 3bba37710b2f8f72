package worker

import (
	"slices"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/syslog"
)

// logTargets collects the distinct sets of log targets: each loop has one
// sender, with its own socket, for each set.
type logTargets struct {
	tag, host string
	pid       int
	sets      [][]syslog.Target
}

// add gives the number of the set for these log lines.
func (l *logTargets) add(logs []config.Log) int {
	set := l.targets(logs)
	for i, have := range l.sets {
		if slices.Equal(have, set) {
			return i
		}
	}
	l.sets = append(l.sets, set)
	return len(l.sets) - 1
}

func (l *logTargets) targets(logs []config.Log) []syslog.Target {
	tag := l.tag
	if tag == "" {
		tag = "haproxy" // what halog and existing filters look for
	}
	var set []syslog.Target
	for _, c := range logs {
		set = append(set, syslog.Target{
			Network: c.Network, Address: c.Address, Format: c.Format, Len: c.Len,
			Facility: c.Facility, Level: c.Level, MinLevel: c.MinLevel,
			Tag: tag, Hostname: l.host, Pid: l.pid,
		})
	}
	return set
}
