package syslog_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
)

// TestBurstOfAMillion sends a million datagrams as fast as the kernel takes them. What is not in the file the kernel dropped, and
// its number is known to the message; with the buffer that was asked for it drops none.
func TestBurstOfAMillion(t *testing.T) {
	d := configure(t, `
listen: [udp://127.0.0.1:PORT]
outputs: [{file: DIR/lb.log, rotate: {size: 50MB}}]
`)
	d.command = func() *exec.Cmd {
		if os.Geteuid() != 0 {
			return exec.Command(binary(), "-f", d.config)
		}
		// As in the unit: a receiver that does not get a processor can only lose messages.
		return exec.Command("nice", "-n", "-10", binary(), "-f", d.config)
	}
	d.run()
	const n, size = 1_000_000, 200
	began := time.Now()
	sent, err := flood.Flood{To: d.addr(), Count: n, Size: size}.Send(context.Background())
	if sent != n || err != nil {
		t.Fatalf("sent %d, %v", sent, err)
	}
	took := time.Since(began)
	d.do("flush")
	s := d.status()
	l := account(t, d.dir, "lb", 0, n, size)
	t.Logf("%d messages in %v; %d in the files, %d dropped by the kernel, buffer %d", n, took, l.lines, s.Total.KernelDrops, s.Inputs[0].ReceiveBuffer)
	if l.lines+int(s.Total.KernelDrops) != n || l.lost != int(s.Total.KernelDrops) || l.torn+l.twice+len(l.other) != 0 {
		t.Errorf("%d lines + %d kernel drops is not %d (%d lost, %d torn, %d twice)", l.lines, s.Total.KernelDrops, n, l.lost, l.torn, l.twice)
	}
	if s.Inputs[0].ReceiveBuffer >= 64<<20 && s.Total.KernelDrops > 0 {
		t.Errorf("the kernel granted %d bytes and dropped %d messages", s.Inputs[0].ReceiveBuffer, s.Total.KernelDrops)
	}
	if s.Total.Received != uint64(l.lines) || s.Total.Written != s.Total.Received {
		t.Errorf("status says %d received and %d written; %d lines are there", s.Total.Received, s.Total.Written, l.lines)
	}
}
