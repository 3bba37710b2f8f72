package message

import "testing"

func TestNamesAreNumbersAndBack(t *testing.T) {
	for f := range Facility(Facilities) {
		if got, ok := ParseFacility(f.String()); !ok || got != f {
			t.Errorf("ParseFacility(%q) = %d, %v; want %d", f.String(), got, ok, f)
		}
	}
	for s := range Severity(Severities) {
		if got, ok := ParseSeverity(s.String()); !ok || got != s {
			t.Errorf("ParseSeverity(%q) = %d, %v; want %d", s.String(), got, ok, s)
		}
	}
}

func TestNamesOfOtherPrograms(t *testing.T) {
	facilities := map[string]Facility{"authpriv": 10, "auth2": 10, "security": 4, "clock": 15, "cron2": 15, "local7": 23}
	for name, want := range facilities {
		if got, ok := ParseFacility(name); !ok || got != want {
			t.Errorf("ParseFacility(%q) = %d, %v; want %d", name, got, ok, want)
		}
	}
	severities := map[string]Severity{"panic": Emerg, "error": Err, "warn": Warning, "warning": Warning, "err": Err}
	for name, want := range severities {
		if got, ok := ParseSeverity(name); !ok || got != want {
			t.Errorf("ParseSeverity(%q) = %d, %v; want %d", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "LOCAL0", "local8", "16", "facility?", "severity?", "info "} {
		if f, ok := ParseFacility(name); ok {
			t.Errorf("ParseFacility(%q) = %d; want it refused", name, f)
		}
		if s, ok := ParseSeverity(name); ok {
			t.Errorf("ParseSeverity(%q) = %d; want it refused", name, s)
		}
	}
}

func TestPriority(t *testing.T) {
	if got := Priority(Local0, Info); got != 134 {
		t.Errorf("local0.info is %d; want 134", got)
	}
	if DefaultPriority != 13 {
		t.Errorf("the default priority is %d; want 13", DefaultPriority)
	}
	if got := Facility(24).String() + Severity(8).String(); got != "facility?severity?" {
		t.Errorf("numbers out of range are called %q", got)
	}
}
