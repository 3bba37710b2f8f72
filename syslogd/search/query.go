package search

import (
	"bytes"
	"fmt"
	"math"
	"path"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/syslogd/format"
	"lbsyslogd/syslogd/message"
)

// Query says which lines are wanted. The zero value wants all.
type Query struct {
	Since, Until time.Time // from the one on and before the other; zero: no bound

	Pattern *regexp.Regexp // the line must match; nil: any
	Invert  bool           // must not match

	Hosts, Tags []string         // shell patterns, of which one must match; nil: any
	Severity    message.Severity // with Rated: this and worse
	Rated       bool

	// Slack is how far out of order lines may be to be found where there is no index of times: later than a line after them, or than the rotation
	// of their file, or earlier than what was rotated before; 0: DefaultSlack. Exact reads all that there is instead.
	Slack time.Duration
	Exact bool
}

// DefaultSlack is Query.Slack when that is 0.
const DefaultSlack = 10 * time.Minute

// Line is a line that was found. It is valid until the next one is asked for.
type Line struct {
	Log    *Log
	Text   []byte // without its newline
	Record *format.Record
}

// timed says whether the query asks for a time.
func (q *Query) timed() bool { return !q.Since.IsZero() || !q.Until.IsZero() }

// fielded says whether the query asks for fields of lines.
func (q *Query) fielded() bool { return q.Hosts != nil || q.Tags != nil || q.Rated }

// window is the time that is asked for, in nanoseconds since 1970.
func (q *Query) window() (from, before int64) {
	from, before = math.MinInt64, math.MaxInt64
	if !q.Since.IsZero() {
		from = q.Since.UnixNano()
	}
	if !q.Until.IsZero() {
		before = q.Until.UnixNano()
	}
	return from, before
}

// slack is how far around the window lines are looked for.
func (q *Query) slack() time.Duration {
	if q.Slack == 0 {
		return DefaultSlack
	}
	return q.Slack
}

// A matcher compares lines with the pattern of a query. A pattern that is only text is looked for as such, which is many times faster.
type matcher struct {
	pattern *regexp.Regexp
	text    []byte
	invert  bool
}

func newMatcher(q *Query) matcher {
	m := matcher{pattern: q.Pattern, invert: q.Invert}
	if q.Pattern == nil {
		return m
	}
	if re, err := syntax.Parse(q.Pattern.String(), syntax.Perl); err == nil && re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0 {
		m.text = []byte(string(re.Rune))
	}
	return m
}

func (m *matcher) wants(line []byte) bool {
	switch {
	case m.pattern == nil:
		return true
	case m.text != nil:
		return bytes.Contains(line, m.text) != m.invert
	}
	return m.pattern.Match(line) != m.invert
}

// none says that no line of text is wanted, whatever its time.
func (m *matcher) none(text []byte) bool {
	return m.text != nil && !m.invert && !bytes.Contains(text, m.text)
}

// wantsFields compares what a line says with the query.
func (q *Query) wantsFields(r *format.Record) bool {
	return oneMatches(q.Hosts, r.Host) && oneMatches(q.Tags, r.Tag) &&
		(!q.Rated || r.Priority >= 0 && message.Severity(r.Priority%message.Severities) <= q.Severity)
}

func oneMatches(patterns []string, value []byte) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, string(value)); ok && err == nil {
			return true
		}
	}
	return patterns == nil
}

// ParseTime reads a time as people give one: RFC 3339, a date and a time of day, each with or without the other, now, today, yesterday, or how long
// ago. What is left out comes from now. An empty text is the zero time.
func ParseTime(text string, now time.Time) (time.Time, error) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "":
		return time.Time{}, nil
	case "now":
		return now, nil
	case "today":
		return midnight, nil
	case "yesterday":
		return time.Date(now.Year(), now.Month(), now.Day()-1, 0, 0, 0, 0, now.Location()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location()), nil
		}
	}
	ago := strings.TrimPrefix(text, "-")
	if days, ok := strings.CutSuffix(ago, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 40000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time; 2026-11-21T03:04:05Z, 2026-11-21 03:04, 2026-11-21, 03:04, now, today, yesterday and 90m (ago) are", text)
}
