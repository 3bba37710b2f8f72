package handoff

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TakeFromProcess copies the listening sockets of a process that is about to
// leave (-sf, -st), without its help: pidfd_getfd(2) gives what ptrace(2) would
// give, to root or, where the kernel allows it, to the same user. Both
// processes then accept from the same queues, so nothing that waits there is
// lost when the old one leaves. Sockets with a path are left: those are
// replaced by renaming.
func TakeFromProcess(pid int) (*Taken, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("take sockets from process %d: %w", pid, err)
	}
	defer unix.Close(pidfd)
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("take sockets from process %d: %w", pid, err)
	}
	t := new(Taken)
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink(dir + "/" + e.Name()); err != nil || !strings.HasPrefix(link, "socket:") {
			continue
		}
		fd, err := unix.PidfdGetfd(pidfd, n, 0)
		if errors.Is(err, unix.EBADF) {
			continue // a connection that has ended since the directory was read
		}
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("take sockets from process %d: %w", pid, err)
		}
		iface, _ := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
		t.Add(fd, iface)
	}
	return t, nil
}
