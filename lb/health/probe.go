package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// answerSize is how much of an answer is looked at, as much as HAProxy's
// buffer holds.
const answerSize = 16 << 10

// result is what one check found.
type result struct {
	status Status
	code   int
	info   string
	took   time.Duration
}

// probe does one check. It ends by itself within the spec's timeouts, and soon
// when ctx ends; its connection is closed then.
func probe(ctx context.Context, s *Spec) result {
	begun := time.Now()
	r := ask(ctx, s, begun)
	r.took = time.Since(begun)
	return r
}

func ask(ctx context.Context, s *Spec, begun time.Time) result {
	inter := positive(s.Inter, 2*time.Second)
	limit := inter
	if s.Check > 0 && s.Connect > 0 {
		limit = min(s.Connect, inter)
	}
	d := net.Dialer{Deadline: begun.Add(limit), KeepAlive: -1}
	conn, err := d.DialContext(ctx, s.Network, s.Address)
	if err != nil {
		return connectResult(err)
	}
	defer conn.Close()
	// The end of ctx interrupts whatever the check is waiting for.
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	deadline := begun.Add(inter)
	if s.Check > 0 {
		deadline = time.Now().Add(s.Check)
	}
	if ctx.Err() == nil {
		conn.SetDeadline(deadline)
	}

	if s.TLS != nil {
		tc := tls.Client(conn, s.TLS)
		if err := tc.HandshakeContext(ctx); err != nil {
			return failure(err, L6TOUT, L6RSP)
		}
		conn = tc
	}
	switch {
	case s.HTTP != nil:
		return s.HTTP.exchange(conn)
	case s.TLS != nil:
		return result{status: L6OK}
	}
	return result{status: L4OK}
}

// exchange sends the request and judges the answer.
func (h *HTTPSpec) exchange(conn net.Conn) result {
	if _, err := conn.Write(h.request()); err != nil {
		return failure(err, L7TOUT, L7RSP)
	}
	// The answer's head and body together are bounded, so a server that never
	// ends costs no more than this.
	rd := bufio.NewReaderSize(io.LimitReader(conn, 4*answerSize), 4<<10)
	resp, err := http.ReadResponse(rd, &http.Request{Method: h.method()})
	if err != nil {
		return failure(err, L7TOUT, L7RSP)
	}
	defer resp.Body.Close()
	return h.Expect.judge(resp)
}

func (h *HTTPSpec) method() string {
	if h.Method == "" {
		return "OPTIONS"
	}
	return h.Method
}

// request as it goes over the wire. A body is announced, and an HTTP/1.1
// server is asked to close.
func (h *HTTPSpec) request() []byte {
	uri, version := h.URI, h.Version
	if uri == "" {
		uri = "/"
	}
	if version == "" {
		version = "HTTP/1.0"
	}
	var b bytes.Buffer
	b.WriteString(h.method() + " " + uri + " " + version + "\r\n")
	for _, line := range h.Headers {
		b.WriteString(line + "\r\n")
	}
	if !h.has("connection") && version == "HTTP/1.1" {
		b.WriteString("connection: close\r\n")
	}
	if h.Body != "" && !h.has("content-length") {
		b.WriteString("content-length: " + strconv.Itoa(len(h.Body)) + "\r\n")
	}
	b.WriteString("\r\n" + h.Body)
	return b.Bytes()
}

func (h *HTTPSpec) has(name string) bool {
	for _, line := range h.Headers {
		if n, _, _ := strings.Cut(line, ":"); strings.EqualFold(strings.TrimSpace(n), name) {
			return true
		}
	}
	return false
}

// judge an answer by what is expected.
func (e *Expect) judge(resp *http.Response) result {
	code := resp.StatusCode
	good := false
	switch {
	case e.String != "", e.Regexp != nil && !e.OnStatus:
		body, err := io.ReadAll(io.LimitReader(resp.Body, answerSize))
		found := e.String != "" && bytes.Contains(body, []byte(e.String)) || e.Regexp != nil && e.Regexp.Match(body)
		switch {
		case err != nil && !found:
			return failure(err, L7TOUT, L7RSP)
		case found != e.Not:
			return result{status: L7OK, code: code}
		case found:
			return result{status: L7RSP, info: "HTTP check matched unwanted content"}
		}
		return result{status: L7RSP, info: "HTTP content check did not match"}
	case e.Regexp != nil:
		good = e.Regexp.MatchString(strconv.Itoa(code)) != e.Not
	case e.Status != nil:
		good = e.Status.Has(code) != e.Not
	default:
		good = code >= 200 && code <= 399
	}
	if good {
		return result{status: L7OK, code: code}
	}
	_, reason, _ := strings.Cut(resp.Status, " ")
	return result{status: L7STS, code: code, info: printable(reason)}
}

// connectResult names what kept a connection from being made.
func connectResult(err error) result {
	var errno syscall.Errno
	switch {
	case isTimeout(err):
		return result{status: L4TOUT}
	case errors.As(err, &errno) && (errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS):
		return result{status: SocketError, info: sentence(errno.Error())}
	case errors.As(err, &errno):
		return result{status: L4CON, info: sentence(errno.Error())}
	}
	return result{status: L4CON, info: printable(err.Error())}
}

// failure names what broke an exchange: the timeout status, a socket error, or
// an answer that is not one.
func failure(err error, timeout, invalid Status) result {
	var errno syscall.Errno
	switch {
	case isTimeout(err):
		return result{status: timeout}
	case errors.As(err, &errno):
		return result{status: SocketError, info: sentence(errno.Error())}
	case invalid == L6RSP:
		return result{status: invalid, info: printable(err.Error())}
	}
	return result{status: invalid}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// sentence is the kernel's message as the C library spells it.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// printable is a text from the network that may go into a log line and a
// table.
func printable(s string) string {
	const most = 100
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f || r == '�' {
			return '?'
		}
		return r
	}, s)
}
