package syslog

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/message"
	"lbsyslogd/test/wait"
)

// receiver is a unix datagram socket a test reads from.
func receiver(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// read gives the next line, or fails the test after a long while.
func read(t *testing.T, c net.Conn) string {
	t.Helper()
	buf := make([]byte, 65536)
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no line arrived: %v", err)
	}
	return string(buf[:n])
}

func raw(path string) Target {
	return Target{Network: "unixgram", Address: path, Format: "raw", Level: 7, Tag: "lb", Pid: 1}
}

func newSender(t *testing.T, targets ...Target) *Sender {
	t.Helper()
	s, err := NewSender(targets...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// balance checks what the package promises of every line.
func balance(t *testing.T, s *Sender, logged int) {
	t.Helper()
	if got := s.Sent() + s.Dropped() + s.Waiting(); got != uint64(logged) {
		t.Errorf("sent %d + dropped %d + waiting %d = %d, want the %d logged", s.Sent(), s.Dropped(), s.Waiting(), got, logged)
	}
}

func TestHeaders(t *testing.T) {
	at := time.Date(2026, 11, 1, 3, 4, 5, 6007000, time.FixedZone("", 3600))
	for _, c := range []struct{ format, host, want string }{
		{"", "", "<134>Nov  1 03:04:05 lb[42]: hello\n"},
		{"local", "", "<134>Nov  1 03:04:05 lb[42]: hello\n"},
		{"local", "node1", "<134>Nov  1 03:04:05 node1 lb[42]: hello\n"},
		{"rfc3164", "", "<134>Nov  1 03:04:05 localhost lb[42]: hello\n"},
		{"rfc3164", "node1", "<134>Nov  1 03:04:05 node1 lb[42]: hello\n"},
		{"rfc5424", "", "<134>1 2026-11-01T03:04:05.006007+01:00 - lb 42 - - hello\n"},
		{"rfc5424", "node1", "<134>1 2026-11-01T03:04:05.006007+01:00 node1 lb 42 - - hello\n"},
		{"raw", "", "hello\n"},
		{"short", "", "<6>hello\n"},
		{"priority", "", "<134>hello\n"},
		{"timed", "", "<6>2026-11-01T03:04:05.006007+01:00 hello\n"},
		{"iso", "", "2026-11-01T03:04:05.006007+01:00 hello\n"},
	} {
		tg := &target{Target: Target{Format: c.format, Facility: int(message.Local0), Level: 7, Tag: "lb", Hostname: c.host, Pid: 42, Len: 1024}}
		var err error
		if tg.header, err = newHeader(&tg.Target); err != nil {
			t.Fatal(err)
		}
		tg.lines.limit = defaultBacklog
		tg.add(message.Info, nil, []byte("hello"), at)
		tg.add(message.Info, nil, []byte("hello"), at) // from the cache of the second
		for i := range 2 {
			if got := string(tg.lines.line(i)); got != c.want {
				t.Errorf("format %q: %q, want %q", c.format, got, c.want)
			}
		}
	}
}

func TestLevels(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	tg := raw(path)
	tg.Format, tg.Facility, tg.Level, tg.MinLevel = "priority", 17, int(message.Notice), int(message.Err)
	s := newSender(t, tg)
	s.Log(message.Info, []byte("too chatty"))
	s.Log(message.Notice, []byte("as it is"))
	s.Log(message.Emerg, []byte("raised"))
	s.Flush()
	for _, want := range []string{"<141>as it is\n", "<139>raised\n"} {
		if got := read(t, c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	balance(t, s, 2)
}

func TestLineIsCutAtLen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	tg := raw(path)
	tg.Format, tg.Len = "local", 80
	tiny := raw(path)
	tiny.Format, tiny.Len = "local", 10
	s := newSender(t, tg, tiny)
	s.Log(message.Info, []byte(strings.Repeat("x", 200)))
	s.Flush()
	if got := read(t, c); len(got) != 81 || !strings.HasSuffix(got, "lb[1]: "+strings.Repeat("x", 80-len("<6>Nov 21 03:04:05 lb[1]: "))+"\n") {
		t.Errorf("cut line is %d bytes: %q", len(got), got)
	}
	if got := read(t, c); len(got) != 11 {
		t.Errorf("line cut within its header is %d bytes: %q", len(got), got)
	}
}

// A unix receiver's queue holds about ten datagrams; what it does not take has
// to wait here, in order, and nothing may be lost.
func TestSlowReceiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	s := newSender(t, raw(path))
	const lines = 2000
	for i := range lines {
		s.Log(message.Info, fmt.Appendf(nil, "line %d", i))
		if i%100 == 0 {
			s.Flush()
		}
	}
	s.Flush()
	if !s.Pending() {
		t.Fatal("a receiver that does not read took everything")
	}
	balance(t, s, lines)
	for i := range lines {
		if got, want := read(t, c), fmt.Sprintf("line %d\n", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		s.Flush()
	}
	if s.Pending() || s.Dropped() != 0 || s.Sent() != lines {
		t.Errorf("pending %v, dropped %d, sent %d", s.Pending(), s.Dropped(), s.Sent())
	}
}

// HAProxy keeps its socket to a receiver that is gone; here the new one gets
// what was logged meanwhile.
func TestReplacedReceiver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	s := newSender(t, raw(path))
	s.Log(message.Info, []byte("to the first"))
	s.Flush()
	read(t, c)

	c.Close()
	for i := range 50 {
		s.Log(message.Info, fmt.Appendf(nil, "meanwhile %d", i))
		s.Flush()
	}
	balance(t, s, 51)
	c = receiver(t, path)
	for i := range 50 {
		wait.Until(t, "the line goes out", func() bool {
			s.Flush()
			return s.Sent() > uint64(i+1) || !s.Pending()
		})
		if got, want := read(t, c), fmt.Sprintf("meanwhile %d\n", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	balance(t, s, 51)
	if s.Dropped() != 0 {
		t.Errorf("%d lines dropped", s.Dropped())
	}
}

// A receiver that is there again at once gets the very next batch.
func TestRestartedReceiverWithoutDelay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	s := newSender(t, raw(path))
	s.Log(message.Info, []byte("one"))
	s.Flush()
	read(t, c)
	c.Close()
	c = receiver(t, path)
	s.Log(message.Info, []byte("two"))
	s.Flush()
	if s.Pending() {
		t.Fatal("the line waits although the receiver is there")
	}
	if got := read(t, c); got != "two\n" {
		t.Errorf("got %q", got)
	}
}

func TestFullBacklogDropsTheOldest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	tg := raw(path)
	tg.Backlog, tg.Len = 1000, 99
	s := newSender(t, tg)
	const lines = 500
	for i := range lines {
		s.Log(message.Info, fmt.Appendf(nil, "line %03d", i))
		s.Flush() // nobody is there yet
	}
	balance(t, s, lines)
	kept := int(s.Waiting())
	if kept == 0 || kept*len("line 000\n") > 1000 {
		t.Fatalf("%d lines kept", kept)
	}
	c := receiver(t, path)
	for i := lines - kept; i < lines; i++ {
		wait.Until(t, "the backlog goes out", func() bool { s.Flush(); return s.Sent() > uint64(i-(lines-kept)) })
		if got, want := read(t, c), fmt.Sprintf("line %03d\n", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	balance(t, s, lines)
}

func TestUDP(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		tg := raw(c.LocalAddr().String())
		tg.Network = "udp"
		s := newSender(t, tg)
		const lines = 150 // what a receive buffer of default size holds
		for i := range lines {
			s.Log(message.Info, fmt.Appendf(nil, "line %d", i))
		}
		s.Flush()
		for i := range lines {
			if got, want := read(t, c.(net.Conn)), fmt.Sprintf("line %d\n", i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
		balance(t, s, lines)
		if s.Dropped() != 0 || s.Pending() {
			t.Errorf("dropped %d, pending %v", s.Dropped(), s.Pending())
		}
	}
}

// Over UDP nobody says that a line was lost, but the host's own ICMP does: the
// lines count as dropped and the socket works again with the next receiver.
func TestUDPWithoutReceiver(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().String()
	c.Close()
	tg := raw(addr)
	tg.Network = "udp"
	s := newSender(t, tg)
	const lines = 60
	for i := range lines {
		s.Log(message.Info, []byte("into the void"))
		if i%7 == 0 {
			s.Flush()
		}
	}
	s.Flush()
	if s.Dropped() == 0 {
		t.Error("no line counts as dropped although nobody listens")
	}
	balance(t, s, lines)
	if c, err = net.ListenPacket("udp", addr); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.Log(message.Info, []byte("heard"))
	s.Flush()
	if got := read(t, c.(net.Conn)); got != "heard\n" {
		t.Errorf("got %q", got)
	}
	balance(t, s, lines+1)
	s.Close()
	if s.Dropped() != lines || s.Sent() != 1 {
		t.Errorf("dropped %d, sent %d; want %d and 1", s.Dropped(), s.Sent(), lines)
	}
}

// A datagram the socket can never take must not block those behind it.
func TestOversizedLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	tg := raw(path)
	tg.Len = 1 << 20
	s := newSender(t, tg)
	s.Log(message.Info, make([]byte, 1<<20))
	s.Log(message.Info, []byte("after"))
	s.Flush()
	if got := read(t, c); got != "after\n" {
		t.Errorf("got %q", got)
	}
	if s.Dropped() != 1 || s.Sent() != 1 {
		t.Errorf("dropped %d, sent %d", s.Dropped(), s.Sent())
	}
}

func TestBadTargets(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{Network: "tcp", Address: "127.0.0.1:514"}, "network 'tcp' is unknown; use udp or unixgram"},
		{Target{Network: "udp", Address: "127.0.0.1"}, "missing port"},
		{Target{Network: "unixgram", Address: "/x", Format: "xml"}, "format 'xml' is unknown; use local"},
	} {
		if _, err := NewSender(c.target); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.target, err, c.want)
		}
	}
}

func TestSharedIsSafeAndSends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	tg := raw(path)
	sh, err := NewShared(tg)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	const workers, each = 4, 25
	for w := range workers {
		go func() {
			for i := range each {
				sh.Log(message.Notice, fmt.Sprintf("worker %d line %d", w, i))
			}
		}()
	}
	seen := map[string]bool{}
	for range workers * each {
		wait.Until(t, "a line is on its way", func() bool {
			sh.Flush()
			return sh.Sent() > uint64(len(seen))
		})
		seen[read(t, c)] = true
	}
	if len(seen) != workers*each {
		t.Errorf("%d different lines, want %d", len(seen), workers*each)
	}
}

// The memory of a backlog that was large once is given back.
func TestBacklogShrinks(t *testing.T) {
	b := backlog{limit: defaultBacklog}
	for range 2000 {
		b.begin(1000)
		from := len(b.buf)
		b.buf = append(b.buf, make([]byte, 1000)...)
		b.end(from)
	}
	b.done(b.len())
	if cap(b.buf) > keep || b.bytes != 0 {
		t.Errorf("an empty backlog holds %d bytes of memory, %d counted", cap(b.buf), b.bytes)
	}
}

// While lines come and go at the same rate the memory stays near their size.
func TestBacklogCompacts(t *testing.T) {
	b := backlog{limit: 64 << 10}
	for i := range 100_000 {
		b.begin(100)
		from := len(b.buf)
		b.buf = append(b.buf, make([]byte, 100)...)
		b.buf[from] = byte(i)
		b.end(from)
		if b.len() > 100 {
			if got := b.line(0)[0]; got != byte(i-100) {
				t.Fatalf("line %d begins with %d", i-100, got)
			}
			b.done(1)
		}
	}
	if cap(b.buf) > 128<<10 {
		t.Errorf("%d bytes of memory for 100 lines of 100 bytes", cap(b.buf))
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := receiver(t, path)
	tg := raw(path)
	tg.Format = "local"
	s := newSender(t, tg)
	msg := []byte(strings.Repeat("m", 180))
	buf := make([]byte, 1024)
	if n := testing.AllocsPerRun(500, func() {
		for range 5 {
			s.Log(message.Info, msg)
		}
		s.Flush()
		for range 5 {
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations for five lines and a flush", n)
	}
}

func BenchmarkLogAndFlush(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	tg := raw(path)
	tg.Format = "local"
	s, err := NewSender(tg)
	if err != nil {
		b.Fatal(err)
	}
	msg := []byte(strings.Repeat("m", 180))
	b.ReportAllocs()
	for b.Loop() {
		s.Log(message.Info, msg)
		if s.targets[0].lines.len() == 64 { // memory only: the kernel's part is not ours
			s.targets[0].lines.done(64)
			s.fresh = false
		}
	}
}

func TestSocketIsRemovedFile(t *testing.T) {
	// A path that is no socket at all is waited for, not an endless loop.
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSender(t, raw(path))
	s.Log(message.Info, []byte("x"))
	s.Flush()
	if !s.Pending() {
		t.Error("the line is gone")
	}
	c := receiver(t, path)
	wait.Until(t, "the line goes out", func() bool { s.Flush(); return !s.Pending() })
	if got := read(t, c); got != "x\n" {
		t.Errorf("got %q", got)
	}
}
