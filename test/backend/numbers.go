package backend

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"
)

// HalfConn is a connection whose sides end one by one: of TCP, or over TLS.
type HalfConn interface {
	net.Conn
	CloseWrite() error
}

// ErrEcho is what an Echo sent back that it was not sent.
var ErrEcho = errors.New("the echo is wrong")

// Numbers is a client of an Echo: numbered words of 8 bytes go there, and have to come back in order. Conn and Reader, which reads from it, are the
// caller's.
type Numbers struct {
	Conn   HalfConn
	Reader io.Reader

	Sent, Received uint64 // words
	In, Out        int64  // bytes, also those that the caller has read by Read and written by Write
	Ended          time.Time

	closing atomic.Bool // all is said
}

// Read reads from Conn, and counts that.
func (n *Numbers) Read(b []byte) (int, error) {
	got, err := n.Conn.Read(b)
	n.In += int64(got)
	return got, err
}

// Write writes to Conn, and counts that.
func (n *Numbers) Write(b []byte) (int, error) {
	put, err := n.Conn.Write(b)
	n.Out += int64(put)
	return put, err
}

// Talk sends words, a burst every pause, until ctx ends, and reads until the echo has ended.
func (n *Numbers) Talk(ctx context.Context, pause time.Duration) error {
	sent := make(chan error, 1)
	go func() { sent <- n.send(ctx, pause) }()
	err := n.receive()
	n.Ended = time.Now()
	if err == nil && !n.closing.Load() {
		err = fmt.Errorf("%w: after %d words", io.ErrUnexpectedEOF, n.Received)
	}
	if err != nil {
		n.Conn.Close() // or the sender would go on
	}
	if werr := <-sent; err == nil {
		err = werr
	}
	if err == nil && n.Received != n.Sent {
		err = fmt.Errorf("%w: %d words came back of %d", io.ErrUnexpectedEOF, n.Received, n.Sent)
	}
	return err
}

// send sends bursts of odd sizes, then ends its side.
func (n *Numbers) send(ctx context.Context, pause time.Duration) error {
	tick := time.NewTicker(pause/2 + rand.N(pause))
	defer tick.Stop()
	buf := make([]byte, 0, 8<<10)
	for {
		buf = buf[:0]
		for range 1 + rand.IntN(300) {
			buf = binary.BigEndian.AppendUint64(buf, n.Sent)
			n.Sent++
		}
		cut := rand.IntN(len(buf)) // anywhere, so that a word is often half in one segment
		for _, part := range [...][]byte{buf[:cut], buf[cut:]} {
			if _, err := n.Write(part); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.closing.Store(true)
			return n.Conn.CloseWrite()
		}
	}
}

// receive reads up to the end.
func (n *Numbers) receive() error {
	var word [8]byte
	for {
		_, err := io.ReadFull(n.Reader, word[:])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d words: %w", n.Received, err)
		}
		if got := binary.BigEndian.Uint64(word[:]); got != n.Received {
			return fmt.Errorf("%w: word %d came in place of %d", ErrEcho, got, n.Received)
		}
		n.Received++
	}
}
