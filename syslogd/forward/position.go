package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"lbsyslogd/rotate"
)

// Suffix is what the name of the file with the position ends with; before it comes the name of the log file.
const Suffix = ".position"

// load reads a stored position, nil when there is none.
func load(path string) (*rotate.Position, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := new(rotate.Position)
	if err := json.Unmarshal(text, p); err != nil || p.Offset < 0 {
		return nil, fmt.Errorf("%s does not hold a position (%v); remove it to forward from now on", path, err)
	}
	return p, nil
}

// store replaces the file at path, so that a crash leaves the old position or the new one.
func store(path string, p rotate.Position) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
