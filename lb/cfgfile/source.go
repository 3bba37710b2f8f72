package cfgfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is one configuration file as read.
type Source struct {
	Name string // as the operator wrote it; shown in messages
	Data []byte
}

// maxFile bounds what is read of one file: a device or a wrong path given by
// mistake must not fill the memory.
const maxFile = 64 << 20

// ReadFiles reads the files in order. A directory gives its *.cfg files in
// byte order (C locale), without hidden ones, as HAProxy's -f does.
func ReadFiles(paths []string) ([]Source, error) {
	var sources []Source
	for _, path := range paths {
		names, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			data, err := readFile(name)
			if err != nil {
				return nil, fmt.Errorf("open configuration file %s: %w", name, rootCause(err))
			}
			sources = append(sources, Source{Name: name, Data: data})
		}
	}
	return sources, nil
}

// expand gives the files that path stands for.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open configuration file/directory %s: %w", path, rootCause(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("open configuration directory %s: %w", path, rootCause(err))
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".cfg") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors' mark of UTF-8
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d MiB, which no configuration is", maxFile>>20)
	}
	return data, err
}

// rootCause drops the path that os errors repeat.
func rootCause(err error) error {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err
	}
	return err
}
