package control

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDescriptorsWithoutProc: in a chroot, where /proc is not, descriptors are found and named all the same.
func TestDescriptorsWithoutProc(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(r.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/proc/self/fd", t.TempDir() + "/none"} {
		if all := descriptors(dir); !slices.Contains(all, int(r.Fd())) || !slices.Contains(all, int(w.Fd())) || slices.Contains(all, 1000) || !slices.IsSorted(all) {
			t.Errorf("%s: %v, want %d and %d among them", dir, all, r.Fd(), w.Fd())
		}
	}
	for _, links := range []string{"/proc/self/fd/", t.TempDir() + "/none"} {
		if got, want := descriptor(links, int(r.Fd())), fmt.Sprintf("pipe:[%d]", st.Ino); got != want {
			t.Errorf("%s: %s, want %s", links, got, want)
		}
		if got := descriptor(links, 1<<20); got != "" {
			t.Errorf("%s: one that is not open: %q", links, got)
		}
	}
}
