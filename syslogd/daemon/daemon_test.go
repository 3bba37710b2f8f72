package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/rotate"
	"lbsyslogd/syslogd/config"
	"lbsyslogd/syslogd/control"
	"lbsyslogd/syslogd/format"
	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// run runs a Daemon in this process, so that the race detector sees all of it, and returns its control socket.
func run(t *testing.T, dir, text string) (socket string) {
	t.Helper()
	socket, _ = runUntil(t, dir, text)
	return socket
}

// runUntil is run for a test that stops the Daemon itself.
func runUntil(t *testing.T, dir, text string) (socket string, stop func()) {
	t.Helper()
	return runWith(t, dir, text, &Daemon{Log: slog.New(slog.DiscardHandler)})
}

// runWith is runUntil for a Daemon that has something set already.
func runWith(t *testing.T, dir, text string, d *Daemon) (socket string, stop func()) {
	t.Helper()
	socket = filepath.Join(dir, "ctl")
	file := filepath.Join(dir, "conf")
	configure(t, dir, text)
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	d.Config, d.File, d.Version = c, file, "test"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	wait.Until(t, "the daemon to answer", func() bool { return ask(t, socket, "status") != "" })
	return socket, stop
}

func configure(t *testing.T, dir, text string) {
	t.Helper()
	text = "control: DIR/ctl\nhost: here\n" + text
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// ask returns the answer, or nothing when there was an error.
func ask(t *testing.T, socket string, words ...string) string {
	var out bytes.Buffer
	if err := control.Ask(t.Context(), socket, words, &out); err != nil {
		return ""
	}
	return out.String()
}

func TestCommandsAndReloadWhileMessagesCome(t *testing.T) {
	dir := t.TempDir()
	const one = "listen: unix://DIR/a\noutputs: [{file: DIR/a.log, rotate: never}]\n"
	const two = "listen: [unix://DIR/a, unix://DIR/b, tcp://127.0.0.1:0]\n" +
		"outputs: [{file: DIR/a.log, rotate: {size: 4kB}}, {match: \"user.*\", file: DIR/b.log, format: json, rotate: never}]\n"
	socket := run(t, dir, one)

	const n = 2000
	var sender sync.WaitGroup
	sender.Go(func() {
		conn, err := net.Dial("unixgram", filepath.Join(dir, "a"))
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for i := range n {
			if _, err := fmt.Fprintf(conn, "<13>app: line %d", i); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 10 {
		configure(t, dir, []string{two, one}[i%2])
		for _, command := range []string{"reload", "rotate", "reopen", "flush", "status --json"} {
			if ask(t, socket, strings.Fields(command)...) == "" {
				t.Errorf("%s failed", command)
			}
		}
	}
	configure(t, dir, one+"bogus: 1\n")
	if err := control.Ask(t.Context(), socket, []string{"reload"}, io.Discard); err == nil || !strings.Contains(err.Error(), "conf:5:") {
		t.Errorf("a bad configuration: %v", err)
	}
	sender.Wait()
	if ask(t, socket, "flush") == "" {
		t.Error("flush failed")
	}
	lines := 0
	files, err := filepath.Glob(filepath.Join(dir, "a*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), " here app: line ")
	}
	if lines != n {
		t.Errorf("%d lines of %d", lines, n)
	}
}

func TestOneOutputByName(t *testing.T) {
	dir := t.TempDir()
	socket := run(t, dir, "listen: unix://DIR/a\noutputs: [{name: first, file: DIR/a.log}, {name: the second, file: DIR/b.log}]\n")
	if got := ask(t, socket, "reopen", "--output", "the", "second"); !strings.HasPrefix(got, "the second: inode ") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
	for _, words := range [][]string{{"reopen", "--output", "third"}, {"reopen", "now"}, {"status", "now"}, {"reload", "now"}} {
		if err := control.Ask(t.Context(), socket, words, io.Discard); err == nil {
			t.Errorf("%q is carried out", words)
		}
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	row := func(text, want string) {
		t.Helper()
		c, err := config.Parse("conf", []byte("control: "+dir+"/ctl\n"+strings.ReplaceAll(text, "DIR", dir)))
		if err != nil {
			t.Fatal(err)
		}
		d := Daemon{Config: c, Log: slog.New(slog.DiscardHandler)}
		if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run() = %v; want %q", err, want)
		}
	}
	row("listen: udp://"+busy.LocalAddr().String()+"\noutputs: [{file: DIR/a.log}]", `address already in use; "ss -lnp" shows`)
	row("listen: systemd:lb\noutputs: [{file: DIR/a.log}]", "FileDescriptorName=lb")
	row("listen: unix://DIR/a\noutputs: [{file: DIR/a.log, owner: nobody-of-this-name}]", "nobody-of-this-name")
	row("listen: tls://127.0.0.1:0\ntls: {cert: DIR/none.pem}\noutputs: [{file: DIR/a.log}]", "none.pem")
}

// TestRefusedStartTouchesNothing: a daemon that cannot start, as another one has its control socket or the port of its metrics, has opened no
// file in the first case, and has sent nothing in either.
func TestRefusedStartTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	start := func(more string) error {
		t.Helper()
		c, err := config.Parse("conf", []byte("listen: unix://"+dir+"/in\noutputs: [{file: "+dir+"/b.log, format: rfc5424, forward: \"tcp://"+peer.Addr().String()+"\"}]\n"+more))
		if err != nil {
			t.Fatal(err)
		}
		d := Daemon{Config: c, Log: slog.New(slog.DiscardHandler)}
		return d.Run(t.Context())
	}
	socket := run(t, dir, "listen: unix://DIR/a\noutputs: [{file: DIR/a.log}]\n")
	if err := start("control: " + socket + "\n"); err == nil || !strings.Contains(err.Error(), "another process listens there; stop it") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.log")); !os.IsNotExist(err) {
		t.Errorf("its file: %v", err)
	}
	line := "<134>1 2026-11-30T01:41:03.725940Z h t - - - hello\n"
	if err := os.WriteFile(filepath.Join(dir, "b.log"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start("control: " + dir + "/other\nmetrics: " + peer.Addr().String() + "\n"); err == nil || !strings.Contains(err.Error(), `address already in use; "ss -lnp"`) {
		t.Errorf("got %v", err)
	}
	mine, err := net.Dial("tcp", peer.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	first, err := peer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if first.RemoteAddr().String() != mine.LocalAddr().String() {
		t.Errorf("the start that was refused had connected to its peer")
	}
}

// TestStartsWhateverItsFilesAre starts with files that cannot be opened: what comes for others is written, and what comes for them waits until
// they can be.
func TestStartsWhateverItsFilesAre(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at("directory.log"), 0o755))
	must(os.Symlink(at("elsewhere"), at("link.log")))
	must(os.WriteFile(at("in"), nil, 0o600)) // where a directory should be
	must(os.WriteFile(at("position.log.position"), nil, 0o600))
	must(os.WriteFile(at("hosts"), nil, 0o600))
	socket := run(t, dir, `
listen: unix://DIR/a
outputs:
- {file: DIR/directory.log, rotate: {size: 1MB}}
- {file: DIR/link.log, rotate: {size: 1MB, keep: 1}}
- {file: DIR/in/file.log, rotate: {size: 1MB, keep: 1}}
- {file: DIR/position.log, format: rfc5424, rotate: {size: 1MB}, forward: "tcp://127.0.0.1:1"}
- {file: DIR/tls.log, format: rfc5424, rotate: {size: 1MB}, forward: {to: "tls://127.0.0.1:1", ca: DIR/none}}
- {file: DIR/hosts/%host%.log}
- {file: DIR/good.log, rotate: never}
`)
	conn, err := net.Dial("unixgram", at("a"))
	must(err)
	defer conn.Close()
	_, err = io.WriteString(conn, "<13>app: one")
	must(err)
	status := func() *control.Status {
		var s control.Status
		must(json.Unmarshal([]byte(ask(t, socket, "status", "--json")), &s))
		return &s
	}
	wait.Until(t, "the line", func() bool { b, _ := os.ReadFile(at("good.log")); return bytes.Contains(b, []byte("app: one")) })
	for _, o := range status().Outputs {
		switch filepath.Base(o.Name) {
		case "directory.log", "link.log", "file.log":
			if o.Waiting != 1 || len(o.Errors) != 1 {
				t.Errorf("%+v", o)
			}
		case "%host%.log":
			if o.DiskLost != 1 || len(o.Errors) == 0 {
				t.Errorf("%+v", o)
			}
		case "position.log", "tls.log":
			if o.Written != 1 || o.Forward.Error == "" {
				t.Errorf("%+v, %+v", o, o.Forward)
			}
		}
	}
	for _, name := range []string{"directory.log", "link.log", "in", "hosts"} {
		must(os.Remove(at(name)))
	}
	for _, name := range []string{"directory.log", "link.log", "in/file.log"} {
		wait.Until(t, "the line that waited, in "+name, func() bool { b, _ := os.ReadFile(at(name)); return bytes.Contains(b, []byte("app: one")) })
	}
	_, err = io.WriteString(conn, "<13>app: two")
	must(err)
	wait.Until(t, "a file of a host", func() bool { b, _ := os.ReadFile(at("hosts/here.log")); return bytes.Contains(b, []byte("app: two")) })
	if _, err := os.Lstat(at("elsewhere")); err == nil {
		t.Error("the symbolic link was followed")
	}
	// A reload is refused for the same: what runs goes on.
	must(os.Mkdir(at("new.log"), 0o755))
	configure(t, dir, "listen: unix://DIR/a\noutputs: [{file: DIR/new.log, rotate: never}]\n")
	if err := control.Ask(t.Context(), socket, []string{"reload"}, io.Discard); err == nil || !strings.Contains(err.Error(), "new.log") {
		t.Errorf("the reload: %v", err)
	}
}

// TestLossLineReadsAsALogLine holds the form of the line that stands where lines are missing.
func TestLossLineReadsAsALogLine(t *testing.T) {
	when := time.Date(2026, 11, 21, 3, 4, 5, 0, time.UTC)
	form, err := format.New("")
	if err != nil {
		t.Fatal(err)
	}
	line := string(lossLine(nil, form, "here", rotate.Loss{Lines: 7, Bytes: 700, From: when.Add(-time.Second), To: when, Cause: "no space left on device"}))
	want := fmt.Sprintf("Nov 21 03:04:05 here syslogd[%d]: lost 7 messages (700 bytes) between 2026-11-21T03:04:04Z and 2026-11-21T03:04:05Z: no space left on device\n", os.Getpid())
	if line != want {
		t.Errorf("got  %q\nwant %q", line, want)
	}
}

// TestForwardingOverReloads begins, changes and ends forwarding while the daemon runs. The peer is another daemon.
func TestForwardingOverReloads(t *testing.T) {
	there, here := t.TempDir(), t.TempDir()
	address := port.Reserve(t)
	run(t, there, "listen: tcp://"+address+"\noutputs: [{file: DIR/b.log, rotate: never}]\n")
	const plain = "listen: unix://DIR/a\noutputs: [{file: DIR/a.log, format: rfc5424, rotate: {size: 1MB}}]\n"
	forwarded := strings.Replace(plain, "}}]", "}, forward: tcp://"+address+"}]", 1)
	socket := run(t, here, plain)
	conn, err := net.Dial("unixgram", filepath.Join(here, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, text := range []string{plain, forwarded, strings.Replace(forwarded, "1MB", "2MB", 1), plain, forwarded} {
		configure(t, here, text)
		if ask(t, socket, "reload") == "" {
			t.Fatalf("reload %d failed", i)
		}
		if _, err := fmt.Fprintf(conn, "<13>app: line %d", i); err != nil {
			t.Fatal(err)
		}
		if ask(t, socket, "flush") == "" {
			t.Fatal("flush failed")
		}
	}
	// Line 0 came before forwarding. Line 3 came while there was none, but the position was kept.
	want := []string{"line 1", "line 2", "line 3", "line 4"}
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(filepath.Join(there, "b.log"))
		if err != nil {
			t.Fatal(err)
		}
		missing := strings.Contains(string(text), "line 0")
		for _, w := range want {
			missing = missing || !strings.Contains(string(text), " here app: "+w+"\n")
		}
		if !missing {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the peer has %q; want %q", text, want)
		}
		<-tick.C
	}
}

// TestCommandsDuringAReload gives commands while a reload is closing an input and an output, for which a client that does not end takes
// its time: the totals keep what those have counted, and when reopen returns, nobody has the renamed file open.
func TestCommandsDuringAReload(t *testing.T) {
	dir := t.TempDir()
	socket := run(t, dir, "listen: [unix://DIR/a, tcp://127.0.0.1:0]\noutputs: [{file: DIR/a.log, rotate: never}]\n")
	status := func() (s control.Status) {
		if err := json.Unmarshal([]byte(ask(t, socket, "status", "--json")), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	conn, err := net.Dial("tcp", status().Inputs[1].Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "<13>app: one\n<13>app: two\n"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the messages", func() bool { return status().Total.Received == 2 })
	configure(t, dir, "listen: unix://DIR/a\noutputs: [{file: DIR/a.log, rotate: {size: 1MB}}]\n")
	var reload sync.WaitGroup
	reload.Go(func() {
		if err := control.Ask(t.Context(), socket, []string{"reload"}, io.Discard); err != nil {
			t.Error(err)
		}
	})
	wait.Until(t, "the reload to have begun", func() bool { return len(status().Inputs) == 1 })
	if s := status(); s.Total.Received != 2 || s.Total.Written != 2 {
		t.Errorf("the totals forget: %+v", s.Total)
	}
	renamed := filepath.Join(dir, "renamed")
	if err := os.Rename(filepath.Join(dir, "a.log"), renamed); err != nil {
		t.Fatal(err)
	}
	if ask(t, socket, "reopen") == "" {
		t.Error("reopen failed")
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if name, err := os.Readlink(fd); err == nil && name == renamed {
			t.Error("after reopen the renamed file is still open")
		}
	}
	reload.Wait()
	if s := status(); s.Total.Received != 2 || s.Total.Written != 2 {
		t.Errorf("after the reload: %+v", s.Total)
	}
}

// TestStopDuringAReload stops the daemon at all moments of a reload that starts an input; the race detector has an eye on it.
func TestStopDuringAReload(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		const one = "listen: unix://DIR/a\noutputs: [{file: DIR/a.log, rotate: never}]\n"
		socket, stop := runUntil(t, dir, one)
		configure(t, dir, strings.Replace(one, "unix://DIR/a", "[unix://DIR/a, tcp://127.0.0.1:0]", 1))
		var reload sync.WaitGroup
		reload.Go(func() { ask(t, socket, "reload") }) // which may fail
		stop()
		reload.Wait()
	}
}
