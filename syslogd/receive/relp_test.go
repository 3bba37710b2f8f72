package receive

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/syslogd/relp"
	"lbsyslogd/test/wait"
)

// A desk is a Deliverer that keeps what it gets, and takes a batch when the test says so.
type desk struct {
	keeper
	hold chan error // when not nil, Deliver waits for what it returns
	mu   sync.Mutex // guards hold
}

func (d *desk) Deliver(ctx context.Context) error {
	d.mu.Lock()
	hold := d.hold
	d.mu.Unlock()
	if hold != nil {
		select {
		case err := <-hold:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// relpStream is a Stream that speaks RELP, all of whose messages go to one desk.
func relpStream(t *testing.T, s *Stream) (*Stream, *desk) {
	t.Helper()
	d := new(desk)
	s.closing = 50 * time.Millisecond
	s.RELP, s.NewHandler = true, func() Handler { return d }
	s, _ = stream(t, s)
	return s, d
}

// A relpClient says frames and reads others.
type relpClient struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func relpDial(t *testing.T, s *Stream) *relpClient {
	c := dial(t, "tcp", s.Describe().Address)
	return &relpClient{t, c, bufio.NewReader(c)}
}

const openFrame = "1 open 49 relp_version=0\nrelp_software=test\ncommands=syslog\n"

// heard is the next line from the server; at the end, "EOF".
func (c *relpClient) heard() string {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := c.in.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		return "EOF"
	}
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (c *relpClient) hears(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.heard(); got != w {
			c.t.Fatalf("the server says %q; want %q", got, w)
		}
	}
}

var opened = []string{"1 rsp 59 200 OK", "relp_version=0", "relp_software=syslogd", "commands=syslog"}

func TestRELPSession(t *testing.T) {
	s, d := relpStream(t, new(Stream))
	c := relpDial(t, s)
	say(t, c, openFrame)
	c.hears(opened...)
	say(t, c, "2 syslog 6 <13>on\n3 syslog 7 <13>t\nw\n0 hint 3 abc\n4 open 0\n5 syslog 600 "+strings.Repeat("x", 600)+"\n6 clo")
	c.hears("2 rsp 6 200 OK", "3 rsp 6 200 OK", "4 rsp 37 200 connection already open - ignored", "5 rsp 6 200 OK")
	say(t, c, "se 0\n7 syslog 1 x\n")
	c.hears("6 rsp 6 200 OK", "0 serverclose 0")
	got := d.got()
	if len(got) != 3 || got[0] != "<13>on" || got[1] != "<13>t\nw" || got[2] != strings.Repeat("x", 512) || d.sizes[2] != 600 {
		t.Errorf("got %q", got)
	}
	wait.Until(t, "the end of the connection", func() bool { return s.Counts().Connections == 0 })
	if n := s.Counts(); n.Received != 3 || n.Acknowledged != 3 || n.Unacknowledged != 0 || n.BadFrames != 0 || n.Broken != 0 {
		t.Errorf("%+v", n)
	}
}

// TestRELPRefusesWhatIsNone holds that each kind of wrong frame ends the connection, with a count and a reason, and that what came before it in the
// same batch is acknowledged.
func TestRELPRefusesWhatIsNone(t *testing.T) {
	for _, c := range []struct{ say, answer, reason string }{
		{"<13>hello\n", "0 serverclose 0", "transaction number"},
		{"2 syslog 1 x\n", "0 serverclose 0", "command number 2 where 1 comes next"},
		{"1 syslog 1 x\n", "1 rsp 27 500 the session is not open", "not open"},
		{"1 starttls 0\n", "1 rsp 34 500 this command is not known here", "starttls"},
		{"1 open 16 commands=syslog,\n", "1 rsp 45 500 there is no relp_version among the offers", "relp_version"},
		{"1 open 14 relp_version=1\n", "1 rsp 52 500 required command not supported by client: syslog", "not supported by client"},
		{"1 open 999999999 x", "0 serverclose 0", "999999999 bytes of data"},
		{"123456789012345 open", "0 serverclose 0", "transaction number"},
	} {
		s, _ := relpStream(t, new(Stream))
		client := relpDial(t, s)
		say(t, client, c.say)
		client.hears(c.answer)
		wait.Until(t, "the end of the connection", func() bool { return s.Counts().Connections == 0 })
		if n := s.Counts(); n.BadFrames != 1 || !strings.Contains(n.LastBadFrame, c.reason) || !strings.HasPrefix(n.LastBadFrame, "127.0.0.1: ") || n.Received != 0 {
			t.Errorf("%q: %+v", c.say, n)
		}
	}
	s, d := relpStream(t, new(Stream))
	c := relpDial(t, s)
	say(t, c, openFrame+"2 syslog 1 x\n3 syslog 2 xx\n5 syslog 1 x\n")
	c.hears(append(slices.Clone(opened), "2 rsp 6 200 OK", "3 rsp 6 200 OK", "0 serverclose 0", "EOF")...)
	if got := d.got(); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

// TestRELPAcknowledgesWhatIsWritten holds that a response comes after Deliver and never without it, that nothing more is read meanwhile, and
// that a Barrier does not wait for a client whose messages cannot be written.
func TestRELPAcknowledgesWhatIsWritten(t *testing.T) {
	s, d := relpStream(t, new(Stream))
	c := relpDial(t, s)
	say(t, c, openFrame)
	c.hears(opened...)
	d.mu.Lock()
	d.hold = make(chan error)
	d.mu.Unlock()
	say(t, c, "2 syslog 1 a\n")
	wait.Until(t, "the message", func() bool { return len(d.got()) == 1 })
	say(t, c, "3 syslog 1 b\n")
	if err := s.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
	if n := s.Counts(); len(d.got()) != 1 || n.Acknowledged != 0 || c.in.Buffered() > 0 {
		t.Errorf("%q, %+v", d.got(), n)
	}
	d.hold <- nil
	c.hears("2 rsp 6 200 OK")
	d.hold <- errors.New("the disk is gone")
	c.hears("EOF")
	wait.Until(t, "the end of the connection", func() bool { return s.Counts().Connections == 0 })
	if n := s.Counts(); n.Acknowledged != 1 || n.Unacknowledged != 1 || n.BadFrames != 0 || n.Broken != 1 {
		t.Errorf("%+v", n)
	}
}

// TestRELPClientThatGoes holds that a client whose messages cannot be written takes no place when it has gone.
func TestRELPClientThatGoes(t *testing.T) {
	s, d := relpStream(t, new(Stream))
	c := relpDial(t, s)
	say(t, c, openFrame)
	c.hears(opened...)
	d.mu.Lock()
	d.hold = make(chan error)
	d.mu.Unlock()
	say(t, c, "2 syslog 1 a\n")
	wait.Until(t, "the message", func() bool { return len(d.got()) == 1 })
	c.Close()
	wait.Until(t, "the end of the connection", func() bool { n := s.Counts(); return n.Connections == 0 && n.Unacknowledged == 1 })
}

// TestRELPClientsAreToldOfTheEnd holds that at the end of a Stream what was read is acknowledged, and the client told.
func TestRELPClientsAreToldOfTheEnd(t *testing.T) {
	d := new(desk)
	s := &Stream{RELP: true, NewHandler: func() Handler { return d }, Name: "relp://test", Size: 512, Most: 9, MostEach: 9, Log: slog.New(slog.DiscardHandler), closing: 500 * time.Millisecond}
	if err := s.Listen(t.Context(), "127.0.0.1:0", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	idle, held := relpDial(t, s), relpDial(t, s)
	for _, c := range []*relpClient{idle, held} {
		say(t, c, openFrame)
		c.hears(opened...)
	}
	d.mu.Lock()
	d.hold = make(chan error) // nobody ever takes it
	d.mu.Unlock()
	say(t, held, "2 syslog 1 a\n")
	wait.Until(t, "the message", func() bool { return len(d.got()) == 1 })
	cancel()
	idle.hears("0 serverclose 0", "EOF")
	held.hears("EOF")
	<-ended
	if n := s.Counts(); n.Acknowledged != 0 || n.Unacknowledged != 1 {
		t.Errorf("%+v", n)
	}
}

// TestRELPPatience holds that a session that is not opened, and a frame that does not come to its end, have a time.
func TestRELPPatience(t *testing.T) {
	began := time.Now()
	for _, c := range []struct {
		d    *dialog
		want time.Duration
	}{
		{&dialog{offered: -1, began: began}, openTime},
		{&dialog{offered: 0, began: began}, frameTime},
		{&dialog{offered: 0}, time.Hour},
	} {
		if got := c.d.patience(began.Add(time.Hour)).Sub(began); got != c.want {
			t.Errorf("offered %d: %v", c.d.offered, got)
		}
	}
}

func TestRELPManyMessagesOverTLS(t *testing.T) {
	a := newAuthority(t)
	a.sign("server", a)
	config, err := (&Certs{Cert: a.path("server"), Key: a.path("server")}).Config()
	if err != nil {
		t.Fatal(err)
	}
	s, d := relpStream(t, &Stream{TLS: config})
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c, err := tls.Dial("tcp", s.Describe().Address, &tls.Config{RootCAs: pool, ServerName: "server"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := &relpClient{t, c, bufio.NewReader(c)}
	say(t, c, openFrame)
	client.hears(opened...)
	const messages = 5000
	go func() {
		var frames []byte
		for i := range messages {
			frames = relp.AppendFrame(frames, i+2, "syslog", fmt.Appendf(nil, "<13>message %d", i))
		}
		c.Write(frames)
	}()
	for i := range messages {
		client.hears(fmt.Sprintf("%d rsp 6 200 OK", i+2))
	}
	for i, text := range d.got() {
		if text != fmt.Sprintf("<13>message %d", i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
}
