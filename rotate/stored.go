package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Stored is a file of a log as it lies in its directory, open for reading.
type Stored struct {
	Name    string // in the directory
	Form    Compression
	Rotated time.Time // zero: it is the current file
	Changed time.Time // when it was written to last
	Size    int64
	File    *os.File
}

// Current says whether it is the file at the log's path, which may still be written to.
func (s Stored) Current() bool { return s.Rotated.IsZero() }

// OpenStored opens the files of the log at path, oldest first and the current one, if there is one, at the end. No Writer is needed, and one of
// another process may rotate, compress and remove meanwhile: what is opened is each line once. The caller closes them.
func OpenStored(path string) ([]Stored, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	in, err := openFolder(filepath.Dir(path), "", false)
	if err != nil {
		return nil, err
	}
	defer in.close()
	s := seriesOf(path)
	for tries := 0; ; tries++ {
		files, ids, err := openAll(in, s)
		if err == nil {
			var again []identity
			if again, err = identities(in, s); err == nil && slices.Equal(ids, again) {
				return files, nil
			}
		}
		CloseStored(files)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if tries == seekTries {
			return nil, errTurned
		}
		time.Sleep(time.Millisecond)
	}
}

// CloseStored closes files.
func CloseStored(files []Stored) {
	for _, f := range files {
		f.File.Close()
	}
}

// wholes is the files of a log without what is twice there while it is compressed, oldest first. The current one is not among them.
func (s series) wholes(in *folder) ([]backup, error) {
	all, err := s.list(in, func(string) {})
	if err != nil {
		return nil, err
	}
	plain := make(map[string]time.Time)
	for _, b := range all {
		if b.form == None {
			plain[b.name] = b.time
		}
	}
	return slices.DeleteFunc(all, func(b backup) bool {
		original, ok := plain[b.name]
		return b.tmp || b.form != None && ok && (b.number == 0 || original.Equal(b.time))
	}), nil
}

// identities is what is to be opened, in order.
func identities(in *folder, s series) (ids []identity, err error) {
	all, err := s.wholes(in)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		ids = append(ids, b.id)
	}
	id, err := in.identify(s.base)
	if err == nil {
		ids = append(ids, id)
	}
	return ids, ignoreMissing(err)
}

func openAll(in *folder, s series) (files []Stored, ids []identity, err error) {
	all, err := s.wholes(in)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range append(all, backup{name: s.base, form: None}) {
		file, err := in.read(b.file())
		if errors.Is(err, fs.ErrNotExist) && b.name == s.base {
			return files, ids, nil
		}
		if err != nil {
			return files, nil, err
		}
		info, err := file.Stat()
		id, idErr := identityOf(file)
		if err := errors.Join(err, idErr); err != nil {
			file.Close()
			return files, nil, err
		}
		if !info.Mode().IsRegular() {
			file.Close()
			return files, nil, fmt.Errorf("%s is not a regular file", filepath.Join(in.path, b.file()))
		}
		ids = append(ids, id)
		files = append(files, Stored{Name: b.file(), Form: b.form, Rotated: b.stamp, Changed: info.ModTime(), Size: info.Size(), File: file})
	}
	return files, ids, nil
}

// LogOf is the name of the log that a file with a rotated one's name belongs to, and file itself when its name is none of those. Numbers count when
// the directory has, as has says, a file of the name without it.
func LogOf(file string, has func(name string) bool) string {
	name := file
	for _, form := range []Compression{Gzip, Zstd} {
		name = strings.TrimSuffix(name, form.suffix())
	}
	for end := len(name); end > len(stampLayout); end-- {
		at := end - len(stampLayout)
		if _, err := time.Parse(stampLayout, name[at:end]); err == nil && name[at-1] == '-' {
			if log := name[:at-1] + name[end:]; isOf(log, file) {
				return log
			}
		}
	}
	if dot := strings.LastIndexByte(name, '.'); dot > 0 && isOf(name[:dot], file) && has(name[:dot]) {
		return name[:dot]
	}
	return file
}

func isOf(log, file string) bool {
	b, ok := seriesOf(log).parse(file)
	return ok && !b.tmp
}
