package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/daemon"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// TestMain makes the test binary syslogd itself when it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv("SYSLOGD_TEST_RUN") != "" || len(os.Args) > 1 && os.Args[1] == daemon.CompressArg {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// syslogd is a command of this program.
func syslogd(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "SYSLOGD_TEST_RUN=1")
	cmd.Stderr = os.Stderr
	return cmd
}

func piped(n int) string { return fmt.Sprintf("line %07d end\n", n) }

// stored is all that the files of a directory have, oldest first, as zstdcat and cat read them.
func stored(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, pass := range []bool{true, false} { // the rotated ones first
		for _, e := range entries {
			if rotated := e.Name() != "app.log"; rotated != pass {
				continue
			}
			out, err := exec.Command(tape.Require(t, "zstd"), "-dcf", filepath.Join(dir, e.Name())).Output()
			if err != nil {
				t.Errorf("%s: %v", e.Name(), err)
			}
			all.Write(out)
		}
	}
	return all.String()
}

// lines is the numbers of piped lines in text, which must be nothing else.
func lines(t *testing.T, text string) (numbers []int) {
	t.Helper()
	for line := range strings.Lines(text) {
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(line, "line "), " end\n"))
		if err != nil || piped(n) != line {
			t.Errorf("a line reads %q", line)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

// TestPipeLosesNothing at the end of its input, and at SIGTERM while the pipe stays open.
func TestPipeLosesNothing(t *testing.T) {
	for _, signal := range []unix.Signal{0, unix.SIGTERM} {
		dir := t.TempDir()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := syslogd("pipe", filepath.Join(dir, "app.log"), "--size", "20kB", "--keep", "1000")
		cmd.Stdin = r
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.Close()
		const n = 20_000
		for i := range n {
			if _, err := io.WriteString(w, piped(i)); err != nil {
				t.Fatal(err)
			}
		}
		if signal == 0 {
			w.Close()
		} else {
			defer w.Close()
			wait.Until(t, "the first line", func() bool { s, err := os.Stat(filepath.Join(dir, "app.log")); return err == nil && s.Size() > 0 })
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after signal %d: %v", signal, err)
		}
		if got := lines(t, stored(t, dir)); len(got) != n || !slices.IsSorted(got) {
			t.Errorf("after signal %d: %d lines of %d", signal, len(got), n)
		}
	}
}

// TestPipeKilled: after kill -9 the next one goes on in whole lines; what the killed one had not read is all that is missing.
func TestPipeKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	start := func() (*exec.Cmd, io.WriteCloser) {
		cmd := syslogd("pipe", path, "--size", "20kB", "--compress", "none")
		w, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, w
	}
	sent := 0
	for range 4 {
		cmd, w := start()
		for range 5000 {
			if _, err := io.WriteString(w, piped(sent)); err != nil {
				break
			}
			if sent++; sent%2500 == 0 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		w.Close()
	}
	cmd, w := start()
	io.WriteString(w, piped(sent))
	w.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	var whole strings.Builder
	torn := 0
	for line := range strings.Lines(stored(t, dir)) {
		if len(line) != len(piped(0)) {
			torn++ // where one was killed in the middle of a write
			continue
		}
		whole.WriteString(line)
	}
	got := lines(t, whole.String())
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || got[len(got)-1] != sent || torn > 8 {
		t.Errorf("%d lines up to %d, %d torn", len(got), got[len(got)-1], torn)
	}
}

// TestSearchFromTheCommandLine covers what only the command adds: options, output and exit status.
func TestSearchFromTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	file := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("conf", "listen: udp://:1\ntime_zone: utc\noutputs: [{name: a, file: "+dir+"/a.log, format: rfc5424}, {name: b, file: "+dir+"/b.log}]\n")
	file("a.log", "<131>1 2026-11-21T03:04:05.000000Z web1 app 7 - - one\n<134>1 2026-11-21T03:04:07.000000Z web2 db - - - two\n")
	file("b.log", "Nov 21 03:04:06 web1 app[8]: three\n")
	row := func(status int, want string, args ...string) {
		t.Helper()
		cmd := syslogd(append([]string{args[0], "--config", conf}, args[1:]...)...)
		cmd.Stderr = nil
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() != status || string(out) != want {
			t.Errorf("%q ends with %d, %v: %q; want %d: %q", args, cmd.ProcessState.ExitCode(), err, out, status, want)
		}
	}
	const one, two, three = "<131>1 2026-11-21T03:04:05.000000Z web1 app 7 - - one\n", "<134>1 2026-11-21T03:04:07.000000Z web2 db - - - two\n", "Nov 21 03:04:06 web1 app[8]: three\n"
	row(0, one+three+two, "cat", "--since", "2026-11-21")
	row(0, three+two, "grep", "t[wh]", "--since", "2026-11-21 03:04:06")
	row(0, one, "cat", "--output", "a", "--severity", "err")
	row(1, "", "cat", "--severity", "err") // b has none
	row(0, "2\n", "grep", "-c", "-i", "T[WH]")
	row(1, "0\n", "grep", "-c", "-F", "t.*")
	row(1, "", "grep", "four")
	row(0, dir+"/b.log:"+three, "cat", "-H", "--tag", "app", "--host", "web*", "--output", "b")
	row(0, one, "cat", "-m", "1")
	row(0, two, "grep", "-v", "--output", "a", "--", "one")
	row(0, `{"output":"b","time":"2026-11-21T03:04:06Z","host":"web1","tag":"app","pid":"8","text":"three"}`+"\n", "grep", "--json", "three", "--since", "2026-11-21T03:04:06Z",
		"--until", "2026-11-21T03:04:06.5Z")
	for _, wrong := range [][]string{{"cat", "x"}, {"grep"}, {"grep", "("}, {"cat", "--since", "x"}, {"cat", "-f", "--until", "now"}, {"cat", "--host", "["}, {"cat", "--severity", "x"}} {
		row(2, "", wrong...)
	}
	row(1, "", "cat", "--output", "c")
}

// TestVerifyAndSign from the command line, with keys as openssl makes them.
func TestVerifyAndSign(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	for i := range 3 {
		cmd := syslogd("pipe", path, "--chain", "--size", "1000", "--compress", "none")
		var in strings.Builder
		for k := range 100 {
			in.WriteString(piped(100*i + k))
		}
		cmd.Stdin = strings.NewReader(in.String())
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	key, pub := filepath.Join(dir, "key"), filepath.Join(dir, "pub")
	for _, args := range [][]string{{"genpkey", "-algorithm", "ed25519", "-out", key}, {"pkey", "-in", key, "-pubout", "-out", pub}} {
		if out, err := exec.Command(tape.Require(t, "openssl"), args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v: %s", err, out)
		}
	}
	row := func(status int, want string, args ...string) string {
		t.Helper()
		cmd := syslogd(args...)
		cmd.Stderr = nil
		out, err := cmd.Output()
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			out = append(out, ended.Stderr...)
		}
		if cmd.ProcessState.ExitCode() != status || !strings.Contains(string(out), want) {
			t.Errorf("%q ends with %d: %s; want %d: %s", args, cmd.ProcessState.ExitCode(), out, status, want)
		}
		return string(out)
	}
	row(0, "app.log: nothing was changed; 300 lines in", "verify", path)
	row(1, "\n"+path+": 1 findings", "verify", "--pub", pub, path)
	row(1, path+".chain/signatures: there is no good signature", "verify", "--pub", pub, path)
	row(1, "syslogd verify: "+path+": open "+dir+"/lost: no such file", "verify", "--pub", pub, "--signatures", dir+"/lost", path)
	row(1, "syslogd sign: open "+dir+"/lost: no such file", "sign", "--key", dir+"/lost", path)
	row(1, "syslogd grep: open "+dir+"/lost: no such file", "grep", "--config", dir+"/lost", "x")
	kept := row(0, `"signature":"`, "sign", "--key", key, path)
	row(0, "1 good signatures", "verify", "--pub", pub, path)
	row(2, "", "sign", path)
	row(1, "", "sign", "--key", pub, path)
	row(2, "", "verify", "--signatures", key, path)
	row(1, "", "verify", filepath.Join(dir, "none"))
	signatures := filepath.Join(dir, "kept")
	if err := os.WriteFile(signatures, []byte(kept), 0o600); err != nil {
		t.Fatal(err)
	}
	row(0, "1 good signatures", "verify", "--pub", pub, "--signatures", signatures, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[3] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	row(1, "app.log:1: this line was changed", "verify", path)
	row(1, `"line":1,"what":"this line was changed"`, "verify", "--json", path)
}
