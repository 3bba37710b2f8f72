package handoff

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// inNamespace calls f in a network namespace, as ip-netns(8) names them: a
// socket belongs for good to the namespace that it was made in. "" is our own.
func inNamespace(name string, f func() (int, error)) (fd int, err error) {
	if name == "" {
		return f()
	}
	if strings.Contains(name, "/") || name == "." || name == ".." {
		return -1, fmt.Errorf("namespace %q is no name of a namespace: 'ip netns' lists them", name)
	}
	there, err := os.Open("/run/netns/" + name)
	if err != nil {
		return -1, fmt.Errorf("namespace %s: %w ('ip netns' lists what there is)", name, err)
	}
	defer there.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread ends with the goroutine, as it is not unlocked: nothing
		// else ever runs in the other namespace.
		runtime.LockOSThread()
		if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			fd, err = -1, fmt.Errorf("enter namespace %s: %w (it needs CAP_SYS_ADMIN)", name, err)
			return
		}
		fd, err = f()
	}()
	<-done
	return fd, err
}
