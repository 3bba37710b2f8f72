package syslog

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/wait"
)

// told keeps what a Health tells.
func told(address string) (*Health, *[]string) {
	said := new([]string)
	return &Health{Address: address, Tell: func(o Outage) { *said = append(*said, o.String()) }}, said
}

// deaf is the address of a UDP port that nobody listens on.
func deaf(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// One outage is told of once, with its first line, though several senders and
// many lines meet it; its end is told once, with the number that the counters
// have too.
func TestOutageOverUDPIsToldOnce(t *testing.T) {
	addr := deaf(t)
	h, said := told(addr)
	tg := Target{Network: "udp", Address: addr, Format: "raw", Level: 7, Health: h}
	one, two := newSender(t, tg), newSender(t, tg)
	const lines = 40
	for i := range lines {
		for _, s := range []*Sender{one, two} {
			s.Log(message.Info, []byte("into the void"))
			s.Flush()
		}
		if i == 0 && len(*said) != 1 {
			t.Fatalf("after the first line: %q", *said)
		}
	}
	if len(*said) != 1 || (*said)[0] != "log: "+addr+" refuses datagrams (connection refused): is syslogd running? 1 line lost so far" {
		t.Fatalf("told: %q", *said)
	}
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sent := 0
	wait.Until(t, "the end of the outage is reported", func() bool {
		one.Log(message.Info, []byte("heard"))
		one.Flush()
		sent++
		read(t, c.(net.Conn))
		return len(*said) == 2
	})
	two.Flush()
	if !strings.HasPrefix((*said)[1], fmt.Sprintf("log: %s takes lines again; %d lines were lost between ", addr, h.Lost())) {
		t.Errorf("told: %q; %d are counted", (*said)[1], h.Lost())
	}
	if h.Lost() != one.Dropped()+two.Dropped() || h.Sent() != one.Sent()+two.Sent() || h.Sent()+h.Lost() != uint64(2*lines+sent) {
		t.Errorf("sent %d, lost %d of %d; the senders say %d and %d, %d and %d", h.Sent(), h.Lost(), 2*lines+sent,
			one.Sent(), two.Sent(), one.Dropped(), two.Dropped())
	}
}

// What came back to a loop that has sent nothing since the end of an outage belongs to that outage: the figure is corrected, and nobody hears of a
// new one.
func TestLateFindings(t *testing.T) {
	row := func(find func(*Sender)) {
		t.Helper()
		addr := deaf(t)
		var said []Outage
		h := &Health{Address: addr, Tell: func(o Outage) { said = append(said, o) }}
		tg := Target{Network: "udp", Address: addr, Format: "raw", Level: 7, Health: h}
		one, two := newSender(t, tg), newSender(t, tg)
		two.targets[0].looked = time.Now().Add(time.Hour) // it does not look by itself
		two.Log(message.Info, []byte("into the void"))
		two.Flush()
		one.Log(message.Info, []byte("into the void"))
		one.Flush()
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		wait.Until(t, "the end of the outage is reported", func() bool {
			one.Log(message.Info, []byte("heard"))
			one.Flush()
			read(t, c.(net.Conn))
			return len(said) == 2
		})
		if said[1].Lost != 1 || h.Lost() != 1 {
			t.Errorf("at the end %d are lost, %d are counted, want 1", said[1].Lost, h.Lost())
		}
		find(two)
		if len(said) != 3 || !said[2].Over || said[2].Late != 1 || said[2].Lost != 2 || h.Lost() != 2 || two.Dropped() != 1 || h.Sent() != one.Sent()+two.Sent() {
			t.Errorf("told %v; %d are counted as lost", said, h.Lost())
		}
	}
	row(func(s *Sender) { s.Log(message.Info, []byte("heard")); s.Flush() })
	row((*Sender).Close)
}

// Lines that wait for a unix socket are no outage while it may only be
// restarting, and none of them is lost in one.
func TestOutageOfAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	h, said := told(path)
	tg := raw(path)
	tg.Health = h
	s := newSender(t, tg)
	s.Log(message.Info, []byte("first"))
	s.Flush()
	if len(*said) != 0 {
		t.Fatalf("told at once: %q", *said)
	}
	wait.Until(t, "the outage is reported", func() bool { s.Flush(); return len(*said) == 1 })
	if want := "log: " + path + " is not there (no such file or directory): is syslogd running? 1 line waits"; (*said)[0] != want {
		t.Errorf("told %q, want %q", (*said)[0], want)
	}
	c := receiver(t, path)
	wait.Until(t, "the first line is taken", func() bool { s.Flush(); return !s.Pending() })
	wait.Until(t, "the end is reported", func() bool {
		read(t, c)
		s.Log(message.Info, []byte("next"))
		s.Flush()
		return len(*said) == 2
	})
	if want := "log: " + path + " takes lines again; none was lost"; (*said)[1] != want {
		t.Errorf("told %q, want %q", (*said)[1], want)
	}
}

// A receiver that comes and goes is told of once a minute at most, and one
// that stays away is told of then.
func TestOutagesInARowAreHushed(t *testing.T) {
	h, said := told("x")
	now := time.Unix(1_800_000_000, 0)
	after := func(d time.Duration) time.Time { now = now.Add(d); return now }
	for range 10 {
		h.trouble(after(time.Second), unix.ECONNREFUSED, 1, 0)
		h.fine(after(proven))
		h.fine(after(proven))
	}
	if len(*said) != 2 {
		t.Fatalf("told %q", *said)
	}
	h.trouble(after(time.Second), unix.ECONNREFUSED, 1, 0)
	h.trouble(after(minQuiet), unix.ECONNREFUSED, 4, 0)
	if len(*said) != 3 || !strings.HasSuffix((*said)[2], " 5 lines lost so far") {
		t.Errorf("told %q", *said)
	}
	if h.Lost() != 15 {
		t.Errorf("%d lines lost, want 15", h.Lost())
	}
}

func TestOutageSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		o    Outage
		want string
	}{
		{Outage{Address: "192.0.2.1:514", Reason: unix.EHOSTUNREACH, Lost: 3}, "log: 192.0.2.1:514 cannot be reached (no route to host): is there a route to it? 3 lines lost so far"},
		{Outage{Address: "192.0.2.1:514", Over: true, Late: 1, Lost: 3}, "log: 192.0.2.1:514 did not get 1 line more, sent before it took lines again; 3 lines were lost in all between 00:00:00 and 00:00:00"},
		{Outage{Address: "192.0.2.1:514", Reason: unix.EPERM, Lost: 1}, "log: 192.0.2.1:514 may not be sent to (operation not permitted): look at the firewall, or the socket's permissions. 1 line lost so far"},
		{Outage{Address: "/log", Waiting: 9}, "log: /log takes lines too slowly (resource temporarily unavailable): is the log daemon's machine too busy? 9 lines wait"},
		{Outage{Address: "/log", Reason: unix.ENOTCONN, Waiting: 9}, "log: /log cannot be reached (transport endpoint is not connected): is syslogd running? 9 lines wait"},
		{Outage{Address: "/log", Reason: unix.EMSGSIZE, Lost: 1}, "log: /log refuses a line for its length (message too long): lower len on the log line. 1 line lost so far"},
	} {
		if got := c.o.String(); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
