package console

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestLinesLookLikeHAProxys(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, 812, false)
	log.Info("New worker (815) forked")
	log.Warn("slow", "after", "3s")
	log.Error("two\nlines")
	log.Debug("unseen")
	log.Log(t.Context(), AsHAProxy, "Loading success.", "LB_GENERATION", 3)
	const want = "[NOTICE]   (812) : New worker (815) forked\n" +
		"[WARNING]  (812) : slow after=3s\n" +
		"[ALERT]    (812) : two\n   | lines\n" +
		"[NOTICE]   (812) : Loading success.\n"
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

// inJournal gives a writer whose file stands for the stream of a journal, and what journald would receive.
func inJournal(t *testing.T) (w *Writer, stream string, received func() map[string]string) {
	t.Helper()
	dir := t.TempDir()
	stream = filepath.Join(dir, "stream")
	f, err := os.Create(stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sys := st.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", sys.Dev, sys.Ino))
	socket := filepath.Join(dir, "socket")
	journald, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { journald.Close() })
	return &Writer{File: f, Prefix: "LB_", Socket: socket}, stream, func() map[string]string {
		t.Helper()
		buf := make([]byte, 1<<20)
		if err := journald.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := journald.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return decode(t, buf[:n])
	}
}

// decode reads the native protocol as journald does.
func decode(t *testing.T, datagram []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for len(datagram) > 0 {
		line, rest, ok := bytes.Cut(datagram, []byte("\n"))
		if !ok {
			t.Fatalf("no line end in %q", datagram)
		}
		name, value, short := bytes.Cut(line, []byte("="))
		if !short {
			n := binary.LittleEndian.Uint64(rest)
			value, rest = rest[8:8+n], rest[8+n:]
			if rest[0] != '\n' {
				t.Fatalf("%s does not end with a line end", name)
			}
			rest = rest[1:]
		}
		fields[string(name)], datagram = string(value), rest
	}
	delete(fields, "SYSLOG_IDENTIFIER")
	return fields
}

func TestLinesBecomeEntries(t *testing.T) {
	w, _, received := inJournal(t)
	row := func(text string, want map[string]string) {
		t.Helper()
		io.WriteString(w, text)
		if got := received(); !maps.Equal(got, want) {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
	row("[ALERT]    (1) : a\n", map[string]string{"PRIORITY": "3", "MESSAGE": "a", "LB_WORKER_PID": "1"})
	row(fmt.Sprintf("[NOTICE]   (%d) : b\n", os.Getpid()), map[string]string{"PRIORITY": "5", "MESSAGE": "b"})
	row("[WARNING]  (1) : config : parsing [/etc/lb/lb.cfg:17] : odd\n", map[string]string{
		"PRIORITY": "4", "MESSAGE": "[/etc/lb/lb.cfg:17] : odd", "LB_WORKER_PID": "1", "LB_CONFIG_FILE": "/etc/lb/lb.cfg", "LB_CONFIG_LINE": "17",
	})
	row("[ALERT]    (1) : config : parsing [lb.cfg:3] : bad\n  bnid :80\n  ^\n", map[string]string{
		"PRIORITY": "3", "MESSAGE": "[lb.cfg:3] : bad\n  bnid :80\n  ^", "LB_WORKER_PID": "1", "LB_CONFIG_FILE": "lb.cfg", "LB_CONFIG_LINE": "3",
	})
	row("\nblob \xff \x1b\n\n", map[string]string{"PRIORITY": "6", "MESSAGE": "blob \ufffd \ufffd"})
	row("panic: x\n", map[string]string{"PRIORITY": "2", "MESSAGE": "panic: x"})
	row("127.0.0.1:80: plain\n", map[string]string{"PRIORITY": "6", "MESSAGE": "127.0.0.1:80: plain"})

	io.WriteString(w, "[ALERT]    (1) : one\n[NOTICE]   (1) : two\n")
	if a, b := received(), received(); a["MESSAGE"] != "one" || b["MESSAGE"] != "two" {
		t.Errorf("two lines are %q and %q", a, b)
	}
	w.Fail("syslogd: /etc/syslogd/syslogd.yaml:3:5: what")
	if got := received(); got["PRIORITY"] != "3" || got["LB_CONFIG_FILE"] != "/etc/syslogd/syslogd.yaml" || got["LB_CONFIG_LINE"] != "3" {
		t.Errorf("a failure is %q", got)
	}
}

func TestRecordsBecomeEntries(t *testing.T) {
	w, _, received := inJournal(t)
	w.IDs = map[string]string{"known": "0123"}
	log := Logger(w, os.Getpid(), false)
	row := func(level slog.Level, text string, attrs []any, want map[string]string) {
		t.Helper()
		log.Log(t.Context(), level, text, attrs...)
		if got := received(); !maps.Equal(got, want) {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
	log.Log(t.Context(), AsHAProxy, "New worker (1) forked") // nothing for the journal
	row(slog.LevelInfo, "serves", []any{"LB_GENERATION", 3, "MESSAGE_ID", "ab"}, map[string]string{"PRIORITY": "5", "MESSAGE": "serves", "LB_GENERATION": "3", "MESSAGE_ID": "ab"})
	row(slog.LevelWarn, "known", []any{"err", errors.New("no space"), "path", "/a b", "ring", 7}, map[string]string{
		"PRIORITY": "4", "MESSAGE": "known: no space (path=\"/a b\" ring=7)", "MESSAGE_ID": "0123", "LB_ERR": "no space", "LB_PATH": "/a b", "LB_RING": "7",
	})
	row(slog.LevelError+4, "two\nlines", nil, map[string]string{"PRIORITY": "1", "MESSAGE": "two\nlines"})
	log = log.With("LB_SERVER", "app/s1").WithGroup("g")
	row(slog.LevelError, "down", []any{"n", 1}, map[string]string{"PRIORITY": "3", "MESSAGE": "down (g.n=1)", "LB_SERVER": "app/s1", "LB_G_N": "1"})
}

// A process without the journal passes its fields on to one that has it.
func TestFieldsAreCarriedAlong(t *testing.T) {
	pipe, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	Logger(&Writer{File: says, Carry: true}, 7, false).Warn("two\nlines", "a", 1, "MESSAGE_ID", "ab", "LB_SERVER", "b/s")
	says.Close()
	w, _, received := inJournal(t)
	if _, err := io.Copy(w, pipe); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"PRIORITY": "4", "MESSAGE": "two\n   | lines a=1", "LB_WORKER_PID": "7", "MESSAGE_ID": "ab", "LB_SERVER": "b/s"}
	if got := received(); !maps.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// Without journald, or with one that is stuck, the stream tells at least the level.
func TestJournalThatIsNotThere(t *testing.T) {
	w, stream, _ := inJournal(t)
	w.Socket = filepath.Join(t.TempDir(), "none")
	io.WriteString(w, "[ALERT]    (1) : a\n  b\n[WARNING]  (1) : c\nd\n")
	w.Flush()
	got, err := os.ReadFile(stream)
	if err != nil {
		t.Fatal(err)
	}
	if want := "<3>a\n<3>  b\n<4>c\n<6>d\n"; string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestStuckJournalHoldsNobodyUp(t *testing.T) {
	w, stream, _ := inJournal(t)
	var told int64
	for told == 0 { // until its queue is full
		io.WriteString(w, "[NOTICE]   (1) : a\n")
		st, err := os.Stat(stream)
		if err != nil {
			t.Fatal(err)
		}
		told = st.Size()
	}
}

func TestFlushWaitsUntilJournaldHasRead(t *testing.T) {
	w, _, received := inJournal(t)
	io.WriteString(w, "[NOTICE]   (1) : a\n")
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		w.Flush()
	}()
	if got := received(); got["MESSAGE"] != "a" {
		t.Errorf("got %q", got)
	}
	if got := received(); len(got) != 0 {
		t.Errorf("after the entry came %q", got)
	}
	<-flushed
}

// A message of any bytes is one entry of journald's.
func FuzzEntry(f *testing.F) {
	f.Add("[ALERT]    (1) : config : parsing [/etc/lb/lb.cfg:17] : odd\n  x\n  ^\n")
	f.Add("panic: x\n\ngoroutine 1")
	f.Add("a=b\n\nPRIORITY=0")
	f.Fuzz(func(t *testing.T, text string) {
		for m := range messages([]byte(text)) {
			e := readEntry(m, "LB_")
			got := decode(t, e.encode("lb"))
			if want := shown(e.message); got["MESSAGE"] != want || got["PRIORITY"] != strconv.Itoa(e.priority) {
				t.Errorf("%q is %q", m, got)
			}
		}
	})
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
