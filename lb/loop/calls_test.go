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

// TestCallsTakenInPart: where the kernel stops in the middle of the queue the others are made one by one, and their results stay until they have been read, though what
// was received is queued for sending meanwhile.
func TestCallsTakenInPart(t *testing.T) {
	var c Calls
	if err := c.Open(); err != nil {
		tape.Skipf(t, "%v", err)
	}
	defer c.Close()
	const n, stop = 20, 5
	var from, to [n][2]int
	var b [n][]byte
	for i := range n {
		from[i][0], from[i][1] = pair(t)
		to[i][0], to[i][1] = pair(t)
		b[i] = make([]byte, 8)
		Write(from[i][1], fmt.Appendf(nil, "piece%02d", i))
		if got := c.Recv(from[i][0], b[i]); got != i {
			t.Fatalf("call %d has number %d", i, got)
		}
	}
	c.entry(c.first, stop).opcode = 0xff // none that there is: the kernel goes no further
	c.Make()
	if c.first != stop+1 {
		t.Errorf("the kernel took %d calls, and not %d", c.first, stop+1)
	}
	for i := range n {
		k, errno := c.Result(i)
		if k != len("piece00") || errno != 0 {
			t.Fatalf("call %d: %d bytes, %v", i, k, errno)
		}
		c.Send(to[i][0], b[i][:k])
	}
	c.Make()
	for i := range n {
		got := make([]byte, 8)
		k, errno := Read(to[i][1], got)
		if want := fmt.Sprintf("piece%02d", i); string(got[:k]) != want || errno != 0 {
			t.Errorf("piece %d came as %q, %v", i, got[:k], errno)
		}
		for _, fd := range []int{from[i][0], from[i][1], to[i][0], to[i][1]} {
			CloseRaw(fd)
		}
	}
}
