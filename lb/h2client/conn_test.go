package h2client

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// TestAnswerBeforeTheEnd: a server answers and closes, and what is written next finds the connection gone. What the server said before counts.
func TestAnswerBeforeTheEnd(t *testing.T) {
	l, err := loop.New(0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	h := &host{}
	w := wire.Open(l, h, fds[0], true)
	var scratch http1.Head
	c := New(Options{Wire: &w, Loop: l, Host: h, Head: &scratch, Again: h})
	var streams [3]*Stream // as many as the scene answers
	for i := range streams {
		streams[i] = c.Open(&user{})
		streams[i].Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	}
	c.Flush()
	if _, err := unix.Write(fds[1], seeds()[0]); err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	c.Doubt() // something is to be written
	c.Flush()
	b := make([]byte, 1024)
	n, _ := streams[0].Read(b)
	if got := string(b[:n]); !c.Over() || !strings.HasSuffix(got, "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok") {
		t.Errorf("got %q; over: %v", got, c.Over())
	}
	for _, s := range streams {
		s.Close()
	}
	if h.held != 0 {
		t.Errorf("%d bytes are held", h.held)
	}
}
