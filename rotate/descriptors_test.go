package rotate

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoDescriptorsLeft: a Writer that cannot be opened for want of descriptors gives back those that it got, whichever was the one that was
// missing, and says what the matter was.
func TestNoDescriptorsLeft(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close what nobody refers to
	path := filepath.Join(t.TempDir(), "app.log")
	schedule, err := ParseSchedule("day")
	if err != nil {
		t.Fatal(err)
	}
	open := func() error {
		w, err := Open(path, Options{Schedule: schedule})
		if err != nil {
			return err
		}
		return w.Close()
	}
	if err := open(); err != nil { // what the first one opens for good
		t.Fatal(err)
	}
	failed := 0
	for free := range 9 {
		before := descriptors(t)
		give := takeDescriptors(t, free)
		err := open()
		give()
		if err != nil {
			failed++
			if !errors.Is(err, unix.EMFILE) {
				t.Errorf("with %d descriptors: %v", free, err)
			}
		}
		if n := descriptors(t); n != before {
			t.Errorf("with %d descriptors, %d are open after it and %d were before it: %v", free, n, before, err)
		}
	}
	if failed == 0 || failed == 9 {
		t.Errorf("%d of 9 failed", failed)
	}
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// takeDescriptors leaves this process so many, until give is called.
func takeDescriptors(t *testing.T, free int) (give func()) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = uint64(descriptors(t) + 32)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var taken []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	for range free {
		unix.Close(taken[len(taken)-1])
		taken = taken[:len(taken)-1]
	}
	return func() {
		for _, fd := range taken {
			unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
}
