package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPath is the longest path of a unix socket: sun_path holds 108 bytes with
// its NUL, and a new socket is first bound beside its place, under a longer
// name.
const maxPath = 107 - len(".4194304.tmp")

// place is a file as the kernel knows it: a path may be taken by another
// socket meanwhile, and that one must not be unlinked.
type place struct {
	path     string
	dev, ino uint64
}

// bindPath makes a unix socket for w.Address. It is bound under a name beside it and given its owner and mode; then it is renamed
// over whatever was there: a client finds the old socket or the new one, never none and never one that is still open to everybody.
// The name has the form that HAProxy's own comparison accepts when it takes the socket over (path.PID.tmp).
func bindPath(fd int, w Want) (place, error) {
	if st, err := os.Lstat(w.Address); err == nil && st.Mode().Type() != fs.ModeSocket {
		return place{}, fmt.Errorf("%s is there already and is no socket: remove it or choose another path", w.Address)
	}
	beside := w.Address + "." + strconv.Itoa(os.Getpid()) + ".tmp"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return place{}, err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: beside}); err != nil {
		return place{}, fmt.Errorf("bind %s: %w", w.Address, err)
	}
	p, err := settle(fd, beside, w)
	if err != nil {
		os.Remove(beside)
	}
	return p, err
}

// settle gives the bound socket its owner, its mode and its queue.
func settle(fd int, beside string, w Want) (place, error) {
	if err := own(beside, w); err != nil {
		return place{}, err
	}
	if err := unix.Listen(fd, backlog(w)); err != nil {
		return place{}, fmt.Errorf("listen on %s: %w", w.Address, err)
	}
	var st unix.Stat_t
	if err := unix.Lstat(beside, &st); err != nil {
		return place{}, fmt.Errorf("look at %s: %w", beside, err)
	}
	return place{path: beside, dev: st.Dev, ino: st.Ino}, nil
}

// own sets mode and owner of a socket's path as wanted.
func own(path string, w Want) error {
	uid, gid, err := w.owner()
	if err != nil {
		return err
	}
	if uid >= 0 || gid >= 0 {
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
	}
	if w.Mode != 0 {
		if err := os.Chmod(path, fs.FileMode(w.Mode)); err != nil {
			return err
		}
	}
	return nil
}

// remove unlinks the path if the socket there is still ours.
func (p place) remove() error {
	var st unix.Stat_t
	if err := unix.Lstat(p.path, &st); err != nil || st.Dev != p.dev || st.Ino != p.ino {
		return nil
	}
	return os.Remove(p.path)
}

// plainPath turns the name a socket was bound with into the path it was
// renamed to: "/run/x.sock.812.tmp" is "/run/x.sock".
func plainPath(bound string) string {
	rest, ok := strings.CutSuffix(bound, ".tmp")
	if !ok {
		return bound
	}
	dot := strings.LastIndexByte(rest, '.')
	if dot <= 0 {
		return bound
	}
	if _, err := strconv.ParseUint(rest[dot+1:], 10, 32); err != nil {
		return bound
	}
	return rest[:dot]
}
