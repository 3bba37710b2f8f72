package assemble

import (
	"log/slog"
	"slices"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/syslog"
)

// logTargets collects the distinct sets of log targets: each loop has one
// sender, with its own socket, for each set.
type logTargets struct {
	tag, host string
	pid       int
	sets      [][]syslog.Target

	report func(syslog.Outage)
	health []*syslog.Health // one for each receiver
}

// healthOf finds the record of a receiver, or makes it.
func (l *logTargets) healthOf(address string) *syslog.Health {
	for _, h := range l.health {
		if h.Address == address {
			return h
		}
	}
	h := &syslog.Health{Address: address, Tell: l.report}
	l.health = append(l.health, h)
	return h
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
	var set []syslog.Target
	for _, c := range logs {
		tag := c.Tag
		if tag == "" {
			tag = l.tag
		}
		if tag == "" {
			tag = "haproxy" // what halog and existing filters look for
		}
		set = append(set, syslog.Target{
			Network: c.Network, Address: c.Address, Format: c.Format, Len: c.Len,
			Facility: c.Facility, Level: c.Level, MinLevel: c.MinLevel,
			Tag: tag, Hostname: l.host, Pid: l.pid, Health: l.healthOf(c.Address),
		})
	}
	return set
}

// reportLogs reports log lines that nobody takes, and of their being taken
// again. A loop must not wait for the logger.
func (rt *Runtime) reportLogs(o syslog.Outage) {
	level, kind := slog.LevelWarn, event.LogsLost
	if o.Over {
		level, kind = slog.LevelInfo, event.LogsBack
	}
	go rt.tell(level, kind, o.String(), slog.String("LB_LOG_TARGET", o.Address))
}
