// Package netns makes sockets in other network namespaces: a socket belongs for good to the namespace that it was made in.
package netns

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace as ip-netns(8) names them. A nil one is our own. Immutable.
type Namespace struct {
	name       string
	there, own *os.File
}

// Open finds the namespace of a name. It stays usable in a chroot, and as long as there is the right to enter it, CAP_SYS_ADMIN.
func Open(name string) (*Namespace, error) {
	if strings.Contains(name, "/") || name == "." || name == ".." {
		return nil, fmt.Errorf("namespace %q is no name of a namespace: 'ip netns' lists them", name)
	}
	there, err := os.Open("/run/netns/" + name)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w ('ip netns' lists what there is)", name, err)
	}
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		there.Close()
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	return &Namespace{name, there, own}, nil
}

// Close ends the use of n.
func (n *Namespace) Close() {
	if n != nil {
		n.there.Close()
		n.own.Close()
	}
}

// Do calls f in the namespace, on a thread that is made for it and ends with it.
func (n *Namespace) Do(f func() error) error {
	if n == nil {
		return f()
	}
	done := make(chan error)
	go func() {
		// The thread ends with the goroutine, as it is not unlocked: nothing else ever runs in the other namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(n.there.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w (it needs CAP_SYS_ADMIN)", n.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Socket makes a socket in the namespace. The calling goroutine must be locked to its thread.
func (n *Namespace) Socket(socket func() (int, syscall.Errno)) (fd int, errno syscall.Errno) {
	if n == nil {
		return socket()
	}
	if errno := enter(n.there); errno != 0 {
		return -1, errno
	}
	fd, errno = socket()
	if back := enter(n.own); back != 0 {
		panic("no way back from network namespace " + n.name + ": " + back.Error())
	}
	return fd, errno
}

func enter(f *os.File) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SETNS, f.Fd(), unix.CLONE_NEWNET, 0)
	return errno
}
