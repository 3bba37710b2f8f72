// Package safefile writes files and owns sockets at paths whose directory
// somebody else may write. Whoever may do so can plant a symbolic link or a
// second name of a foreign file at the path, and a root process that follows it
// gives that file away. So nothing here follows the last component of a path,
// and nothing is changed but through a descriptor of what was looked at.
package safefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens the file at path for writing, without truncating it. What is
// there stays if it is a plain file with this one name. Anything else (a link,
// a pipe, a second name of another file) is removed and a new file made: made
// says that there is a new one. The caller closes the file.
func Open(path string, perm fs.FileMode) (f *os.File, made bool, err error) {
	const flags = unix.O_WRONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK // a pipe without a reader would block
	// A path that changes hands between the steps is tried again, but not for ever.
	for range 10 {
		f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|flags, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, err == nil, err
		}
		f, err = os.OpenFile(path, flags, 0)
		if err == nil {
			if alone(f) {
				return f, false, nil
			}
			f.Close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, false, err
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return nil, false, fmt.Errorf("%s is a directory", path)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
	}
	return nil, false, fmt.Errorf("open %s: somebody replaces it all the time", path)
}

// alone says whether f is a plain file with one name.
func alone(f *os.File) bool {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1
}

// Write makes data the content of the file at path, as Open finds or makes it.
func Write(path string, data []byte, perm fs.FileMode) error {
	f, _, err := Open(path, perm)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.Write(data)
	}
	return errors.Join(err, f.Close())
}

// ErrNotSocket says that there is no socket at a path, or one that has other
// names as well.
var ErrNotSocket = errors.New("is no socket with this one name")

// Socket is a socket's path, held open: what is done with it is done to the
// file that was looked at, whatever the path leads to meanwhile. The caller
// must call Close.
type Socket struct {
	f        *os.File // O_PATH
	Dev, Ino uint64
}

// OpenSocket looks at the socket at path. The error is ErrNotSocket for
// anything else that is there.
func OpenSocket(path string) (*Socket, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	s := &Socket{f: os.NewFile(uintptr(fd), path)}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		s.Close()
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	// A second name could be that of a socket of somebody else's.
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Nlink != 1 {
		s.Close()
		return nil, fmt.Errorf("%s %w", path, ErrNotSocket)
	}
	s.Dev, s.Ino = st.Dev, st.Ino
	return s, nil
}

// Own gives the socket an owner; -1 leaves a part as it is.
func (s *Socket) Own(uid, gid int) error {
	if uid < 0 && gid < 0 {
		return nil
	}
	if err := unix.Fchownat(int(s.f.Fd()), "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "chown", Path: s.f.Name(), Err: err}
	}
	return nil
}

// Allow gives the socket its permissions.
func (s *Socket) Allow(perm fs.FileMode) error {
	// fchmod refuses such a descriptor, and fchmodat2 takes it from Linux 6.6 on.
	err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", s.f.Fd()), perm)
	if err != nil {
		var reason unix.Errno
		if errors.As(err, &reason) {
			err = reason
		}
		return &fs.PathError{Op: "chmod", Path: s.f.Name(), Err: err}
	}
	return nil
}

// Close ends the look.
func (s *Socket) Close() error { return s.f.Close() }
