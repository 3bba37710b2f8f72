package secretfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	row := func(text, want string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", text, got, err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || text != "" && strings.Contains(err.Error(), text)) {
			t.Errorf("%q: %v", text, err)
		}
	}
	row("right-horse\n", "right-horse")
	row(" a b \r\n", "a b")
	row("", "")
	row("\n", "")
	row("a\nb\n", "")
	row("a\x00b", "")
	row(strings.Repeat("x", most+1), "")
	if _, err := Read(path + "-missing"); err == nil {
		t.Error("a missing file is read")
	}
}
