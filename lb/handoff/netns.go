package handoff

import "lbsyslogd/lb/netns"

// inNamespace calls f in a network namespace; "" is our own.
func inNamespace(name string, f func() (int, error)) (fd int, err error) {
	if name == "" {
		return f()
	}
	n, err := netns.Open(name)
	if err != nil {
		return -1, err
	}
	defer n.Close()
	if err := n.Do(func() error { fd, err = f(); return err }); err != nil {
		return -1, err
	}
	return fd, nil
}
