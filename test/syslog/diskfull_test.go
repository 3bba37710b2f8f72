package syslog_test

import (
	"context"
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
