package packages

import (
	"os/exec"
	"path/filepath"
	"testing"

	"lbsyslogd/test/tape"
)

// TestLintian has Debian's own check look at the packages. What it says that is not fixed stands in packaging/lintian with the
// reason.
func TestLintian(t *testing.T) {
	debs, err := filepath.Glob(filepath.Join(built, "*_"+version+"-1_*.deb"))
	if err != nil || len(debs) != 2 {
		t.Fatalf("%v %v", debs, err)
	}
	out, err := exec.Command(tape.Require(t, "lintian"), append([]string{"--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0"}, debs...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestShellcheck looks at every shell script that is packaged or makes packages.
func TestShellcheck(t *testing.T) {
	var scripts []string
	for _, pattern := range []string{"build", "copyright", "container/build", "scripts/*", "sysv/lb", "sysv/syslogd", "completion/*.bash"} {
		found, err := filepath.Glob("../../packaging/" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v %v", pattern, found, err)
		}
		scripts = append(scripts, found...)
	}
	if out, err := exec.Command(tape.Require(t, "shellcheck"), append([]string{"-S", "info", "-s", "bash"}, scripts...)...).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}
