// Package imports holds the module's import table: docs/architecture.md says which package may import which of the module's others,
// and what the document does not say is not allowed. So the document stays true, and a wall moves only on purpose.
package imports

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module   = "lbsyslogd/"
	root     = "../.."
	document = "docs/architecture.md"
)

func TestImportsAreInTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, document))
	if err != nil {
		t.Fatal(err)
	}
	table := readTable(string(text))
	if len(table) == 0 {
		t.Fatalf("%s has no import table", document)
	}
	have := readTree(t)
	for pkg, imports := range have {
		allowed, ok := lookUp(table, pkg)
		if !ok {
			t.Errorf("package %s is not in the table of %s", pkg, document)
			continue
		}
		for _, other := range imports {
			if !slices.ContainsFunc(allowed, func(pattern string) bool { return matches(pattern, other) }) {
				t.Errorf("%s imports %s, which the table of %s does not allow", pkg, other, document)
			}
		}
	}
	for pattern := range table {
		found := false
		for pkg := range have {
			found = found || matches(pattern, pkg)
		}
		if !found {
			t.Errorf("the table of %s speaks of %s, which does not exist", document, pattern)
		}
	}
}

// readTable reads the rows "| `package` | what it does | `import` `import` |" of the document.
func readTable(text string) map[string][]string {
	table := map[string][]string{}
	word := regexp.MustCompile("`([^`]+)`")
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|[^|]*\\|([^|]*)\\|$")
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		allowed := []string{}
		for _, w := range word.FindAllStringSubmatch(m[2], -1) {
			allowed = append(allowed, w[1])
		}
		table[m[1]] = allowed
	}
	return table
}

// lookUp finds a package's own row, or the longest pattern that covers it.
func lookUp(table map[string][]string, pkg string) ([]string, bool) {
	best := ""
	for pattern := range table {
		if matches(pattern, pkg) && (pattern == pkg || len(pattern) > len(best) && best != pkg) {
			best = pattern
		}
	}
	allowed, ok := table[best]
	return allowed, ok
}

// matches reports whether pkg is the pattern, or lies below it if it ends in "/...".
func matches(pattern, pkg string) bool {
	prefix, below := strings.CutSuffix(pattern, "/...")
	return pkg == prefix || below && strings.HasPrefix(pkg, prefix+"/")
}

// readTree reads every package of the module, and which of the module's others it imports outside tests.
func readTree(t *testing.T) map[string][]string {
	t.Helper()
	tree := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base != ".." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		pkg := path.Clean(filepath.ToSlash(dir))
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		tree[pkg] = slices.Clip(tree[pkg])
		for _, spec := range file.Imports {
			full, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if other, ok := strings.CutPrefix(full, module); ok && !slices.Contains(tree[pkg], other) {
				tree[pkg] = append(tree[pkg], other)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestTable(t *testing.T) {
	table := readTable("| `a/b` | does x | `c` `d/...` |\n| `a/...` | y | |\nno row | `z` |\n")
	row := func(pkg, other string, known, allowed bool) {
		t.Helper()
		imports, ok := lookUp(table, pkg)
		if ok != known {
			t.Errorf("%s: known %v", pkg, ok)
		}
		if got := slices.ContainsFunc(imports, func(p string) bool { return matches(p, other) }); got != allowed {
			t.Errorf("%s imports %s: allowed %v", pkg, other, got)
		}
	}
	row("a/b", "c", true, true)
	row("a/b", "d", true, true)
	row("a/b", "d/e", true, true)
	row("a/b", "dd", true, false)
	row("a/c", "c", true, false)
	row("b", "c", false, false)
}
