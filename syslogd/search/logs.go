package search

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
)

// Log is a file that an output writes to, with what was rotated of it.
type Log struct {
	Output string // the output's name
	Path   string
	Format string
	Zone   *time.Location // of times without one; nil: local
}

// Logs finds the logs of a configuration: those of the output of this name, or of all. An output whose messages choose the file has as many as
// there are files.
func Logs(c *config.Config, output string) ([]Log, error) {
	var logs []Log
	var known []string
	var problems []error
	found := false
	for _, o := range c.Outputs {
		known = append(known, o.Name)
		if output != "" && o.Name != output {
			continue
		}
		found = true
		log := Log{Output: o.Name, Path: o.Path, Format: o.Rule.Format, Zone: c.Zone}
		if o.Files == nil {
			logs = append(logs, log)
			continue
		}
		paths, err := chosen(o.Files.Base)
		problems = append(problems, err)
		for _, p := range paths {
			log.Path = p
			logs = append(logs, log)
		}
	}
	if !found {
		return nil, fmt.Errorf("there is no output %q; %s are", output, strings.Join(known, ", "))
	}
	return logs, errors.Join(problems...)
}

// chosen is the paths of all logs beneath a directory.
func chosen(base string) (paths []string, err error) {
	have := make(map[string]bool)
	files := []string{}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // none yet, or gone this very moment
			}
			return err
		}
		if d.Type().IsRegular() && !strings.HasPrefix(d.Name(), ".") && !strings.HasSuffix(d.Name(), ".tmp") {
			have[path] = true
			files = append(files, path)
		}
		return nil
	})
	seen := make(map[string]bool)
	for _, path := range files {
		dir, name := filepath.Split(path)
		log := dir + rotate.LogOf(name, func(other string) bool { return have[dir+other] })
		if !seen[log] {
			seen[log] = true
			paths = append(paths, log)
		}
	}
	return paths, err
}
