package master

import (
	"slices"
	"strings"
	"testing"
)

// said is what a worker prints that refuses its configuration.
const said = `[WARNING]  (7) : config : parsing [lb.cfg:2] : odd` + "\x1fMESSAGE_ID=ab\n" +
	`[ALERT]    (7) : config : parsing [lb.cfg:3] : bad
  bnid :80
  ^
[ALERT]    (7) : config : lb.cfg:5: worse
[ALERT]    (7) : config : Error(s) found in configuration file : lb.cfg
some words without an end`

// A journal hears of each fact once: alerts come with the outcome. What a client is shown has all of them, and no fields.
func TestRelay(t *testing.T) {
	for _, terse := range []bool{false, true} {
		var kept, passed strings.Builder
		r := relay{words: &kept, to: &passed, terse: terse}
		for part := range slices.Chunk([]byte(said), 7) { // as a pipe may cut it
			if _, err := r.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		r.end()
		if want := strings.Replace(said, "\x1fMESSAGE_ID=ab", "", 1) + "\n"; kept.String() != want {
			t.Errorf("kept\n%s\nwant\n%s", kept.String(), want)
		}
		want := said + "\n"
		if terse {
			first, _, _ := strings.Cut(said, "\n")
			want = first + "\nsome words without an end\n"
		}
		if passed.String() != want {
			t.Errorf("terse %v: passed on\n%s\nwant\n%s", terse, passed.String(), want)
		}
	}
}

func TestAlerts(t *testing.T) {
	row := func(text string, want ...string) {
		t.Helper()
		if got := alerts(text); !slices.Equal(got, want) {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
	row(said, "[lb.cfg:3] : bad\n  bnid :80\n  ^", "lb.cfg:5: worse")
	row("")
	row("  set off from nothing\n[NOTICE]   (7) : fine\n  more\n")
	row("panic: attack\n\ngoroutine 1 [running]:\n", "the new worker crashed: panic: attack")
	if got := firstAlert(said); got != "[lb.cfg:3] : bad" {
		t.Errorf("the first is %q", got)
	}
}
