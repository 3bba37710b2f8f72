package tape

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRecordAndPlay records what a program said, then plays it back where the program is missing.
func TestRecordAndPlay(t *testing.T) {
	t.Chdir(t.TempDir())
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "peer-of-this-test"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	asked := 0
	ask := func(t *testing.T, live bool) {
		p := Open(t, "peer-of-this-test")
		if p.Live() != live {
			t.Fatalf("live: %v", p.Live())
		}
		for i, want := range []int{1, 2} {
			again := Open(t, "peer-of-this-test") // as a test does that starts the program for each row
			if got := Observe(again, "how many", func() int { asked++; return asked }); got != want {
				t.Errorf("answer %d: %d", i+1, got)
			}
		}
		if got := Observe(p, "who", func() []string { return []string{"me", "\xff"} }); len(got) != 2 || got[0] != "me" {
			t.Errorf("got %q", got)
		}
	}
	t.Setenv("LB_RECORD", "1")
	t.Setenv("CI", "")
	t.Setenv("PATH", bin+":"+path)
	t.Run("it", func(t *testing.T) { ask(t, true) })
	recorded, err := os.ReadDir("testdata/tapes/peer-of-this-test")
	if err != nil || len(recorded) != 1 {
		t.Fatal(recorded, err)
	}
	t.Setenv("PATH", path)
	t.Run("it", func(t *testing.T) {
		// The second run of a name is called it#01: what it#00 recorded is played back to it.
		from := filepath.Join("testdata/tapes/peer-of-this-test", recorded[0].Name())
		to := filepath.Join("testdata/tapes/peer-of-this-test", "TestRecordAndPlay-it#01.json")
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
		ask(t, false)
	})
	if asked != 2 {
		t.Errorf("the program was asked %d times", asked)
	}
}
