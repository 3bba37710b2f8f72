package syslog_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

// TestReloadUnderLoad adds and removes an output, changes how the file is kept and gives bad configurations, all while lines come.
func TestReloadUnderLoad(t *testing.T) {
	const one = `
listen: [udp://127.0.0.1:PORT]
outputs:
  - {match: "local0.*", file: DIR/lb.log, rotate: never}
`
	d := start(t, one)
	good, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	two := strings.Replace(string(good), "rotate: never", "rotate: {size: 200kB, naming: numbered, keep: 10000, compress: zstd}", 1) +
		"  - {match: \"*.*\", file: " + filepath.Join(d.dir, "copy.log") + ", rotate: never}\n"

	ctx, cancel := context.WithTimeout(context.Background(), long(3*time.Second, 30*time.Second))
	defer cancel()
	sent := make(chan int)
	go func() {
		n, err := flood.Flood{To: d.addr(), Rate: 20_000}.Send(ctx)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		switch i % 3 {
		case 0:
			configure(two)
			d.do("reload")
		case 1:
			configure(two + "bogus: 1\n")
			if err := d.try("reload"); err == nil || !strings.Contains(err.Error(), `"bogus" is not a key`) {
				t.Errorf("a bad configuration: %v", err)
			}
		case 2:
			configure(string(good))
			d.do("reload")
		}
		<-tick.C
	}
	n := <-sent
	d.do("flush")
	s := d.status()
	d.stop() // a compression under way is given up
	configure(two)
	d.run() // and done again
	plain := regexp.MustCompile(`^lb\.log\.\d+$|\.tmp$`)
	compressed(t, d.dir, plain.MatchString)
	d.stop()
	account(t, d.dir, "lb", 0, n, 200).balanced(t)
	if s.Total.Received != uint64(n) || s.Total.KernelDrops != 0 {
		t.Errorf("%d sent, %d received", n, s.Total.Received)
	}
}

// TestHangupReloads has SIGHUP open a new input, and keep the old ones when the configuration is bad. SIGUSR1 rotates.
func TestHangupReloads(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs: [{file: DIR/lb.log, rotate: {size: 1GB}}]
`)
	text, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		if err := os.WriteFile(d.config, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), "listen: [", "listen: [unix://"+filepath.Join(d.dir, "dgram")+", ", 1))
	wait.Until(t, "the second input", func() bool { return len(d.status().Inputs) == 2 })
	write("nonsense")
	wait.Until(t, "two reopens", func() bool { return d.status().Outputs[0].Reopens == 2 })
	send(t, filepath.Join(d.dir, "dgram"), "<13>still here")
	wait.Until(t, "the line", func() bool { return d.status().Total.Written == 1 })
	if err := d.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "a rotation", func() bool { return d.status().Total.Rotations == 1 })
}

// TestMetricsAndMark makes the kernel drop messages. The endpoint, status and the mark in the log tell the same number.
func TestMetricsAndMark(t *testing.T) {
	metrics := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
metrics: `+metrics+`
receive_buffer: 1
outputs:
  - {match: "local0.*", file: DIR/lb.log, rotate: never}
  - {match: "syslog.*", file: DIR/marks.log, rotate: never}
`)
	// A stopped reader is as slow as one can be.
	thaw := d.freeze()
	if err := d.try("flush", "--timeout", "100ms"); err == nil || !strings.Contains(err.Error(), "did not finish \"flush\" in time") {
		t.Errorf("flush of a stopped daemon: %v", err)
	}
	const n = 20_000
	if _, err := (flood.Flood{To: d.addr(), Count: n}).Send(context.Background()); err != nil {
		t.Fatal(err)
	}
	thaw()
	d.do("flush")
	drops := d.status().Total.KernelDrops
	l := account(t, d.dir, "lb", 0, n, 200)
	if drops == 0 || l.lines+int(drops) != n {
		t.Errorf("%d lines and %d drops of %d", l.lines, drops, n)
	}
	want := fmt.Sprintf("the kernel dropped %d messages of udp://%s", drops, d.addr())
	wait.Until(t, "the mark", func() bool {
		text, err := os.ReadFile(filepath.Join(d.dir, "marks.log"))
		return err == nil && strings.Contains(string(text), want)
	})
	answer, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if want := fmt.Sprintf("syslogd_input_kernel_drops_total{input=\"udp://%s\"} %d\n", d.addr(), drops); err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%q is missing in %v\n%s", want, err, text)
	}
}
