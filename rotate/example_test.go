package rotate_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lbsyslogd/rotate"
)

func Example() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)

	daily, err := rotate.ParseSchedule("day 03:30")
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := rotate.Open(filepath.Join(dir, "app.log"), rotate.Options{
		Size: 100 << 20, Schedule: daily, Keep: 30, Compress: rotate.Gzip,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	fmt.Fprintln(w, "hello")
	fmt.Println(w.Stats().Lines, "line")
	// Output: 1 line
}

// A Writer is what slog, the log package and zap (through zapcore.AddSync) write to.
func ExampleWriter_slog() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")

	w, err := rotate.Open(path, rotate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: noTime})).Info("started", "port", 8080)
	w.Close()

	text, _ := os.ReadFile(path)
	fmt.Print(string(text))
	// Output: level=INFO msg=started port=8080
}

// zap writes to a zapcore.WriteSyncer, which a Writer is: zapcore.NewCore(encoder, w, level).
func ExampleWriter_zap() {
	type writeSyncer interface { // zapcore's
		io.Writer
		Sync() error
	}
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)

	w, err := rotate.Open(filepath.Join(dir, "app.log"), rotate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	var out writeSyncer = w
	io.WriteString(out, "{\"level\":\"info\",\"msg\":\"started\"}\n")
	fmt.Println(out.Sync(), w.Stats().Lines)
	// Output: <nil> 1
}

// Numbered names are logrotate's.
func ExampleOptions_naming() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)

	w, err := rotate.Open(filepath.Join(dir, "app.log"), rotate.Options{Naming: rotate.Numbered, Keep: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(w, line)
		w.Rotate()
	}
	text, _ := os.ReadFile(filepath.Join(dir, "app.log.2"))
	fmt.Print(string(text))
	// Output: one
}

// Rotate returns when the old file is complete, synced and closed.
func ExampleWriter_Rotate() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)

	w, err := rotate.Open(filepath.Join(dir, "app.log"), rotate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	io.WriteString(w, "before\n")
	r, err := w.Rotate()
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ := os.ReadFile(r.To)
	fmt.Print(strings.HasPrefix(filepath.Base(r.To), "app-"), " ", string(text))
	// Output: true before
}

// Reopen belongs into the handler of SIGHUP, or of whatever logrotate's postrotate calls.
func ExampleWriter_Reopen() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")

	w, err := rotate.Open(path, rotate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	io.WriteString(w, "old\n")
	os.Rename(path, path+".1") // what logrotate does
	r, err := w.Reopen()
	fmt.Println(r.Bytes, r.OldInode != r.NewInode, err)
	// Output: 4 true <nil>
}

// A Follower reads the lines again, through rotations, and a Position survives a restart.
func ExampleWriter_Follow() {
	dir, _ := os.MkdirTemp("", "rotate")
	defer os.RemoveAll(dir)

	w, err := rotate.Open(filepath.Join(dir, "app.log"), rotate.Options{Hold: 1 << 30})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	f, _, err := w.Follow(nil) // or from a stored Position
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	io.WriteString(w, "one\n")
	w.Rotate()
	io.WriteString(w, "two\n")
	for {
		lines, err := f.Next()
		if err != nil || len(lines) == 0 {
			break // for now: wait for f.News()
		}
		fmt.Print(string(lines))
		f.Release(f.Position()) // retention may have what was read
	}
	// Output:
	// one
	// two
}

func ExampleParseSchedule() {
	s, err := rotate.ParseSchedule("sun 03:30")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Next(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)).Format(time.RFC1123))
	// Output: Sun, 22 Nov 2026 03:30:00 UTC
}

// With a chain, Verify names what somebody has changed.
func ExampleVerify() {
	dir, err := os.MkdirTemp("", "rotate")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")

	w, err := rotate.Open(path, rotate.Options{Chain: true})
	if err != nil {
		panic(err)
	}
	fmt.Fprint(w, "paid 10\npaid 20\npaid 30\n")
	w.Close()

	if err := os.WriteFile(path, []byte("paid 10\npaid 90\npaid 30\n"), 0o640); err != nil {
		panic(err)
	}
	report, _, err := rotate.Verify(path)
	if err != nil {
		panic(err)
	}
	for _, f := range report.Findings {
		fmt.Println(f)
	}
	// Output: app.log:2: this line was changed
}

// OpenStored reads all that a log has, however it is stored.
func ExampleOpenStored() {
	dir, err := os.MkdirTemp("", "rotate")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")
	w, err := rotate.Open(path, rotate.Options{})
	if err != nil {
		panic(err)
	}
	defer w.Close()
	for _, line := range []string{"one\n", "two\n", "three\n"} {
		fmt.Fprint(w, line)
		if _, err := w.Rotate(); err != nil {
			panic(err)
		}
	}

	files, err := rotate.OpenStored(path)
	if err != nil {
		panic(err)
	}
	defer rotate.CloseStored(files)
	for _, f := range files {
		content, err := f.Content()
		if err != nil {
			panic(err)
		}
		io.Copy(os.Stdout, content)
		content.Close()
	}
	// Output:
	// one
	// two
	// three
}
