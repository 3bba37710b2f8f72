package notify

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager is a service manager that only listens.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	c, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return c
}

func TestStoreSendsTheDescriptorWithItsName(t *testing.T) {
	c := manager(t)
	m := Find()
	if m == nil {
		t.Fatal("no manager found")
	}
	if err := m.Store("listener.tcp@0.0.0.0:80", 1); err != nil {
		t.Fatal(err)
	}
	buf, oob := make([]byte, 4096), make([]byte, 256)
	for _, want := range []struct {
		state string
		fds   int
	}{
		{"FDSTOREREMOVE=1\nFDNAME=listener.tcp@0.0.0.0%3A80", 0},
		{"FDSTORE=1\nFDNAME=listener.tcp@0.0.0.0%3A80", 1},
	} {
		n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(buf[:n]); got != want.state {
			t.Errorf("sent %q, want %q", got, want.state)
		}
		fds := 0
		if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
			for i := range messages {
				got, err := unix.ParseUnixRights(&messages[i])
				if err != nil {
					t.Fatal(err)
				}
				fds += len(got)
				for _, fd := range got {
					unix.Close(fd)
				}
			}
		}
		if fds != want.fds {
			t.Errorf("%d descriptors came, want %d", fds, want.fds)
		}
	}
}

func TestBarrierWaitsForTheManager(t *testing.T) {
	c := manager(t)
	m := Find()
	if err := m.Barrier(time.Millisecond); err == nil {
		t.Error("the barrier was passed before the manager saw it")
	}
	passed := make(chan error)
	go func() { passed <- m.Barrier(time.Minute) }()
	buf, oob := make([]byte, 4096), make([]byte, 256)
	for range 2 { // the one above too
		n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
		if err != nil || string(buf[:n]) != "BARRIER=1" {
			t.Fatalf("sent %q, %v", buf[:n], err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(messages) != 1 {
			t.Fatalf("%d control messages, %v", len(messages), err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			t.Fatalf("%d descriptors, %v", len(fds), err)
		}
		unix.Close(fds[0])
	}
	if err := <-passed; err != nil {
		t.Error(err)
	}
}

func TestNobodyToNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if Find() != nil {
		t.Error("found a manager that is not there")
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"tcp@[::]:80,v6only", "unix@/run/a b%20", "", "%", "%4", "%zz", "\x00\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		e := encode(name)
		if len(e) > 255 || strings.ContainsAny(e, ": \n") {
			t.Errorf("%q becomes %q, which the manager refuses", name, e)
		}
		if len(e) < 255 && decode(e) != name {
			t.Errorf("%q becomes %q becomes %q", name, e, decode(e))
		}
	})
}
