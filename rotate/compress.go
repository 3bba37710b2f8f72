package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"lbsyslogd/rotate/archive"
)

// compress stores a rotated file in its compressed form. At every moment a crash leaves either the plain file, or both with the
// compressed one whole: the plain one is removed only after the other is on the disk under its name.
func (w *Writer) compress(ctx context.Context, b backup) (done bool, err error) {
	src, err := w.in().read(b.file())
	if err != nil {
		return false, ignoreMissing(err)
	}
	defer src.Close()
	if id, err := identityOf(src); err != nil || id != b.id {
		w.kick() // a rotation has renumbered it since we looked
		return false, err
	}
	before, err := src.Stat()
	if err != nil {
		return false, err
	}
	unfinished := backup{name: b.name, form: w.opt.Compress, tmp: true}
	if b.number > 0 {
		unfinished.name = w.series.base // its number may change meanwhile
	}
	tmp := unfinished.file()
	dst, err := w.in().open(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, err
	}
	w.opt.step("compress: write")
	err = w.pruning(func() error { return w.opt.Compressor(ctx, dst, src, unfinished.form) })
	if err == nil {
		err = likeness(dst, src)
	}
	if err == nil {
		w.opt.step("compress: sync")
		err = dst.Sync()
	}
	err = errors.Join(err, dst.Close())
	if err == nil {
		w.opt.step("compress: rename")
		if after, statErr := src.Stat(); statErr != nil || after.Size() != before.Size() {
			w.kick() // somebody who had it open has appended: once more
			return false, errors.Join(statErr, ignoreMissing(w.in().remove(tmp)))
		}
		done, err = w.replace(b, tmp)
	}
	if err != nil {
		return false, fmt.Errorf("compress %s: %w", filepath.Join(w.dir, b.file()), errors.Join(err, ignoreMissing(w.in().remove(tmp))))
	}
	return done, nil
}

// replace puts the finished file tmp in the place of the plain one. The numbers stay as they are meanwhile: a crash must not leave the
// two under different ones.
func (w *Writer) replace(b backup, tmp string) (done bool, err error) {
	defer w.freeze()()
	b, ok, err := w.again(b)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, ignoreMissing(w.in().remove(tmp)) // somebody took the plain one away
	}
	final := b
	final.form = w.opt.Compress
	if err := w.in().rename(tmp, final.file()); err != nil {
		obstacle := b.file() // in a directory that only grows
		if _, e := w.in().rights(final.file()); e == nil {
			obstacle = final.file() // somebody else's, in a sticky directory
		}
		w.janitor.kept.note(w.in(), b.id, obstacle, err)
		return false, err
	}
	w.opt.step("compress: remove")
	if err := w.in().sync(); err != nil {
		return false, err
	}
	if err := w.settleTwins(b, final, b); err != nil {
		return false, err
	}
	w.opt.step("compress: done")
	return true, nil
}

// likeness gives dst the mode, the owner and the time of src. An owner that only root may give is not an error: the file then
// belongs to the one who compressed it.
func likeness(dst, src *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		return err
	}
	if err := dst.Chown(int(st.Uid), int(st.Gid)); err != nil && !errors.Is(err, os.ErrPermission) {
		return err
	}
	if err := dst.Chmod(os.FileMode(st.Mode & 0o7777)); err != nil {
		return err
	}
	return setTime(dst, time.Unix(st.Mtim.Unix()))
}

// CompressInProcess is the Compressor that is used when no other is given and no line has a time. It uses one processor and a few megabytes.
func CompressInProcess(ctx context.Context, dst, src *os.File, form Compression) error {
	return CompressIndexed(nil)(ctx, dst, src, form)
}

// CompressIndexed is CompressInProcess with an index of times in zstd files, which times reads from the lines; see Options.Times.
func CompressIndexed(times func(last time.Time) archive.Clock) func(ctx context.Context, dst, src *os.File, form Compression) error {
	return func(ctx context.Context, dst, src *os.File, form Compression) error {
		switch form {
		case Gzip:
			to := gzip.NewWriter(dst)
			_, err := io.Copy(to, untilDone{ctx, src})
			return errors.Join(err, to.Close())
		case Zstd:
			var clock archive.Clock
			if times != nil {
				info, err := src.Stat()
				if err != nil {
					return err
				}
				clock = times(info.ModTime())
			}
			return archive.Write(dst, untilDone{ctx, src}, clock)
		}
		return fmt.Errorf("%q is not a compression; gzip and zstd are", form)
	}
}

func decompressor(src io.Reader, form Compression) (io.ReadCloser, error) {
	if form == Gzip {
		return gzip.NewReader(src)
	}
	d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// untilDone ends a copy when ctx does.
type untilDone struct {
	ctx context.Context
	src io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}

// sameContent says whether a compressed file holds exactly what the plain one does. A compressed file that cannot be read to
// its end holds something else; an error means that one of the two could not be opened.
func sameContent(in *folder, plain, compressed string, form Compression) (bool, error) {
	a, err := in.read(plain)
	if err != nil {
		return false, err
	}
	defer a.Close()
	c, err := in.read(compressed)
	if err != nil {
		return false, err
	}
	defer c.Close()
	b, err := decompressor(c, form)
	if err != nil {
		return false, nil
	}
	defer b.Close()

	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if n != m || !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return ended(errA) && ended(errB), nil
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
