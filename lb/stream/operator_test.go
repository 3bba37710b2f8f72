package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// An operator sees what each connection waits for, and ends it.
func TestSessionsAreSeenAndShut(t *testing.T) {
	hold := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-hold
		}
		io.WriteString(w, "hello")
	})
	defer close(hold)
	r := newRig(t, true, []string{srv}, func(r *rig) { r.threads = 2 })
	dial := func(path string) net.Conn {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		return c
	}
	idle := dial("/")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	slow := dial("/slow")
	find := func(state string) (found *SessionInfo) {
		for _, s := range r.Sessions() {
			if s.State == state {
				found = &s
			}
		}
		return found
	}
	wait.Until(t, "both are seen", func() bool { return find("idle") != nil && find("forward") != nil })
	s := find("forward")
	if s.URI != "/slow" || s.Server != "s1" || s.Backend != "be" || s.Frontend != "fe" || s.Peer.String() != slow.LocalAddr().String() || s.ServerFD < 0 || s.Expires <= 0 {
		t.Errorf("the request under way: %+v", s)
	}
	if i := find("idle"); i.Requests != 1 || i.URI != "" || i.Server != "" {
		t.Errorf("the idle connection: %+v", i)
	}
	for _, state := range []string{"forward", "idle"} {
		id := find(state).ID
		if !r.ShutSession(id) {
			t.Errorf("%s: there is no session %#x", state, id)
		}
		if state == "forward" { // the client keeps its connection, as with HAProxy
			br := bufio.NewReader(slow)
			for _, want := range []int{502, 200} {
				answer, err := http.ReadResponse(br, nil)
				if err != nil || answer.StatusCode != want {
					t.Fatalf("%v %v, want %d", answer, err, want)
				}
				io.Copy(io.Discard, answer.Body)
				io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			slow.Close()
		} else if answer, err := io.ReadAll(idle); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(answer) > 0 {
			t.Errorf("it had %q, %v", answer, err)
		}
		wait.Until(t, state+" is gone", func() bool {
			return !slices.ContainsFunc(r.Sessions(), func(s SessionInfo) bool { return s.ID == id })
		})
		if r.ShutSession(id) {
			t.Errorf("%s was shut twice", state)
		}
	}
}

// A limit that is changed counts for the next connection, in both directions.
func TestLimitsChange(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	r := newRig(t, true, []string{srv}, nil)
	r.SetFrontendMaxConn(r.fe, 1)
	ask := func() net.Conn {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		return c
	}
	first := ask()
	if _, err := http.ReadResponse(bufio.NewReader(first), nil); err != nil {
		t.Fatal(err)
	}
	second := ask()
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Fatal("a second connection was served beyond maxconn 1")
	}
	second.SetReadDeadline(time.Now().Add(20 * time.Second))
	r.SetFrontendMaxConn(r.fe, 2)
	if _, err := http.ReadResponse(bufio.NewReader(second), nil); err != nil {
		t.Errorf("the limit was raised, and the connection that waits: %v", err)
	}
}

// A frontend that is disabled refuses, however often that is seen to, and serves again when it is enabled; one of an engine that leaves is another's.
func TestPauseFrontend(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	r := newRig(t, true, []string{srv}, nil)
	listens := func(want bool) {
		t.Helper()
		sa, err := unix.Getsockname(r.fe.Listeners[0].FD) // a port that the kernel chose is another one each time
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port))
		if err == nil {
			defer c.Close()
		}
		if (err == nil) != want {
			t.Fatalf("%v, want it to listen: %t", err, want)
		}
		if !want {
			return
		}
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	again := func(ln *Listener) error { return unix.Listen(ln.FD, 16) } // as a reload that fails does
	for range 2 {
		if err := r.PauseFrontend(r.fe, true); err != nil {
			t.Fatal(err)
		}
		r.KeepPaused()
		listens(false)
		if err := r.sockets(r.fe, again); err != nil {
			t.Fatal(err)
		}
		r.KeepPaused()
		r.KeepPaused()
		listens(false)
		if err := r.PauseFrontend(r.fe, false); err != nil {
			t.Fatal(err)
		}
		listens(true)
	}
	kept, err := unix.Dup(r.fe.Listeners[0].FD) // the next generation's
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(kept)
	r.Drain()
	if err := r.PauseFrontend(r.fe, true); err != nil {
		t.Fatal(err)
	}
	if on, err := unix.GetsockoptInt(kept, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on != 1 {
		t.Errorf("an engine that leaves has stopped the listener of the next: %v", err)
	}
}

// A frontend that was shut down refuses, and does not come back.
func TestShutFrontend(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	r := newRig(t, true, []string{srv}, nil)
	if !r.ShutFrontend(r.fe) || r.ShutFrontend(r.fe) || !r.fe.Shut() {
		t.Error("a frontend is shut down once")
	}
	if c, err := net.Dial("tcp", r.addr); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}
