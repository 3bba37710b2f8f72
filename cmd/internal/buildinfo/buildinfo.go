// Package buildinfo says which version of the program is running.
package buildinfo

import "runtime/debug"

// version is set by the linker (-X); the Makefile takes it from the git tag. Nothing else writes it.
var version string

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
