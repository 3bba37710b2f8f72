package handoff

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Set holds listening sockets by name. It owns them: a socket leaves the set
// by Take or Remove, or all are closed by Close. All methods may be called
// from several goroutines.
type Set struct {
	// mu guards the fields below.
	mu    sync.Mutex
	order []string
	fds   map[string]int
}

// Add puts a socket into the set under name. The set owns fd from now on and
// closes what was there under that name.
func (s *Set) Add(name string, fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fds == nil {
		s.fds = make(map[string]int)
	}
	if old, ok := s.fds[name]; ok {
		if old != fd {
			unix.Close(old)
		}
	} else {
		s.order = append(s.order, name)
	}
	s.fds[name] = fd
}

// Get returns the socket called name. It is valid until it is removed or the
// set is closed; the caller must not close it.
func (s *Set) Get(name string) (fd int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, ok = s.fds[name]
	return fd, ok
}

// Take returns the socket called name and takes it out of the set: the caller
// owns it now.
func (s *Set) Take(name string) (fd int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, ok = s.fds[name]
	if ok {
		delete(s.fds, name)
		s.order = slices.DeleteFunc(s.order, func(n string) bool { return n == name })
	}
	return fd, ok
}

// Remove closes the socket called name. Another process may still hold it.
func (s *Set) Remove(name string) {
	if fd, ok := s.Take(name); ok {
		unix.Close(fd)
	}
}

// Len is the number of sockets.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

// Names lists the sockets in the order in which they were added.
func (s *Set) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// All gives names and sockets in the order in which they were added.
func (s *Set) All() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, name := range s.Names() {
			if fd, ok := s.Get(name); ok && !yield(name, fd) {
				return
			}
		}
	}
}

// Clone duplicates every descriptor into a set of its own.
func (s *Set) Clone() (*Set, error) {
	out := new(Set)
	for name, fd := range s.All() {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			out.Close()
			return nil, fmt.Errorf("duplicate listener %s: %w", name, err)
		}
		out.Add(name, dup)
	}
	return out, nil
}

// Unlisten takes the TCP sockets out of service without giving up their
// addresses, so that another process may bind them: what HAProxy expects of
// the old process when it starts without taking its sockets over. What waits
// in the queues is lost; that is why there are better ways.
func (s *Set) Unlisten() error {
	return s.eachTCP(func(fd int) error {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
			return err // a second time would outlast Listen, and whatever it accepts then would have nothing to read
		}
		return unix.Shutdown(fd, unix.SHUT_RD)
	})
}

// Listen undoes Unlisten.
func (s *Set) Listen() error {
	return s.eachTCP(func(fd int) error { return unix.Listen(fd, backlog(Want{})) })
}

func (s *Set) eachTCP(do func(fd int) error) error {
	var errs []error
	for name, fd := range s.All() {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err == nil && domain == unix.AF_UNIX {
			continue
		}
		if err == nil {
			err = do(fd)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Close closes every socket. Other processes that hold them keep them; the
// last one to close loses what waits in the accept queue.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fd := range s.fds {
		unix.Close(fd)
	}
	s.order, s.fds = nil, nil
}
