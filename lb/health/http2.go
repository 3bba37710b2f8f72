package health

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// overHTTP2 lets a check speak HTTP/1 over a connection of HTTP/2: each write is
// a request, and its answer is read as one that ends with the connection.
type overHTTP2 struct {
	net.Conn  // the socket, or its TLS
	transport *http.Transport
	deadline  time.Time
	answer    bytes.Buffer
	err       error // in place of an answer
}

// speakHTTP2 has c speak HTTP/2.
func (c *run) speakHTTP2() {
	conn := c.conn
	conn.SetDeadline(time.Time{}) // ours says more than the transport makes of one of the socket's
	h := &overHTTP2{Conn: conn, deadline: c.deadline, transport: &http.Transport{
		Protocols: new(http.Protocols), DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	h.transport.Protocols.SetUnencryptedHTTP2(true) // TLS is done already
	c.conn = h
}

// SetDeadline implements net.Conn.
func (h *overHTTP2) SetDeadline(t time.Time) error {
	h.deadline = t
	return nil
}

// Write implements net.Conn. What goes wrong is told by the next Read.
func (h *overHTTP2) Write(b []byte) (int, error) {
	h.answer.Reset()
	h.err = h.ask(b)
	return len(b), nil
}

func (h *overHTTP2) ask(b []byte) error {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		return err
	}
	req.RequestURI, req.URL.Scheme, req.URL.Host = "", "http", req.Host
	if req.Host == "" {
		req.URL.Host = h.RemoteAddr().String()
	}
	ctx := context.Background()
	if !h.deadline.IsZero() {
		var cancel func()
		ctx, cancel = context.WithDeadline(ctx, h.deadline)
		defer cancel()
	}
	resp, err := h.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintf(&h.answer, "HTTP/1.1 %d \r\n", resp.StatusCode)
	resp.Header.Del("Content-Length") // of the body there may be less
	_ = resp.Header.Write(&h.answer)  // to memory
	h.answer.WriteString("\r\n")
	_, err = io.Copy(&h.answer, io.LimitReader(resp.Body, answerSize))
	return err
}

// Read implements net.Conn.
func (h *overHTTP2) Read(b []byte) (int, error) {
	if h.err != nil {
		return 0, h.err
	}
	return h.answer.Read(b)
}
