package syslog_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/tape"
	"lbsyslogd/test/wait"
)

// rsyslog is a real rsyslogd that writes what it gets over TCP to a file.
type rsyslog struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	tape.Require(t, "rsyslogd")
	r := &rsyslog{t: t, dir: t.TempDir(), port: freePort(t)}
	config := fmt.Sprintf(`
global(workDirectory=%q)
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="%d")
template(name="text" type="string" string="%%hostname%% %%app-name%%[%%procid%%]: %%msg%%\n")
action(type="omfile" file=%q template="text")
`, r.dir, r.port, r.file())
	if err := os.WriteFile(filepath.Join(r.dir, "conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end(syscall.SIGKILL) })
	return r
}

func (r *rsyslog) file() string { return filepath.Join(r.dir, "out.log") }

func (r *rsyslog) start() {
	r.t.Helper()
	r.cmd = exec.Command(tape.Require(r.t, "rsyslogd"), "-n", "-f", filepath.Join(r.dir, "conf"), "-i", filepath.Join(r.dir, "pid"))
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	wait.Until(r.t, "rsyslogd to listen", func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (r *rsyslog) end(s syscall.Signal) {
	if r.cmd == nil || r.cmd.ProcessState != nil {
		return
	}
	r.cmd.Process.Signal(s)
	late := time.AfterFunc(20*time.Second, func() { r.cmd.Process.Kill() })
	defer late.Stop()
	r.cmd.Wait()
	os.Remove(filepath.Join(r.dir, "pid"))
}

// TestForwardToRsyslog restarts and kills rsyslogd, and at last syslogd itself, while lines come. Each arrives, in the order in which
// they were sent, those that came a second time left out.
func TestForwardToRsyslog(t *testing.T) {
	for _, naming := range []string{"dated", "numbered"} {
		t.Run(naming, func(t *testing.T) {
			t.Parallel() // most of the time they wait: for sessions to end, and for a peer to be believed
			forwardToRsyslog(t, naming)
		})
	}
}

func forwardToRsyslog(t *testing.T, naming string) {
	peer := newRsyslog(t)
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs:
  - file: DIR/lb.log
    format: rfc5424
    rotate: {size: 500kB, naming: `+naming+`, keep: 1, compress: zstd}
    forward: tcp://127.0.0.1:`+strconv.Itoa(peer.port)+`
`)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sent := make(chan int)
	go func() {
		n, err := flood.Flood{To: d.addr(), Rate: 5000}.Send(ctx)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	// Each round lasts until rsyslogd writes again.
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL} {
		before := size(peer.file())
		peer.start()
		wait.Until(t, "rsyslogd to write", func() bool { return size(peer.file()) > before+300_000 })
		peer.end(signal)
	}
	peer.start()
	cancel()
	n := <-sent
	d.do("flush")
	d.stop()
	d.run()
	wait.Until(t, "all lines to be confirmed", func() bool { f := d.status().Outputs[0].Forward; return f.Behind == 0 && f.Error == "" })
	peer.end(syscall.SIGTERM)

	lines, again := numbered(t, peer.file(), n)
	t.Logf("%d lines, %d of them again", lines, again)
	if f := d.status().Outputs[0].Forward; f.Missed != 0 || f.GivenUp != 0 {
		t.Errorf("%+v", f)
	}
	// What was sent is not held any more.
	wait.Until(t, "retention", func() bool {
		left, err := filepath.Glob(filepath.Join(d.dir, "lb*.zst"))
		return err == nil && len(left) == 1
	})
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
