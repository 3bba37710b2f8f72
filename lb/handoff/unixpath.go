package handoff

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/safefile"
)

// maxPath is the longest path of a unix socket: sun_path holds 108 bytes with
// its NUL, and a new socket is first bound next to its place, under a longer
// name.
const maxPath = 107 - len(".4194304.tmp")

// place is a file as the kernel knows it: a path may be taken by another
// socket meanwhile, and that one must not be unlinked.
type place struct {
	path     string
	dev, ino uint64
}

// bindPath makes a unix socket for w.Address. It is bound under a name next to it and given its owner and mode; then it is renamed
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
	if w.Mode != 0 {
		// The file is made with the mode of the socket, less the umask: at no time is it open to more than it shall be.
		if err := unix.Fchmod(fd, w.Mode); err != nil {
			return place{}, fmt.Errorf("mode of %s: %w", w.Address, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: beside}); err != nil {
		return place{}, fmt.Errorf("bind %s: %w", w.Address, err)
	}
	p, err := settle(fd, beside, w)
	if err != nil {
		_ = os.Remove(beside) // the error that matters is the first
	}
	return p, err
}

// settle gives the bound socket its owner, its mode and its queue.
func settle(fd int, beside string, w Want) (place, error) {
	p, err := own(beside, w, place{})
	if err != nil {
		return place{}, err
	}
	if err := unix.Listen(fd, backlog(w)); err != nil {
		return place{}, fmt.Errorf("listen on %s: %w", w.Address, err)
	}
	return p, nil
}

// errNotOurs says that what is at a path is not the socket that was bound there: it was removed, or something else put in its place.
var errNotOurs = errors.New("is not the socket that lb bound there")

// own sets mode and owner of the socket at path as wanted, and says what is there. Where it is known which file it has to be, known,
// nothing else is touched.
func own(path string, w Want, known place) (place, error) {
	uid, gid, err := w.owner()
	if err != nil {
		return place{}, err
	}
	s, err := safefile.OpenSocket(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, safefile.ErrNotSocket) {
		return place{}, fmt.Errorf("%s %w", path, errNotOurs)
	}
	if err != nil {
		return place{}, err
	}
	defer s.Close()
	p := place{path: path, dev: s.Dev, ino: s.Ino}
	if known.path != "" && known != p {
		return place{}, fmt.Errorf("%s %w", path, errNotOurs)
	}
	if err := s.Own(uid, gid); err != nil {
		return place{}, err
	}
	if w.Mode != 0 {
		if err := s.Allow(fs.FileMode(w.Mode)); err != nil {
			return place{}, err
		}
	}
	return p, nil
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
