package rotate

import (
	"fmt"
	"math/bits"
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
// Times are local times by the calendar, so that a day in which the clocks change is as long as it is. An hour that the
// clocks skip happens with the shift; one that they repeat happens once.
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
	year, month, day := after.Date()
	for i := range 8*366 + 1 {
		noon := time.Date(year, month, day+i, 12, 0, 0, 0, after.Location())
		if !c.matches(noon) {
			continue
		}
		y, m, d := noon.Date()
		for hours := c.hour; hours != 0; hours &= hours - 1 {
			for minutes := c.minute; minutes != 0; minutes &= minutes - 1 {
				t := time.Date(y, m, d, bits.TrailingZeros64(hours), bits.TrailingZeros64(minutes), 0, 0, after.Location())
				if t.After(after) {
					return t
				}
			}
		}
	}
	return time.Time{}
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
