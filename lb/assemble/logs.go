package assemble

import (
	"log/slog"
	"os"
	"slices"
	"time"

	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/syslog"
)

// logTargets collects the distinct sets of log targets: each loop has one
// sender, with its own socket, for each set.
type logTargets struct {
	tag, host string
	pid       int
	sets      [][]syslog.Target
	all       []syslog.Target // of all sets and of the checks

	report func(syslog.Outage)
	health []*syslog.Health // one for each receiver

	streams  []*syslog.Stream // one for each that lines are written to
	sections []*config.Ring
	rings    []*syslog.Ring
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

// streamOf finds what lines are written to, or makes it.
func (l *logTargets) streamOf(want *syslog.Stream) *syslog.Stream {
	for _, s := range l.streams {
		if s.Network == want.Network && s.Address == want.Address && s.OctetCount == want.OctetCount {
			return s
		}
	}
	l.streams = append(l.streams, want)
	return want
}

// ring finds a ring, or makes it.
func (l *logTargets) ring(name string) *syslog.Ring {
	for _, r := range l.rings {
		if r.Name == name {
			return r
		}
	}
	r := &syslog.Ring{Name: name}
	for _, c := range l.sections {
		if c.Name == name {
			r.Size = c.Size
		}
	}
	l.rings = append(l.rings, r)
	return r
}

// forward makes the targets of a ring's servers, which get what the ring gets.
func (l *logTargets) forward(t syslog.Target) (set []syslog.Target) {
	for _, c := range l.sections {
		if c.Name != t.Address {
			continue
		}
		for _, s := range c.Servers {
			one := t
			one.Network, one.Address = s.Network, s.Address
			one.Health = l.healthOf(logName(&config.Log{Network: s.Network, Address: s.Address}))
			one.Stream = l.streamOf(&syslog.Stream{
				Network: s.Network, Address: s.Address, OctetCount: s.OctetCount,
				Connect: c.Connect, Write: c.Write, Health: one.Health,
			})
			set = append(set, one)
		}
	}
	return set
}

// logName is a target as operators know it.
func logName(c *config.Log) string {
	switch {
	case c.Network == "fd" && c.Address == "1":
		return "stdout"
	case c.Network == "fd":
		return "stderr"
	case c.Network == "tcp":
		return "tcp@" + c.Address
	case c.Network == "unix":
		return "uxst@" + c.Address
	case c.Network == "ring":
		return "ring@" + c.Address
	}
	return c.Address
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
		t := syslog.Target{
			Network: c.Network, Address: c.Address, Format: c.Format, Len: c.Len,
			Facility: c.Facility, Level: c.Level, MinLevel: c.MinLevel,
			Tag: tag, Hostname: l.host, Pid: l.pid, Health: l.healthOf(logName(&c)),
		}
		if c.Sample != nil {
			t.Sample = &syslog.Sample{Ranges: c.Sample.Ranges, Size: c.Sample.Size}
		}
		switch c.Network {
		case "fd", "tcp", "unix":
			t.Stream = l.streamOf(&syslog.Stream{Network: c.Network, Address: c.Address, Health: t.Health})
		case "ring":
			set = append(set, l.forward(t)...)
			t.Ring = l.ring(c.Address)
		}
		set = append(set, t)
	}
	l.all = append(l.all, set...)
	return set
}

// ledger makes what tells the receivers how much they were sent.
func (l *logTargets) ledger(env Env) *syslog.Ledger {
	ledger := &syslog.Ledger{Pid: env.Pid, Generation: env.Generation, Began: time.Now(), Mode: os.Getenv(syslog.LedgerEnv)}
	for _, t := range l.all {
		if ledger.Add(t) != nil {
			continue // the senders refuse it too, and say so
		}
	}
	return ledger
}

// reportLogs reports log lines that nobody takes, and of their being taken
// again. A loop must not wait for the logger.
func (rt *Runtime) reportLogs(o syslog.Outage) {
	level, kind := slog.LevelWarn, event.LogsLost
	if o.Over {
		level, kind = slog.LevelInfo, event.LogsBack
	}
	go rt.logEvent(level, kind, o.String(), slog.String("LB_LOG_TARGET", o.Address))
}

// Rings gives the stats socket the buffers of log lines.
func (rt *Runtime) Rings() []control.Ring {
	var rings []control.Ring
	for _, c := range rt.cfg.Rings {
		r := new(syslog.Ring) // what nothing is logged to stays empty
		if i := slices.IndexFunc(rt.rings, func(r *syslog.Ring) bool { return r.Name == c.Name }); i >= 0 {
			r = rt.rings[i]
		}
		rings = append(rings, control.Ring{Name: c.Name, Description: c.About, Lines: r.Lines})
	}
	return rings
}
