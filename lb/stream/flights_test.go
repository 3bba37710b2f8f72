package stream

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// TestKilledWithLinesUnsent: requests whose log lines wait for a receiver that
// is behind have not been logged, should this process be killed now.
func TestKilledWithLinesUnsent(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	if err != nil {
		t.Fatal(err)
	}
	all, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	all += 50 // more than the receiver's queue takes
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	lines := newJournal(t)
	r := newRig(t, true, []string{pathServer(t)}, func(r *rig) {
		lines.keep(r)
		r.Targets = [][]syslog.Target{{{Network: "unixgram", Address: log.LocalAddr().String(), Format: "local", Len: 1024, Level: 7, Tag: "lb"}}}
	})
	unlogged := func() (lost int, waiting uint64) {
		t.Helper()
		sh := r.Shards[0]
		sh.Loop.Call(func() {
			got, err := ReadFlights(r.Flights)
			if err != nil {
				t.Error(err)
			}
			lost, waiting = len(got), sh.senders[0].Waiting()
		})
		return lost, waiting
	}
	c := connect(t, r.addr)
	for range all {
		c.get("/")
	}
	// The last answer arrives before the turn that sent it has ended.
	wait.Until(t, "the end of the last request", func() bool {
		lost, waiting := unlogged()
		return uint64(lost) == waiting
	})
	lost, waiting := unlogged()
	if waiting == 0 {
		t.Fatal("the receiver's queue took all lines: nothing was tested")
	}
	if lost != int(waiting) {
		t.Errorf("%d lines wait, and %d requests would be logged by the next process", waiting, lost)
	}
	log.SetReadDeadline(time.Now().Add(20 * time.Second))
	for i, buf := 0, make([]byte, 2048); i < all; i++ {
		if _, err := log.Read(buf); err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
	}
	wait.Until(t, "all to be logged", func() bool {
		lost, waiting := unlogged()
		return lost == 0 && waiting == 0
	})
}
