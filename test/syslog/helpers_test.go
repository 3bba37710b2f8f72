// Package syslog_test runs the real syslogd against real senders, the real logrotate and real faults, and counts every line.
package syslog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"lbsyslogd/syslogd/control"
	"lbsyslogd/test/port"
	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun builds syslogd once, into a directory that goes again.
func buildAndRun(m *testing.M) int {
	if clock := os.Getenv("SYSLOGD_CLOCK"); clock != "" {
		return runWithClock(clock, os.Args[len(os.Args)-1])
	}
	if binary() != "" {
		return m.Run() // a child of a test
	}
	dir, err := os.MkdirTemp("", "syslogd-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "syslogd")
	build := exec.Command("go", "build", "-o", binary, "lbsyslogd/cmd/syslogd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build syslogd: %v\n%s", err, out)
		return 1
	}
	os.Setenv("SYSLOGD_UNDER_TEST", binary)
	return m.Run()
}

func binary() string { return os.Getenv("SYSLOGD_UNDER_TEST") }

// A daemon is a syslogd with a directory of its own.
type daemon struct {
	t      *testing.T
	dir    string
	port   int
	config string
	cmd    *exec.Cmd
	said   *wait.Buffer
	// command starts it; nil: in the ordinary way.
	command func() *exec.Cmd
}

// start runs syslogd with a configuration, in which DIR and PORT stand for what this test uses.
func start(t *testing.T, config string) *daemon {
	t.Helper()
	d := configure(t, config)
	d.run()
	return d
}

// configure is start without starting.
func configure(t *testing.T, config string) *daemon {
	t.Helper()
	d := &daemon{t: t, dir: t.TempDir(), port: freePort(t)}
	// logrotate does not work in a directory that others may write to.
	if err := os.Chmod(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("DIR", d.dir, "PORT", strconv.Itoa(d.port)).Replace(config)
	d.config = filepath.Join(d.dir, "syslogd.yaml")
	if err := os.WriteFile(d.config, []byte("control: "+d.socket()+"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("syslogd said:\n%s", d.said)
		}
	})
	return d
}

// holds says whether the log file has a text in it.
func (d *daemon) holds(text string) bool {
	d.t.Helper()
	b, err := os.ReadFile(d.file())
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Contains(string(b), text)
}

func (d *daemon) socket() string { return filepath.Join(d.dir, "ctl") }
func (d *daemon) file() string   { return filepath.Join(d.dir, "lb.log") }
func (d *daemon) addr() string   { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) }

func (d *daemon) run() {
	d.t.Helper()
	d.said = new(wait.Buffer)
	d.cmd = exec.Command(binary(), "-f", d.config)
	if d.command != nil {
		d.cmd = d.command()
	}
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	wait.Until(d.t, "syslogd to answer", func() bool { return d.try("status") == nil })
}

// stop ends the daemon as systemd does, and fails the test if it does not go willingly.
func (d *daemon) stop() {
	d.t.Helper()
	if d.cmd == nil || d.cmd.ProcessState != nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(time.Minute, func() { d.cmd.Process.Signal(syscall.SIGQUIT) }) // says where it hangs
	defer late.Stop()
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("syslogd ended with %v", err)
	}
}

// freeze stops the daemon, and returns when it stands still; thaw has it go on.
func (d *daemon) freeze() (thaw func()) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	wait.Until(d.t, "the daemon to stop", func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
		return err == nil && bytes.Contains(text, []byte(") T "))
	})
	return func() {
		d.t.Helper()
		if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *daemon) kill() {
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

func (d *daemon) try(words ...string) error {
	args := append([]string{words[0], "-s", d.socket()}, words[1:]...)
	out, err := exec.Command(binary(), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("syslogd %v: %w: %s", words, err, out)
	}
	return nil
}

func (d *daemon) do(words ...string) {
	d.t.Helper()
	if err := d.try(words...); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) status() control.Status {
	d.t.Helper()
	out, err := exec.Command(binary(), "status", "--json", "-s", d.socket()).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	var s control.Status
	if err := json.Unmarshal(out, &s); err != nil {
		d.t.Fatal(err)
	}
	return s
}

// processor is what the daemon has used of it.
func (d *daemon) processor() time.Duration {
	d.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}

// freePort is a port that is free for UDP and for TCP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		c, err := net.ListenPacket("udp", port.Reserve(t))
		if err == nil {
			c.Close()
			return c.LocalAddr().(*net.UDPAddr).Port
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return 0
}

// compressed waits until dir has no file whose name says that it is left to be compressed. The children that compress get only what
// processor is to spare: as long as there are fewer and fewer files, it waits on.
func compressed(t *testing.T, dir string, left func(name string) bool) {
	t.Helper()
	count := func() (n int) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if left(e.Name()) {
				n++
			}
		}
		return n
	}
	for n := count(); n > 0; n = count() {
		wait.Until(t, fmt.Sprintf("one more of %d files to be compressed", n), func() bool { return count() < n })
	}
}

// A ledger says how often each numbered line is in the files.
type ledger struct {
	lines, torn, lost, twice int
	other                    []string // lines that are not numbered
}

// account reads every file in dir whose name begins with prefix, plain or compressed, and looks for the lines first to first+n-1.
func account(t *testing.T, dir, prefix string, first, n, size int) ledger {
	t.Helper()
	seen := make([]uint8, n)
	var l ledger
	want := []byte(nil)
	var head string     // what comes before a line's text
	var odd [][2]string // a file's name, and a line without such a head
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if strings.HasSuffix(e.Name(), ".tmp") {
			t.Errorf("%s was left behind", e.Name())
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		r, err := plain(f)
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		in := bufio.NewReaderSize(r, 1<<20)
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				if len(line) > 0 {
					l.torn++
				}
				if err != io.EOF {
					t.Errorf("%s: %v", e.Name(), err)
				}
				break
			}
			before, text, found := bytes.Cut(line, []byte(" flood[42]: "))
			if !found {
				odd = append(odd, [2]string{e.Name(), string(line)})
				continue
			}
			head = string(before) + " flood[42]: "
			l.lines++
			number, _, _ := bytes.Cut(bytes.TrimPrefix(text, []byte("n=")), []byte(" "))
			k, err := strconv.Atoi(string(number))
			want = append(flood.Line(want[:0], k, flood.TextSize(size)), '\n')
			if err != nil || k < first || k >= first+n || !bytes.Equal(text, want) {
				l.torn++
				continue
			}
			if seen[k-first]++; seen[k-first] > 1 {
				l.twice++
			}
		}
		f.Close()
	}
	for _, o := range odd {
		if cut := strings.TrimSuffix(o[1], "\n"); cut != "" && strings.HasPrefix(head, cut) { // torn before its text
			l.lines++
			l.torn++
			continue
		}
		l.other = append(l.other, o[0]+": "+o[1])
	}
	for _, k := range seen {
		if k == 0 {
			l.lost++
		}
	}
	return l
}

func plain(f *os.File) (io.Reader, error) {
	switch filepath.Ext(f.Name()) {
	case ".gz":
		return gzip.NewReader(f)
	case ".zst":
		return zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	}
	return f, nil
}

// balanced fails the test unless each line is there once.
func (l ledger) balanced(t *testing.T) {
	t.Helper()
	if l.lost+l.torn+l.twice+len(l.other) > 0 {
		t.Errorf("%d lines: %d lost, %d torn, %d twice, and %d others: %.200q", l.lines, l.lost, l.torn, l.twice, len(l.other), l.other[:min(5, len(l.other))])
	}
}

// send sends datagrams to a unix socket.
func send(t *testing.T, path string, messages ...string) {
	t.Helper()
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, m := range messages {
		if _, err := conn.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAccount: a line that was cut off anywhere counts as torn, and one of somebody else does not.
func TestAccount(t *testing.T) {
	line := string(flood.Line([]byte("Nov 21 03:04:05 vm flood[42]: "), 0, flood.TextSize(200)))
	for cut := 1; cut < len(line); cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "lb.log"), []byte(line[:cut]+"\n"+line+"\nNov 21 03:04:05 vm other[42]: n=1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l := account(t, dir, "lb", 0, 1, 200)
		if l.lines != 2 || l.torn != 1 || l.lost != 0 || l.twice != 0 || len(l.other) != 1 {
			t.Errorf("cut after %d bytes: %+v", cut, l)
		}
	}
}
