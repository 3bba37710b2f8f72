package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata" // machines without a database

	"lbsyslogd/test/wait"
)

// TestClocksThatChange holds single days on which clocks change, at midnight too.
func TestClocksThatChange(t *testing.T) {
	row := func(zone, text, after string, want ...string) {
		t.Helper()
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", after, place)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			at = s.Next(at)
			if got := at.Format("2006-01-02 15:04 -07"); got != w {
				t.Errorf("%s, %q: got %s; want %s", zone, text, got, w)
			}
		}
	}
	row("America/Santiago", "day", "2026-09-05 12:00", "2026-09-06 01:00 -03", "2026-09-07 00:00 -03")
	row("America/Santiago", "day", "2026-04-03 12:00", "2026-04-04 00:00 -03", "2026-04-05 00:00 -04", "2026-04-06 00:00 -04")
	row("America/Havana", "day", "2026-03-07 12:00", "2026-03-08 01:00 -04", "2026-03-09 00:00 -04")
	row("America/Havana", "day", "2026-10-31 12:00", "2026-11-01 00:00 -04", "2026-11-02 00:00 -05") // not the second midnight
	row("Africa/Cairo", "day", "2026-04-23 12:00", "2026-04-24 01:00 +03", "2026-04-25 00:00 +03")
	row("America/New_York", "day 02:30", "2027-03-13 12:00", "2027-03-14 03:30 -04", "2027-03-15 02:30 -04")
	row("Europe/Berlin", "day 02:30", "2026-10-24 12:00", "2026-10-25 02:30 +02", "2026-10-26 02:30 +01")
	row("Europe/Berlin", "hour", "2026-10-25 01:30", "2026-10-25 02:00 +02", "2026-10-25 02:00 +01", "2026-10-25 03:00 +01")
	row("America/New_York", "*/15 * * * *", "2026-11-01 01:44", "2026-11-01 01:45 -04", "2026-11-01 01:00 -05", "2026-11-01 01:15 -05")
	row("Australia/Lord_Howe", "hour", "2026-04-05 00:30", "2026-04-05 01:00 +11", "2026-04-05 02:00 +10") // and a half
	row("Pacific/Apia", "day", "2011-12-29 12:00", "2011-12-31 00:00 +14", "2012-01-01 00:00 +14")         // without a 30th
	row("UTC", "day", "2026-12-31 23:59", "2027-01-01 00:00 +00")
	row("UTC", "month", "2026-12-01 00:00", "2027-01-01 00:00 +00")
	row("UTC", "0 0 29 2 *", "2026-12-01 00:00", "2028-02-29 00:00 +00", "2032-02-29 00:00 +00")
	row("UTC", "0 0 29 2 *", "2096-12-01 00:00", "2104-02-29 00:00 +00")
	row("Asia/Tokyo", "day", "1970-01-01 09:00", "1970-01-02 00:00 +09")
}

// TestEveryZone walks a schedule over the changes of clocks in all zones there are, and compares with a walk minute by minute. The short form
// takes one change of each kind.
func TestEveryZone(t *testing.T) {
	long := os.Getenv("LB_LONG") != ""
	seen := make(map[string]bool)
	changes := 0
	for _, name := range zoneNames(t) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			continue // not a zone
		}
		for at := time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); ; {
			_, end := at.ZoneBounds()
			if end.IsZero() || end.Year() > 2040 {
				break
			}
			if !end.After(at) { // see changes
				at = at.Add(36 * time.Hour)
				continue
			}
			before, after := end.Add(-time.Second).In(zone), end.In(zone)
			_, from := before.Zone()
			_, to := after.Zone()
			kind := fmt.Sprint(from, to, before.Format(time.TimeOnly))
			at = after
			if from == to || !long && seen[kind] {
				continue
			}
			seen[kind] = true
			if changes++; changes%rare == 0 {
				walk(t, name, end.In(zone))
			}
		}
	}
	t.Logf("%d changes", changes)
	if changes < 50 {
		t.Errorf("only %d changes were found", changes)
	}
}

var walked = []string{"day", "hour", "*/15 * * * *", "day 02:30", "30 0,1,2,3,23 * * *", "0 */2 * * *", "sun"}

// walk compares schedules around a change.
func walk(t *testing.T, name string, change time.Time) {
	t.Helper()
	first := change.Add(-30 * time.Hour).Truncate(time.Minute)
	last := change.Add(30 * time.Hour)
	shown := make(map[time.Time][]time.Time) // what clocks show, as if it were UTC, and when
	for at := first.Add(-30 * time.Hour); at.Before(last.Add(30 * time.Hour)); at = at.Add(time.Minute) {
		_, ahead := at.Zone()
		wall := at.UTC().Add(time.Duration(ahead) * time.Second)
		shown[wall] = append(shown[wall], at)
	}
	_, ahead := change.Add(-time.Second).Zone()
	for _, text := range walked {
		s, err := ParseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		c := s.(calendar)
		want := make(map[int64]bool)
		for wall := first.Add(-30 * time.Hour).UTC().Truncate(time.Hour); wall.Before(last.Add(30 * time.Hour)); wall = wall.Add(time.Minute) {
			if c.minute>>wall.Minute()&1 == 0 || c.hour>>wall.Hour()&1 == 0 || !c.matches(wall) {
				continue
			}
			moments := shown[wall]
			switch {
			case len(moments) == 0:
				moments = []time.Time{wall.Add(-time.Duration(ahead) * time.Second)}
			case c.hour != everyHour:
				moments = moments[:1]
			}
			for _, m := range moments {
				if m.After(first) && m.Before(last) {
					want[m.Unix()] = true
				}
			}
		}
		var got []int64
		for at := s.Next(first); at.Before(last); at = s.Next(at) {
			got = append(got, at.Unix())
			if len(got) > len(want)+5 {
				break
			}
		}
		if all := slices.Sorted(maps.Keys(want)); !slices.Equal(got, all) {
			t.Errorf("%s, %q around %s: %s; want %s", name, text, change, times(got, change.Location()), times(all, change.Location()))
		}
	}
}

func times(all []int64, zone *time.Location) string {
	var b strings.Builder
	for _, at := range all {
		b.WriteString(time.Unix(at, 0).In(zone).Format("02T15:04-0700 "))
	}
	return b.String()
}

// zoneNames is the zones of this machine's database, or a few.
func zoneNames(t *testing.T) (names []string) {
	t.Helper()
	const root = "/usr/share/zoneinfo"
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root+"/")
		if d.IsDir() && (name == "right" || name == "posix") {
			return fs.SkipDir
		}
		if d.Type().IsRegular() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil || len(names) < 100 {
		return []string{
			"Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/New_York", "America/Nuuk", "America/Santiago",
			"America/Sao_Paulo", "Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Gaza", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Berlin",
			"Europe/Lisbon", "Pacific/Apia", "Pacific/Easter", "Pacific/Kwajalein",
		}
	}
	return names
}

// TestStampsThatCannotBeTrue finds rotated files from times that have not come yet and from a clock that began in 1970. New names are of now, and
// retention counts from when it can know.
func TestStampsThatCannotBeTrue(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	var clock atomic.Int64
	clock.Store(now.UnixNano())
	put := func(name string, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("x\n"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	put("app-2099-01-01T00-00-00.000.log", now)
	put("app-2026-11-21T05-04-05.000.log", now)               // lumberjack's, two hours east
	put("app-1970-01-01T00-10-00.000.log", time.Unix(600, 0)) // rotated a minute ago
	w := open(t, filepath.Join(dir, "app.log"), Options{
		MaxAge: 24 * time.Hour, Now: func() time.Time { return time.Unix(0, clock.Load()).UTC() },
	})
	write(t, w, "one\n")
	r, err := w.Rotate()
	if err != nil || filepath.Base(r.To) != "app-2026-11-21T03-04-05.000.log" {
		t.Errorf("%+v, %v", r, err)
	}
	write(t, w, "two\n")
	if r, err := w.Rotate(); err != nil || filepath.Base(r.To) != "app-2026-11-21T03-04-05.001.log" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := w.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := names(t, dir); len(all) != 6 {
		t.Errorf("there are %q", all)
	}
	clock.Store(now.Add(23 * time.Hour).UnixNano())
	w.look() // a step of more than a day would be taken for a clock that was set
	write(t, w, "three\n")
	if _, err := w.Rotate(); err != nil {
		t.Fatal(err)
	}
	clock.Store(now.Add(27 * time.Hour).UnixNano())
	if _, err := w.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := names(t, dir); len(all) != 2 {
		t.Errorf("a day later there are %q", all)
	}
}

// TestClockSetBackAndAhead rotates in 2099 by a wrong clock: the next names are of now again. A clock in 1970 removes nothing, and one that is far
// ahead neither, whether the keeper has looked since it was set or not.
func TestClockSetBackAndAhead(t *testing.T) {
	for _, looks := range []bool{true, false} {
		dir := t.TempDir()
		var clock atomic.Int64
		at := func(year int) { clock.Store(time.Date(year, 11, 21, 3, 4, 5, 0, time.UTC).UnixNano()) }
		at(2026)
		w := open(t, filepath.Join(dir, "app.log"), Options{MaxAge: 24 * time.Hour, Now: func() time.Time { return time.Unix(0, clock.Load()).UTC() }})
		for i, year := range []int{2026, 2099, 2026, 1970, 2026} {
			if at(year); looks {
				w.look()
			}
			write(t, w, numbered(i))
			r, err := w.Rotate()
			if err != nil || !strings.HasPrefix(filepath.Base(r.To), fmt.Sprintf("app-%d-", year)) {
				t.Errorf("in %d: %+v, %v", year, r, err)
			}
			if _, err := w.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		once(t, content(t, dir, "app"), 5)
	}
}

func TestNameThatIsTooLong(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, strings.Repeat("a", LongestName-4)+".log")
	w := open(t, long, Options{Size: 10, Compress: Zstd})
	write(t, w, numbered(1)+numbered(2))
	wait.Until(t, "the rotated file to be compressed", func() bool { return w.Stats().Compressed == 1 })
	if _, err := Open(filepath.Join(dir, strings.Repeat("a", LongestName-3)+".log"), Options{Size: 10}); err == nil {
		t.Error("a name that cannot be rotated is taken")
	}
}
