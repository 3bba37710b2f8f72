package handoff

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever may write the directory of a socket replaces it by a link to a file
// of root's, and waits for the next reload.
func TestRefreshLeavesAPlantedLinkAlone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		plant func(t *testing.T, path, victim string) error
		known bool // the Opener bound the socket itself, and did not inherit it
	}{
		{"symbolic link", func(_ *testing.T, path, victim string) error { return os.Symlink(victim, path) }, true},
		{"second name", func(_ *testing.T, path, victim string) error { return os.Link(victim, path) }, true},
		{"symbolic link, next master", func(_ *testing.T, path, victim string) error { return os.Symlink(victim, path) }, false},
		{"second name, next master", func(_ *testing.T, path, victim string) error { return os.Link(victim, path) }, false},
		{"another socket", func(_ *testing.T, path, victim string) error { return os.Rename(victim+".sock", path) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			w := Want{Network: "unix", Address: filepath.Join(dir, "admin.sock"), Mode: 0o666, UID: -1, GID: -1}
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			foreign, err := net.Listen("unix", victim+".sock")
			if err != nil {
				t.Fatal(err)
			}
			defer foreign.Close()
			if err := os.Chmod(victim+".sock", 0o600); err != nil {
				t.Fatal(err)
			}
			var o Opener
			fd, err := o.Open(w)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := os.Remove(w.Address); err != nil {
				t.Fatal(err)
			}
			if o.Displaced(w) {
				t.Error("displaced before anything was there")
			}
			if err := tt.plant(t, w.Address, victim); err != nil {
				t.Fatal(err)
			}
			if !o.Displaced(w) {
				t.Error("nothing says that the path has something else")
			}
			if !tt.known {
				o = Opener{}
			}
			if err := o.Refresh(fd, w); err != nil {
				t.Errorf("the reload fails: %v", err)
			}
			for _, path := range []string{victim, w.Address} {
				if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
					t.Errorf("%s has become %v, %v", path, st.Mode(), err)
				}
			}
		})
	}
}

// A path that a cleaner removed is no reason to refuse every reload from then on.
func TestRefreshOfARemovedPath(t *testing.T) {
	w := Want{Network: "unix", Address: filepath.Join(t.TempDir(), "admin.sock"), Mode: 0o660, UID: -1, GID: -1}
	var o Opener
	fd, err := o.Open(w)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := os.Remove(w.Address); err != nil {
		t.Fatal(err)
	}
	if err := o.Refresh(fd, w); err != nil {
		t.Error(err)
	}
}

// The socket is never more open than it shall be, not even before it is in its place.
func TestModeFromTheBeginning(t *testing.T) {
	dir := t.TempDir()
	w := Want{Network: "unix", Address: filepath.Join(dir, "admin.sock"), Mode: 0o600, UID: -1, GID: -1}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, w.Mode); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: w.Address}); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(w.Address); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("bound as %v, %v", st.Mode(), err)
	}
	os.Remove(w.Address)
	// Modes that the umask would have taken away, and those that it would not.
	for _, mode := range []uint32{0o600, 0o660, 0o666, 0o777} {
		w.Mode = mode
		var o Opener
		fd, err := o.Open(w)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		if st, err := os.Stat(w.Address); err != nil || uint32(st.Mode().Perm()) != mode {
			t.Errorf("mode %o: %v, %v", mode, st.Mode(), err)
		}
	}
}
