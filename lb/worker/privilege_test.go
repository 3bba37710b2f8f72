package worker

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestDumpable(t *testing.T) {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_DUMPABLE, uintptr(was), 0, 0, 0)
	for value, yes := range []bool{false, true} {
		if err := dumpable(yes); err != nil {
			t.Fatal(err)
		}
		if is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || is != value {
			t.Errorf("dumpable is %d, not %d, %v", is, value, err)
		}
	}
}
