package message

import (
	"testing"
	"time"
)

func TestAppendTimestampIsTheStandardLibrarys(t *testing.T) {
	start := time.Date(2027, 12, 31, 23, 59, 58, 999, time.UTC)
	var s Stamper
	for i := range 2000 {
		now := start.Add(time.Duration(i) * 7 * time.Hour).Add(time.Duration(i) * time.Second)
		want := now.Format(time.Stamp)
		if got := string(AppendTimestamp(nil, now)); got != want {
			t.Fatalf("AppendTimestamp(%v) = %q; want %q", now, got, want)
		}
		if got := string(s.Append(nil, now)); got != want {
			t.Fatalf("Stamper.Append(%v) = %q; want %q", now, got, want)
		}
	}
}

func TestStamperTellsZonesApart(t *testing.T) {
	var s Stamper
	now := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	east := time.FixedZone("east", 2*3600)
	s.Append(nil, now)
	if got := string(s.Append(nil, now.In(east))); got != "Nov 21 05:04:05" {
		t.Errorf("the same instant two hours east is %q", got)
	}
	if got := string(s.Append(nil, time.Unix(0, 0).UTC())); got != "Jan  1 00:00:00" {
		t.Errorf("the epoch is %q", got)
	}
}

func TestAppendHeader(t *testing.T) {
	now := time.Date(2026, 11, 1, 3, 4, 5, 0, time.UTC)
	row := func(host, tag string, pid int, want string) {
		t.Helper()
		if got := string(AppendHeader(nil, 134, now, host, tag, pid)); got != want {
			t.Errorf("AppendHeader(%q, %q, %d) = %q; want %q", host, tag, pid, got, want)
		}
	}
	row("", "haproxy", 7, "<134>Nov  1 03:04:05 haproxy[7]: ")
	row("web1", "haproxy", 7, "<134>Nov  1 03:04:05 web1 haproxy[7]: ")
	row("web1", "kernel", 0, "<134>Nov  1 03:04:05 web1 kernel: ")
}

func TestHeaderAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 128)
	now := time.Date(2026, 11, 1, 3, 4, 5, 0, time.UTC)
	var s Stamper
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendHeader(buf[:0], 134, now, "web1", "haproxy", 4711)
		buf = s.Append(buf[:0], now)
	}); n != 0 {
		t.Errorf("a header costs %v allocations; want 0", n)
	}
}
