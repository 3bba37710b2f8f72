package config

import (
	"os"
	"path/filepath"
	"testing"

	"lbsyslogd/test/tape"
)

// TestWholeFiles: files of the kinds that operators and their tools write load here and in HAProxy. Each line of them was written for this test.
func TestWholeFiles(t *testing.T) {
	peer := tape.Open(t, "haproxy")
	files, err := filepath.Glob("testdata/[wl]*/*.cfg") // wild ones are served, too (test/served), loaded ones are not
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Load([]string{path}, Options{})
		if theirs, output := verdictOf(t, peer, path); err != nil || !theirs {
			t.Errorf("%s: by haproxy: %v\nlb: %v\nhaproxy: %s", file, theirs, err, output)
		}
	}
}
