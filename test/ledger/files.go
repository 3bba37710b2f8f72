package ledger

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Files lists the log at path and what was rotated away from it: lb-STAMP.log[.gz|.zst] as syslogd names it, lb.log.1[.gz] as
// logrotate does. Of a file that has just been compressed, and is there in both forms, only the source is listed: it is removed last.
func Files(path string) ([]string, error) {
	base := filepath.Base(path)
	stem, ext := strings.TrimSuffix(base, filepath.Ext(base)), filepath.Ext(base)
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		plain := trimCompression(e.Name())
		rotated := strings.HasPrefix(plain, stem+"-") && strings.HasSuffix(plain, ext)
		rotated = rotated || strings.HasPrefix(plain, base+".") && strings.Trim(plain[len(base)+1:], "0123456789") == ""
		if plain == base || rotated {
			names = append(names, e.Name())
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		plain := trimCompression(name)
		return plain != name && slices.Contains(names, plain)
	})
	for i := range names {
		names[i] = filepath.Join(filepath.Dir(path), names[i])
	}
	return names, nil
}

func trimCompression(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
}

// Open opens a log file for reading, through its decompressor if its name says so. An empty file is an empty log.
func Open(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(f, 64<<10)
	if _, err := r.Peek(1); err == io.EOF {
		return f, nil
	}
	switch filepath.Ext(name) {
	case ".gz":
		z, err := gzip.NewReader(r)
		if err != nil {
			f.Close()
			return nil, err
		}
		return unpacked{z, f}, nil
	case ".zst":
		z, err := zstd.NewReader(r)
		if err != nil {
			f.Close()
			return nil, err
		}
		return unpacked{z.IOReadCloser(), f}, nil
	}
	return unpacked{io.NopCloser(r), f}, nil
}

// unpacked closes the file along with its decompressor.
type unpacked struct {
	io.ReadCloser
	f *os.File
}

func (u unpacked) Close() error {
	err := u.ReadCloser.Close()
	if e := u.f.Close(); err == nil {
		err = e
	}
	return err
}

// Count returns how many lines of the log at path and its rotated siblings hold word.
func Count(path, word string) (int, error) {
	files, err := Files(path)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, name := range files {
		r, err := Open(name)
		if err != nil {
			return 0, err
		}
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if bytes.Contains(lines.Bytes(), []byte(word)) {
				n++
			}
		}
		r.Close()
		if err := lines.Err(); err != nil {
			return 0, err
		}
	}
	return n, nil
}
