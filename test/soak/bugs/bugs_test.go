package bugs

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBugsApply holds that each planted bug still fits the source: `make soak-bugs` has to find it.
func TestBugsApply(t *testing.T) {
	list, err := Read(".")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range list {
		if _, err := b.apply(root); err != nil {
			t.Errorf("%v\nchange the patch so that it breaks the same promise again", err)
		}
	}
}

// TestParse reads a patch and applies it by its lines, not by their numbers.
func TestParse(t *testing.T) {
	b, err := parse("What it breaks.\n\n--- a/x.go\n+++ b/x.go\n@@ -1,2 +1,2 @@ func\n a\n-b\n+c\n\n d\n")
	if err != nil || b.About != "What it breaks." || len(b.hunks) != 1 || b.hunks[0] != (hunk{"x.go", "a\nb\n\nd\n", "a\nc\n\nd\n"}) {
		t.Errorf("%+v %v", b, err)
	}
	for _, text := range []string{"", "words", "words\n@@ -1 +1 @@\n-a\n", "words\n+++ b/x\n@@ @@\n?\n", "+++ b/x\n@@ @@\n-a\n"} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// FuzzParse holds that a patch that is accepted has what it needs.
func FuzzParse(f *testing.F) {
	f.Add("What.\n--- a/x.go\n+++ b/x.go\n@@ -1,2 +1,2 @@ func\n a\n-b\n+c\n\n d\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parse(text)
		if err == nil && (len(b.hunks) == 0 || strings.TrimSpace(b.About) == "") {
			t.Errorf("%+v", b)
		}
	})
}
