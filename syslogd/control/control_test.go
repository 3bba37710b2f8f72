package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, commands map[string]Command) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "ctl")
	s, err := Listen(path, 0o660, commands, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return path
}

func TestAnswersAndErrors(t *testing.T) {
	path := serve(t, map[string]Command{
		"say": func(_ context.Context, args []string, reply io.Writer) error {
			_, err := fmt.Fprintln(reply, strings.Join(args, "+"))
			return err
		},
		"fail": func(_ context.Context, _ []string, reply io.Writer) error {
			fmt.Fprintln(reply, "half of it")
			return errors.New("first\nsecond")
		},
	})
	ask := func(words ...string) (string, error) {
		var out bytes.Buffer
		err := Ask(t.Context(), path, words, &out)
		return out.String(), err
	}
	if out, err := ask("say", "a", "b"); out != "a+b\n" || err != nil {
		t.Errorf("say: %q, %v", out, err)
	}
	if out, err := ask("fail"); out != "half of it\n" || err == nil || err.Error() != "first; second" {
		t.Errorf("fail: %q, %v", out, err)
	}
	if _, err := ask("dance"); err == nil || err.Error() != `"dance" is not a command; fail, say are` {
		t.Errorf("an unknown command: %v", err)
	}
	if _, err := ask(" "); err == nil {
		t.Error("an empty command is carried out")
	}
	if _, err := ask("say", strings.Repeat("x", 2*maxLine)); err == nil {
		t.Error("an endless command is carried out")
	}
}

func TestAnswerComesWhenItIsDone(t *testing.T) {
	done := make(chan struct{})
	path := serve(t, map[string]Command{"wait": func(ctx context.Context, _ []string, _ io.Writer) error {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Ask(ctx, path, []string{"wait"}, io.Discard); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("before it is done: %v", err)
	}
	close(done)
	if err := Ask(t.Context(), path, []string{"wait"}, io.Discard); err != nil {
		t.Errorf("when it is done: %v", err)
	}
}

// TestRefusalComesBeforeTheQuestion has a server that answers and closes without reading, which the client may find out by its write.
func TestRefusalComesBeforeTheQuestion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "error: you may not\n")
			conn.Close()
		}
	}()
	for range 200 {
		if err := Ask(t.Context(), path, []string{"status"}, io.Discard); err == nil || err.Error() != "you may not" {
			t.Fatalf("got %v", err)
		}
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ctl")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := Listen(path, 0o660, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("in the place of a dead socket: %v", err)
	}
	defer s.listener.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path, 0o660, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("in the place of a living one: %v", err)
	}
	if err := Ask(t.Context(), filepath.Join(dir, "none"), []string{"x"}, io.Discard); err == nil || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestStatusAddsUpAndPrints(t *testing.T) {
	s := Status{
		Version: "1", PID: 7, Started: time.Unix(0, 0),
		Inputs:  []Input{{Name: "a", Received: 3, KernelDrops: 1, Hint: "buy memory"}, {Name: "b", Received: 4, Denied: 1}},
		Outputs: []Output{{Name: "x", Written: 5, Errors: []string{"disk on fire"}}, {Name: "y", Written: 1, RingOverflow: 1}},
	}
	s.AddUp(Total{Received: 1, Written: 1})
	if s.Total != (Total{Received: 8, Written: 7, KernelDrops: 1, RingOverflow: 1, Denied: 1}) {
		t.Errorf("total %+v", s.Total)
	}
	var out bytes.Buffer
	if err := s.WriteTable(&out, time.Unix(60, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pid 7, up 1m0s", "a: buy memory", "x: disk on fire"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
}

// TestSilentClientHoldsUpNoStop has clients that connected and said nothing, or do not take their answer, when the Server is to end.
func TestSilentClientHoldsUpNoStop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctl")
	begun := make(chan struct{})
	s, err := Listen(path, 0o600, map[string]Command{"tell": func(_ context.Context, _ []string, reply io.Writer) error {
		close(begun)
		_, err := reply.Write(make([]byte, 16<<20))
		return err
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); s.Serve(ctx) }()
	for _, text := range []string{"", "tell\n"} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	<-begun
	cancel()
	select {
	case <-ended:
	case <-time.After(commandTime / 2):
		t.Error("the clients hold up the end")
	}
}
