package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestEveryKeyIsDocumented holds docs/syslogd.md, of which the manual page syslogd.yaml(5) is made, to the keys that the decoder knows: each
// is named in the section on the configuration, and each key of its tables is known.
func TestEveryKeyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/syslogd.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Configuration\n")
	section, _, _ = strings.Cut(section, "\n## ")
	known := keys(t)
	if len(known) < 40 {
		t.Fatalf("only %d keys were found", len(known))
	}
	for key := range known {
		if !strings.Contains(section, "`"+key+"`") && !strings.Contains(section, "{"+key+":") {
			t.Errorf("the documentation does not name %q", key)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for _, word := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			if !known[word[1]] {
				t.Errorf("the documentation has a key %q that is not known", word[1])
			}
		}
	}
}

// keys are those of the decoder's maps of functions.
func keys(t *testing.T) map[string]bool {
	t.Helper()
	found := make(map[string]bool)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if m, ok := literal.Type.(*ast.MapType); !ok {
				return true
			} else if _, ok := m.Value.(*ast.FuncType); !ok {
				return true
			}
			for _, e := range literal.Elts {
				key, err := strconv.Unquote(e.(*ast.KeyValueExpr).Key.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[key] = true
			}
			return true
		})
	}
	return found
}
