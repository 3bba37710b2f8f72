package syslog_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMessagesChooseTheFile sends what is meant to leave the base directory, more names than are allowed and more than are open at a
// time. Every line is somewhere beneath the base.
func TestMessagesChooseTheFile(t *testing.T) {
	d := start(t, `
listen: [unix://DIR/dgram]
host: here
outputs:
  - file: DIR/hosts/%host%/%tag%.log
    format: {template: "%severity% %text%"}
    files: {open: 3, names: 20}
    rotate: {size: 1MB}
`)
	var messages []string
	for i := range 100 {
		messages = append(messages, fmt.Sprintf("<14>1 - web%d app - - - number %d", i%10, i))
	}
	for _, host := range []string{"..", "../..", "/etc", ".", ".hidden", "a/b", strings.Repeat("x", 65), "%2e%2e"} {
		messages = append(messages, "<14>1 - "+host+" app - - - hostile")
	}
	for i := range 20 { // ten names and _other are there, so nine of these fit
		messages = append(messages, fmt.Sprintf("<14>1 - many%d app - - - many", i))
	}
	// Somebody planted a way out.
	if err := os.Symlink(d.dir, filepath.Join(d.dir, "hosts", "planted")); err != nil {
		t.Fatal(err)
	}
	send(t, filepath.Join(d.dir, "dgram"), append([]string{"<14>1 - planted app - - - out"}, messages...)...)
	d.do("flush")
	d.do("rotate")
	d.do("reopen")

	lines := 0
	err := filepath.WalkDir(filepath.Join(d.dir, "hosts"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".log") {
			return err
		}
		text, err := os.ReadFile(path)
		lines += strings.Count(string(text), "\n")
		if strings.Count(string(text), "info ") != strings.Count(string(text), "\n") {
			t.Errorf("%s: %q", path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := filepath.Glob(filepath.Join(d.dir, "*.log")); err != nil || len(out) > 0 {
		t.Errorf("%v are outside: %v", out, err)
	}
	o := d.status().Outputs[0]
	if o.Written != uint64(len(messages)) || lines != len(messages) || o.DiskLost != 1 || o.Renamed == 0 || o.Names > 21 {
		t.Errorf("%d lines of %d: %+v", lines, len(messages), o)
	}
}
