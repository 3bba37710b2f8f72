package syslog_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/syslog/flood"
)

// TestReadersOfHeldSockets has three sockets of a unit with ReusePort=yes, held as systemd holds them, while syslogd is restarted, and reloaded with
// another number of readers each time. Hosts flood it meanwhile: each has all its messages in the file, in their order.
func TestReadersOfHeldSockets(t *testing.T) {
	sockets, port := reusePort(t, 3)
	d := configure(t, `
listen: [{address: "udp://127.0.0.1:`+strconv.Itoa(port)+`", readers: 3}]
outputs: [{file: DIR/lb.log, rotate: never}]
`)
	d.port = port
	d.command = func() *exec.Cmd {
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, binary(), "-f", d.config)
		cmd.Env = append(os.Environ(), "LISTEN_FDS=3", "LISTEN_FDNAMES=lb:lb:lb")
		cmd.ExtraFiles = sockets
		return cmd
	}
	d.run()
	text, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), long(3*time.Second, 30*time.Second))
	defer cancel()
	const hosts, room = 8, 10_000_000
	var sent [hosts]int
	var senders sync.WaitGroup
	for k := range hosts {
		senders.Go(func() {
			var err error
			f := flood.Flood{To: d.addr(), From: fmt.Sprintf("127.62.0.%d", k+1), First: k * room, Rate: 1000} // what sockets can hold for seconds
			if sent[k], err = f.Send(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	rounds := 0
	for ; ctx.Err() == nil; rounds++ {
		for i := range 2 + rounds%3 { // so that it is restarted with each of them
			readers := strconv.Itoa(1 + (rounds+i)%3)
			now := strings.Replace(string(text), "readers: 3", "readers: "+readers, 1)
			if err := os.WriteFile(d.config, []byte(now), 0o600); err != nil {
				t.Fatal(err)
			}
			d.do("reload")
			if n := len(d.status().Inputs[0].Readers); strconv.Itoa(n) != readers {
				t.Errorf("%d readers; want %s", n, readers)
			}
		}
		d.stop()
		// With another number than there was, all the time.
		now := strings.Replace(string(text), "readers: 3", "readers: "+strconv.Itoa(1+rounds%3), 1)
		if err := os.WriteFile(d.config, []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
		d.run()
	}
	senders.Wait()
	d.do("flush")
	s := d.status()
	if in := s.Inputs[0]; in.KernelDrops+in.EarlierDrops > 0 {
		t.Errorf("the held sockets overflowed: %+v", in)
	}
	d.inOrder(room, sent[:])
	t.Logf("%v messages over %d restarts", sent, rounds)
}

// reusePort opens n UDP sockets at one port.
func reusePort(t *testing.T, n int) (files []*os.File, port int) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err == nil {
			err = controlErr
		}
		return err
	}}
	address := "127.0.0.1:" + strconv.Itoa(freePort(t))
	for range n {
		c, err := config.ListenPacket(t.Context(), "udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f, err := c.(*net.UDPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
		port = c.LocalAddr().(*net.UDPAddr).Port
	}
	return files, port
}

// inOrder holds that the file has the messages of each host, which begin at a multiple of room: all of them, each once, one after the other.
func (d *daemon) inOrder(room int, sent []int) {
	d.t.Helper()
	f, err := os.Open(d.file())
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	number := regexp.MustCompile(` flood\[42\]: n=(\d+) `)
	next := make([]int, len(sent))
	for lines := bufio.NewScanner(f); lines.Scan(); {
		found := number.FindStringSubmatch(lines.Text())
		if found == nil {
			d.t.Fatalf("a line reads %q", lines.Text())
		}
		n, _ := strconv.Atoi(found[1])
		host := n / room
		if n%room != next[host] {
			d.t.Fatalf("of host %d comes %d in the place of %d", host, n%room, next[host])
		}
		next[host]++
	}
	for host := range sent {
		if next[host] != sent[host] {
			d.t.Errorf("host %d sent %d messages, and %d are there", host, sent[host], next[host])
		}
	}
}
