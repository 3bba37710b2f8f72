package syslog_test

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	if o.Written != uint64(len(messages)) || lines != len(messages) || o.DiskLost != 1 || o.Renamed < 7 || o.Names > 21 {
		t.Errorf("%d lines of %d: %+v", lines, len(messages), o)
	}
}

// TestThreeHundredHosts has three times as many files as may be open, in turns, as fast as one sender is: every line is in the file of its
// host, once, or in a number.
func TestThreeHundredHosts(t *testing.T) {
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs:
  - file: DIR/hosts/%host%.log
    files: {open: 100}
    rotate: {size: 100MB, keep: 5, compress: zstd}
`)
	conn, err := net.Dial("udp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const hosts, lines = 300, 60_000
	begin := time.Now()
	for i := range lines {
		fmt.Fprintf(conn, "<13>Nov 21 03:04:05 host%d app: number %d", i%hosts, i)
	}
	d.do("flush")
	s := d.status()
	used := d.processor()
	t.Logf("%d lines for %d hosts in %v; %v of the processor: %.0f lines in a second of one core", s.Total.Written, hosts,
		time.Since(begin).Round(time.Millisecond), used, float64(s.Total.Written)/used.Seconds())
	if in, out := s.Inputs[0], s.Outputs[0]; in.Received+in.KernelDrops != lines || out.Written != in.Received || out.Files > 100 {
		t.Errorf("%d sent, %d received, %d dropped by the kernel, %d written to %d open files", lines, in.Received, in.KernelDrops, out.Written, out.Files)
	}
	found := make(map[string]bool)
	for i := range hosts {
		text, err := os.ReadFile(filepath.Join(d.dir, "hosts", fmt.Sprintf("host%d.log", i)))
		if err != nil {
			t.Fatal(err)
		}
		last := -1
		for line := range strings.Lines(string(text)) {
			var n int
			_, after, _ := strings.Cut(line, " app: number ")
			if _, err := fmt.Sscan(after, &n); err != nil || n%hosts != i || n <= last || found[line] {
				t.Fatalf("host %d has %q after %d", i, line, last)
			}
			last, found[line] = n, true
		}
	}
	if uint64(len(found)) != s.Outputs[0].Written {
		t.Errorf("%d lines in the files, %d written", len(found), s.Outputs[0].Written)
	}
}
