package health

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseStatuses(t *testing.T) {
	set, err := ParseStatuses("200,204,300-303")
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]bool{199: false, 200: true, 201: false, 204: true, 299: false, 300: true, 303: true, 304: false} {
		if set.Has(code) != want {
			t.Errorf("Has(%d) = %v", code, !want)
		}
	}
	for _, bad := range []string{"", "20", "2000", "abc", "200-", "-200", "300-200", "200,,201", "+200", "200 "} {
		if _, err := ParseStatuses(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := ParseStatuses("399-200"); err == nil || !strings.Contains(err.Error(), "200-399") {
		t.Errorf("the way out is missing: %v", err)
	}
}

// What was accepted can be written down and read again to the same set.
func FuzzParseStatuses(f *testing.F) {
	for _, s := range []string{"200", "200-399", "200,204,300-303", "", "-", "1-2-3", "200-200"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ParseStatuses(s)
		if err != nil {
			return
		}
		var parts []string
		for _, r := range set {
			parts = append(parts, fmt.Sprintf("%d-%d", r.lo, r.hi))
		}
		again, err := ParseStatuses(strings.Join(parts, ","))
		if err != nil || len(again) != len(set) {
			t.Fatalf("%q became %q: %v", s, parts, err)
		}
		for i := range set {
			if again[i] != set[i] {
				t.Fatalf("%q became %q", s, parts)
			}
		}
	})
}
