// Package tape lets a test that compares with another program pass where that program is not installed: it then compares with what was observed of
// it before.
//
//  1. Open finds the program. Where it is installed, it is asked itself (Live).
//  2. Observe gives what it did: asked now, or played back from testdata/tapes/PROGRAM/TEST.json.
//  3. LB_RECORD=1 (make record) writes the recordings anew.
//
// In CI (CI is set in the environment) nothing is played back: a program that is missing there is an error.
package tape

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// entry is one observation: what was asked, and what came of it.
type entry struct {
	Label string          `json:"asked"`
	Value json.RawMessage `json:"seen"`
}

// Tape is what one test observes of a program, in the order of the test's questions.
type Tape struct {
	t       testing.TB
	program string // its path; "" where it is not installed
	file    string

	mu      sync.Mutex
	entries []entry // played back, each once; or recorded so far
	played  []bool
	within  bool // an Observe is under way
}

// reel is what a tape belongs to.
type reel struct {
	t       testing.TB
	program string
}

var (
	mu    sync.Mutex
	reels = map[reel]*Tape{} // mu guards it
)

// Open returns the tape of the running test for a program such as "haproxy", the same for each call: a test that runs the program several times has one
// recording. A program that is not installed fails the test where CI is set and where nothing was recorded.
func Open(t testing.TB, program string) *Tape {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	r := reel{t, program}
	if reels[r] == nil {
		reels[r] = open(t, program)
		t.Cleanup(func() {
			mu.Lock()
			defer mu.Unlock()
			delete(reels, r)
		})
	}
	return reels[r]
}

func open(t testing.TB, program string) *Tape {
	t.Helper()
	p := &Tape{t: t, file: filepath.Join("testdata", "tapes", program, strings.ReplaceAll(t.Name(), "/", "-")+".json")}
	if path, ok := Find(program); ok {
		p.program = path
		if os.Getenv("LB_RECORD") != "" {
			t.Cleanup(p.save)
		}
		return p
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed, and CI compares with the program itself: test/setup installs it", program)
	}
	text, err := os.ReadFile(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is not installed, and nothing is recorded of it for this test: test/setup installs it, `make record` records it", program)
	}
	if err == nil {
		err = json.Unmarshal(text, &p.entries)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.played = make([]bool, len(p.entries))
	return p
}

// Require returns the path of a program that a test cannot do without. Where it is not installed the test is skipped, and in CI it fails.
func Require(t testing.TB, program string) string {
	t.Helper()
	path, ok := Find(program)
	if !ok {
		Skipf(t, "%s is not installed: test/setup installs it", program)
	}
	return path
}

// Skipf skips a test that this machine cannot run. In CI it fails: nothing is passed over there without a word.
func Skipf(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Find looks for a program where a user's and a superuser's PATH have it.
func Find(program string) (path string, ok bool) {
	if path, err := exec.LookPath(program); err == nil {
		return path, true
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, true
		}
	}
	return "", false
}

// Live reports whether the program itself is asked; that of a nil tape is.
func (p *Tape) Live() bool { return p == nil || p.program != "" }

// Program is the path of the program; "" when it is played back.
func (p *Tape) Program() string { return p.program }

// Observe is what the program does when it is asked label: live asks it. Equal labels are played back in the order of their recording,
// the last one again when there are no more. What live
// observes in its turn is part of the whole and not recorded again. A nil tape always asks: it stands for the program under test.
func Observe[T any](p *Tape, label string, live func() T) (seen T) {
	if p == nil {
		return live()
	}
	p.t.Helper()
	if p.Live() {
		return record(p, label, live)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	found := -1
	for i := range p.entries {
		if p.entries[i].Label == label {
			found = i
			if !p.played[i] {
				break
			}
		}
	}
	if found >= 0 {
		p.played[found] = true
		if err := json.Unmarshal(p.entries[found].Value, &seen); err != nil {
			p.t.Fatalf("%s: %q: %v", p.file, label, err)
		}
		return seen
	}
	p.t.Fatalf("%s has no answer to %q: `make record` records it where the program is installed", p.file, label)
	return seen
}

func record[T any](p *Tape, label string, live func() T) T {
	p.t.Helper()
	p.mu.Lock()
	nested := p.within
	p.within = true
	p.mu.Unlock()
	seen := live()
	if nested {
		return seen
	}
	text, err := json.Marshal(seen)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.within = false
	p.entries = append(p.entries, entry{label, text})
	return seen
}

// save writes what was observed.
func (p *Tape) save() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.t.Failed() || p.t.Skipped() {
		return
	}
	text, err := json.MarshalIndent(p.entries, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(p.file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(p.file, append(text, '\n'), 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}
