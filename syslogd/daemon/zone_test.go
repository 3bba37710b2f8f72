package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lbsyslogd/test/tape"
)

func TestSystemZone(t *testing.T) {
	row := func(tz, file, want string) string {
		t.Helper()
		if tz == "unset" {
			t.Setenv("TZ", "") // which has it put back
			os.Unsetenv("TZ")
		} else {
			t.Setenv("TZ", tz)
		}
		zone, name, err := systemZone(file)
		if (err != nil) != (want == "error") {
			t.Fatalf("TZ=%s: %v", tz, err)
		}
		if err != nil {
			return ""
		}
		if got := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(zone).Format("15:04"); got != want {
			t.Errorf("TZ=%s and %s: noon in Greenwich is %s; want %s", tz, file, got, want)
		}
		return name
	}
	file := filepath.Join(t.TempDir(), "localtime")
	put := func(name string) {
		t.Helper()
		data, err := os.ReadFile("/usr/share/zoneinfo/" + name)
		if err != nil {
			tape.Skipf(t, "no time zones here: %v", err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	row("unset", file, "12:00") // there is none
	put("Europe/Berlin")
	first := row("unset", file, "14:00")
	put("Asia/Tokyo")
	if second := row("unset", file, "21:00"); second == first {
		t.Error("two zones have one name")
	}
	row("America/New_York", file, "08:00")
	row(":America/New_York", file, "08:00")
	row("", file, "12:00")
	row(file, "/nowhere", "21:00")
	row("Nowhere/Land", file, "error")
	row("CET-1CEST,M3.5.0,M10.5.0/3", file, "error")
	if err := os.WriteFile(file, []byte("no zone"), 0o644); err != nil {
		t.Fatal(err)
	}
	row("unset", file, "error")
}
