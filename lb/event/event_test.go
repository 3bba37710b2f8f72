package event

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every kind is explained in the catalog, and the catalog explains nothing else.
func TestCatalogExplainsEveryKind(t *testing.T) {
	source, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := os.ReadFile("../../packaging/systemd/lb.catalog")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`(?m)^\t(\w+) +Kind = "([0-9a-f]{32})"`).FindAllStringSubmatch(string(source), -1)
	if len(kinds) == 0 {
		t.Fatal("no kinds found")
	}
	entries := map[string]string{}
	for _, e := range strings.Split(string(catalog), "\n-- ")[1:] {
		id, text, _ := strings.Cut(e, "\n")
		if entries[id] != "" {
			t.Errorf("%s stands twice", id)
		}
		entries[id] = text
		if !strings.HasPrefix(text, "Subject: ") || !strings.Contains(text, "\n\n") {
			t.Errorf("%s has no subject, or no text", id)
		}
	}
	page, err := os.ReadFile("../../docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if !strings.Contains(string(page), "`"+k[2]+"`") {
			t.Errorf("docs/journal.md does not list %s (%s)", k[1], k[2])
		}
		if entries[k[2]] == "" {
			t.Errorf("%s (%s) is not explained", k[1], k[2])
		}
		delete(entries, k[2])
	}
	for id := range entries {
		t.Errorf("%s is explained, and nothing is of that kind", id)
	}
	for _, field := range regexp.MustCompile(`@(\w+)@`).FindAllStringSubmatch(string(catalog), -1) {
		if !strings.HasPrefix(field[1], "LB_") {
			t.Errorf("@%s@ is no field of ours", field[1])
		}
	}
}
