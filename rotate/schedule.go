package rotate

import (
	"fmt"
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Schedule says when to rotate by time.
type Schedule interface {
	// Next is the first moment after t, in t's zone; zero when there is none.
	Next(t time.Time) time.Time
}

// A calendar is a cron expression: sets of minutes, hours, days, months and weekdays, as bits. Immutable.
type calendar struct {
	minute, hour, day, month, weekday uint64
	// cron's oldest rule: when both kinds of days are restricted, either will do.
	anyDay, anyWeekday bool
}

// ParseSchedule reads "hour", "day", "week" (Sunday) or "month"; "day 03:30"; "mon 03:30" or "monday"; or a cron expression of
// five fields such as "*/15 * * * *", with numbers, ranges, lists and steps.
//
// Times are local times by the calendar, so that a day in which the clocks change is as long as it is. A time that the clocks skip comes when it
// would have come without the change: 02:30 at what is 03:30 then, and midnight at 01:00 where clocks are set forward at midnight. A time that
// they repeat comes once, the first time; schedules of every hour are the exception, and come both times.
func ParseSchedule(text string) (Schedule, error) {
	words := strings.Fields(text)
	if len(words) == 5 {
		return parseCron(words)
	}
	if len(words) == 0 || len(words) > 2 {
		return nil, fmt.Errorf("schedule %q: want hour, day, week, month, \"day 03:30\", \"sun 03:30\" or five cron fields", text)
	}
	hour, minute := "0", "0"
	if len(words) == 2 {
		t, err := time.Parse("15:04", words[1])
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %q is not a time such as 03:30", text, words[1])
		}
		hour, minute = strconv.Itoa(t.Hour()), strconv.Itoa(t.Minute())
	}
	switch word := strings.ToLower(words[0]); word {
	case "hour", "hourly":
		if len(words) == 1 {
			return parseCron([]string{"0", "*", "*", "*", "*"})
		}
	case "day", "daily":
		return parseCron([]string{minute, hour, "*", "*", "*"})
	case "week", "weekly":
		return parseCron([]string{minute, hour, "*", "*", "0"})
	case "month", "monthly":
		return parseCron([]string{minute, hour, "1", "*", "*"})
	default:
		for d := time.Sunday; d <= time.Saturday; d++ {
			if name := strings.ToLower(d.String()); word == name || word == name[:3] {
				return parseCron([]string{minute, hour, "*", "*", strconv.Itoa(int(d))})
			}
		}
	}
	return nil, fmt.Errorf("schedule %q: want hour, day, week, month, \"day 03:30\", \"sun 03:30\" or five cron fields", text)
}

func parseCron(words []string) (Schedule, error) {
	var c calendar
	for i, field := range []struct {
		name     string
		min, max int
		set      *uint64
	}{
		{"minute", 0, 59, &c.minute}, {"hour", 0, 23, &c.hour}, {"day", 1, 31, &c.day}, {"month", 1, 12, &c.month},
		{"weekday", 0, 7, &c.weekday},
	} {
		set, err := parseField(words[i], field.min, field.max)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %s %w", strings.Join(words, " "), field.name, err)
		}
		*field.set = set
	}
	c.weekday = c.weekday&0x7f | c.weekday>>7 // 7 is Sunday too
	c.anyDay, c.anyWeekday = words[2] == "*", words[4] == "*"
	if c.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("schedule %q: no such day ever comes", strings.Join(words, " "))
	}
	return c, nil
}

// parseField reads a list of "*", "N", "N-M", each perhaps with "/STEP".
func parseField(text string, low, high int) (uint64, error) {
	var set uint64
	for _, part := range strings.Split(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to, step := low, high, 1
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			n, err := number(first, low, high)
			if err != nil {
				return 0, err
			}
			from, to = n, n
			if ranged {
				if to, err = number(last, from, high); err != nil {
					return 0, err
				}
			} else if stepped {
				to = high
			}
		}
		if stepped {
			n, err := number(stepText, 1, high)
			if err != nil {
				return 0, err
			}
			step = n
		}
		for n := from; n <= to; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func number(text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q: want a number from %d to %d", text, low, high)
	}
	return n, nil
}

// Next goes through the calendar day by day; four years and a leap day hold every expression that ever matches, except around
// a century without one, where eight are needed.
func (c calendar) Next(after time.Time) time.Time {
	zone := after.Location()
	year, month, day := after.Date()
	var next time.Time
	later := 0 // days looked at since there is one
	// From the day before, which clocks that are set back may repeat.
	for i := -1; i <= 8*366; i++ {
		date := time.Date(year, month, day+i, 0, 0, 0, 0, time.UTC)
		if c.matches(date) {
			if t := c.nextOn(date, after, zone); !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		// The day after may begin earlier, if clocks are set back over midnight.
		if later > 0 || !next.IsZero() {
			if later++; later > 2 {
				break
			}
		}
	}
	return next
}

// nextOn is the first moment after a given one on the day that date has in UTC; zero when there is none.
func (c calendar) nextOn(date, after time.Time, zone *time.Location) (next time.Time) {
	every := c.hour == everyHour
	around := changes(date, zone)
	for hours := c.hour; hours != 0; hours &= hours - 1 {
		for minutes := c.minute; minutes != 0; minutes &= minutes - 1 {
			wall := date.Add(time.Duration(bits.TrailingZeros64(hours))*time.Hour + time.Duration(bits.TrailingZeros64(minutes))*time.Minute)
			for _, t := range moments(wall, around) {
				if t.After(after) && (next.IsZero() || t.Before(next)) {
					next = t
				}
				if !every {
					break
				}
			}
		}
		if !next.IsZero() && len(around) == 1 {
			break // nothing is out of order on such a day
		}
	}
	if next.IsZero() {
		return next
	}
	return next.In(zone)
}

const everyHour = 1<<24 - 1

// A span is a time in which clocks are a fixed number of seconds ahead of UTC.
type span struct {
	from, to time.Time // either may be zero: no limit
	ahead    time.Duration
}

// changes is the spans around a day, in order. No clock is ever more than a day away from UTC.
//
// It samples, because ZoneBounds of Go 1.26 ends where it begins on the last day of leap years after the last change that a zone's file lists.
func changes(date time.Time, zone *time.Location) (around []span) {
	const step = 3 * time.Hour
	ahead := func(t time.Time) time.Duration {
		_, seconds := t.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	t := date.Add(-36 * time.Hour)
	current := span{ahead: ahead(t)}
	for end := date.Add(60 * time.Hour); t.Before(end); t = t.Add(step) {
		next := ahead(t.Add(step))
		if next == current.ahead {
			continue
		}
		seconds := sort.Search(int(step/time.Second), func(i int) bool { return ahead(t.Add(time.Duration(i)*time.Second)) != current.ahead })
		at := t.Add(time.Duration(seconds) * time.Second)
		current.to = at
		around = append(around, current)
		current = span{from: at, ahead: next}
	}
	return append(around, current)
}

// moments is when clocks show a time, which is written as if it were UTC: once, or several times in order, or when they would if they did not
// skip it.
func moments(wall time.Time, around []span) (all []time.Time) {
	var skipped time.Time
	for i, s := range around {
		t := wall.Add(-s.ahead)
		if (s.from.IsZero() || !t.Before(s.from)) && (s.to.IsZero() || t.Before(s.to)) {
			all = append(all, t)
		}
		if i+1 < len(around) && !t.Before(s.to) && wall.Add(-around[i+1].ahead).Before(s.to) {
			skipped = t
		}
	}
	if len(all) == 0 && !skipped.IsZero() {
		all = append(all, skipped)
	}
	return all
}

func (c calendar) matches(day time.Time) bool {
	if c.month>>day.Month()&1 == 0 {
		return false
	}
	onDay, onWeekday := c.day>>day.Day()&1 != 0, c.weekday>>day.Weekday()&1 != 0
	if c.anyDay || c.anyWeekday {
		return onDay && onWeekday
	}
	return onDay || onWeekday
}
