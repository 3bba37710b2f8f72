package worker

import (
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"lbsyslogd/lb/assemble"
)

// told is a writer that hands on what is written.
type told chan string

func (c told) Write(p []byte) (int, error) {
	c <- string(p)
	return len(p), nil
}

// TestAMasterAfterAShortage: a worker that could not accept, as it had no descriptor, accepts the next master when it can again.
func TestAMasterAfterAShortage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "worker")
	rendezvous, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	said := make(told, 1)
	l := &life{Process: &Process{Rendezvous: rendezvous, Env: assemble.Env{Logger: slog.New(slog.NewTextHandler(said, nil))}}, quit: make(chan struct{})}
	defer rendezvous.Close()
	defer close(l.quit)
	if err := rendezvous.SetDeadline(time.Now()); err != nil { // each accept fails
		t.Fatal(err)
	}
	l.acceptMasters()
	<-said
	if err := rendezvous.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(<-l.masters).Close()
}
