// Package unixpath is about unix sockets at paths: whose one is, whether anybody listens there, and its mode. A directory may belong to
// somebody else than the process, so what a path leads to is never believed twice: it is opened once, without following a link, and
// looked at and changed through that descriptor.
package unixpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ID says which file it is. The zero value is none.
type ID struct{ dev, inode uint64 }

// open opens the socket at path, without following a link, and not for reading.
func open(path string) (fd int, st unix.Stat_t, err error) {
	fd, err = unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, st, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, st, errors.Join(&fs.PathError{Op: "stat", Path: path, Err: err}, unix.Close(fd))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		unix.Close(fd)
		return -1, st, fmt.Errorf("%s: there is a file of another kind; remove it or choose another path", path)
	}
	return fd, st, nil
}

func identity(st *unix.Stat_t) ID { return ID{uint64(st.Dev), st.Ino} }

// Of is the socket at path.
func Of(path string) (ID, error) {
	fd, st, err := open(path)
	if err != nil {
		return ID{}, err
	}
	return identity(&st), unix.Close(fd)
}

// Astray says whether path leads to this socket no more, but to nothing or to another file. What cannot be looked at is not known.
func Astray(path string, id ID) bool {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return err == unix.ENOENT || err == unix.ENOTDIR || err == nil && identity(&st) != id
}

// Own gives the socket that this process has just bound at path its mode, and returns which it is and its group. It refuses a path that
// leads to something else by now: a link, another's socket, or one that has a second name.
func Own(path string, mode os.FileMode) (id ID, group uint32, err error) {
	fd, st, err := open(path)
	if err != nil {
		return id, 0, err
	}
	defer unix.Close(fd)
	if int(st.Uid) != os.Geteuid() || st.Nlink != 1 {
		return id, 0, fmt.Errorf("%s: somebody has put another socket in the place of ours", path)
	}
	// An O_PATH descriptor takes no fchmod; its entry in /proc leads to the file itself, whatever the path leads to.
	if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode); err != nil {
		return id, 0, fmt.Errorf("mode of %s: %w", path, err)
	}
	return identity(&st), st.Gid, nil
}

// RemoveDead removes the socket that a killed process left at path. That a process listens on one is the rule: only if the kernel says
// that none does (ECONNREFUSED) is it dead. A socket of another type, one that may not be written to, or whose queue is full, is alive.
func RemoveDead(path string) error {
	fd, st, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %w", err)
	}
	defer unix.Close(fd)
	switch err := connect(path); {
	case err == nil, errors.Is(err, unix.EPROTOTYPE), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPERM):
		return fmt.Errorf("listen on %s: another process listens there; stop it, or choose another path", path)
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("listen on %s: there is a socket, and whether another process listens there is unknown: %w", path, err)
	}
	return Remove(path, identity(&st))
}

// connect tries the socket at path with a datagram socket: the kernel looks for a process first, and at the type then.
func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// Remove removes path if that is the socket of this identity; what another process has put there stays.
func Remove(path string, id ID) error {
	now, err := Of(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && now != id {
		return nil
	}
	if err != nil {
		return nil //nolint:nilerr // a link or a file: not ours
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket in %s: %w", filepath.Dir(path), err)
	}
	return nil
}
