package message

// Facility is the part of the system a message comes from, 0 (kern) to 23 (local7).
type Facility uint8

// Severity is how bad it is, 0 (emerg) to 7 (debug): a smaller number is worse.
type Severity uint8

// The severities in the order of RFC 5424 section 6.2.1.
const (
	Emerg Severity = iota
	Alert
	Crit
	Err
	Warning
	Notice
	Info
	Debug
)

// The facilities this project speaks of by name in code; the others have names only in the table.
const (
	Kern   Facility = 0
	User   Facility = 1
	Daemon Facility = 3
	Syslog Facility = 5
	Local0 Facility = 16
)

// Facilities and Severities are how many there are of each: numbers run from 0 to one less.
const (
	Facilities = 24
	Severities = 8
)

// DefaultPriority is what RFC 3164 section 4.3.3 gives a message without a readable PRI: user.notice.
const DefaultPriority = int(User)*Severities + int(Notice)

// facilityName has the name of each facility as HAProxy writes it, which is also syslog.conf's except for auth2 (authpriv).
func facilityName(f Facility) string {
	return [...]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp",
		"ntp", "audit", "alert", "cron2",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}[f]
}

func severityName(s Severity) string {
	return [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}[s]
}

// String is the facility's name, or "facility?" for a number outside 0 to 23.
func (f Facility) String() string {
	if f >= Facilities {
		return "facility?"
	}
	return facilityName(f)
}

// String is the severity's name, or "severity?" for a number outside 0 to 7.
func (s Severity) String() string {
	if s >= Severities {
		return "severity?"
	}
	return severityName(s)
}

// ParseFacility takes HAProxy's names (auth2, cron2, audit, alert) and syslog.conf's (authpriv, security, clock), in lower case
// as both programs demand.
func ParseFacility(name string) (Facility, bool) {
	switch name {
	case "authpriv":
		return 10, true
	case "security":
		return 4, true
	case "clock":
		return 15, true
	}
	for f := range Facility(Facilities) {
		if facilityName(f) == name {
			return f, true
		}
	}
	return 0, false
}

// ParseSeverity takes HAProxy's names and syslog.conf's older spellings of three of them: panic, error and warn.
func ParseSeverity(name string) (Severity, bool) {
	switch name {
	case "panic":
		return Emerg, true
	case "error":
		return Err, true
	case "warn":
		return Warning, true
	}
	for s := range Severity(Severities) {
		if severityName(s) == name {
			return s, true
		}
	}
	return 0, false
}

// Priority is the number that stands between the angle brackets: facility times eight plus severity.
func Priority(f Facility, s Severity) int { return int(f)*Severities + int(s) }
