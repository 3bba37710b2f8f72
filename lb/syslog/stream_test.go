package syslog

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
)

func streamSender(t *testing.T, s *Stream) *Sender {
	t.Helper()
	s.Health = &Health{Address: s.Address}
	out, err := NewSender(Target{Network: s.Network, Address: s.Address, Stream: s, Health: s.Health, Format: "raw", Level: 7, Len: 9000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reader that is slow loses nothing and gets each line whole, also longer
// ones than a pipe takes at once, and after Close everything is there.
func TestStreamToAPipe(t *testing.T) {
	for _, nonblock := range []bool{false, true} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := unix.SetNonblock(int(w.Fd()), nonblock); err != nil {
			t.Fatal(err)
		}
		s := &Stream{Network: "fd", Address: strconv.Itoa(int(w.Fd()))}
		out := streamSender(t, s)
		const n = 5000
		var want strings.Builder
		for i := range n {
			line := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%7*1000))
			want.WriteString(line + "\n")
			out.Log(message.Info, []byte(line))
			for out.Flush(); out.Pending(); out.Flush() {
				if i < 10 {
					t.Fatal("lines wait although nothing is full")
				}
				break
			}
		}
		got := make(chan string)
		go func() {
			b, _ := io.ReadAll(r)
			got <- string(b)
		}()
		for out.Flush(); out.Pending(); out.Flush() {
			time.Sleep(time.Millisecond)
		}
		out.Close()
		s.Close(time.Now().Add(20 * time.Second))
		w.Close()
		text := <-got
		lost := int(out.Dropped())
		if strings.Count(text, "\n")+lost != n || lost == 0 && text != want.String() {
			t.Errorf("%d lines came and %d were dropped of %d", strings.Count(text, "\n"), lost, n)
		}
		for line := range strings.Lines(text) {
			number, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			if i, err := strconv.Atoi(number); err != nil || rest != strings.Repeat("x", i%7*1000) {
				t.Fatalf("a line is torn: %.60q", line)
			}
		}
	}
}

// What nobody can read any more is lost, and counted.
func TestStreamToAClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	s := &Stream{Network: "fd", Address: strconv.Itoa(int(w.Fd()))}
	out := streamSender(t, s)
	out.Log(message.Info, []byte("gone"))
	out.Flush()
	out.Close()
	s.Close(time.Now().Add(20 * time.Second))
	if s.Lost() != 1 || s.Health.Lost() != 1 || s.Health.Sent() != 0 {
		t.Errorf("lost %d, health says lost %d sent %d", s.Lost(), s.Health.Lost(), s.Health.Sent())
	}
}

// Lines wait for a log server that is not there yet, and come once.
func TestStreamToALateServer(t *testing.T) {
	// A socket that is bound and does not listen keeps its port, and refuses connections.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "bound")
	defer f.Close()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
	s := &Stream{Network: "tcp", Address: addr, OctetCount: true}
	out := streamSender(t, s)
	for i := range 3 {
		out.Log(message.Info, fmt.Appendf(nil, "line %d", i))
		out.Flush()
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, len("6 line 0")*3)
	if _, err := io.ReadFull(bufio.NewReader(c), b); err != nil || string(b) != "6 line 06 line 16 line 2" {
		t.Errorf("%q, %v", b, err)
	}
	s.Close(time.Now().Add(time.Second))
}

func TestSample(t *testing.T) {
	s := &Sample{Ranges: [][2]int{{1, 1}, {3, 4}}, Size: 5}
	var got []byte
	for range 10 {
		got = append(got, "-x"[map[bool]int{true: 1}[s.take()]])
	}
	if string(got) != "x-xx-x-xx-" {
		t.Errorf("%s", got)
	}
}

// held is all that a ring has.
func held(r *Ring) []byte {
	text, _ := r.Lines(0)
	return text
}

func TestRing(t *testing.T) {
	r := &Ring{Size: 100}
	for i := range 100 {
		r.put(fmt.Appendf(nil, "line %d\nand %d\n", i, i))
	}
	text := string(held(r))
	if len(text) > 100 || !strings.HasSuffix(text, "line 99\nand 99\n") || !strings.HasPrefix(text, "line ") && !strings.HasPrefix(text, "and ") {
		t.Errorf("%q", text)
	}
	_, end := r.Lines(0)
	r.put([]byte("newer\n"))
	if fresh, now := r.Lines(end); string(fresh) != "newer\n" || now != end+6 {
		t.Errorf("after %d: %q, %d", end, fresh, now)
	}
	r.put([]byte(strings.Repeat("x", 300) + "\nlast\n"))
	if got := string(held(r)); !strings.HasSuffix(got, "last\n") || strings.Contains(got, "xx") {
		t.Errorf("%q", got)
	}
}
