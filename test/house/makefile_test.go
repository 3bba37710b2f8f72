package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSwitchesAreOff: a variable that a recipe asks for with $(if ...) is a switch for whoever types the command. One that the Makefile sets itself, for
// whatever else, is on for everybody.
func TestSwitchesAreOff(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	switches := regexp.MustCompile(`\$\(if \$\((\w+)\)`).FindAllSubmatch(text, -1)
	if len(switches) == 0 {
		t.Fatal("no switch was found: this test looks for the wrong thing")
	}
	for _, s := range switches {
		if line := regexp.MustCompile(`(?m)^` + string(s[1]) + `\s*[:?+]?=.*$`).Find(text); line != nil {
			t.Errorf("$(if $(%s)) is always on: the Makefile itself says %q", s[1], line)
		}
	}
}
