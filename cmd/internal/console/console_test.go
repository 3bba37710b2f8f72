package console

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestLinesLookLikeHAProxys(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, 812, false)
	log.Info("New worker (815) forked")
	log.Warn("slow", "after", "3s")
	log.Error("two\nlines")
	log.Debug("unseen")
	const want = "[NOTICE]   (812) : New worker (815) forked\n" +
		"[WARNING]  (812) : slow after=3s\n" +
		"[ALERT]    (812) : two\n   | lines\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestQuietLeavesAlerts(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, 1, true)
	log.Warn("unseen")
	log.Error("seen")
	if out.String() != "[ALERT]    (1) : seen\n" {
		t.Errorf("got %q", out.String())
	}
}

func TestJournalGetsLevels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sys := st.Sys().(*syscall.Stat_t)
	w := &Writer{File: f}
	io.WriteString(w, "[ALERT]    (1) : before\n")
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", sys.Dev, sys.Ino))
	io.WriteString(w, "[ALERT]    (1) : a\n[WARNING]  (1) : b\n[NOTICE]   (1) : c\nd\n")
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "[ALERT]    (1) : before\n<3>[ALERT]    (1) : a\n<4>[WARNING]  (1) : b\n<5>[NOTICE]   (1) : c\n<6>d\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The handler is held to slog's rules where a line of text can show them.
func TestHandlerKeepsGroupsAndAttributes(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, 1, false).With("a", 1).WithGroup("g").With("b", 2)
	log.Info("m", slog.Int("c", 3))
	if got := out.String(); got != "[NOTICE]   (1) : m a=1 g.b=2 g.c=3\n" {
		t.Errorf("got %q", got)
	}
}
