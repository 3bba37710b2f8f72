package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/config"
	"lbsyslogd/test/wait"
)

// cupboard is a Keeper in this process. It says what it was asked, and gives out copies of what it has.
type cupboard struct {
	mu   sync.Mutex
	has  map[string]int
	said []string
}

func (k *cupboard) Store(name string, fd int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if k.has == nil {
		k.has = make(map[string]int)
	}
	k.has[name] = kept
	k.said = append(k.said, "store "+name)
	return err
}

func (k *cupboard) Remove(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	unix.Close(k.has[name])
	delete(k.has, name)
	k.said = append(k.said, "remove "+name)
	return nil
}

func (k *cupboard) Barrier(time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said = append(k.said, "barrier")
	return nil
}

// heard is what it was asked since the last time.
func (k *cupboard) heard() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	said := strings.Join(k.said, ", ")
	k.said = nil
	return said
}

// all is what it was asked since then, and stays to be heard.
func (k *cupboard) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.said)
}

func (k *cupboard) pass(t *testing.T) (passed []Passed) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, fd := range k.has {
		copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		passed = append(passed, Passed{Name: name, File: os.NewFile(uintptr(copied), name)})
	}
	return passed
}

// live runs a Daemon with what the Keeper has, from its start to its end.
func (k *cupboard) live(t *testing.T, dir, text string, during func(socket string)) {
	t.Helper()
	configure(t, dir, text)
	c, err := config.Load(filepath.Join(dir, "conf"))
	if err != nil {
		t.Fatal(err)
	}
	d := Daemon{Config: c, File: filepath.Join(dir, "conf"), Log: slog.New(slog.DiscardHandler), Keeper: k, Passed: k.pass(t)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	socket := filepath.Join(dir, "ctl")
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ask(t, socket, "status") == "" {
		select {
		case err := <-ended:
			t.Fatalf("the daemon ended: %v", err)
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon does not answer")
		}
	}
	during(socket)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestSocketsGoFromOneProcessToTheNext runs one Daemon after the other with the same Keeper.
func TestSocketsGoFromOneProcessToTheNext(t *testing.T) {
	dir := t.TempDir()
	// An address of its own: what is free for UDP on 127.0.0.1 may be some client's TCP port.
	const host = "127.83.49.35"
	free, err := net.ListenPacket("udp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	udp, tcp, path := fmt.Sprintf("udp://%s:%d", host, port), fmt.Sprintf("tcp://%s:%d", host, port), "unix://"+dir+"/log"
	keeper := new(cupboard)
	live := func(listen []string, during func(socket string)) {
		t.Helper()
		keeper.live(t, dir, "listen: ["+strings.Join(listen, ", ")+"]\noutputs: [{file: DIR/a.log, rotate: never}]\n", during)
	}
	want := func(said string) {
		t.Helper()
		if got := keeper.heard(); got != said {
			t.Errorf("the keeper was asked %q; want %q", got, said)
		}
	}
	send := func(network, address, text string) {
		t.Helper()
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("<13>" + text + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	address := fmt.Sprintf("%s:%d", host, port)
	live([]string{udp, tcp, path}, func(string) {
		want("store listen@" + udp + ", store listen@" + tcp + ", store listen@" + path)
	})
	if text, err := os.ReadFile(filepath.Join(dir, inputsFile)); err != nil || !strings.Contains(string(text), udp+"\n") {
		t.Errorf("the kept sockets are not announced any more: %q, %v", text, err)
	}
	send("udp", address, "while nobody listens, udp") // into the kept sockets
	send("tcp", address, "while nobody listens, tcp")
	send("unixgram", filepath.Join(dir, "log"), "while nobody listens, unix")
	live([]string{tcp, path, udp}, func(socket string) {
		want("")
		if ask(t, socket, "flush") == "" {
			t.Error("flush failed")
		}
		// One goes with a reload, and comes back with the next.
		for range 3 {
			configure(t, dir, "listen: ["+tcp+", "+path+"]\noutputs: [{file: DIR/a.log, rotate: never}]\n")
			if ask(t, socket, "reload") == "" {
				t.Error("a reload failed")
			}
			want("remove listen@" + udp + ", barrier")
			configure(t, dir, "listen: ["+tcp+", "+path+", "+udp+"]\noutputs: [{file: DIR/a.log, rotate: never}]\n")
			if ask(t, socket, "reload") == "" {
				t.Error("a reload failed")
			}
			want("store listen@" + udp)
		}
	})
	text, err := os.ReadFile(filepath.Join(dir, "a.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp", "unix"} {
		if n := strings.Count(string(text), " while nobody listens, "+network+"\n"); n != 1 {
			t.Errorf("what came over %s meanwhile is there %d times", network, n)
		}
	}
	// The wildcard is another place: the kept sockets are in its way, and so closed first.
	wildcard := fmt.Sprintf("udp://:%d", port)
	live([]string{wildcard}, func(string) {
		said := strings.Split(keeper.heard(), ", ")
		slices.Sort(said[:min(3, len(said))])
		if got := strings.Join(said, ", "); got != "remove listen@"+tcp+", remove listen@"+udp+", remove listen@"+path+", barrier, store listen@"+wildcard {
			t.Errorf("the keeper was asked %q", got)
		}
		if _, err := os.Lstat(filepath.Join(dir, "log")); err == nil {
			t.Error("the path of a socket that was given up is still there")
		}
	})
	keeper.heard()
	// The same place in other words.
	live([]string{fmt.Sprintf("\"udp://[::]:%d\"", port)}, func(string) { want("") })
	for name := range keeper.has {
		keeper.Remove(name)
	}
}

// TestSilence: what is not kept is not announced any more when the process has ended.
func TestSilence(t *testing.T) {
	dir := t.TempDir()
	_, stop := runUntil(t, dir, "listen: [udp://127.0.0.1:0]\noutputs: [{file: DIR/a.log, rotate: never}]\n")
	path := filepath.Join(dir, inputsFile)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the announcement is still there: %v", err)
	}
}

// TestRemovedSocketsAreOpenedAgain has a cleaner remove the sockets of a daemon that runs: it is found again, also by its next start, and what was
// sent to the socket that nobody finds is not lost. Something that is in the way is reported once and left alone.
func TestRemovedSocketsAreOpenedAgain(t *testing.T) {
	dir, k, said := t.TempDir(), new(cupboard), new(wait.Buffer)
	in, ctl := filepath.Join(dir, "in"), filepath.Join(dir, "ctl")
	const text = "listen: unix://DIR/in\noutputs: [{file: DIR/a.log, rotate: never}]\n"
	send := func(c net.Conn, text string) {
		t.Helper()
		if _, err := c.Write([]byte("<13>a: " + text)); err != nil {
			t.Fatal(err)
		}
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("unixgram", in)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	found := func(path string) {
		t.Helper()
		wait.Until(t, path+" to be there again", func() bool {
			info, err := os.Lstat(path)
			return err == nil && info.Mode().Type() == os.ModeSocket
		})
	}
	k.live(t, dir, text, func(socket string) {
		k.heard()
		old := dial()
		if err := errors.Join(os.Remove(in), os.Remove(ctl)); err != nil {
			t.Fatal(err)
		}
		send(old, "one")
		found(in)
		found(ctl)
		wait.Until(t, "the new socket to be kept", func() bool { return strings.Contains(strings.Join(k.all(), ", "), "store listen@unix://"+in) })
		send(dial(), "two")
		wait.Until(t, "the daemon to answer", func() bool { return ask(t, socket, "flush") != "" })
		// A reload does not wait for the next look.
		if err := os.Remove(in); err != nil {
			t.Fatal(err)
		}
		if ask(t, socket, "reload") == "" {
			t.Error("the reload failed")
		}
		send(dial(), "three")
		if ask(t, socket, "flush") == "" {
			t.Error("the flush failed")
		}
	})
	send(dial(), "four") // to what is kept
	k.live(t, dir, text, func(socket string) {
		wait.Until(t, "the lines", func() bool {
			lines, err := os.ReadFile(filepath.Join(dir, "a.log"))
			return err == nil && strings.Count(string(lines), "\n") == 4
		})
	})
	socket, _ := runWith(t, t.TempDir(), text, &Daemon{Log: slog.New(slog.NewTextHandler(said, nil))})
	theirs := filepath.Join(filepath.Dir(socket), "in")
	if err := errors.Join(os.Remove(theirs), os.WriteFile(theirs, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "what is in the way to be reported", func() bool { return strings.Contains(said.String(), "there is a file of another kind") })
	if err := os.Remove(theirs); err != nil {
		t.Fatal(err)
	}
	found(theirs)
	if n := strings.Count(said.String(), "level=ERROR"); n < 1 || n > 2 { // the second after ten seconds
		t.Errorf("%d errors:\n%s", n, said)
	}
}
