package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
)

// Suffix is what the name of the file with the position ends with; before it comes the name of the log file.
const Suffix = ".position"

// recordSize is the size of the file with the position: a disk writes a sector whole or not at all.
const recordSize = 512

// A record is what the file holds, as JSON with blanks up to recordSize.
type record struct {
	rotate.Position
	// Sum is a checksum of the position; nil in files of earlier versions.
	Sum *uint32 `json:"sum,omitempty"`
}

// Load reads a stored position, nil when there is none.
func Load(path string) (*rotate.Position, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 8*recordSize))
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s does not hold a position: %w", path, err)
	}
	if r.Offset < 0 || r.Inode == 0 || r.Sum != nil && *r.Sum != sum(r.Position) {
		return nil, fmt.Errorf("%s does not hold a whole position", path)
	}
	return &r.Position, nil
}

// store writes a position over the one before. It needs no new block, so that it works on a full disk too, and what a crash leaves is the
// old position, the new one, or something that Load refuses. A position that is not synced outlives this process, but not a power cut.
func store(path string, p rotate.Position, sync bool) error {
	check := sum(p)
	text, err := json.Marshal(record{p, &check})
	if err != nil {
		return err
	}
	if len(text) >= recordSize {
		return fmt.Errorf("a position of %d bytes", len(text))
	}
	text = append(text, bytes.Repeat([]byte{' '}, recordSize-1-len(text))...)
	text = append(text, '\n')

	created := false
	f, err := openRegular(path, os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		created = true
		f, err = openRegular(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = cutTo(f, recordSize)
	}
	if err == nil && (sync || created) {
		err = unix.Fdatasync(int(f.Fd()))
	}
	if err = errors.Join(err, f.Close()); err != nil || !created {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// cutTo takes off what an earlier owner of the file has left after our record.
func cutTo(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() <= size {
		return err
	}
	return f.Truncate(size)
}

// openRegular opens a file that is one: no symbolic link is followed, and no pipe waited for.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func sum(p rotate.Position) uint32 {
	text, err := json.Marshal(p)
	if err != nil {
		return 0 // a time out of JSON's range, which json.Marshal of the record reports
	}
	return crc32.ChecksumIEEE(text)
}

// syncDir makes a new file's name survive a power cut. Some file systems know no such thing.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
