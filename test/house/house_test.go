// Package house holds the limits on size that keep the code readable, and the file names that documents give. A limit that is in the way is a sign
// that an idea wants a place of its own.
package house

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root = "../.."

	maxFunction = 80 // lines of a function, without its literals
	maxStruct   = 35 // fields of a struct; an embedded one counts as one
	maxPackage  = 25 // files of a package without a reason in its doc.go
)

// debt is what is over a limit today. A line goes when its debt is paid; none is added.
var debt = map[string]bool{}

// over reports a limit that is passed.
func over(t *testing.T, what, format string, args ...any) {
	t.Helper()
	if !debt[what] {
		t.Errorf(what+" "+format, args...)
	}
	delete(debt, what)
}

// source is a Go file outside tests.
type source struct {
	name string // from the root
	file *ast.File
}

// sources parses every Go file of the module that is not a test's.
func sources(t *testing.T) (*token.FileSet, []source) {
	t.Helper()
	set := token.NewFileSet()
	var list []source
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
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		list = append(list, source{filepath.ToSlash(rel), file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return set, list
}

// TestFunctionsAreShort holds functions to maxFunction lines. Literals do not count: a table may be as long as it is.
func TestFunctionsAreShort(t *testing.T) {
	set, list := sources(t)
	lines := func(n ast.Node) int { return set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1 }
	for _, s := range list {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || lines(f) <= maxFunction {
				continue
			}
			literals := 0
			ast.Inspect(f.Body, func(n ast.Node) bool {
				c, ok := n.(*ast.CompositeLit)
				if ok {
					literals += lines(c)
				}
				return !ok
			})
			if lines(f)-literals > maxFunction {
				over(t, s.name+" "+f.Name.Name, "has %d lines, %d at most", lines(f), maxFunction)
			}
		}
	}
}

// TestStructsAreSmall holds structs to maxStruct fields.
func TestStructsAreSmall(t *testing.T) {
	_, list := sources(t)
	for _, s := range list {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if st, ok := spec.Type.(*ast.StructType); ok {
				count := 0
				for _, f := range st.Fields.List {
					count += max(1, len(f.Names))
				}
				if count > maxStruct {
					over(t, s.name+" "+spec.Name.Name, "has %d fields, %d at most", count, maxStruct)
				}
			}
			return true
		})
	}
}

// TestPackagesAreSmall holds packages to maxPackage files, unless their documentation says "Size:" and why it is one package.
func TestPackagesAreSmall(t *testing.T) {
	_, list := sources(t)
	count, reason := map[string]int{}, map[string]bool{}
	for _, s := range list {
		dir := filepath.Dir(s.name)
		count[dir]++
		if s.file.Doc != nil && strings.Contains(s.file.Doc.Text(), "\nSize: ") {
			reason[dir] = true
		}
	}
	for dir, n := range count {
		if n > maxPackage && !reason[dir] {
			over(t, dir, "has %d files, %d at most without a paragraph \"Size: ...\" in its comment that says why", n, maxPackage)
		}
	}
}

// TestDocumentedFilesExist holds that the files which package documentation, docs/architecture.md and CONTRIBUTING.md name are there.
func TestDocumentedFilesExist(t *testing.T) {
	_, list := sources(t)
	tree := map[string][]string{} // directories and their files
	for _, s := range list {
		dir := filepath.Dir(s.name)
		tree[dir] = append(tree[dir], filepath.Base(s.name))
	}
	fileName := regexp.MustCompile(`\b[a-z0-9_]+(?:/[a-z0-9_]+)*\.go\b`)
	for _, s := range list {
		if s.file.Doc == nil {
			continue
		}
		for _, name := range fileName.FindAllString(s.file.Doc.Text(), -1) {
			dir := filepath.Dir(s.name)
			if !slices.Contains(tree[dir], name) && !exists(name) && !exists(dir+"/"+name) {
				over(t, s.name+" "+name, "is named and not there")
			}
		}
	}
	for _, document := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		for _, missing := range missingFiles(string(text), tree) {
			t.Errorf("%s names %s, which is not there", document, missing)
		}
	}
}

// missingFiles finds the paths and Go file names of a document that are not there. A bare file name belongs to a directory that the same section names.
func missingFiles(text string, tree map[string][]string) (missing []string) {
	path := regexp.MustCompile("`((?:cmd|lb|syslogd|rotate|test|packaging|docs|logrotate)(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)(?:/\\.\\.\\.)?`")
	fileName := regexp.MustCompile(`\b[a-z0-9_]+\.go\b`)
	var dirs []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			dirs = nil
		}
		for _, m := range path.FindAllStringSubmatch(line, -1) {
			if !exists(m[1]) {
				missing = append(missing, m[1])
			}
			dirs = append(dirs, m[1])
			if strings.HasSuffix(m[1], ".go") {
				dirs = append(dirs, filepath.Dir(m[1]))
			}
		}
		for _, name := range fileName.FindAllString(line, -1) {
			found := strings.Contains(line, "/"+name)
			for _, dir := range dirs {
				found = found || exists(dir+"/"+name)
			}
			if !found && !slices.ContainsFunc(dirs, func(dir string) bool { return slices.Contains(tree[dir], name) }) {
				missing = append(missing, fmt.Sprintf("%s (in the line %q)", name, strings.TrimSpace(line)))
			}
		}
	}
	return missing
}

func exists(name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

func TestMissingFiles(t *testing.T) {
	row := func(line, want string) {
		t.Helper()
		if got := strings.Join(missingFiles(line, nil), " "); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", line, got)
		}
	}
	row("`test/house`: house_test.go", "")
	row("`test/house/house_test.go`", "")
	row("`test/nothouse`", "test/nothouse")
	row("`test/house`: none.go", "none.go")
	row("none.go alone", "none.go")
	row("`lb/...` all of it", "")
}

// TestDebtIsOpen runs last: what is under its limit is no debt any more.
func TestDebtIsOpen(t *testing.T) {
	if testing.Short() || flag.Lookup("test.run").Value.String() != "" {
		t.Skip("only the whole package knows")
	}
	for what := range debt {
		t.Errorf("%s is within its limit: strike it from debt", what)
	}
}
