package loop

import (
	"bytes"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPipes: what goes in comes out, a pipe that is not empty is never lent again, and no more than MaxPipes are lent.
func TestPipes(t *testing.T) {
	var pipes Pipes
	t.Cleanup(func() { pipes.Drop() })
	var from, to [2]int
	for _, pair := range []*[2]int{&from, &to} {
		var err error
		if *pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
	}
	p := pipes.Get()
	if _, errno := p.Fill(from[0], PipeMost); errno != syscall.EAGAIN {
		t.Errorf("an empty socket: %v", errno)
	}
	sent := bytes.Repeat([]byte("0123456789"), 1000)
	if n, err := unix.Write(from[1], sent); n != len(sent) {
		t.Fatal(n, err)
	}
	if n, errno := p.Fill(from[0], len(sent)); n != len(sent) || errno != 0 || p.Len() != n {
		t.Fatal(n, errno, p.Len())
	}
	if n, errno := p.Drain(to[0]); n != len(sent) || errno != 0 || p.Len() != 0 {
		t.Fatal(n, errno, p.Len())
	}
	got := make([]byte, len(sent)+1)
	if n, err := unix.Read(to[1], got); n != len(sent) || !bytes.Equal(got[:n], sent) {
		t.Error(n, err)
	}
	pipes.Put(p)
	if again := pipes.Get(); again != p {
		t.Error("an empty pipe is not lent again")
	}
	if n, err := unix.Write(from[1], sent); n != len(sent) {
		t.Fatal(n, err)
	}
	if _, errno := p.Fill(from[0], 10); errno != 0 {
		t.Fatal(errno)
	}
	pipes.Put(p)
	if pipes.count != 0 || pipes.Lent() != 0 {
		t.Errorf("%d pipes are kept, %d lent, after one with bytes in it was given back", pipes.count, pipes.Lent())
	}
	var all []*Pipe
	for p := pipes.Get(); p != nil; p = pipes.Get() {
		all = append(all, p)
	}
	if len(all) != MaxPipes {
		t.Errorf("%d pipes were lent", len(all))
	}
	for _, p := range all {
		pipes.Put(p)
	}
	if n := testing.AllocsPerRun(100, func() { pipes.Put(pipes.Get()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	pipes.Trim()
	pipes.Trim()
	if pipes.count != 0 {
		t.Errorf("%d pipes are kept that nobody needs", pipes.count)
	}
	unix.Close(from[1])
	from[1] = -1
	p = pipes.Get()
	for {
		n, errno := p.Fill(from[0], PipeMost)
		if n == 0 && errno == 0 {
			break
		}
		if errno != 0 {
			t.Fatal(errno)
		}
		for p.Len() > 0 {
			if _, errno := p.Drain(to[0]); errno != 0 {
				t.Fatal(errno)
			}
			_, _ = unix.Read(to[1], got)
		}
	}
	pipes.Put(p)
}

// TestPipesUnable: a system that refuses is asked once.
func TestPipesUnable(t *testing.T) {
	var pipes Pipes
	t.Cleanup(func() { pipes.Drop() })
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK) // cannot be spliced
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p := pipes.Get()
	if _, errno := p.Fill(fd, 10); errno != syscall.EINVAL || !p.Unable() || !pipes.Unable() {
		t.Errorf("errno %v, unable %v", errno, pipes.Unable())
	}
	pipes.Put(p)
	if pipes.Get() != nil {
		t.Error("a pipe is lent although the system cannot splice")
	}
}
