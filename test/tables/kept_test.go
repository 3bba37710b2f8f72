package tables

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// kept sends one request after another on a connection, and connects again only where the balancer has closed it. An http.Transport cannot stand in
// for it: on a busy machine it closes a connection whose writing goroutine has not reported within 50 ms, and one connection more is counted.
type kept struct {
	dial  func() (net.Conn, error)
	limit time.Duration // how long an exchange may take

	mu sync.Mutex
	c  net.Conn
	r  *bufio.Reader
}

// RoundTrip sends r and reads the whole answer.
func (k *kept) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.c != nil {
		if res, err := k.exchange(r); !errors.Is(err, errClosed) {
			return res, err
		}
	}
	c, err := k.dial()
	if err != nil {
		return nil, err
	}
	k.c, k.r = c, bufio.NewReaderSize(c, 4096)
	return k.exchange(r)
}

// errClosed says that the connection has ended without an answer.
var errClosed = errors.New("the connection is closed")

func (k *kept) exchange(r *http.Request) (res *http.Response, err error) {
	keep := false
	defer func() {
		if !keep {
			k.close()
		}
	}()
	if err := k.c.SetDeadline(time.Now().Add(k.limit)); err != nil {
		return nil, err
	}
	if err := r.Write(k.c); err != nil {
		return nil, errors.Join(errClosed, err)
	}
	if _, err := k.r.Peek(1); err != nil {
		return nil, errors.Join(errClosed, err)
	}
	if res, err = http.ReadResponse(k.r, r); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	keep = !res.Close
	return res, nil
}

func (k *kept) close() {
	if k.c != nil {
		k.c.Close()
		k.c = nil
	}
}

// CloseIdleConnections is what http.Client calls.
func (k *kept) CloseIdleConnections() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.close()
}
