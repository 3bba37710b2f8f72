package syslog_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/syslog/flood"
	"lbsyslogd/test/wait"
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

// TestTCPOverRestarts has clients that end when the other end does, and connect again, as a good sender does. Restarts lose none of their
// messages: the listening socket is held, so that they are not refused, and what they had sent is read.
func TestTCPOverRestarts(t *testing.T) {
	d, address := heldTCP(t)
	ctx, cancel := context.WithTimeout(context.Background(), long(4*time.Second, 30*time.Second))
	defer cancel()
	const clients, room = 5, 1_000_000
	var sent [clients]int
	var senders sync.WaitGroup
	for k := range clients {
		senders.Go(func() {
			n := k * room
			defer func() { sent[k] = n - k*room }()
			for ctx.Err() == nil {
				next, err := politely(ctx, address, n)
				if n = next; err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	times := again(ctx, d, 500*time.Millisecond, (*daemon).stop)
	senders.Wait()
	d.do("flush")
	for k, n := range sent {
		if n < 1000 {
			t.Errorf("client %d sent %d messages only", k, n)
		}
		l := account(t, d.dir, "lb", k*room, n, 200)
		if l.lost+l.twice > 0 || len(l.other) > 0 {
			t.Errorf("of %d messages of client %d are %d lost and %d there twice; others: %.3q", n, k, l.lost, l.twice, l.other)
		}
	}
	t.Logf("%v messages over %d restarts", sent, times)
}

// TestRsyslogOverRestarts has a real rsyslogd forward what is written to a file, over TCP, while syslogd is restarted again and again. It
// notices the end of a connection before it sends the next lines.
func TestRsyslogOverRestarts(t *testing.T) {
	d, _ := heldTCP(t)
	dir, _ := program(t, d, `
global(workDirectory="DIR")
module(load="imfile" mode="inotify")
input(type="imfile" file="DIR/in.txt" tag="flood[42]:" facility="local0" severity="info")
action(type="omfwd" target="127.0.0.1" port="TARGET" protocol="tcp" TCP_Framing="octet-counted" action.resumeRetryCount="-1" action.resumeInterval="1")
`, "rsyslogd", "-n", "-f", "DIR/conf", "-i", "DIR/pid")
	in, err := os.OpenFile(filepath.Join(dir, "in.txt"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ctx, cancel := context.WithTimeout(context.Background(), long(6*time.Second, 30*time.Second))
	defer cancel()
	n := 0
	var writer sync.WaitGroup
	writer.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var lines []byte
		for ctx.Err() == nil {
			<-tick.C
			lines = lines[:0]
			for range 4 {
				lines = append(flood.Line(lines, n, flood.TextSize(200)), '\n')
				n++
			}
			if _, err := in.Write(lines); err != nil {
				t.Error(err)
			}
		}
	})
	times := again(ctx, d, 700*time.Millisecond, (*daemon).stop)
	writer.Wait()
	wait.Until(t, "the last line", func() bool {
		d.do("flush")
		return d.holds(fmt.Sprintf(" n=%d ", n-1))
	})
	l := account(t, d.dir, "lb", 0, n, 200)
	if l.lost+l.torn > 0 || len(l.other) > 0 {
		t.Errorf("of %d lines are %d lost, %d torn; others: %.3q", n, l.lost, l.torn, l.other)
	}
	t.Logf("%d lines over %d restarts, %d of them twice", n, times, l.twice)
}

// politely sends messages from number n on until ctx is done or the other end closes, and returns the next number.
func politely(ctx context.Context, address string, n int) (next int, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return n, err
	}
	defer c.Close()
	told := make(chan struct{})
	go func() {
		defer close(told)
		io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	var line []byte
	for {
		select {
		case <-told:
			return n, nil
		case <-ctx.Done():
			return n, nil
		case <-tick.C:
		}
		line = append(flood.Line(append(line[:0], "<134>Nov 21 03:04:05 flood[42]: "...), n, flood.TextSize(200)), '\n')
		if _, err := c.Write(line); err != nil {
			return n, err
		}
		n++
	}
}

// heldTCP is held with a TCP socket; address is the socket's.
func heldTCP(t *testing.T) (d *daemon, address string) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return held(t, listener, listener.Addr().(*net.TCPAddr).Port), listener.Addr().String()
}

// held starts syslogd with a socket as systemd does, which keeps the socket until the test's end.
func held(t *testing.T, socket interface {
	io.Closer
	File() (*os.File, error)
}, port int) *daemon {
	t.Helper()
	t.Cleanup(func() { socket.Close() })
	file, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	d := configure(t, `
listen: [systemd:lb]
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	d.port = port
	d.command = func() *exec.Cmd {
		// LISTEN_PID must be syslogd's own, which only the shell knows that becomes it.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary(), "-f", d.config)
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=lb")
		cmd.ExtraFiles = []*os.File{file}
		return cmd
	}
	d.run()
	return d
}

// again ends and starts a daemon every so often until ctx is done.
func again(ctx context.Context, d *daemon, every time.Duration, end func(*daemon)) (times int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		end(d)
		d.run()
		times++
	}
	return times
}

func restarts(t *testing.T, end func(*daemon)) (l ledger, times int) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d := held(t, socket, socket.LocalAddr().(*net.UDPAddr).Port)
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
	times = again(ctx, d, 500*time.Millisecond, end)
	n := <-sent
	d.do("flush")
	s := d.status()
	if s.Inputs[0].KernelDrops+s.Inputs[0].EarlierDrops > 0 {
		t.Errorf("the held socket overflowed: %s", fmt.Sprint(s.Inputs[0].EarlierDrops))
	}
	t.Logf("%s lines, %d restarts", strconv.Itoa(n), times)
	return account(t, d.dir, "lb", 0, n, 200), times
}
