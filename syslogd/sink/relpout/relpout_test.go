package relpout

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"lbsyslogd/syslogd/circle"
	"lbsyslogd/syslogd/peers"
	"lbsyslogd/syslogd/relp"
	"lbsyslogd/syslogd/sink"
	"lbsyslogd/test/port"
	"lbsyslogd/test/wait"
)

// A server takes everything until it is stopped.
type server struct {
	t       *testing.T
	address string

	// mu guards the fields below.
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	taken    []string
	closed   int // sessions that the client has closed
}

func (s *server) start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			go s.serve(c)
		}
	}()
}

func (s *server) serve(c net.Conn) {
	defer c.Close()
	p := relp.Parser{Keep: 1000, Most: 1000}
	var rest []byte
	buffer := make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		rest = append(rest, buffer[:n]...)
		for {
			f, n, whole, err := p.Next(rest)
			if err != nil || n == 0 {
				break
			}
			rest = rest[n:]
			if whole {
				s.obey(c, f)
			}
		}
	}
}

func (s *server) obey(c net.Conn, f relp.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.Is("open"):
		c.Write(relp.AppendResponse(nil, f.Number, relp.OK, "OK", []byte("relp_version=0\ncommands=syslog")))
	case f.Is("syslog"):
		s.taken = append(s.taken, string(f.Data))
		c.Write(relp.AppendOK(nil, f.Number))
	case f.Is("close"):
		s.closed++
		c.Close()
	}
}

func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener.Close()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *server) got() (lines []string, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken, s.closed
}

// TestFailoverAndBack stops the first of two servers, starts it again, and stops both.
func TestFailoverAndBack(t *testing.T) {
	a, b := &server{t: t, address: port.Reserve(t)}, &server{t: t, address: port.Reserve(t)}
	a.start()
	b.start()
	defer b.stop()
	s := &Sink{Peers: &peers.List{Entries: []peers.Entry{{Address: a.address}, {Address: b.address}}, Retry: 20 * time.Millisecond}}
	deliver := func(line string) sink.Answer { return s.Deliver(t.Context(), []sink.Record{{Line: []byte(line)}}) }
	mustTake := func(line string) {
		t.Helper()
		for range 10 { // a session may turn out to be broken only now
			if a := deliver(line); a.Verdict == sink.Taken && len(a.Again) == 0 {
				return
			}
		}
		t.Fatalf("%s is not taken", line)
	}
	mustTake("one")
	a.stop()
	mustTake("two")
	if got := s.Current(); got != b.address {
		t.Errorf("with %s", got)
	}
	a.start()
	<-s.better
	mustTake("three")
	if lines, _ := a.got(); fmt.Sprint(lines) != "[one three]" {
		t.Errorf("the first server has %q", lines)
	}
	wait.Until(t, "the second server to see the end of its session", func() bool { _, closed := b.got(); return closed == 1 })
	if lines, _ := b.got(); fmt.Sprint(lines) != "[two]" {
		t.Errorf("the second server has %q", lines)
	}
	a.stop()
	b.stop()
	for range 2 {
		if a := s.Deliver(t.Context(), []sink.Record{{Line: []byte("four")}}); a.Verdict != sink.Later || a.Err == nil {
			t.Errorf("without a server: %+v", a)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnswers holds what responses mean to the Sender: what has one counts, what is refused while others are not is tried once more alone, and when
// nothing is taken the Sender finds out whose fault it is.
func TestAnswers(t *testing.T) {
	broken := errors.New("broken")
	no := func(indices ...int) (all []relp.Refusal) {
		for _, i := range indices {
			all = append(all, relp.Refusal{Index: i, Code: 500, Reason: "no"})
		}
		return all
	}
	for _, row := range []struct {
		records, taken int
		refused        []relp.Refusal
		err            error
		verdict        sink.Verdict
		again          string
	}{
		{3, 3, nil, nil, sink.Taken, "[]"},
		{3, 3, no(1), nil, sink.Taken, "[1]"},
		{3, 3, no(0, 1, 2), nil, sink.Refused, "[]"},
		{1, 1, no(0), nil, sink.Refused, "[]"},
		{3, 0, nil, broken, sink.Later, "[]"},
		{3, 0, nil, io.ErrUnexpectedEOF, sink.Faulty, "[]"},
		{3, 1, no(0), broken, sink.Refused, "[]"}, // the Sender finds out whether it is for what it is
		{3, 2, nil, broken, sink.Taken, "[2]"},
		{4, 2, no(0), broken, sink.Taken, "[0 2 3]"},
	} {
		a := answer(row.records, row.taken, row.refused, row.err)
		if a.Verdict != row.verdict || fmt.Sprint(a.Again) != row.again || (a.Err == nil) != (row.err == nil && row.refused == nil) || len(a.Refused) > 0 {
			t.Errorf("%+v: %+v", row, a)
		}
		if row.err != nil && !errors.Is(a.Err, row.err) {
			t.Errorf("%+v: %v", row, a.Err)
		}
	}
}

// TestLinesThatComeBackAreNotSentAgain delivers lines that came back five seconds later, and says so.
func TestLinesThatComeBackAreNotSentAgain(t *testing.T) {
	a := &server{t: t, address: port.Reserve(t)}
	a.start()
	defer a.stop()
	s := &Sink{Peers: &peers.List{Entries: []peers.Entry{{Address: a.address}}}}
	s.circle.After = time.Nanosecond
	defer s.Close()
	var records []sink.Record
	for i := range circle.Lines {
		records = append(records, sink.Record{Line: fmt.Appendf(nil, "<13>1 2026-11-21T03:04:05Z h a - - - n=%d", i)})
	}
	for range 4 {
		if a := s.Deliver(t.Context(), records); a.Verdict != sink.Taken || a.Err != nil {
			t.Fatalf("%+v", a)
		}
	}
	lines, _ := a.got()
	if n, err := s.Looped(); len(lines) >= 3*circle.Lines || n < circle.Lines || !errors.Is(err, circle.Err) {
		t.Errorf("the server has %d lines; %d looped, %v", len(lines), n, err)
	}
}
