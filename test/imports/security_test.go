package imports

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SECURITY.md names the tests that hold its promises: each of them exists.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.Contains(line, "|---|") || strings.Contains(line, "| Tests |") {
			continue
		}
		rows++
		named := regexp.MustCompile("`([a-z/0-9]+)`((?: Test[A-Za-z0-9]+)+)").FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("no test holds: %s", cells[1])
		}
		for _, m := range named {
			for _, name := range strings.Fields(m[2]) {
				if !hasTest(t, m[1], name) {
					t.Errorf("%s has no %s, which holds: %s", m[1], name, cells[1])
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d rows were read", rows)
	}
}

// hasTest says whether a package has a test of that name.
func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}
