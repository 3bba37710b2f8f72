package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"lbsyslogd/lb/worker"
)

// TestStatusSaysWhetherAnythingServes: what a container's health check sees.
func TestStatusSaysWhetherAnythingServes(t *testing.T) {
	for _, c := range []struct {
		answer string
		serves bool
	}{
		{"lb 1.0, master 1, up 0d00h00m07s, 0 reloads\ngeneration 1 (worker 9) serves since 2026-01-01 00:00:00\n", true},
		{"lb 1.0, master 1, up 0d00h00m07s, 0 reloads\nno worker serves\nlast load: failed at 2026-01-01 00:00:00: lb.cfg:3: x\n", false},
	} {
		path := filepath.Join(t.TempDir(), "master.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			if _, err := conn.Read(make([]byte, 64)); err == nil {
				_, _ = io.Copy(conn, strings.NewReader(c.answer)) // an error shows in what the client has read
			}
		}()
		var out, errs bytes.Buffer
		err = verbs()["status"].run([]string{"-S", path}, &out, &errs)
		if (err == nil) != c.serves || err != nil && !errors.Is(err, worker.ErrSaid) || out.String() != c.answer {
			t.Errorf("%v\n%s", err, &out)
		}
	}
}

// TestAskedInTheMomentOfAnUpgrade: the master becomes another program, which closes all connections but goes on listening. What was asked is
// asked again.
func TestAskedInTheMomentOfAnUpgrade(t *testing.T) {
	for _, c := range []struct {
		verb   string
		answer string // to the second question; the listener is closed before an empty one
		asked  string
	}{
		{"reload", "Success=1\n--\nGeneration 2 serves.\n", "reload\nreload\n"},
		{"stop", "", "stop\nstop\n"},
	} {
		path := filepath.Join(t.TempDir(), "master.sock")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		asked := make(chan string)
		go func() {
			var all strings.Builder
			for n := 0; n < 2; {
				conn, err := l.Accept()
				if err != nil {
					break
				}
				line, _ := bufio.NewReader(conn).ReadString('\n')
				if all.WriteString(line); line != "" { // else it was only looked whether somebody is there
					n++
				}
				if n == 2 {
					if c.answer == "" {
						l.Close()
					}
					_, _ = io.WriteString(conn, c.answer) // an error shows in what the client says
				}
				conn.Close()
			}
			asked <- all.String()
		}()
		var out, errs bytes.Buffer
		if err := verbs()[c.verb].run([]string{"-S", path}, &out, &errs); err != nil {
			t.Errorf("%s: %v\n%s", c.verb, err, &errs)
		}
		if got := <-asked; got != c.asked {
			t.Errorf("%s: the master was asked %q", c.verb, got)
		}
	}
}

// TestNobodyAtTheSocket: there is none, or the master that had it is gone.
func TestNobodyAtTheSocket(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "left.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for path, want := range map[string]string{left: "the master whose socket is " + left + " is gone", filepath.Join(dir, "none.sock"): "is lb running with -W or -Ws"} {
		for _, verb := range []string{"reload", "status", "detach"} {
			var out, errs bytes.Buffer
			if err := verbs()[verb].run([]string{"-S", path}, &out, &errs); err == nil || !strings.Contains(err.Error()+errs.String(), want) {
				t.Errorf("%s: %v\n%s", verb, err, &errs)
			}
		}
	}

	// A worker that waits for its next master serves.
	w, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: left + ".worker.4711", Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := verbs()["status"].run([]string{"-S", left}, &out, io.Discard); err != nil || !strings.Contains(out.String(), "worker 4711 serves on") {
		t.Errorf("status of a worker without a master: %v\n%s", err, &out)
	}
	w.SetUnlinkOnClose(false)
	w.Close() // it was killed: its socket is left
	if err := verbs()["status"].run([]string{"-S", left}, io.Discard, io.Discard); err == nil {
		t.Error("status is good of a worker that was killed")
	}
}
