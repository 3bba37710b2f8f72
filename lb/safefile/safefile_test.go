package safefile

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A link, a second name or a pipe that somebody planted is replaced; what it
// leads to is never touched.
func TestWriteTouchesNothingThatWasPlanted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(t *testing.T, path, victim string) error
	}{
		{"nothing", func(*testing.T, string, string) error { return nil }},
		{"symbolic link", func(_ *testing.T, path, victim string) error { return os.Symlink(victim, path) }},
		{"dangling link", func(_ *testing.T, path, victim string) error { return os.Symlink(victim+".new", path) }},
		{"second name", func(_ *testing.T, path, victim string) error { return os.Link(victim, path) }},
		{"pipe", func(_ *testing.T, path, _ string) error { return unix.Mkfifo(path, 0o666) }},
		{"file of before", func(_ *testing.T, path, _ string) error {
			return os.WriteFile(path, []byte("what was here before\n"), 0o644)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path, victim := filepath.Join(dir, "lb.pid"), filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := tt.plant(t, path, victim); err != nil {
				t.Fatal(err)
			}
			if err := Write(path, []byte("812\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if text, err := os.ReadFile(victim); err != nil || string(text) != "secret" {
				t.Errorf("the victim holds %q, %v", text, err)
			}
			if _, err := os.Lstat(victim + ".new"); err == nil {
				t.Error("what the link names was made")
			}
			if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() {
				t.Errorf("the path is %v, %v", st, err)
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != "812\n" {
				t.Errorf("the file holds %q, %v", text, err)
			}
		})
	}
}

func TestOpenKeepsAPlainFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lb.pid")
	for _, made := range []bool{true, false} {
		f, got, err := Open(path, 0o600)
		if err != nil || got != made {
			t.Fatalf("made %v, %v; it should be %v", got, err, made)
		}
		f.Close()
	}
	if _, _, err := Open(t.TempDir(), 0o600); err == nil {
		t.Error("a directory was opened for writing")
	}
}

func TestASocketIsWhatWasLookedAt(t *testing.T) {
	dir := t.TempDir()
	path, victim, foreign := filepath.Join(dir, "s"), filepath.Join(dir, "victim"), filepath.Join(dir, "foreign")
	for _, p := range []string{path, foreign} {
		l, err := net.Listen("unix", p)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	// The path changes hands after the look.
	if err := errors.Join(os.Remove(path), os.Symlink(victim, path)); err != nil {
		t.Fatal(err)
	}
	if err := s.Allow(0o666); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(victim); st.Mode().Perm() != 0o600 {
		t.Errorf("the victim has become %v", st.Mode())
	}
	for name, plant := range map[string]func(string) error{
		"symbolic link": func(p string) error { return os.Symlink(foreign, p) },
		"second name":   func(p string) error { return os.Link(foreign, p) },
		"plain file":    func(p string) error { return os.WriteFile(p, nil, 0o600) },
	} {
		planted := filepath.Join(dir, "planted")
		if err := plant(planted); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenSocket(planted); !errors.Is(err, ErrNotSocket) {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(planted)
	}
}
