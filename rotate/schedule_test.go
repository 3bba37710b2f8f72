package rotate

import (
	"testing"
	"time"
)

func TestScheduleNext(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	row := func(text, after, want string) {
		t.Helper()
		s, err := ParseSchedule(text)
		if err != nil {
			t.Errorf("ParseSchedule(%q): %v", text, err)
			return
		}
		from, err := time.ParseInLocation(time.DateTime, after, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(from).Format(time.DateTime); got != want {
			t.Errorf("%q after %s is %s; want %s", text, after, got, want)
		}
	}
	row("hour", "2026-11-21 03:04:05", "2026-11-21 04:00:00")
	row("hour", "2026-11-21 04:00:00", "2026-11-21 05:00:00")
	row("day", "2026-11-21 03:04:05", "2026-11-22 00:00:00")
	row("day 03:30", "2026-11-21 03:04:05", "2026-11-21 03:30:00")
	row("day 03:30", "2026-11-21 03:30:00", "2026-11-22 03:30:00")
	row("week", "2026-11-21 03:04:05", "2026-11-22 00:00:00")
	row("mon 01:00", "2026-11-21 03:04:05", "2026-11-23 01:00:00")
	row("Monday", "2026-11-23 00:00:00", "2026-11-30 00:00:00")
	row("month", "2026-12-21 03:04:05", "2027-01-01 00:00:00")
	row("*/15 * * * *", "2026-11-21 03:04:05", "2026-11-21 03:15:00")
	row("30 2,14 * * 1-5", "2026-11-21 03:04:05", "2026-11-23 02:30:00")
	row("0 0 13 * 5", "2026-11-21 03:04:05", "2026-11-27 00:00:00") // Friday or the 13th
	row("0 0 29 2 *", "2026-11-21 03:04:05", "2028-02-29 00:00:00")
	row("0 0 * * 7", "2026-11-21 03:04:05", "2026-11-22 00:00:00")
	row("5/20 3 * * *", "2026-11-21 03:10:00", "2026-11-21 03:25:00")
	// The days when the clocks change have 25 and 23 hours.
	row("day", "2026-10-25 00:00:00", "2026-10-26 00:00:00")
	row("day", "2027-03-28 00:00:00", "2027-03-29 00:00:00")
	row("day 02:30", "2027-03-28 00:00:00", "2027-03-28 03:30:00")
}

func TestScheduleRefuses(t *testing.T) {
	for _, text := range []string{"", "fortnight", "day 25:00", "day noon", "hour 03:00", "0 0 30 2 *", "60 * * * *", "* * * *",
		"* * * * * *", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "a b c d e", "99999999999999999999 * * * *"} {
		if _, err := ParseSchedule(text); err == nil {
			t.Errorf("ParseSchedule(%q) worked", text)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"hour", "day 03:30", "mon", "*/15 1-5 1,15 * 0", "0 0 29 2 *", "0 0 31 2 *", "5/2 * * * 7"} {
		f.Add(seed)
	}
	start := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchedule(text)
		if err != nil {
			return
		}
		first := s.Next(start)
		if second := s.Next(first); !first.After(start) || !second.After(first) {
			t.Errorf("%q after %v is %v and then %v", text, start, first, second)
		}
	})
}
