package worker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A snapshot has sums of the files as they were, reads again as a configuration, and
// says nothing of files if a release made it that did not keep them. The digest
// changes with each of the files.
func TestSnapshotKnowsTheFiles(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("m", "/a one\n")
	write("e", "HTTP/1.0 503 x\r\n\r\n")
	write("cfg", "defaults\n mode http\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n errorfile 503 "+path("e")+
		"\nfrontend f\n bind 127.0.0.1:1\n http-request set-header X %[path,map("+path("m")+")]\n")
	plan := func(l Loader) (*Plan, []File) {
		t.Helper()
		l.Out = os.Stderr
		p, err := l.Plan()
		if err != nil {
			t.Fatal(err)
		}
		files, ok := SnapshotFiles(p.Snapshot)
		if !ok {
			t.Fatalf("no files in %s", p.Snapshot)
		}
		return p, files
	}
	l := Loader{Files: []string{path("cfg")}}
	first, files := plan(l)
	var names []string
	for _, f := range files {
		names = append(names, f.Kind+" "+filepath.Base(f.Path))
	}
	if got := strings.Join(names, ","); got != "file e,map m" {
		t.Errorf("files: %s", got)
	}
	if again, same := plan(Loader{Snapshot: strings.NewReader(string(first.Snapshot))}); again.Facts.Digest != first.Facts.Digest || !slices.Equal(files, same) {
		t.Errorf("read from the snapshot: %v", same)
	}
	for _, c := range []struct{ name, text string }{{"m", "/a two\n"}, {"e", "HTTP/1.0 503 y\r\n\r\n"}} {
		before, was := plan(l)
		write(c.name, c.text)
		after, is := plan(l)
		if before.Facts.Digest == after.Facts.Digest {
			t.Errorf("%s: the digest is the same", c.name)
		}
		for i := range is {
			if differs := was[i].Sum != is[i].Sum; differs != (filepath.Base(is[i].Path) == c.name) {
				t.Errorf("%s: %v, was %v", c.name, is[i], was[i])
			}
		}
	}
	if files, ok := SnapshotFiles([]byte(`[{"Name":"a","Data":""}]`)); ok {
		t.Errorf("an old snapshot has files: %v", files)
	}
}
