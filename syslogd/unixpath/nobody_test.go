package unixpath

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// asNobody makes the calling thread nobody's. The goroutine stays locked to it, so that the thread ends with it.
func asNobody() error {
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
		return errno
	}
	// Without the capabilities that go with the file system's root.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
		return errno
	}
	return nil
}
