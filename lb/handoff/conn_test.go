package handoff

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type note struct {
	Text string `json:"text"`
}

// pair makes both ends of a connection in this process.
func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = NewConn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestConnKeepsMessagesAndDescriptorsTogether(t *testing.T) {
	a, b := pair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	many := make([]int, MaxFDs)
	for i := range many {
		many[i] = int(f.Fd())
	}
	for _, m := range []struct {
		text string
		fds  []int
	}{{"one", nil}, {"two", many}, {strings.Repeat("x", 60000), many[:1]}} {
		errs := make(chan error, 1)
		go func() { errs <- a.Send(note{m.text}, m.fds, 5*time.Second) }()
		var got note
		fds, err := b.Receive(&got)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		if got.Text != m.text || len(fds) != len(m.fds) {
			t.Errorf("got %d bytes and %d descriptors, want %d and %d", len(got.Text), len(fds), len(m.text), len(m.fds))
		}
		for _, fd := range fds {
			if addr := boundTo(t, fd); addr != l.Addr().String() {
				t.Errorf("descriptor of %s, want %s", addr, l.Addr())
			}
			unix.Close(fd)
		}
	}
	a.Close()
	if _, err := b.Receive(new(note)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

func TestConnRefusesWhatDoesNotFit(t *testing.T) {
	a, _ := pair(t)
	if err := a.Send(note{strings.Repeat("x", MaxMessage)}, nil, time.Second); err == nil {
		t.Error("a message over the limit was sent")
	}
	if err := a.Send(note{}, make([]int, MaxFDs+1), time.Second); err == nil {
		t.Error("too many descriptors were sent")
	}
}

// A receiver whose limit of open files is too low must hear of it: a set with
// a hole would be a listener that nobody serves.
func TestConnSaysThatDescriptorsWereLost(t *testing.T) {
	if os.Getenv("HANDOFF_LOW_LIMIT") == "" {
		runSelf(t, "TestConnSaysThatDescriptorsWereLost", "HANDOFF_LOW_LIMIT=1")
		return
	}
	a, b := pair(t)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(f.Fd()) + 20, Max: uint64(f.Fd()) + 20}); err != nil {
		t.Fatal(err)
	}
	fds := make([]int, 100)
	for i := range fds {
		fds[i] = int(f.Fd())
	}
	if err := a.Send(note{"many"}, fds, time.Second); err != nil {
		t.Fatal(err)
	}
	var got note
	if _, err := b.Receive(&got); !errors.Is(err, ErrDescriptors) || got.Text != "many" {
		t.Errorf("received %q, %v, want ErrDescriptors with what was said", got.Text, err)
	}
	// None of those that did arrive stays open.
	if g, err := os.Open("/dev/null"); err != nil {
		t.Errorf("descriptors leaked: %v", err)
	} else {
		g.Close()
	}
}

// TestLastWordsAreHeard: a process that ends before it has read what it was sent has still said what it said.
func TestLastWordsAreHeard(t *testing.T) {
	a, b := pair(t)
	if err := a.Send(note{"an order"}, nil, time.Second); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := b.Send(note{text}, nil, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if a.Ended() {
		t.Error("it is said to have ended while it lives")
	}
	b.Close()
	if !a.Ended() {
		t.Error("it is not said to have ended")
	}
	for _, want := range []string{"one", "two"} {
		var got note
		if _, err := a.Receive(&got); err != nil || got.Text != want {
			t.Fatalf("heard %q, %v, want %q", got.Text, err, want)
		}
	}
	if _, err := a.Receive(new(note)); err != io.EOF {
		t.Errorf("then %v", err)
	}
}

// TestDupLeavesTheMode holds that a duplicate does not make the connection a blocking one, whose deadlines nobody would keep.
func TestDupLeavesTheMode(t *testing.T) {
	a, _ := pair(t)
	fd, err := a.Dup()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
