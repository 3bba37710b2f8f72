package syslog

import (
	"bytes"
	"cmp"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Stream takes whole lines, each with its line end, and writes them in order
// to something that may make a writer wait: standard output, or a connection
// to a log server. One goroutine writes, so no loop ever waits.
type Stream struct {
	// Network is "fd", and Address the number of a descriptor that stays the
	// caller's; or Network is "tcp" or "unix", and Address is where to connect.
	Network, Address string
	Health           *Health
	OctetCount       bool          // each line has its length before it and no end (RFC 6587)
	Connect, Write   time.Duration // how long either may take; 0 means 5 and 10 s
	Limit            int           // bytes kept for a slow reader; 0 means 4 MiB

	lost atomic.Uint64

	// mu guards the fields below.
	mu      sync.Mutex
	buf     []byte
	note    []byte        // what a Ledger says of the lines before it; the newest only
	wake    chan struct{} // nil before the first line
	closing bool
	done    chan struct{} // closed when the writer has ended
	giveUp  time.Time     // of a stream that closes

	// Owned by the writer.
	conn  net.Conn
	frame []byte
	ready chan struct{} // closed by Close, to end a pause
}

// pipeAtomic is how much one write to a pipe may have so that the lines of
// several processes, a worker's and its successor's, are never mixed.
const pipeAtomic = 4096

// put takes whole lines, or none of them when too much waits already.
func (s *Stream) put(lines []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.Limit
	if limit == 0 {
		limit = defaultBacklog
	}
	if s.closing || len(s.buf) > 0 && len(s.buf)+len(lines) > limit {
		return false
	}
	s.buf = append(s.buf, lines...)
	s.stir()
	return true
}

// beat takes a message about the lines that were put before it. It is no line
// itself: it is not counted, and lost when it cannot be written at once.
func (s *Stream) beat(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	s.note = append(append(s.note[:0], message...), '\n')
	s.stir()
}

// stir wakes the writer, and starts it if there is none. Called with mu held.
func (s *Stream) stir() {
	if s.wake == nil {
		s.wake, s.done, s.ready = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
		go s.write()
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Lost is the number of lines that were taken and could not be written.
func (s *Stream) Lost() uint64 { return s.lost.Load() }

// Close writes what is left, until a time, and counts the rest as lost.
func (s *Stream) Close(until time.Time) {
	s.mu.Lock()
	s.closing, s.giveUp = true, until
	started := s.wake != nil
	if started {
		close(s.wake)
		close(s.ready)
	}
	s.mu.Unlock()
	if !started {
		return
	}
	select {
	case <-s.done:
	case <-time.After(time.Until(until)):
	}
}

// write is the writer's goroutine; it ends with Close.
func (s *Stream) write() {
	defer close(s.done)
	var batch, note []byte
	for open := true; open; {
		_, open = <-s.wake
		for {
			s.mu.Lock()
			batch, s.buf = s.buf, batch[:0]
			note, s.note = s.note, note[:0]
			s.mu.Unlock()
			if len(batch)+len(note) == 0 {
				break
			}
			s.deliver(batch)
			if len(note) > 0 {
				_, _ = s.some(note) // the next one says the same and more
			}
			if cap(batch) > keep {
				batch = nil
			}
		}
	}
	if s.conn != nil {
		s.conn.Close()
	}
}

// deliver writes lines until they are gone or lost.
func (s *Stream) deliver(lines []byte) {
	backoff := firstBackoff
	var stuck time.Time
	for len(lines) > 0 {
		n, err := s.some(lines)
		lines = lines[n:]
		if err == nil {
			backoff, stuck = firstBackoff, time.Time{}
			s.Health.recovered()
			continue
		}
		if stuck.IsZero() {
			stuck = time.Now()
		}
		reason := unix.EIO
		errors.As(err, &reason)
		waiting := countLines(lines)
		if s.Network == "fd" || s.expired() {
			// Nobody will ever read what standard output does not take.
			s.lost.Add(uint64(waiting))
			s.Health.took(-waiting)
			s.Health.trouble(time.Now(), reason, waiting, 0)
			return
		}
		if now := time.Now(); now.Sub(stuck) >= patience {
			s.Health.trouble(now, reason, 0, waiting)
		}
		s.pause(backoff)
		backoff = min(2*backoff, lastBackoff)
	}
}

// some writes the first of the lines, and gives how many bytes are gone. A
// line that a connection lost a part of is sent again, whole.
func (s *Stream) some(lines []byte) (int, error) {
	piece := lines[:wholeLines(lines, pipeAtomic)]
	if s.Network == "fd" {
		return s.toFD(piece)
	}
	if s.conn == nil {
		conn, err := net.DialTimeout(s.Network, s.Address, cmp.Or(s.Connect, 5*time.Second))
		if err != nil {
			return 0, err
		}
		s.conn = conn
	}
	if s.OctetCount {
		piece = lines[:bytes.IndexByte(lines, '\n')+1]
		s.frame = append(append(strconv.AppendInt(s.frame[:0], int64(len(piece)-1), 10), ' '), piece[:len(piece)-1]...)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(cmp.Or(s.Write, 10*time.Second))) // a closed connection says so in Write
	n, err := 0, error(nil)
	if s.OctetCount {
		_, err = s.conn.Write(s.frame)
	} else {
		n, err = s.conn.Write(piece)
	}
	if err == nil {
		return len(piece), nil
	}
	s.conn.Close()
	s.conn = nil
	return lastLine(piece[:n]), err
}

// toFD writes all of piece to a descriptor that may be non-blocking, for
// reasons of whoever shares it, and blocking too.
func (s *Stream) toFD(piece []byte) (int, error) {
	fd := 0
	for _, c := range s.Address {
		fd = 10*fd + int(c-'0')
	}
	for at := 0; at < len(piece); {
		n, err := unix.Write(fd, piece[at:])
		switch {
		case err == nil:
			at += n
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if s.expired() {
				return lastLine(piece[:at]), err
			}
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100) // either way write says what is the matter
		default:
			return lastLine(piece[:at]), err
		}
	}
	return len(piece), nil
}

func (s *Stream) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && !time.Now().Before(s.giveUp)
}

// pause waits before the next attempt; a stream that closes makes a few more,
// quickly.
func (s *Stream) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ready:
		time.Sleep(firstBackoff)
	}
}

// wholeLines gives the length of the lines at the beginning of b that have at
// most so many bytes together; one line that is longer counts.
func wholeLines(b []byte, most int) int {
	if len(b) <= most {
		return len(b)
	}
	if n := lastLine(b[:most]); n > 0 {
		return n
	}
	return most + bytes.IndexByte(b[most:], '\n') + 1
}

// lastLine gives where the last whole line in b ends.
func lastLine(b []byte) int { return bytes.LastIndexByte(b, '\n') + 1 }

func countLines(b []byte) int { return bytes.Count(b, []byte{'\n'}) }
