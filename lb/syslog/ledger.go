package syslog

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
)

// Ledger tells receivers now and then, in a message among the lines, how many
// lines they were sent: a beat. syslogd compares that with what came. Other
// receivers would store it like any message, so it is sent only where syslogd
// listens: on this host it says where it does, in a file.
//
// A beat counts what was sent before it; what loops send meanwhile is counted by
// the next one.
type Ledger struct {
	Pid, Generation int
	Began           time.Time
	// Mode is "always", "never", or the file in which syslogd says where it
	// listens; "" is DefaultInputs.
	Mode string

	// mu guards the fields below.
	mu        sync.Mutex
	receivers []*beaten
	changed   time.Time // of the file, as read
	inputs    []string
}

// DefaultInputs is the packaged syslogd's file, and LedgerEnv the environment
// variable that says something else.
const (
	DefaultInputs = "/run/syslogd/inputs"
	LedgerEnv     = "LB_LEDGER"
)

// beatEvery is how often receivers are informed.
const beatEvery = time.Second

// beaten is one receiver. The Ledger's mu guards it.
type beaten struct {
	health  *Health
	network string
	address string
	sock    *socket // of a receiver of datagrams
	stream  *Stream // of one that takes lines over TCP
	buf     []byte
	// some of its lines do not say which process they are from, and cannot be
	// compared.
	nameless bool
	dead     []lastBeat // of which it is to be told
}

// Add has the receiver of a target informed, if it takes datagrams or lines over
// TCP. The error names a target that can never work.
func (l *Ledger) Add(t Target) error {
	stream := t.Network == "tcp" && t.Stream != nil
	if t.Network != "udp" && t.Network != "unixgram" && !stream || t.Health == nil {
		return nil
	}
	nameless := true
	switch t.Format {
	case "", "local", "rfc3164", "rfc5424":
		nameless = false
	}
	for _, b := range l.receivers {
		if b.health == t.Health {
			b.nameless = b.nameless || nameless
			return nil
		}
	}
	if stream {
		l.receivers = append(l.receivers, &beaten{health: t.Health, network: t.Network, address: t.Address, stream: t.Stream, nameless: nameless})
		return nil
	}
	sock, err := newSocket(t.Network, t.Address)
	if err != nil {
		return err
	}
	l.receivers = append(l.receivers, &beaten{health: t.Health, network: t.Network, address: t.Address, sock: sock, nameless: nameless})
	return nil
}

// Run beats until ctx is done.
func (l *Ledger) Run(ctx context.Context) {
	if len(l.receivers) == 0 || l.Mode == "never" {
		return
	}
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.Beat(false)
		}
	}
}

// Beat tells all receivers. A final one says that no line follows; it waits a
// little for a receiver that does not take it at once. Streams are to be closed
// after it.
func (l *Ledger) Beat(final bool) {
	until := time.Now()
	if final {
		until = until.Add(beatEvery)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.receivers {
		if b.nameless && len(b.dead) == 0 || !l.listens(b) {
			continue
		}
		b.reportKilled()
		if b.nameless {
			continue
		}
		beat := message.Beat{
			Instance: uint64(l.Began.UnixNano()), Generation: uint64(l.Generation), Sent: b.health.Sent(), Lost: b.health.Lost(), Final: final,
		}
		b.buf = message.AppendBeat(b.buf[:0], time.Now(), l.Pid, beat)
		if b.stream != nil {
			b.stream.beat(b.buf)
			continue
		}
		for !b.send() && time.Now().Before(until) {
			time.Sleep(time.Millisecond)
		}
		if final {
			b.sock.close()
		}
	}
}

// send says whether the kernel took the beat.
func (b *beaten) send() bool {
	for range 2 { // the first error may be about an earlier one
		if b.sock.fd < 0 && b.sock.open() != nil {
			return false
		}
		err := unix.Send(b.sock.fd, b.buf, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == nil {
			return true
		}
		if err == unix.EAGAIN || err == unix.ENOBUFS {
			return false
		}
		b.sock.close()
	}
	return false
}

// listens says whether syslogd is what takes the lines.
func (l *Ledger) listens(b *beaten) bool {
	switch l.Mode {
	case "always":
		return true
	case "never":
		return false
	}
	path := l.Mode
	if path == "" {
		path = DefaultInputs
	}
	info, err := os.Stat(path)
	if err != nil {
		l.inputs, l.changed = nil, time.Time{}
		return false
	}
	if !info.ModTime().Equal(l.changed) {
		text, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		l.inputs, l.changed = strings.Fields(string(bytes.ToValidUTF8(text, nil))), info.ModTime()
	}
	for _, input := range l.inputs {
		if b.stream != nil && b.stream.isAt(input) || b.stream == nil && b.sock.isAt(input) {
			return true
		}
	}
	return false
}

// isAt says whether an input, "tcp://127.0.0.1:514", is where the stream leads
// to, as far as that is this host.
func (s *Stream) isAt(input string) bool {
	text, ok := strings.CutPrefix(input, "tcp://")
	to, err := netip.ParseAddrPort(s.Address)
	return ok && err == nil && samePlace(text, to)
}

// isAt says whether an input, "udp://127.0.0.1:514" or "unix:///path", is where
// the socket sends to, as far as that is this host.
func (s *socket) isAt(input string) bool {
	if path, ok := strings.CutPrefix(input, "unix://"); ok {
		a, is := s.addr.(*unix.SockaddrUnix)
		return is && a.Name == path
	}
	text, ok := strings.CutPrefix(input, "udp://")
	if !ok {
		return false
	}
	var to netip.AddrPort
	switch a := s.addr.(type) {
	case *unix.SockaddrInet4:
		to = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		to = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	default:
		return false
	}
	return samePlace(text, to)
}

// samePlace says whether what listens at an address is what to leads to.
func samePlace(listens string, to netip.AddrPort) bool {
	at, err := netip.ParseAddrPort(listens)
	if err != nil {
		return false
	}
	same := at.Addr().Unmap() == to.Addr() || at.Addr().IsUnspecified() && to.Addr().IsLoopback()
	return same && at.Port() == to.Port()
}
