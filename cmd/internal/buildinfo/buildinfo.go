// Package buildinfo says which version of the program is running.
package buildinfo

import (
	"os"
	"runtime/debug"
	"time"
)

// version is set by the linker (-X); the Makefile takes it from the git tag. Nothing else writes it.
var version string

// date is the day of the version's commit, YYYY/MM/DD; set like version.
var date string

// Date returns the day of the version, YYYY/MM/DD: the commit's, or that of the
// program's file if the commit is not known.
func Date() string {
	const form = "2006/01/02"
	if date != "" {
		return date
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.Format(form)
			}
		}
	}
	if path, err := os.Executable(); err == nil {
		if st, err := os.Stat(path); err == nil {
			return st.ModTime().UTC().Format(form)
		}
	}
	return "1970/01/01"
}

// Version returns the version the Makefile built in; without one, as after `go install`, the module's
// own version, and "devel" if there is none either.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
