package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
	"gopkg.in/natefinch/lumberjack.v2"
)

// identity tells one file from another, whatever their names.
type identity struct{ dev, ino uint64 }

// file is an open log file. Owned by the Writer (under its mu) until it is retired, then by the goroutine that settles it.
type file struct {
	id      identity
	size    int64 // as far as we wrote or looked
	written int64 // bytes that went through this handle
	cut     int64 // bytes that somebody else has cut off since it was opened

	// missing is why the file is not open, nil when it is. See Options.Late.
	missing error
	// own is the descriptor that our open returned; the checks were made on it, and it syncs and truncates.
	own *os.File
	// out writes to the same file through a descriptor of its own.
	out *lumberjack.Logger
}

// openCurrent opens the file at the path for appending, or creates it with its directory. What is there must be a regular file: a
// symlink may point at somebody else's, and a FIFO or a device cannot be rotated. Called with mu held.
func (w *Writer) openCurrent() (*file, error) {
	in, err := openFolder(w.dir, w.opt.Base, true)
	if err != nil {
		return nil, err
	}
	f, err := w.openIn(in)
	if err != nil {
		return nil, errors.Join(err, in.close())
	}
	w.straight = in.straight && !in.others
	old := w.folder.Load()
	if old != nil && old.id == in.id {
		return f, in.close() // somebody may be at work with the other descriptor
	}
	w.folder.Store(in)
	if old != nil {
		old.close()
	}
	return f, nil
}

func (w *Writer) openIn(in *folder) (*file, error) {
	own, refused, err := openOrCreate(in, w.series.base, w.opt.Mode, w.opt.Owner)
	if err != nil {
		return nil, err
	}
	if refused != nil && w.rarely.may("owner", w.opt.Now()) {
		w.opt.Log.Warn("a new log file could not be given its owner or mode; it is used as it is", "path", w.path, "err", refused)
	}
	f := &file{own: own}
	if err := w.oneName(in, own); err != nil {
		own.Close()
		return nil, fmt.Errorf("open %s: %w", w.path, err)
	}
	if err := w.adopt(f, nil); err != nil {
		own.Close()
		return nil, fmt.Errorf("open %s: %w", w.path, err)
	}
	return f, nil
}

// oneName makes sure that a file has no other name. A rotated one's is what a crash leaves where a rename takes two steps: it is removed, and the
// rotation so undone. Any other, in a directory that others may write to, may lead to a file that is not for them.
func (w *Writer) oneName(in *folder, own *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(own.Fd()), &st); err != nil || st.Nlink < 2 {
		return err
	}
	entries, err := in.list()
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := w.series.parse(e.Name()); !ok || e.Name() == w.series.base {
			continue
		}
		if id, err := in.identify(e.Name()); err == nil && id == (identity{st.Dev, st.Ino}) {
			if err := ignoreMissing(in.remove(e.Name())); err != nil {
				return err
			}
			st.Nlink--
		}
	}
	if st.Nlink > 1 && in.others {
		return errors.New("it has another name too (a hard link), and others may write to its directory")
	}
	return nil
}

// openOrCreate opens a file for appending. refused is what could not be done to a new one.
func openOrCreate(in *folder, name string, mode os.FileMode, owner *Owner) (own *os.File, refused, err error) {
	for {
		own, err := in.open(name, os.O_RDWR|os.O_APPEND, 0)
		if errors.Is(err, fs.ErrPermission) {
			own, err = in.open(name, os.O_WRONLY|os.O_APPEND, 0)
		}
		if err == nil {
			return own, nil, nil
		}
		if errors.Is(err, unix.ELOOP) {
			return nil, nil, fmt.Errorf("open %s: it is a symbolic link; name the file itself", filepath.Join(in.path, name))
		}
		if errors.Is(err, unix.ENXIO) { // a socket
			return nil, nil, fmt.Errorf("open %s: %w", filepath.Join(in.path, name), errIrregular)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
		own, err = in.open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, mode)
		if err == nil {
			if refused, err = setOwner(own, mode, owner); err != nil {
				return nil, nil, errors.Join(err, own.Close(), in.remove(name)) // or it would be in the way of a rotation that is undone
			}
			return own, refused, nil
		}
		if !errors.Is(err, fs.ErrExist) { // else somebody created it between the two opens
			return nil, nil, err
		}
	}
}

var errIrregular = errors.New("not a regular file, so it cannot be rotated")

// setOwner gives a new file its mode, which the umask may have narrowed, and its owner. What this process may not give, or what the file system does not
// know (FAT, CIFS), is refused: no reason not to use the file.
func setOwner(f *os.File, mode os.FileMode, owner *Owner) (refused, err error) {
	problems := []error{f.Chmod(mode)}
	if owner != nil {
		problems = append(problems, f.Chown(owner.UID, owner.GID))
	}
	for _, p := range problems {
		var code syscall.Errno
		switch errors.As(p, &code); {
		case errors.Is(p, fs.ErrPermission), code != 0 && cannot(code):
			refused = errors.Join(refused, p)
		default:
			err = errors.Join(err, p)
		}
	}
	return refused, err
}

// adopt looks at what was opened, hands it to a lumberjack.Logger and ends its last line if need be. last is what is known of it from before,
// if anything. While another Writer of the path writes, the file's size says nothing: Linux shows it before a large write is through. So the
// Writers before this one wait meanwhile, and one that was succeeded leaves the last line to its successor.
//
// Lock order: a Writer's mu before that of the Writer before it. Called with mu held.
func (w *Writer) adopt(f, last *file) error {
	for before := w.before; before != nil; before = before.before {
		before.mu.Lock()
		defer before.mu.Unlock()
	}
	if err := f.lease(); err != nil {
		return err
	}
	if last != nil && last.id == f.id && last.size == f.size {
		return nil // it ended in a whole line, and nobody has written since
	}
	if !w.succeeded {
		if err := f.endLastLine(); err != nil {
			return errors.Join(err, returnLogger(f.out))
		}
	}
	w.enchain(f)
	return nil
}

// lease looks at what was opened and takes a lumberjack.Logger for it.
func (f *file) lease() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.own.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errIrregular
	}
	f.id, f.size = identity{st.Dev, st.Ino}, st.Size
	// lumberjack opens its file by name. This name leads to the very file we hold, without a path that another process
	// could change in between, and with O_APPEND because it exists.
	name := "/proc/self/fd/" + strconv.Itoa(int(f.own.Fd()))
	f.out = leaseLogger(name)
	if _, err := f.out.Write(nil); err != nil { // opens
		_ = returnLogger(f.out) // the error that matters is the first
		// lumberjack does not say why it could not open, but what it could not do after that.
		again, cause := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if cause != nil {
			return nameless(cause)
		}
		return errors.Join(err, again.Close())
	}
	return nil
}

// endLastLine ends a line that a killed process left unfinished, so that the next one does not stick to it.
func (f *file) endLastLine() error {
	if f.size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := f.own.ReadAt(last[:], f.size-1); err != nil || last[0] == '\n' {
		return nil // a file that cannot be read, because only writing is allowed, stays as it is
	}
	_, err := f.write(newline)
	return err
}

// write appends p. With an error, n bytes of it are in the file.
func (f *file) write(p []byte) (n int, err error) {
	if f.missing != nil {
		return 0, f.missing
	}
	n, err = f.out.Write(p)
	f.size += int64(n)
	f.written += int64(n)
	if err != nil {
		err = nameless(err)
	}
	return n, err
}

// nameless is the cause in err, which names our descriptor: that means nothing to anybody.
func nameless(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// sync forces the file to the disk.
func (f *file) sync() error {
	if f.missing != nil {
		return f.missing
	}
	return f.own.Sync()
}

// close closes both descriptors, and before that syncs the file if the policy says so, which may take as long as the disk does.
func (f *file) close(policy SyncPolicy) (err error) {
	if f.missing != nil {
		return nil
	}
	if policy != SyncNever {
		err = f.own.Sync()
	}
	err = errors.Join(err, returnLogger(f.out))
	return errors.Join(err, f.own.Close())
}

// loggers keeps closed lumberjack.Loggers for the next file. Each one starts a goroutine that nothing can end, so that a
// process that opens a thousand files one after the other must not make a thousand of them; this is why it is a
// variable of the package. mu guards free.
var loggers struct {
	mu   sync.Mutex
	free []*lumberjack.Logger
}

func leaseLogger(name string) *lumberjack.Logger {
	loggers.mu.Lock()
	defer loggers.mu.Unlock()
	if n := len(loggers.free); n > 0 {
		l := loggers.free[n-1]
		loggers.free = loggers.free[:n-1]
		l.Filename = name
		return l
	}
	// No size ever makes it rotate, and nothing asks it to compress or remove: all of that is this package's.
	return &lumberjack.Logger{Filename: name, MaxSize: math.MaxInt64 >> 20}
}

// returnLogger closes l. Nobody may use it afterwards.
func returnLogger(l *lumberjack.Logger) error {
	err := l.Close()
	loggers.mu.Lock()
	defer loggers.mu.Unlock()
	loggers.free = append(loggers.free, l)
	return err
}
