package receive

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// arrived waits until the other end's kernel has all that was written.
func arrived(t *testing.T, c net.Conn) {
	t.Helper()
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the other end's kernel to have it", func() bool {
		var left int
		var ioctlErr error
		if err := raw.Control(func(fd uintptr) { left, ioctlErr = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil || ioctlErr != nil {
			t.Fatal(err, ioctlErr)
		}
		return left == 0
	})
}

func pass(t *testing.T, s *Stream) {
	t.Helper()
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.Barrier(limited); err != nil {
		t.Fatal(err)
	}
}

// TestBarrierCoversWhatHasArrived speaks over connections old, idle and brand-new, and looks once, behind the barrier.
func TestBarrierCoversWhatHasArrived(t *testing.T) {
	s, k := stream(t, &Stream{Idle: time.Hour})
	for range 300 {
		dial(t, "tcp", s.Describe().Address) // these never say anything
	}
	old := dial(t, "tcp", s.Describe().Address)
	var want []string
	for i := range 50 {
		fresh := dial(t, "tcp", s.Describe().Address)
		for who, c := range map[string]net.Conn{"old": old, "fresh": fresh} {
			text := fmt.Sprintf("<13>%s %d %s", who, i, strings.Repeat("x", i))
			say(t, c, text+"\n")
			want = append(want, text)
			arrived(t, c)
		}
		pass(t, s)
		got := "\n" + strings.Join(k.got(), "\n") + "\n"
		for _, text := range want {
			if !strings.Contains(got, "\n"+text+"\n") {
				t.Fatalf("behind barrier %d, %.20q is missing", i, text)
			}
		}
	}
	say(t, old, "<13>the beginning") // of which no barrier can have the end
	arrived(t, old)
	pass(t, s)
	say(t, old, " and the end\n")
	arrived(t, old)
	pass(t, s)
	if got := k.got(); len(got) != 101 || got[100] != "<13>the beginning and the end" {
		t.Errorf("%d messages, the last %q", len(got), got[len(got)-1])
	}
}

// TestBarrierOverTLS has large messages, of several records each.
func TestBarrierOverTLS(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", a)
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	s, k := stream(t, &Stream{TLS: config, Idle: time.Hour})
	dial(t, "tcp", s.Describe().Address) // stays in its handshake, and holds up nobody
	c, err := tls.Dial("tcp", s.Describe().Address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say(t, c, "<13>hello\n")
	wait.Until(t, "the end of the handshake", func() bool { return len(k.got()) == 1 })
	for i := range 20 {
		say(t, c, strings.Repeat("<13>one of a hundred\n", 100*i)+"<13>a half one, ")
		arrived(t, c)
		pass(t, s)
		say(t, c, "and its end\n")
		arrived(t, c)
		pass(t, s)
		if want := 1 + 100*i*(i+1)/2 + i + 1; len(k.got()) != want {
			t.Fatalf("behind barrier %d are %d messages; want %d", i, len(k.got()), want)
		}
	}
}

// choosy is a Handler that keeps nothing but messages with numbers.
type choosy struct{ keeper }

func (c *choosy) Message(from *Sender, b []byte, size int) {
	if bytes.HasPrefix(b, []byte("<13>number ")) {
		c.keeper.Message(from, b, size)
	}
}

// TestBarrierBesideAClientThatNeverStops wants it to be passed, and by the messages that came before.
func TestBarrierBesideAClientThatNeverStops(t *testing.T) {
	k := new(choosy)
	s, _ := stream(t, &Stream{NewHandler: func() Handler { return k }})
	var sender sync.WaitGroup
	defer sender.Wait()
	c := dial(t, "tcp", s.Describe().Address)
	defer c.Close()
	sender.Go(func() {
		for text := strings.Repeat("<13>and on\n", 1000); ; {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	})
	other := dial(t, "tcp", s.Describe().Address)
	for i := range 20 {
		text := fmt.Sprintf("<13>number %d", i)
		say(t, other, text+"\n")
		arrived(t, other)
		pass(t, s)
		if got := k.got(); len(got) != i+1 || got[i] != text {
			t.Fatalf("behind the barrier of %q are %q", text, got)
		}
	}
}

// TestBarrierWaitsForABatchUnderWay holds a batch whose bytes the kernel has no more.
func TestBarrierWaitsForABatchUnderWay(t *testing.T) {
	s, k := stream(t, new(Stream))
	hold := make(chan struct{})
	k.mu.Lock()
	k.hold = hold
	k.mu.Unlock()
	c := dial(t, "tcp", s.Describe().Address)
	say(t, c, "<13>slow\n")
	arrived(t, c)
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Barrier(early); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the barrier was passed before the batch: %v", err)
	}
	close(hold)
	pass(t, s)
	if got := k.got(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// TestPoliteClientsLoseNothing ends the Stream while clients send that stop when they are told, as a syslog sender does that waits for
// the other end to close.
func TestPoliteClientsLoseNothing(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", a)
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Stream{"tcp": new(Stream), "tls": {TLS: config}} {
		t.Run(name, func(t *testing.T) {
			k := new(keeper)
			s.Name, s.Size, s.Log, s.Most, s.MostEach = name, 512, slog.New(slog.DiscardHandler), 100, 100
			s.NewHandler, s.closing = func() Handler { return k }, time.Hour
			if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); s.Run(ctx) }()

			sent := make(chan int)
			for range 5 {
				var c net.Conn
				if s.TLS == nil {
					c = dial(t, "tcp", s.Describe().Address)
				} else if c, err = tls.Dial("tcp", s.Describe().Address, &tls.Config{InsecureSkipVerify: true}); err != nil {
					t.Fatal(err)
				}
				told := make(chan struct{})
				go func() {
					defer close(told)
					io.Copy(io.Discard, c) // until the other end closes
				}()
				go func() {
					n := 0
					tick := time.NewTicker(100 * time.Microsecond)
					defer tick.Stop()
					for {
						select {
						case <-told:
							c.Close()
							sent <- n
							return
						case <-tick.C:
						}
						if _, err := io.WriteString(c, "<13>one more\n"); err != nil {
							t.Error(err)
						}
						n++
					}
				}()
			}
			wait.Until(t, "some messages", func() bool { return len(k.got()) > 500 })
			cancel()
			total := 0
			for range 5 {
				total += <-sent
			}
			<-ended
			if got := len(k.got()); got != total {
				t.Errorf("%d messages of %d", got, total)
			}
		})
	}
}

// TestEndWithClientsInTheQueue ends a Stream that has not accepted its clients yet.
func TestEndWithClientsInTheQueue(t *testing.T) {
	k := new(keeper)
	s := &Stream{
		Name: "tcp://test", Size: 1024, Most: 10, MostEach: 10, NewHandler: func() Handler { return k }, Log: slog.New(slog.DiscardHandler), closing: time.Hour,
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c := dial(t, "tcp", s.Describe().Address)
		say(t, c, "<13>in time\n")
		c.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Run(ctx)
	if got := k.got(); len(got) != 3 {
		t.Errorf("%d messages of 3", len(got))
	}
}

// TestEndInTheHandshake ends a Stream when a client has finished its side of the TLS handshake, and the Stream has not.
func TestEndInTheHandshake(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", a)
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	k := new(keeper)
	s := &Stream{
		Name: "tls://test", Size: 1024, Most: 10, MostEach: 10, TLS: config, NewHandler: func() Handler { return k }, Log: slog.New(slog.DiscardHandler),
		closing: time.Hour,
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	client := &corked{Conn: dial(t, "tcp", s.Describe().Address)}
	secure := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	say(t, secure, "<13>hello\n")
	cancel()
	wait.Until(t, "the end to begin", func() bool {
		c, err := net.Dial("tcp", s.Describe().Address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	say(t, client.Conn, string(client.held))
	client.Conn.(*net.TCPConn).CloseWrite()
	<-ended
	if got := k.got(); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// slowToTell is a context between two steps of its cancellation: it says that it is done, and has not told anybody yet.
type slowToTell struct {
	context.Context
	done atomic.Bool
}

func (c *slowToTell) Err() error {
	if c.done.Load() {
		return context.Canceled
	}
	return c.Context.Err()
}

// TestEndBetweenTwoSteps has a connection come in the very moment of a stop: the other clients are told all the same.
func TestEndBetweenTwoSteps(t *testing.T) {
	s := &Stream{Name: "tcp://test", Size: 1024, Most: 10, MostEach: 10, NewHandler: func() Handler { return new(keeper) }, Log: slog.New(slog.DiscardHandler)}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	inner, cancel := context.WithCancel(context.Background())
	defer cancel()
	ctx := &slowToTell{Context: inner}
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	old := dial(t, "tcp", s.Describe().Address)
	wait.Until(t, "the connection", func() bool { return s.Counts().Connections == 1 })
	ctx.done.Store(true)
	dial(t, "tcp", s.Describe().Address)
	old.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := old.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("the client reads %v; want to be told of the end", err)
	}
	<-ended
}

// corked is a connection that gathers what is written to it from its second write on.
type corked struct {
	net.Conn
	writes int
	held   []byte
}

func (c *corked) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// TestBarrierAtTheEndOfAHandshake has a message come in one segment with the end of the TLS handshake: it has left the socket's queue and
// was not read yet, and a barrier must not pass it.
func TestBarrierAtTheEndOfAHandshake(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", a)
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	s := &Stream{
		Name: "tls://test", Size: 1024, Most: 10, MostEach: 10, TLS: config, NewHandler: func() Handler { return new(keeper) },
		Log: slog.New(slog.DiscardHandler),
	}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client := &corked{Conn: dial(t, "tcp", s.Describe().Address)}
	conn, err := s.listener.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, err := s.admit(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan error)
	go func() { begun <- c.begin(t.Context()) }()
	secure := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	say(t, secure, "<13>hello\n")
	say(t, client.Conn, string(client.held))
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	if c.queued() > 0 {
		t.Fatal("the message is still in the socket, which shows nothing")
	}
	if c.ask() == nil {
		t.Error("the connection says that all is through")
	}
}
