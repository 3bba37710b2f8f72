package wire

import (
	"testing"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/loop"
)

// TestStill: a connection is still once it was read empty, until the next event. What was left unread keeps it from being so, as no event tells of that.
func TestStill(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	unix.Write(fds[1], []byte("answerleftover"))
	c := Open(nil, nil, fds[0], true)
	var pipes loop.Pipes
	p := pipes.Get()
	defer pipes.Drop()
	defer pipes.Put(p)
	var b [64]byte
	for i, s := range []struct {
		what string
		do   func()
		want bool
	}{
		{"the exact length was moved", func() { c.FillPipe(p, 3) }, false},
		{"the exact length was read", func() { c.Read(b[:3]) }, false},
		{"it was read empty", func() { c.Read(b[:]) }, true},
		{"bytes came", func() { c.Note(loop.In | loop.Out) }, false},
		{"there were none", func() { c.Read(b[:]) }, true},
		{"it may be written to", func() { c.Note(loop.Out) }, true},
		{"its end came", func() { c.Note(loop.In | loop.RdHup) }, false},
		{"its end was read", func() { unix.Shutdown(fds[1], unix.SHUT_WR); c.Read(b[:]) }, false},
	} {
		if s.do(); c.Still() != s.want {
			t.Errorf("%d: %s, and still is %v", i, s.what, !s.want)
		}
	}
}
