package rotate

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// kept has the rotated files that stay plain, because what stands in the way of their compressed form may not be removed: a file of somebody else's in a
// sticky directory, one that is immutable, a directory that only grows. To compress them in each pass would cost the same again and change nothing. The
// zero value is ready. Owned by the janitor.
type kept map[identity]obstacle

// An obstacle is a file that could not be removed, and why not.
type obstacle struct {
	file   string
	rights rights
	err    error
}

// rights change whenever somebody changes what may be done with a file: its owner, its flags, or who may write to the directory.
type rights struct {
	id      identity
	changed unix.Timespec
	// Of the directory.
	mode       uint16
	uid, gid   uint32
	attributes uint64 // append only, immutable
}

// rights are those of what stands at a name.
func (d *folder) rights(name string) (r rights, err error) {
	st, err := d.stat(name)
	if err != nil {
		return r, err
	}
	var dir unix.Statx_t
	err = d.with("stat", "", func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MODE|unix.STATX_UID|unix.STATX_GID, &dir)
	})
	return rights{identity{st.Dev, st.Ino}, st.Ctim, dir.Mode, dir.Uid, dir.Gid, dir.Attributes}, err
}

// note remembers that a file may not be removed, which keeps the plain file with this identity as it is. Other errors may be gone the next time.
func (k *kept) note(in *folder, plain identity, file string, err error) {
	if !errors.Is(err, fs.ErrPermission) {
		return
	}
	r, statErr := in.rights(file)
	if statErr != nil {
		return
	}
	if *k == nil {
		*k = make(kept)
	}
	(*k)[plain] = obstacle{file, r, err}
}

// reason is why a plain file stays, nil where it need not.
func (k kept) reason(in *folder, plain identity) error {
	o, ok := k[plain]
	if !ok {
		return nil
	}
	if r, err := in.rights(o.file); err != nil || r != o.rights {
		delete(k, plain)
		return nil
	}
	return o.err
}

// settleTwins removes surplus, which is one of a plain file and its compressed form. Where the plain one may not be removed, its compressed form is
// surplus instead: each line stays in one file.
func (w *Writer) settleTwins(plain, compressed, surplus backup) error {
	err := ignoreMissing(w.in().remove(surplus.file()))
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if surplus.id == plain.id {
		err = errors.Join(fmt.Errorf("%s stays plain: %w", plain.file(), err), ignoreMissing(w.in().remove(compressed.file())))
	}
	w.janitor.kept.note(w.in(), plain.id, surplus.file(), err)
	return err
}

// most is how many problems a summary has in words.
const most = 3

// summary is what did not work in a pass, each problem once.
func summary(problems []error) error {
	said := make(map[string]bool)
	var few []error
	for _, each := range problems {
		for _, err := range parts(each) {
			if said[err.Error()] {
				continue
			}
			said[err.Error()] = true
			if len(few) < most {
				few = append(few, err)
			}
		}
	}
	if n := len(said) - most; n > 0 {
		few = append(few, fmt.Errorf("and %d more", n))
	}
	return errors.Join(few...)
}

// parts are the errors that were joined.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, each := range joined.Unwrap() {
			all = append(all, parts(each)...)
		}
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
