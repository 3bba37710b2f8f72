package stream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

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
	for state, c := range map[string]net.Conn{"forward": slow, "idle": idle} {
		id := find(state).ID
		if !r.ShutSession(id) {
			t.Errorf("%s: there is no session %#x", state, id)
		}
		if _, err := io.ReadAll(c); err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v", state, err)
		}
		c.Close()
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
