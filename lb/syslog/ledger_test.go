package syslog

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lbsyslogd/syslogd/message"
)

// TestLedger has a receiver on a unix socket: it is told only where syslogd says that it listens, and what it is told is what came.
func TestLedger(t *testing.T) {
	dir := t.TempDir()
	path, inputs := filepath.Join(dir, "log"), filepath.Join(dir, "inputs")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	health := &Health{Address: path}
	target := Target{Network: "unixgram", Address: path, Level: 7, Tag: "haproxy", Pid: 41, Health: health}
	s, err := NewSender(target)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := &Ledger{Pid: 41, Generation: 3, Began: time.Unix(1, 0), Mode: inputs}
	if err := l.Add(target); err != nil {
		t.Fatal(err)
	}
	lines, beats := 0, []message.Beat{}
	read := func() {
		t.Helper()
		for {
			buf := make([]byte, 4096)
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			var m message.Message
			m.Parse(buf[:n])
			if b, ok := m.Beat(); ok {
				beats = append(beats, b)
				if b.Sent != uint64(lines) {
					t.Errorf("%d lines came before a beat of %d", lines, b.Sent)
				}
			} else {
				lines++
			}
		}
	}
	say := func(n int) {
		for range n {
			s.Log(message.Info, []byte("x"))
		}
		s.Flush()
	}
	l.Beat(false)
	read()
	if len(beats) != 0 {
		t.Errorf("somebody who is not syslogd is told %+v", beats)
	}
	for i, listed := range []string{"unix://" + path + "x\n", "udp://127.0.0.1:514\nunix://" + path + "\n"} {
		at := time.Now().Add(time.Duration(i) * time.Minute)
		if err := os.WriteFile(inputs, []byte(listed), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(inputs, at, at); err != nil {
			t.Fatal(err)
		}
		say(3)
		l.Beat(false)
		read()
		if len(beats) != i {
			t.Errorf("with %q told %+v", listed, beats)
		}
	}
	say(2)
	l.Beat(true)
	read()
	if want := (message.Beat{Instance: 1e9, Generation: 3, Sent: 8, Final: true}); len(beats) != 2 || beats[1] != want {
		t.Errorf("told %+v; want %+v at the end", beats, want)
	}
	// Lines that say nothing of their process cannot be compared.
	target.Format = "raw"
	if err := l.Add(target); err != nil {
		t.Fatal(err)
	}
	l.Beat(false)
	read()
	if len(beats) != 2 {
		t.Errorf("told %+v", beats)
	}
}

func TestInputsThatAreATarget(t *testing.T) {
	row := func(network, address, input string, want bool) {
		t.Helper()
		s, err := newSocket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		if s.isAt(input) != want {
			t.Errorf("%s at %s is %v", address, input, !want)
		}
	}
	row("udp", "127.0.0.1:514", "udp://127.0.0.1:514", true)
	row("udp", "127.0.0.1:514", "udp://[::]:514", true)
	row("udp", "127.0.0.1:514", "udp://0.0.0.0:514", true)
	row("udp", "[::1]:514", "udp://[::]:514", true)
	row("udp", "127.0.0.1:515", "udp://[::]:514", false)
	row("udp", "192.0.2.1:514", "udp://[::]:514", false) // another host's, perhaps
	row("udp", "192.0.2.1:514", "udp://192.0.2.1:514", true)
	row("udp", "127.0.0.1:514", "tcp://127.0.0.1:514", false)
	row("udp", "127.0.0.1:514", "unix:///x", false)
	row("unixgram", "/x", "unix:///x", true)
	row("unixgram", "/x", "udp://127.0.0.1:514", false)
	row("unixgram", "/x", "nonsense", false)
}

// TestLedgerOverTCP has a receiver of lines and one of octet-counted frames: each beat comes after the lines that it counts, and the last one
// after all.
func TestLedgerOverTCP(t *testing.T) {
	for _, counted := range []bool{false, true} {
		in, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		inputs := filepath.Join(t.TempDir(), "inputs")
		if err := os.WriteFile(inputs, []byte("tcp://"+in.Addr().String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		health := &Health{Address: in.Addr().String()}
		s := &Stream{Network: "tcp", Address: in.Addr().String(), OctetCount: counted, Health: health}
		target := Target{Network: "tcp", Address: s.Address, Level: 7, Tag: "haproxy", Pid: 41, Len: 1024, Health: health, Stream: s}
		out, err := NewSender(target)
		if err != nil {
			t.Fatal(err)
		}
		l := &Ledger{Pid: 41, Generation: 3, Began: time.Unix(1, 0), Mode: inputs}
		if err := l.Add(target); err != nil {
			t.Fatal(err)
		}
		const n = 1000
		go func() {
			l.Beat(false)
			for i := range n {
				out.Log(message.Info, []byte("x"))
				out.Flush()
				if i%100 == 99 {
					l.Beat(false)
				}
			}
			l.Beat(true)
			s.Close(time.Now().Add(30 * time.Second))
		}()
		c, err := in.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var last message.Beat
		lines, frames := uint64(0), bufio.NewReader(c)
		for {
			text, err := frame(frames, counted)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			var m message.Message
			m.Parse(text)
			if b, ok := m.Beat(); !ok {
				lines++
			} else if last = b; b.Sent > lines {
				t.Errorf("%d lines came before a beat of %d", lines, b.Sent)
			}
		}
		c.Close()
		if want := (message.Beat{Instance: 1e9, Generation: 3, Sent: n, Final: true}); last != want || lines != n {
			t.Errorf("%d lines, and in the end %+v; want %d and %+v", lines, last, n, want)
		}
	}
}

// frame reads a line, or a frame that has its length before it.
func frame(in *bufio.Reader, counted bool) ([]byte, error) {
	if !counted {
		return in.ReadBytes('\n')
	}
	length, err := in.ReadString(' ')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil {
		return nil, err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(in, text)
	return text, err
}

// TestEstate: the last word of a process that was killed is said for it, with the lines that only it knew, once the receiver takes it.
func TestEstate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ledgerOf := func(pid int) (*Ledger, *Sender) {
		target := Target{Network: "unixgram", Address: path, Level: 7, Tag: "haproxy", Pid: pid, Health: &Health{Address: path}}
		s, err := NewSender(target)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		l := &Ledger{Pid: pid, Generation: pid - 40, Began: time.Unix(int64(pid), 0), Mode: "always"}
		if err := l.Add(target); err != nil {
			t.Fatal(err)
		}
		return l, s
	}
	dead, s := ledgerOf(41)
	mem := make([]byte, dead.EstateSize())
	dead.Bequeath(mem)
	for range 1000 { // more than the socket takes
		s.Log(message.Info, []byte("x"))
	}
	s.Flush()
	waiting := s.Waiting()
	if waiting < 10 {
		t.Fatalf("%d lines wait: nothing is tested", waiting)
	}
	s.Known(3) // of which the successor makes lines of its own

	next, _ := ledgerOf(42)
	next.ReportKilled(mem)
	next.ReportKilled(mem[:70]) // of nobody
	var beats []message.Beat
	lines := 0
	for len(beats) < 2 {
		next.Beat(false) // in vain, as long as nobody reads
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		var m message.Message
		m.Parse(buf[:n])
		if b, ok := m.Beat(); ok {
			beats = append(beats, b)
		} else {
			lines++
		}
	}
	want := []message.Beat{{Instance: 41e9, Generation: 1, Sent: 1000 - waiting, Lost: waiting - 3, Final: true}, {Instance: 42e9, Generation: 2}}
	if !slices.Equal(beats, want) || lines != int(1000-waiting) {
		t.Errorf("after %d lines told %+v; want %+v", lines, beats, want)
	}
}
