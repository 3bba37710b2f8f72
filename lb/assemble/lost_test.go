package assemble

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLostRequestsReachALogThatIsBehind: a unix socket's queue holds few lines,
// and a receiver that has no processor time takes none; each request that a
// killed worker lost has its line all the same.
func TestLostRequestsReachALogThatIsBehind(t *testing.T) {
	server, arrived, release := slowServer(t)
	defer release()
	path := filepath.Join(t.TempDir(), "log")
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	text := strings.Replace(configFor(freeAddr(t), server, ""), "defaults\n", "defaults\n    log "+path+" local0\n    option httplog\n", 1)
	g := begin(t, text, nil)
	lost := queueLength(t) + 50
	for i := range lost {
		b := browse(t, g.eng.Frontends[0].Listeners[0].Name)
		b.ask(fmt.Sprintf("/slow/%d", i))
		<-arrived
	}
	fd, err := unix.FcntlInt(g.Flights().Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	g.LogLost(os.NewFile(uintptr(fd), "flights"))
	// Only now somebody reads.
	log.SetReadDeadline(time.Now().Add(20 * time.Second))
	seen := map[string]bool{}
	for buf := make([]byte, 64<<10); len(seen) < lost; {
		n, err := log.Read(buf)
		if err != nil {
			t.Fatalf("%d of %d lost requests have their line: %v", len(seen), lost, err)
		}
		line := buf[:n]
		at := bytes.Index(line, []byte("/slow/"))
		if at < 0 || !bytes.Contains(line, []byte(" -1 0 - - X")) {
			t.Fatalf("a line says %q", line)
		}
		seen[string(bytes.Fields(line[at:])[0])] = true
	}
	go func() { // the end of the test is logged, too
		for _, err := log.Read(nil); err == nil; _, err = log.Read(nil) {
		}
	}()
}

// queueLength is how many datagrams wait in a unix socket before senders have to.
func queueLength(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
