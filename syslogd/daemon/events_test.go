package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What has a MESSAGE_ID is said somewhere, and the catalog explains it; the catalog explains nothing else.
func TestCatalogExplainsEveryMessage(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*.go", "../*/*.go", "../../rotate/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || filepath.Base(f) == "events.go" {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	catalog, err := os.ReadFile("../../packaging/systemd/syslogd.catalog")
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]bool{}
	for _, e := range strings.Split(string(catalog), "\n-- ")[1:] {
		id, text, _ := strings.Cut(e, "\n")
		if entries[id] {
			t.Errorf("%s stands twice", id)
		}
		entries[id] = true
		if !strings.HasPrefix(text, "Subject: ") || !strings.Contains(text, "\n\n") {
			t.Errorf("%s has no subject, or no text", id)
		}
	}
	page, err := os.ReadFile("../../docs/journal.md")
	if err != nil {
		t.Fatal(err)
	}
	for text, id := range MessageIDs() {
		if !strings.Contains(string(page), "syslogd: "+text+" |") || !strings.Contains(string(page), "`"+id+"`") {
			t.Errorf("docs/journal.md does not list %q (%s)", text, id)
		}
		if !strings.Contains(source.String(), `("`+text+`"`) {
			t.Errorf("nobody says %q", text)
		}
		if !entries[id] {
			t.Errorf("%q (%s) is not explained", text, id)
		}
		delete(entries, id)
	}
	for id := range entries {
		t.Errorf("%s is explained, and nothing is of that kind", id)
	}
}
