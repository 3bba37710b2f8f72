package rotate

import (
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	stamp := time.Date(2026, 11, 21, 3, 4, 5, 678e6, time.UTC)
	row := func(path, want string) {
		t.Helper()
		if got := seriesOf(path).dated(stamp.In(time.FixedZone("x", 3600))); got != want {
			t.Errorf("the rotated file of %s is %s; want %s", path, got, want)
		}
	}
	row("/var/log/lb/lb.log", "lb-2026-11-21T03-04-05.678.log")
	row("messages", "messages-2026-11-21T03-04-05.678")
	row(".log", ".log-2026-11-21T03-04-05.678")
	row("a.b.log", "a.b-2026-11-21T03-04-05.678.log")
}

func TestParseNameTakesOnlyOurs(t *testing.T) {
	n := seriesOf("app.log")
	row := func(name string, ok bool, form Compression, tmp bool) {
		t.Helper()
		b, got := n.parse(name)
		if got != ok || ok && (b.form != form || b.tmp != tmp || b.file() != name) {
			t.Errorf("parse(%q) = %+v, %v", name, b, got)
		}
	}
	const stamp = "app-2026-11-21T03-04-05.678.log"
	row(stamp, true, None, false)
	row(stamp+".gz", true, Gzip, false)
	row(stamp+".zst", true, Zstd, false)
	row(stamp+".gz.tmp", true, Gzip, true)
	row(stamp+".tmp", false, None, false)
	row("app.log", false, None, false)
	row("app.log.1", true, None, false)
	row("app.log.1.gz", true, Gzip, false)
	row("app.log.123456789.zst", true, Zstd, false)
	row("app.log.gz.tmp", true, Gzip, true)
	row("app.log.gz", false, None, false)
	row("app.log.0", false, None, false)
	row("app.log.01", false, None, false)
	row("app.log.-1", false, None, false)
	row("app.log.1234567890", false, None, false)
	row("app.log.1.gz.tmp", false, None, false)
	row("app.log.1.bz2", false, None, false)
	row("app.log.1.log", false, None, false)
	row("app-2026-11-21.log", false, None, false)
	row("app-2026-13-21T03-04-05.678.log", false, None, false)
	row("app-x-2026-11-21T03-04-05.678.log", false, None, false)
	row("other-2026-11-21T03-04-05.678.log", false, None, false)
	row("app-2026-11-21T03-04-05.678.txt", false, None, false)
}

func TestRotates(t *testing.T) {
	row := func(naming Naming, path, file string, want bool) {
		t.Helper()
		if got := (Options{Naming: naming}).Rotates(path, file); got != want {
			t.Errorf("%s %s rotates %s: %v", naming, path, file, got)
		}
	}
	row(Numbered, "/var/log/a", "/var/log/a.1", true)
	row(Numbered, "/var/log/a", "/var/log//a.2.gz", true)
	row(Dated, "/var/log/a", "/var/log/a.1", false)
	row(Dated, "/var/log/a.log", "/var/log/a-2026-11-21T03-04-05.678.log", true)
	row(Numbered, "/var/log/a", "/var/a.1", false)
	row(Numbered, "/var/log/a", "/var/log/a.b", false)
}

func TestNextStampNeverGoesBack(t *testing.T) {
	last := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	if got := nextStamp(last.Add(-time.Hour), last); !got.Equal(last.Add(time.Millisecond)) {
		t.Errorf("with a clock set back: %v", got)
	}
	if got := nextStamp(last.Add(1500*time.Microsecond), last); !got.Equal(last.Add(time.Millisecond)) {
		t.Errorf("a moment later: %v", got)
	}
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"app-2026-11-21T03-04-05.678.log", "app-2026-11-21T03-04-05.678.log.gz.tmp", "app-.log", "app.log", ".tmp", "app.log.1", "app.log.00", "app.log.7.zst", "app.log.zst.tmp"} {
		f.Add(seed)
	}
	n := seriesOf("app.log")
	f.Fuzz(func(t *testing.T, name string) {
		if b, ok := n.parse(name); ok && b.file() != name {
			t.Errorf("parse(%q) leads back to %q", name, b.file())
		}
	})
}

func mustStamp(t *testing.T, text string) time.Time {
	t.Helper()
	stamp, err := time.Parse(stampLayout, text)
	if err != nil {
		t.Fatal(err)
	}
	return stamp
}
