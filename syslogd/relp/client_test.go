package relp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A server answers frames by a script: each word says what to do with the next message. It is the other end of a pipe over TCP.
type server struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// pair is both ends of a connection.
func pair(t *testing.T) (client net.Conn, s *server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); c.Close() })
	return client, &server{t, c, bufio.NewReader(c)}
}

// frame reads "NUMBER COMMAND LENGTH[ DATA]" and returns all but the length.
func (s *server) frame() string {
	var number, size int
	var command string
	if _, err := fmt.Fscanf(s.in, "%d %s %d", &number, &command, &size); err != nil {
		return err.Error()
	}
	data := make([]byte, size+1)
	if size > 0 {
		s.in.Discard(1)
	}
	if _, err := io.ReadFull(s.in, data[:size]); err != nil {
		return err.Error()
	}
	if size > 0 {
		s.in.Discard(1)
	}
	return fmt.Sprintf("%d %s %s", number, command, data[:size])
}

func (s *server) say(frames ...[]byte) {
	for _, f := range frames {
		if _, err := s.Write(f); err != nil {
			s.t.Error(err)
		}
	}
}

func openAnswer(n int) []byte {
	return AppendResponse(nil, n, OK, "OK", Offers{0, []string{"syslog"}, "test"}.Append(nil))
}

// session is a Client with a server that has opened the session.
func session(t *testing.T) (*Client, *server) {
	t.Helper()
	conn, s := pair(t)
	go s.say(openAnswer(1))
	c, err := Open(t.Context(), conn, "test")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.frame(); got != "1 open relp_version=0\nrelp_software=test\ncommands=syslog" {
		t.Errorf("the client says %q", got)
	}
	return c, s
}

func messages(n int) (all [][]byte) {
	for i := range n {
		all = append(all, fmt.Appendf(nil, "<13>message %d", i))
	}
	return all
}

func TestSendWaitsForEachResponse(t *testing.T) {
	c, s := session(t)
	const n = 3 * Window
	go func() {
		for i := range n {
			if got, want := s.frame(), fmt.Sprintf("%d syslog <13>message %d", i+2, i); got != want {
				t.Errorf("the client says %q; want %q", got, want)
				s.Close()
				return
			}
			if i%100 == 0 {
				s.say(AppendFrame(nil, 0, "hint", []byte("nothing")))
			}
			if i == 1000 {
				s.say(AppendResponse(nil, i+2, Failed, "no", nil))
				continue
			}
			s.say(AppendOK(nil, i+2))
		}
	}()
	taken, refused, err := c.Send(t.Context(), messages(n))
	if err != nil || taken != n || len(refused) != 1 || refused[0] != (Refusal{1000, Failed, "no"}) {
		t.Errorf("%d, %v, %v", taken, refused, err)
	}
	if err := c.Idle(); err != nil {
		t.Error(err)
	}
	go func() {
		if got := s.frame(); got != fmt.Sprintf("%d close ", n+2) {
			t.Errorf("the client says %q", got)
		}
		s.say(AppendFrame(nil, n+2, "rsp"), AppendFrame(nil, 0, "serverclose"))
		s.Close()
	}()
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSendEndsWithTheSession holds that what has a response counts, and what has none does not, however the session ends.
func TestSendEndsWithTheSession(t *testing.T) {
	for _, row := range []struct {
		end  func(s *server)
		want string
	}{
		{func(s *server) { s.say(AppendFrame(nil, 0, "serverclose")) }, ErrServerClosed.Error()},
		{func(s *server) { s.Close() }, "unexpected EOF"},
		{func(s *server) { s.say(AppendOK(nil, 7)) }, "rsp 7 where the response to 4 comes next"},
		{func(s *server) { s.say([]byte("4 rsp 3 yes\n")) }, "without a code"},
		{func(s *server) { s.say([]byte("HTTP/1.1 400 Bad Request\r\n")) }, "transaction number"},
		{func(s *server) { s.say([]byte("4 rsp 999999999 ")) }, "999999999 bytes"},
	} {
		c, s := session(t)
		go func() {
			for i := range 5 {
				s.frame()
				if i < 2 {
					s.say(AppendOK(nil, i+2))
				}
			}
			row.end(s)
		}()
		taken, _, err := c.Send(t.Context(), messages(5))
		if taken != 2 || err == nil || !strings.Contains(err.Error(), row.want) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%d, %v; want 2, %s", taken, err, row.want)
		}
		c.Abandon()
	}
	c, s := session(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { s.frame(); cancel() }()
	if taken, _, err := c.Send(ctx, messages(1)); taken != 0 || err == nil {
		t.Errorf("%d, %v", taken, err)
	}
}

func TestOpenRefusesWhatIsNoRELP(t *testing.T) {
	for _, row := range []struct {
		answer []byte
		want   string
	}{
		{AppendResponse(nil, 1, Failed, "go away", nil), "500 go away"},
		{AppendOK(nil, 1), "no relp_version"},
		{AppendResponse(nil, 1, OK, "OK", []byte("relp_version=0\ncommands=eventlog")), "takes no syslog messages"},
		{AppendOK(nil, 2), "where the response to 1"},
		{[]byte("220 mail.example.org ESMTP\r\n"), "command"},
	} {
		conn, s := pair(t)
		go s.say(row.answer)
		if _, err := Open(t.Context(), conn, "test"); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v", row.answer, err)
		}
	}
	conn, _ := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, conn, "test"); err == nil {
		t.Error("a silent server has opened a session")
	}
}

func TestIdleNoticesTheEnd(t *testing.T) {
	c, s := session(t)
	if err := c.Idle(); err != nil {
		t.Error(err)
	}
	s.say(AppendFrame(nil, 0, "serverclose"))
	s.Close()
	for {
		if err := c.Idle(); err != nil {
			if !errors.Is(err, ErrServerClosed) {
				t.Error(err)
			}
			return
		}
	}
}
