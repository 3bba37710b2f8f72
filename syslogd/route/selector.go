package route

import (
	"fmt"
	"strings"

	"lbsyslogd/syslogd/message"
)

// A Selector is a set of priorities: for each facility one bit for each severity. Comparable; the zero value selects nothing.
type Selector [message.Facilities]uint8

// allSeverities has a bit for each.
const allSeverities = uint8(1<<message.Severities - 1)

// ParseSelector reads syslog.conf's own form: parts separated by semicolons, each of which adds to or takes from those before
// it. A part is facilities, a dot and a severity:
//
//	local0.*            everything of local0
//	mail,news.err       err and worse
//	*.info;mail.none    info and worse of all but mail
//	kern.=debug         just debug
//	local0.*;local0.!=info   all but info
//	local0.*;local0.!err     all that is less bad than err
func ParseSelector(text string) (Selector, error) {
	var s Selector
	for _, part := range strings.Split(text, ";") {
		part = strings.TrimSpace(part)
		facilities, severity, ok := strings.Cut(part, ".")
		if !ok || facilities == "" || severity == "" {
			return Selector{}, fmt.Errorf("selector %q: %q is not of the form facility.severity, such as local0.* or *.err", text, part)
		}
		apply, err := parseSeverity(severity)
		if err != nil {
			return Selector{}, fmt.Errorf("selector %q: %w", text, err)
		}
		for _, name := range strings.Split(facilities, ",") {
			if name = strings.TrimSpace(name); name == "*" {
				for f := range s {
					s[f] = apply(s[f])
				}
				continue
			}
			f, ok := message.ParseFacility(name)
			if !ok {
				return Selector{}, fmt.Errorf("selector %q: there is no facility %q; kern, user, mail, daemon, auth, cron, local0 to local7 are some", text, name)
			}
			s[f] = apply(s[f])
		}
	}
	return s, nil
}

// parseSeverity returns what a severity does to the bits of a facility.
func parseSeverity(text string) (func(uint8) uint8, error) {
	if text == "none" {
		return func(uint8) uint8 { return 0 }, nil
	}
	name, not := strings.CutPrefix(text, "!")
	name, only := strings.CutPrefix(name, "=")
	bits := allSeverities
	if name != "*" {
		sev, ok := message.ParseSeverity(name)
		if !ok {
			return nil, fmt.Errorf("there is no severity %q; emerg, alert, crit, err, warning, notice, info, debug, * and none are", name)
		}
		bits = 1 << sev
		if !only {
			bits |= bits - 1 // this one and all that are worse, which have the smaller numbers
		}
	}
	if not {
		return func(old uint8) uint8 { return old &^ bits }, nil
	}
	return func(old uint8) uint8 { return old | bits }, nil
}

// Has says whether a priority is in the set.
func (s *Selector) Has(priority int) bool {
	return s[priority/message.Severities]>>(priority%message.Severities)&1 != 0
}

// String is a selector that ParseSelector reads as the same set: one part for each severity of each facility.
func (s Selector) String() string {
	var parts []string
	for f, bits := range s {
		for sev := range message.Severity(message.Severities) {
			if bits>>sev&1 != 0 {
				parts = append(parts, message.Facility(f).String()+".="+sev.String())
			}
		}
	}
	if parts == nil {
		return "*.none"
	}
	return strings.Join(parts, ";")
}
