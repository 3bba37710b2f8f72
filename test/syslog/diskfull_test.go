package syslog_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
)

// TestDiskFull runs TestOnASmallDisk where it may mount one.
func TestDiskFull(t *testing.T) { inMountNamespace(t, "TestOnASmallDisk") }

// inMountNamespace runs a test in a mount namespace of its own, where it may mount a tmpfs at $SYSLOGD_MOUNT. Whoever is not root gets a user
// namespace for it too.
func inMountNamespace(t *testing.T, test string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), "SYSLOGD_MOUNT="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+test) {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestOnASmallDisk fills a disk of 32 MB under load until the ring overflows, makes room, and counts from the outside: the gap in the
// numbers is where the loss line stands, and as large as it says. Only TestDiskFull can give it the disk.
func TestOnASmallDisk(t *testing.T) {
	dir := os.Getenv("SYSLOGD_MOUNT")
	if dir == "" {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d := start(t, `
listen: [udp://127.0.0.1:PORT]
outputs: [{file: `+dir+`/lb.log, ring: 2MB, rotate: never}]
`)
	n := 0
	send := func(count int) {
		t.Helper()
		sent, err := flood.Flood{To: d.addr(), First: n, Count: count, Rate: 50_000}.Send(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		n += sent
	}
	for d.status().Total.DiskLost < 20_000 {
		send(10_000)
		if n > 2_000_000 {
			t.Fatalf("%d messages fit on the disk", n)
		}
	}
	if err := d.try("flush"); err == nil {
		t.Error("flush says that all is well")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the ring to be written", func() bool { return d.status().Outputs[0].Waiting == 0 })
	send(1000)
	d.do("flush")
	s := d.status()
	d.stop()

	if took := strings.Count(d.said.String(), "the disk takes no lines"); took != 1 {
		t.Errorf("the journal says %d times that the disk is full", took)
	}
	l := account(t, dir, "lb", 0, n, 200)
	if len(l.other) != 1 {
		t.Fatalf("these lines are not numbered: %.5q", l.other)
	}
	told := regexp.MustCompile(`lost (\d+) messages .*no space left on device`).FindStringSubmatch(l.other[0])
	if told == nil || told[1] != strconv.Itoa(l.lost) || s.Total.DiskLost != uint64(l.lost) || l.torn+l.twice > 0 {
		t.Errorf("%d of %d are missing in the file (%d torn, %d twice); status says %d, and the line is %q", l.lost, n, l.torn, l.twice,
			s.Total.DiskLost, l.other[0])
	}
	if s.Total.Received != uint64(n) || s.Total.Written+s.Total.DiskLost != s.Total.Received {
		t.Errorf("of %d, %d were received, %d written and %d lost", n, s.Total.Received, s.Total.Written, s.Total.DiskLost)
	}
	t.Logf("%d sent, %d in the file, %d missing; %s", n, l.lines, l.lost, strings.TrimSpace(l.other[0]))

	// One gap, and the line stands in it.
	text, err := os.ReadFile(filepath.Join(dir, "lb.log"))
	if err != nil {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`flood\[42\]: n=(\d+) `)
	before, after, _ := strings.Cut(string(text), told[0])
	last := number.FindAllStringSubmatch(before, -1)
	first := number.FindStringSubmatch(after)
	if last == nil || first == nil {
		t.Fatal("the loss line is at an end of the file")
	}
	from, _ := strconv.Atoi(last[len(last)-1][1])
	to, _ := strconv.Atoi(first[1])
	if to-from-1 != l.lost {
		t.Errorf("the loss line stands between %d and %d; %d are missing", from, to, l.lost)
	}
}

func TestHundredFilesDiskFull(t *testing.T) { inMountNamespace(t, "TestHundredFilesOnASmallDisk") }

// TestHundredFilesOnASmallDisk has a hundred files, chosen by messages, on a disk that is full: what waits stays within the memory that
// docs/syslogd.md names, and each line is in a file or in a number. With LB_LONG by the default settings, and else by smaller ones.
func TestHundredFilesOnASmallDisk(t *testing.T) {
	dir := os.Getenv("SYSLOGD_MOUNT")
	if dir == "" {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	memory, ring, bound, after := "memory: 16MiB\n", ", ring: 1MiB", 16+100*0.75+60, 40_000
	if os.Getenv("LB_LONG") != "" {
		memory, ring, bound, after = "", "", 350, 1_000_000
	}
	d := start(t, memory+`
listen: [tcp://127.0.0.1:PORT]
outputs: [{file: "`+dir+`/%tag%.log", rotate: never`+ring+`}]
`)
	conn, err := net.Dial("tcp", d.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, n, text := bufio.NewWriterSize(conn, 64<<10), 0, strings.Repeat("x", 400)
	send := func(count int) {
		t.Helper()
		for range count {
			fmt.Fprintf(out, "<13>Nov 21 03:04:05 h app%d: n=%d %s\n", n%100, n, text)
			n++
		}
		if err := out.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for d.status().Total.DiskLost < 1000 {
		send(10_000)
	}
	send(after)
	wait.Until(t, "all to be received", func() bool { return d.status().Total.Received == uint64(n) })
	rss := d.memory()
	t.Logf("%d lines, %.0f MB", n, rss)
	if rss > bound {
		t.Errorf("a hundred files on a full disk: %.0f MB of memory, want at most %.0f", rss, bound)
	}
	s := d.status()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=512m"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "what waits to be written", func() bool { s = d.status(); return s.Total.Waiting == 0 })
	d.do("flush")
	s = d.status()
	d.stop()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines, lost := 0, 0
	told := regexp.MustCompile(`: lost (\d+) messages `)
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(b), " n=")
		for _, m := range told.FindAllStringSubmatch(string(b), -1) {
			count, _ := strconv.Atoi(m[1])
			lost += count
		}
	}
	if lines+lost != n || uint64(lost) != s.Total.DiskLost+s.Total.RingOverflow || uint64(lines) != s.Total.Written {
		t.Errorf("of %d, %d are in the files and %d in their lines of losses; status says %d written, %d and %d lost", n, lines, lost,
			s.Total.Written, s.Total.DiskLost, s.Total.RingOverflow)
	}
	t.Logf("%d lines in %d files, %d lost, all of which the files report", lines, len(files), lost)
}

// memory is what the daemon holds, in MB.
func (d *daemon) memory() float64 {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kb := 0
	if _, err := fmt.Sscan(after, &kb); err != nil {
		d.t.Fatal(err)
	}
	return float64(kb) / 1000
}
