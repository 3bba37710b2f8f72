package syslog_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
)

// TestRestartsWithAHeldSocket does what systemd does with a socket unit: it holds the socket, and starts syslogd again and again,
// which is ended with SIGTERM and, in a second run, with SIGKILL. Under load nothing is lost by SIGTERM, and by each SIGKILL at
// most what was gathered at that moment.
func TestRestartsWithAHeldSocket(t *testing.T) {
	t.Run("TERM", func(t *testing.T) {
		l, _ := restarts(t, (*daemon).stop)
		l.balanced(t)
	})
	t.Run("KILL", func(t *testing.T) {
		l, kills := restarts(t, (*daemon).kill)
		// 20,000 lines a second for the few milliseconds of a gather, a batch and a write, with room for a busy machine.
		if most := kills * 20_000 / 20; l.lost > most || l.twice > 0 || l.torn > kills {
			t.Errorf("%d kills lost %d lines (at most %d), tore %d, and %d are there twice", kills, l.lost, most, l.torn, l.twice)
		}
		t.Logf("%d kills lost %d lines of those in memory", kills, l.lost)
	})
}

func restarts(t *testing.T, end func(*daemon)) (l ledger, times int) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	file, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	d := configure(t, `
listen: [systemd:lb]
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	d.port = socket.LocalAddr().(*net.UDPAddr).Port
	d.command = func() *exec.Cmd {
		// LISTEN_PID must be syslogd's own, which only the shell knows that becomes it.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary(), "-f", d.config)
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=lb")
		cmd.ExtraFiles = []*os.File{file}
		return cmd
	}
	d.run()
	ctx, cancel := context.WithTimeout(context.Background(), long(4*time.Second, 30*time.Second))
	defer cancel()
	sent := make(chan int)
	go func() {
		n, err := flood.Flood{To: d.addr(), Rate: 20_000}.Send(ctx)
		if err != nil {
			t.Error(err)
		}
		sent <- n
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		end(d)
		d.run()
		times++
	}
	n := <-sent
	d.do("flush")
	s := d.status()
	if s.Inputs[0].KernelDrops+s.Inputs[0].EarlierDrops > 0 {
		t.Errorf("the held socket overflowed: %s", fmt.Sprint(s.Inputs[0].EarlierDrops))
	}
	t.Logf("%s lines, %d restarts", strconv.Itoa(n), times)
	return account(t, d.dir, "lb", 0, n, 200), times
}
