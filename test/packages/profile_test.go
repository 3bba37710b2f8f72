package packages

import (
	"bytes"
	"debug/buildinfo"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// TestCompiledWithTheProfile: the programs in packages and images, and those of `make build`, are compiled with cmd/profile.pgo, which nothing else in
// them tells: a build without it costs a request more, and passes every other test.
func TestCompiledWithTheProfile(t *testing.T) {
	for _, name := range []string{"lb", "syslogd"} {
		for pattern, unpack := range map[string]string{
			name + "_" + version + "-1_*.deb": `dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/sbin/$2"`,
			"site/" + name + "-*.tar":         `tar -xOf "$1" "./usr/sbin/$2"`,
		} {
			files, err := filepath.Glob(filepath.Join(built, pattern))
			if err != nil || len(files) != 1 {
				t.Fatalf("%s: %v %v", pattern, files, err)
			}
			program, err := exec.Command("sh", "-c", unpack, "sh", files[0], name).Output()
			if err != nil {
				t.Fatalf("%s: %v", files[0], err)
			}
			info, err := buildinfo.Read(bytes.NewReader(program))
			if err != nil {
				t.Fatalf("%s: %v", files[0], err)
			}
			if !slices.Contains(info.Settings, debug.BuildSetting{Key: "-pgo", Value: "profile.pgo"}) {
				t.Errorf("%s in %s was compiled without the profile: %v", name, filepath.Base(files[0]), info.Settings)
			}
		}
	}
	if out, err := exec.Command("make", "-C", "../..", "-n", "build").CombinedOutput(); err != nil || !strings.Contains(string(out), " -pgo=cmd/profile.pgo ") {
		t.Errorf("make build: %v\n%s", err, out)
	}
}
