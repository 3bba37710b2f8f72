package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A folder is the directory of a log, held open: what is opened, renamed and removed in it is there whatever becomes of the path. Its methods
// follow no symbolic link.
type folder struct {
	path string
	id   identity
	// others says that somebody besides root and this process's user may write to it, or may put another in its place.
	others   bool
	straight bool     // no symbolic link leads here
	file     *os.File // O_PATH
}

// openFolder opens the directory at an absolute path, and makes what is missing of it. A symbolic link on the way is followed where only root
// or this process's user can have made it: anybody else who plants one wants lines somewhere else. Beneath base, if there is one, none is.
func openFolder(path, base string, create bool) (*folder, error) {
	at, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/", Err: err}
	}
	w := walker{path: path, base: base, at: at, create: create}
	err = w.walk()
	if err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(w.at, &st); err == nil {
			return &folder{
				path: path, id: identity{st.Dev, st.Ino}, others: w.exposed || w.here != ours, straight: w.links == 0,
				file: os.NewFile(uintptr(w.at), path),
			}, nil
		}
	}
	unix.Close(w.at)
	return nil, err
}

// access is who may change what stands in a directory.
type access uint8

const (
	ours   access = iota // root and this process's user
	sticky               // others may add to it, but not rename or remove what is not theirs (a group's directories count as such)
	shared               // others may do what they like
)

func accessOf(st *unix.Stat_t) access {
	me := uint32(os.Geteuid())
	switch {
	case st.Uid != 0 && st.Uid != me:
		return shared
	case st.Mode&0o022 == 0:
		return ours
	case st.Mode&0o002 == 0 && st.Gid == 0:
		return ours
	case st.Mode&0o002 == 0 || st.Mode&unix.S_ISVTX != 0:
		return sticky
	}
	return shared
}

// A walker goes down a path, a directory at a time.
type walker struct {
	path, base string
	create     bool
	at         int // where it is
	here       access
	owner      uint32 // of where it is
	exposed    bool   // it has come through a directory that others may change
	links      int
}

const mostLinks = 40 // as the kernel

func (w *walker) walk() error {
	if err := w.look(); err != nil {
		return err
	}
	rest := split(w.path)
	beneath := -1 // how many components are beneath the base
	if w.base != "" {
		if inside, ok := strings.CutPrefix(w.path, w.base); ok {
			beneath = len(split(inside))
		}
	}
	for len(rest) > 0 {
		name := rest[0]
		target, err := w.step(name, len(rest) <= beneath)
		if err != nil {
			return fmt.Errorf("open %s: %w", w.path, err)
		}
		rest = rest[1:]
		if target == "" {
			continue
		}
		if w.links++; w.links > mostLinks {
			return &os.PathError{Op: "open", Path: w.path, Err: unix.ELOOP}
		}
		if filepath.IsAbs(target) {
			if err := w.enter("/"); err != nil {
				return err
			}
		}
		rest = append(split(target), rest...)
	}
	return nil
}

func split(path string) (names []string) {
	for _, name := range strings.Split(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// step goes into a directory, or says where a symbolic link leads.
func (w *walker) step(name string, strict bool) (target string, err error) {
	for {
		err := w.enter(name)
		if errors.Is(err, unix.ENOENT) && w.create {
			if err := unix.Mkdirat(w.at, name, 0o755); err != nil && err != unix.EEXIST {
				return "", fmt.Errorf("mkdir %s: %w", name, err)
			}
			continue
		}
		if err == nil || err != unix.ENOTDIR && err != unix.ELOOP {
			return "", err
		}
		var st unix.Stat_t
		if unix.Fstatat(w.at, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		switch trusted := st.Uid == 0 || st.Uid == uint32(os.Geteuid()); {
		case strict:
			return "", fmt.Errorf("%s is a symbolic link beneath %s", name, w.base)
		case w.exposed || w.here == shared || w.here == sticky && !trusted:
			return "", fmt.Errorf("%s is a symbolic link in a directory where others may put one; name the directory itself, or give it to root", name)
		}
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(w.at, name, buf)
		if err != nil || n == 0 {
			return "", fmt.Errorf("readlink %s: %w", name, err)
		}
		return string(buf[:n]), nil
	}
}

// enter goes to a directory in the current one.
func (w *walker) enter(name string) error {
	fd, err := unix.Openat(w.at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.Close(w.at)
	w.exposed = w.exposed || w.here == shared
	w.at = fd
	return w.look()
}

func (w *walker) look() error {
	var st unix.Stat_t
	if err := unix.Fstat(w.at, &st); err != nil {
		return err
	}
	w.here, w.owner = accessOf(&st), st.Uid
	return nil
}

// with does something with the descriptor, which stays open meanwhile.
func (d *folder) with(op, name string, do func(fd int) error) error {
	if d == nil {
		return &os.PathError{Op: op, Path: name, Err: errNoFolder}
	}
	raw, err := d.file.SyscallConn()
	if err == nil {
		var inner error
		if err = raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err == nil {
			err = inner
		}
	}
	if err != nil {
		return &os.PathError{Op: op, Path: filepath.Join(d.path, name), Err: err}
	}
	return nil
}

var errNoFolder = errors.New("the directory is not open")

// open opens a file.
func (d *folder) open(name string, flags int, mode os.FileMode) (file *os.File, err error) {
	err = d.with("open", name, func(dir int) error {
		fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, uint32(mode.Perm()))
		if err == nil {
			file = os.NewFile(uintptr(fd), filepath.Join(d.path, name))
		}
		return err
	})
	return file, err
}

// read opens a file for reading.
func (d *folder) read(name string) (*os.File, error) { return d.open(name, os.O_RDONLY, 0) }

// stat is what stands at a name itself.
func (d *folder) stat(name string) (st unix.Stat_t, err error) {
	err = d.with("stat", name, func(dir int) error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// identify is the identity of what stands at a name.
func (d *folder) identify(name string) (identity, error) {
	st, err := d.stat(name)
	return identity{st.Dev, st.Ino}, err
}

// remove removes a file.
func (d *folder) remove(name string) error {
	return d.with("remove", name, func(dir int) error { return unix.Unlinkat(dir, name, 0) })
}

// list is what is in the folder.
func (d *folder) list() (entries []fs.DirEntry, err error) {
	dir, err := d.open(".", os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

// rename renames a file without replacing another. File systems without RENAME_NOREPLACE (some FUSE and NFS) get the nearest thing: a link fails
// where the name is taken; and where there are no links either (FAT, some shares), a look before.
func (d *folder) rename(from, to string) error {
	return d.with("rename to "+to+":", from, func(dir int) error {
		err := unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
		if !cannot(err) {
			return err
		}
		switch err := unix.Linkat(dir, from, dir, to, 0); {
		case err == nil:
			if err = unix.Unlinkat(dir, from, 0); err != nil {
				return errors.Join(err, unix.Unlinkat(dir, to, 0)) // not two names of one file
			}
			return nil
		case !cannot(err) && err != unix.EPERM && err != unix.EMLINK:
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstatat(dir, to, &st, unix.AT_SYMLINK_NOFOLLOW); err != unix.ENOENT {
			if err == nil {
				err = unix.EEXIST
			}
			return err
		}
		return unix.Renameat(dir, from, dir, to)
	})
}

// cannot says whether a file system does not know an operation.
func cannot(err error) bool {
	return err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP || err == unix.ENOTTY
}

// sync makes renames survive a power cut. Some file systems (CIFS, some FUSE) know no such thing.
func (d *folder) sync() error {
	dir, err := d.open(".", os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = d.with("sync", "", func(int) error { return unix.Fsync(int(dir.Fd())) })
	if cannot(errors.Unwrap(err)) {
		return nil
	}
	return err
}

// free is how many bytes of the file system this process may still use.
func (d *folder) free() (int64, error) {
	var st unix.Statfs_t
	err := d.with("statfs", "", func(dir int) error { return unix.Fstatfs(dir, &st) })
	return int64(st.Bavail) * st.Bsize, err
}

func (d *folder) close() error { return d.file.Close() }
