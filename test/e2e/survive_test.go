package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"lbsyslogd/test/rig"
	"lbsyslogd/test/wait"
)

// TestLongConnectionsSurviveReloads holds that what was open before a reload goes on after it: a tunnel in the middle of a conversation,
// an answer that is still coming, a request whose body is half sent, and a kept connection that has been idle.
func TestLongConnectionsSurviveReloads(t *testing.T) {
	s := start(t, options{})

	tunnel := dial(t, s.http)
	tunnel.send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if a, err := http.ReadResponse(tunnel.r, nil); err != nil || a.StatusCode != 101 {
		t.Fatalf("%+v %v", a, err)
	}
	stream := dial(t, s.tcp)
	converse := func(round int) {
		t.Helper()
		for name, c := range map[string]*raw{"the upgraded connection": tunnel, "the TCP connection": stream} {
			text := fmt.Sprintf("%s, round %d", name, round)
			c.send("%s", text)
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
				t.Errorf("%s: got %q, %v", text, got, err)
			}
		}
	}
	converse(0)

	idle := dial(t, s.http)
	idle.send("GET /r/idle/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.want("GET", 200, small("/r/idle/1"))

	slow := dial(t, s.http)
	slow.send("GET /drip/150 HTTP/1.1\r\nHost: a\r\n\r\n") // a second and a half
	if _, err := slow.r.Peek(1); err != nil {
		t.Fatal(err)
	}
	half := dial(t, s.http)
	half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789")

	for round := 1; round <= 5; round++ {
		if out, err := s.lb.Reload(t.Context()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		converse(round)
	}

	half.send("abcdefghij")
	half.want("POST", 200, "0123456789abcdefghij")
	slow.want("GET", 200, pattern(150))
	idle.send("GET /r/idle/2 HTTP/1.1\r\nHost: a\r\n\r\n")
	idle.want("GET", 200, small("/r/idle/2"))
	tunnel.CloseWrite()
	tunnel.ended()
	stream.CloseWrite()
	stream.ended()
	for _, c := range []*raw{idle, slow, half} {
		c.Close()
	}
	wait.Until(t, "the old workers to leave", func() bool {
		_, old, err := s.lb.Workers()
		return err == nil && len(old) == 0
	})
}

// TestReloadTakesTheNewConfiguration adds a listener, answers from it, and takes it away again.
func TestReloadTakesTheNewConfiguration(t *testing.T) {
	s := start(t, options{})
	good, err := os.ReadFile(s.lb.Config)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := rig.FreePorts(host, 1)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("%s:%d", host, ports[0])
	reload := func(config string) {
		t.Helper()
		if err := s.lb.Configure(config); err != nil {
			t.Fatal(err)
		}
		if out, err := s.lb.Reload(t.Context()); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	reload(string(good) + "frontend more\n    bind " + addr + "\n    http-request set-header X-Seen yes\n    default_backend be\n")
	c := dial(t, addr)
	c.send("GET /headers HTTP/1.1\r\nHost: a\r\n\r\n")
	if a, body := c.answer("GET"); a.StatusCode != 200 || !strings.Contains(strings.ToLower(body), "x-seen: yes") {
		t.Errorf("%d %q", a.StatusCode, body)
	}
	c.Close()
	reload(string(good))
	wait.Until(t, "the listener to be gone", func() bool {
		answer, err := http.Get("http://" + addr + "/")
		if err == nil {
			answer.Body.Close()
		}
		return err != nil && strings.Contains(err.Error(), "refused")
	})
	c = dial(t, s.http)
	c.send("GET /r/after/1 HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, small("/r/after/1"))
}
