package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// TestNewWorkerWithFewDescriptors lowers the limit that the next worker inherits below the number of connections: what it cannot take the
// old one serves on, and nothing is lost.
func TestNewWorkerWithFewDescriptors(t *testing.T) {
	s := start(t, "    maxconn MAXCONN\n", "")
	var idleErrs, tcpErrs errorsOf
	idles := idle(s.http, 400, &idleErrs)
	defer leave(idles)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tcpDone := tunnels(ctx, s.tcp, false, 40, 100*time.Millisecond, &tcpErrs)
	old := s.worker()
	low := unix.Rlimit{Cur: 150, Max: 150}
	if err := unix.Prlimit(s.lb.PID, unix.RLIMIT_NOFILE, &low, nil); err != nil {
		t.Fatal(err)
	}
	s.reload()
	s.until("the old worker to say why it stays", func() bool { return strings.Contains(s.lb.Output(), "limit of open files") })
	if !rig.Alive(old) {
		t.Error("the old worker has left with what nobody took")
	}
	// Their next answer ends the connections that stayed, politely; none of them fails.
	each(len(idles), func(i int) {
		if err := idles[i].get(fmt.Sprintf("/r/low/%d", i)); err != nil && !strings.Contains(err.Error(), "the balancer closes the connection") {
			idleErrs.add(err)
		}
	})
	cancel()
	tcps := tcpDone()
	idleErrs.report(t, "idle connections")
	tcpErrs.report(t, "TCP tunnels")
	s.account(tcps, s.logged("echo", len(tcps)))
	leave(idles)
	s.gone(old)
	s.counted("fe", "FRONTEND", "req_tot", 800)
}

// TestKilledDuringHandover kills the new worker, or the old one, at moments spread over the handover. Of connections that the dead one had,
// the peers see the end; on no other is a byte lost or doubled, and the balancer goes on.
func TestKilledDuringHandover(t *testing.T) {
	s := start(t)
	for round := range sized(12, 60) {
		var idleErrs, tcpErrs errorsOf
		ctx, cancel := context.WithCancel(t.Context())
		idles := idle(s.http, 300, &idleErrs)
		tcpDone := tunnels(ctx, s.tcp, false, 60, 20*time.Millisecond, &tcpErrs)
		idleErrs.report(t, "idle connections before")
		old := s.worker()
		if err := s.lb.Signal(syscall.SIGUSR2); err != nil {
			t.Fatal(err)
		}
		var now int
		s.until("the new worker to serve", func() bool {
			var err error
			now, _, err = s.lb.Workers()
			return err == nil && now != old
		})
		victim := now
		if round%2 == 1 {
			victim = old
		}
		spin(time.Duration(round/2) * 300 * time.Microsecond)
		syscall.Kill(victim, syscall.SIGKILL) // an old one may have left
		cut := 0
		for i, k := range idles {
			err := k.get(fmt.Sprintf("/r/killed/%d.%d", round, i))
			switch {
			case err == nil, strings.Contains(err.Error(), "the balancer closes the connection"):
			case strings.Contains(err.Error(), "EOF"), strings.Contains(err.Error(), "reset"), strings.Contains(err.Error(), "pipe"):
				cut++
			default:
				t.Errorf("round %d: %v", round, err)
			}
		}
		leave(idles)
		cancel()
		tcpDone()
		// A tunnel may have been cut; it may not have lost or doubled anything before.
		for _, err := range tcpErrs.all() {
			if !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "pipe") && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("round %d: %v", round, err)
			}
		}
		t.Logf("round %d: killed %s; %d of %d idle connections and %d of 60 tunnels were cut", round,
			map[bool]string{true: "the new worker", false: "the old one"}[victim == now], cut, len(idles), tcpErrs.n.Load())
		s.until("another worker to serve", func() bool {
			k, err := keep(s.http)
			if err != nil {
				return false
			}
			defer k.c.Close()
			return k.get("/r/again/1") == nil
		})
		s.alone()
	}
}

// spin passes a short time without giving the processor away.
func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// TestConfigurationThatLost reloads with a configuration that has no place for connections there are: the old worker serves them to their end.
func TestConfigurationThatLost(t *testing.T) {
	other, err := backend.StartEcho(host + ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	row := func(name, from, to string) {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			u, err := openTunnel(s.tcp, false)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Conn.Close()
			u.Conn.SetDeadline(time.Now().Add(30 * time.Second))
			talk := func(text string) {
				t.Helper()
				if _, err := u.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				(&raw{t, u.Conn.(*net.TCPConn), u.r}).wantText(text)
			}
			talk("before")
			kept := s.dial(s.http)
			kept.get("/r/lost/1")
			old := s.worker()
			s.configure(strings.Replace(defaultConfig, from, to, 1), "OTHER", other.Addr())
			s.reload()
			talk("after")
			kept.send("GET /r/lost/2 HTTP/1.1\r\nHost: a\r\n\r\n")
			if text, err := kept.r.ReadString('\n'); err != nil || !strings.HasPrefix(text, "HTTP/1.1 200") {
				t.Errorf("the kept connection: %q %v", text, err)
			}
			s.configure(defaultConfig)
			s.reload()
			talk("and then")
			u.Conn.CloseWrite()
			if n, err := u.r.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("after the end: %d bytes, %v", n, err)
			}
			kept.Close()
			s.gone(old)
			if e := s.logged("echo", 1); e[0].received != u.Out || e[0].sent != u.In {
				t.Errorf("the client sent %d and got %d, its line says %+v", u.Out, u.In, e[0])
			}
		})
	}
	row("the frontend", "listen echo\n    mode tcp\n    bind TCP\n", "listen another\n    mode tcp\n    bind TCP\n")
	row("the listener", "    mode tcp\n    bind TCP\n", "    mode tcp\n    bind 127.83.49.21:9\n")
	row("the server", "    server e1 ECHO\n", "    server e2 ECHO\n")
	row("the server's address", "    server e1 ECHO\n", "    server e1 OTHER\n")
	row("every frontend but one", "frontend fe\n    bind HTTP\n", "frontend new\n    bind HTTP\n")
}

// TestThreadsChange goes from two loops to one and back while tunnels run.
func TestThreadsChange(t *testing.T) {
	s := start(t, "GLOBAL", "    nbthread 2")
	var idleErrs, tcpErrs errorsOf
	idles := idle(s.http, 200, &idleErrs)
	defer leave(idles)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tcpDone := tunnels(ctx, s.tcp, false, 40, 20*time.Millisecond, &tcpErrs)
	for round, threads := range []int{1, 2, 4, 1} {
		s.configure(defaultConfig, "GLOBAL", fmt.Sprintf("    nbthread %d", threads))
		old := s.worker()
		s.reload()
		s.gone(old)
		again(idles, round+1, &idleErrs)
		if n, err := s.lb.Info("Nbthread"); err != nil || n != threads {
			t.Errorf("%d threads run, want %d (%v)", n, threads, err)
		}
	}
	cancel()
	tcps := tcpDone()
	idleErrs.report(t, "idle connections")
	tcpErrs.report(t, "TCP tunnels")
	s.account(tcps, s.logged("echo", len(tcps)))
	s.logged("fe", 200*5)
}

// TestOldestMovesToNewest keeps the first worker busy with a request whose body does not come while others come and go: when the request is answered, its
// connection moves to the newest, and its count is not lost.
func TestOldestMovesToNewest(t *testing.T) {
	s := start(t)
	c := s.dial(s.http)
	c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
	s.until("the request to be with the backend", func() bool { return s.stat("be", "b1", "scur") == 1 })
	oldest := s.worker()
	for range 5 {
		before := s.worker()
		s.reload()
		if before != oldest {
			s.gone(before)
		}
	}
	if !rig.Alive(oldest) {
		t.Fatal("the oldest worker is gone with its request")
	}
	c.send("later")
	c.want("POST", "firstlater")
	s.gone(oldest)
	c.get("/r/oldest/1") // and the connection is kept
	s.reload()
	c.get("/r/oldest/2")
	s.logged("fe", 3)
	s.counted("fe", "FRONTEND", "req_tot", 3)
	s.counted("fe", "FRONTEND", "stot", 1)
}

// TestIdleTimeRunsOn holds that reloads do not keep a silent tunnel alive: timeout tunnel counts from its last byte.
func TestIdleTimeRunsOn(t *testing.T) {
	s := start(t, "timeout queue 20s", "timeout tunnel 3s")
	u, err := openTunnel(s.tcp, false)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Conn.Close()
	c := &raw{t, u.Conn.(*net.TCPConn), u.r}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	c.send("x")
	c.wantText("x")
	begun := time.Now()
	ended := make(chan error, 1)
	go func() {
		_, err := c.r.ReadByte()
		ended <- err
	}()
	for n := 0; ; n++ {
		s.reload()
		select {
		case err := <-ended:
			if d := time.Since(begun); d < 2900*time.Millisecond || n < 2 {
				t.Errorf("the tunnel ended %v after its last byte (%v), after %d reloads", d, err, n)
			}
			return
		default:
		}
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("the silent tunnel is alive after %d reloads", n)
		}
	}
}
