package loop

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/tape"
)

// TestCalls: calls that are made together end as each would by itself: in whole, in part where the socket is full, with EAGAIN, and with an error, as many as there
// are; with io_uring and where it is not to be had.
func TestCalls(t *testing.T) {
	for _, ring := range []bool{true, false} {
		t.Run(fmt.Sprintf("ring=%v", ring), func(t *testing.T) {
			var c Calls
			if err := c.Open(); err != nil {
				tape.Skipf(t, "%v", err)
			}
			defer c.Close()
			if !ring {
				c.Close()
				if c.Cheaper() {
					t.Error("without a ring nothing is gained")
				}
			}
			for round := range 3 * CallsMost { // the ring goes round
				testCalls(t, &c, 1+round%CallsMost)
			}
		})
	}
}

// testCalls makes n calls, of kinds in turn.
func testCalls(t *testing.T, c *Calls, n int) {
	t.Helper()
	kinds := [...]string{"whole", "part", "full", "gone", "no socket", "received", "nothing there", "at the end"}
	text := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, more than a socket takes
	var pairs [][2]int
	var into [CallsMost][8]byte
	var numbers [CallsMost]int
	for i := range n {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, p)
		b := text[i : i+5]
		switch kinds[i%len(kinds)] {
		case "part":
			b = text
		case "full":
			for errno := syscall.Errno(0); errno == 0; {
				_, errno = Write(p[0], text)
			}
		case "gone":
			unix.Close(p[1])
			p[1] = -1
		case "no socket":
			unix.Close(p[0])
			p[0] = -1
		case "received":
			Write(p[1], b)
		case "at the end":
			unix.Close(p[1])
			p[1] = -1
		}
		call := c.Send
		if i%len(kinds) >= 5 {
			call, b = c.Recv, into[i][:]
		}
		numbers[i] = call(p[0], b)
	}
	c.Make()
	for i, p := range pairs {
		n, errno := c.Result(numbers[i])
		got := make([]byte, 8)
		var ok bool
		switch kinds[i%len(kinds)] {
		case "whole":
			k, _ := Read(p[1], got)
			ok = n == 5 && errno == 0 && bytes.Equal(got[:k], text[i:i+5])
		case "part":
			ok = n > 0 && n < len(text) && errno == 0
		case "full":
			ok = n == 0 && errno == syscall.EAGAIN
		case "gone":
			ok = n == 0 && errno == syscall.EPIPE
		case "no socket":
			ok = n == 0 && errno == syscall.EBADF
		case "received":
			ok = n == 5 && errno == 0 && bytes.Equal(into[i][:n], text[i:i+5])
		case "nothing there":
			ok = n == 0 && errno == syscall.EAGAIN
		case "at the end":
			ok = n == 0 && errno == 0
		}
		if !ok {
			t.Errorf("call %d of %d, %s: %d bytes, %v", i, len(pairs), kinds[i%len(kinds)], n, errno)
		}
		for _, fd := range p {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	}
}
