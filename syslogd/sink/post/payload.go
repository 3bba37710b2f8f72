package post

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// net/http may read a body after it has returned a response, or an error. Until it has closed the body, its bytes must stay as they are.

// A payload is the body of one request, for each time that net/http wants it.
type payload struct {
	body []byte
	open sync.WaitGroup

	// mu guards the fields below.
	mu   sync.Mutex
	some bool // a reader has read something
	sent bool // the last reader has read everything
}

// reader is the body anew.
func (p *payload) reader() io.ReadCloser {
	p.open.Add(1)
	return &payloadReader{Reader: bytes.NewReader(p.body), of: p}
}

// wait waits until nobody reads the body any more. It returns false after a while.
func (p *payload) wait() bool {
	closed := make(chan struct{})
	go func() { // ends when the connection does
		p.open.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return true
	case <-time.After(closeTime):
		return false
	}
}

// closeTime is how long net/http may take to notice that a connection has ended.
const closeTime = 5 * time.Second

// whole says whether everything was read. Called after wait.
func (p *payload) whole() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// begun says whether anything was read. Called after wait.
func (p *payload) begun() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.some
}

// payloadReader is one reader of a payload.
type payloadReader struct {
	*bytes.Reader
	of   *payload
	once sync.Once
}

// writeTo writes so many of the bytes that are left with one call.
func (r *payloadReader) writeTo(w io.Writer, most int64) (n int64, err error) {
	left := r.of.body[len(r.of.body)-r.Len():]
	size := int(min(int64(len(left)), most))
	done, err := w.Write(left[:size])
	r.Reset(left[done:])
	if err == nil && done < size {
		err = io.ErrShortWrite
	}
	return int64(done), err
}

func (r *payloadReader) Close() error {
	r.once.Do(func() {
		r.of.mu.Lock()
		r.of.sent = r.Len() == 0
		r.of.some = r.of.some || r.Len() < len(r.of.body)
		r.of.mu.Unlock()
		r.of.open.Done()
	})
	return nil
}

// A connection to a receiver without TLS writes a payload as it is. net/http would copy it in pieces of 32 KiB, and each write takes the thread, from
// which the runtime has to take the processor.
type connection struct{ net.Conn }

// ReadFrom is how net/http writes a body.
func (c connection) ReadFrom(r io.Reader) (n int64, err error) {
	limited, _ := r.(*io.LimitedReader)
	if limited == nil {
		return io.Copy(c.Conn, r)
	}
	p, ok := limited.R.(*payloadReader)
	if !ok {
		return io.Copy(c.Conn, r)
	}
	n, err = p.writeTo(c.Conn, limited.N)
	limited.N -= n
	return n, err
}
