package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"lbsyslogd/lb/sample"
)

// run is one check under way.
type run struct {
	ctx  context.Context
	spec *Spec
	up   bool // the server was up when the check began

	conn     net.Conn
	deadline time.Time // of conn
	release  func() bool
	secured  bool
	linger   bool // conn ends in order
	implicit bool // conn was opened without a step that says so

	in   []byte // what came since the last connect or send
	last bool   // nothing will follow
	err  error  // what ended it; nil or io.EOF for an end in order

	answer *answer // the HTTP answer to the last request
	step   *Step   // under way; nil: the implicit connect
	code   int
	tail   bool // variables were set after step

	scope *sample.Ctx // nil until something is evaluated
}

// script does all steps. ok is false when r says what went wrong.
func (c *run) script() result {
	s := &c.spec.Script
	if first := s.first(); first == nil || first.Connect == nil {
		c.implicit = true
		if r, ok := c.connect(&Connect{Default: true}); !ok {
			return r
		}
	}
	for i := 0; i < len(s.Steps); i++ {
		if v := s.Steps[i].Var; v != nil {
			c.set(v)
			c.tail = c.step != nil
			continue
		}
		c.step, c.code, c.tail = &s.Steps[i], 0, false
		var r result
		ok := true
		switch {
		case c.step.Connect != nil:
			r, ok = c.connect(c.step.Connect)
		case c.step.Expect != nil && s.Kind == HTTP:
			r, ok = c.expectHTTP(c.step.Expect)
		case c.step.Expect != nil:
			var more bool
			if r, more, ok = c.expect(c.step.Expect); more {
				if r, ok = c.receive(); ok {
					i = s.lead(i) - 1
				}
			}
		case c.step.Request != nil:
			b := c.request(c.step.Request)
			c.answer = nil
			r, ok = c.send(b)
		case c.step.Format != nil:
			r, ok = c.sendFormat(c.step.Format)
		default:
			r, ok = c.send(c.step.Send)
		}
		if !ok {
			return r
		}
	}
	return c.passed()
}

// passed is the result of a script all of whose steps were good.
func (c *run) passed() result {
	r := result{status: L4OK, info: "(tcp-check)"}
	switch {
	case c.step == nil || c.step.Connect != nil:
		if c.secured {
			r.status = L6OK
		}
		if c.step == nil || c.spec.Script.Kind != TCP {
			r.info = ""
		}
		return r
	case c.step.Expect == nil:
		r.status = L7OK
		return r
	}
	e := c.step.Expect
	r.status, r.code = L7OK, c.code
	if c.spec.Script.Kind != TCP {
		r.info = ""
	}
	if e.OK != 0 {
		r.status = e.OK
	}
	c.note(&r, e, true)
	if c.tail {
		r.code = 0 // as in HAProxy, which has that of the last rule
	}
	if c.answer != nil && c.spec.DisableOn404 && c.up && c.answer.status == 404 {
		r.status, r.info = L7OKC, ""
	}
	return r
}

// connect opens a connection for the steps that follow.
func (c *run) connect(how *Connect) (result, bool) {
	c.close()
	s := c.spec
	begun := time.Now()
	inter := positive(s.Inter, 2*time.Second)
	limit := inter
	if s.Check > 0 && s.Connect > 0 {
		limit = min(s.Connect, inter)
	}
	network, address := s.Network, s.Address
	if s.Where != nil {
		address = s.Where()
	}
	if port := c.port(how); how.Address != "" || port != 0 {
		network, address = "tcp", target(address, how.Address, port)
	}
	d := net.Dialer{Deadline: begun.Add(limit), KeepAlive: -1}
	dial := s.Dial
	if dial == nil {
		dial = usual
	}
	to := address
	proxied := s.SOCKS4.IsValid() && network == "tcp" && (how.ViaSOCKS4 || how.Default && s.ViaSOCKS4)
	if proxied {
		address = s.SOCKS4.String()
	}
	conn, err := dial(c.ctx, d, network, address)
	if err != nil {
		r := connectResult(err)
		r.info += c.where()
		return r, false
	}
	c.conn, c.linger = conn, how.Linger
	// The end of ctx interrupts whatever the check is waiting for.
	c.release = context.AfterFunc(c.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	c.until(begun.Add(limit))
	if proxied {
		if err := throughSOCKS4(conn, to); err != nil {
			return c.failed(err, L7TOUT), false
		}
	}
	version := 0
	if how.Default {
		version = s.ProxyHeader
	}
	if how.ProxyHeader {
		version = max(version, 1)
	}
	if version > 0 {
		if _, err := conn.Write(proxyHeader(version, s.NeverLocal, conn)); err != nil {
			return c.failed(err, L6TOUT), false
		}
	}
	if cfg := how.tls(s); cfg != nil {
		tc := tls.Client(conn, cfg)
		if err := tc.HandshakeContext(c.ctx); err != nil {
			if isTimeout(err) {
				return result{status: L6TOUT, info: c.where()}, false
			}
			words := "SSL handshake failure" + tlsReason(err)
			var own interface{ CheckText() string } // which the verification has for some
			if errors.As(err, &own) {
				words = own.CheckText()
			}
			return result{status: L6RSP, info: said(words) + c.where()}, false
		}
		c.conn, c.secured = tc, true
		if s.Script.Kind == HTTP && tc.ConnectionState().NegotiatedProtocol == "h2" {
			c.speakHTTP2()
		}
	}
	if _, does := c.conn.(*overHTTP2); (s.HTTP2 || how.HTTP2) && s.Script.Kind == HTTP && !does {
		c.speakHTTP2()
	}
	if s.Check > 0 {
		c.until(time.Now().Add(s.Check))
	}
	return result{}, true
}

func usual(ctx context.Context, d net.Dialer, network, address string) (net.Conn, error) {
	return d.DialContext(ctx, network, address)
}

// target is where a connect step that names a place goes: what it does not
// say is as on the server line.
func target(address, named string, number int) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = "", ""
	}
	if named != "" {
		host = named
	}
	if number != 0 {
		port = strconv.Itoa(number)
	}
	return net.JoinHostPort(host, port)
}

// tls is the TLS configuration of a connection, nil for a plain one.
func (how *Connect) tls(s *Spec) *tls.Config {
	if !how.Secure && !(how.Default && s.Secure) {
		return nil
	}
	cfg := s.TLS
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if how.SNI == "" && how.ALPN == nil {
		return cfg
	}
	cfg = cfg.Clone()
	if how.SNI != "" {
		cfg.ServerName = how.SNI
	}
	if how.ALPN != nil {
		cfg.NextProtos = how.ALPN
	}
	return cfg
}

func (c *run) until(t time.Time) {
	c.deadline = t
	if c.ctx.Err() == nil {
		c.conn.SetDeadline(t)
		if c.ctx.Err() != nil { // it ended meanwhile, and its deadline was overwritten
			c.conn.SetDeadline(time.Unix(1, 0))
		}
	}
}

func (c *run) close() {
	if c.conn == nil {
		return
	}
	c.release()
	if h, ok := c.conn.(*overHTTP2); ok {
		c.conn = h.Conn
	}
	if tc, ok := c.conn.(*tls.Conn); ok && !c.linger {
		endWithReset(tc.NetConn())
	} else if !c.linger {
		endWithReset(c.conn)
	}
	c.conn.Close()
	c.conn, c.secured, c.in, c.last, c.err, c.answer = nil, false, nil, false, nil, nil
}

// endWithReset has a connection end with a reset when it is closed.
func endWithReset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the connection waits, no more
	}
}

// send writes what is to be sent. What came before it is forgotten.
func (c *run) send(b []byte) (result, bool) {
	c.in = c.in[:0]
	if c.conn == nil {
		return result{status: SocketError}, false
	}
	if _, err := c.conn.Write(b); err != nil {
		return c.failed(err, L7TOUT), false
	}
	return result{}, true
}

// receive waits for more bytes. A connection that ends before the first is a
// failure.
func (c *run) receive() (result, bool) {
	if cap(c.in) == 0 {
		c.in = make([]byte, 0, answerSize)
	}
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if err != nil {
		c.last, c.err = true, err
	}
	c.last = c.last || len(c.in) == cap(c.in)
	switch {
	case err == nil || n > 0:
	case isTimeout(err):
		return c.late(), false
	case len(c.in) > 0:
		// What came may be good all the same; a server may well reset after it.
	case errors.Is(err, io.EOF):
		status := L7RSP
		if e := c.step.Expect; e.Bad != 0 {
			status = e.Bad
		}
		info := "TCPCHK got an empty response at step " + strconv.Itoa(c.step.Number)
		if c.step.Comment != "" {
			info += " comment: '" + c.step.Comment + "'"
		}
		return result{status: status, info: info}, false
	default:
		return c.failed(err, L7TOUT), false
	}
	return result{}, true
}

// late is the result of an expectation that was not met in time.
func (c *run) late() result {
	status := L7TOUT
	if c.step != nil && c.step.Expect != nil && c.step.Expect.Late != 0 {
		status = c.step.Expect.Late
	}
	return result{status: status, info: c.where()}
}

// tlsReason says what HAProxy does not: why a handshake failed, where the
// server said something of TLS at all.
func tlsReason(err error) string {
	var plain tls.RecordHeaderError
	var errno syscall.Errno
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &plain) || errors.As(err, &errno) {
		return ""
	}
	return " (" + err.Error() + ")"
}

// failed names what broke an exchange: a timeout, or the socket's error.
func (c *run) failed(err error, timeout Status) result {
	var errno syscall.Errno
	switch {
	case isTimeout(err):
		return result{status: timeout}
	case errors.As(err, &errno):
		return result{status: SocketError, info: sentence(errno.Error()) + c.where()}
	}
	return result{status: SocketError, info: said(err.Error()) + c.where()}
}

// where tells the step of a tcp-check, for messages about errors of the socket.
func (c *run) where() string {
	if c.spec.Script.Kind != TCP || c.spec.Agent || len(c.spec.Script.Steps) == 0 {
		return ""
	}
	if c.step == nil {
		return " at initial connection step of tcp-check"
	}
	s := fmt.Sprintf(" at step %d of tcp-check", c.step.Number)
	switch e := c.step.Expect; {
	case c.step.Connect != nil && c.step.Connect.Port != 0:
		s += fmt.Sprintf(" (connect port %d)", c.step.Connect.Port)
	case c.step.Connect != nil:
		s += " (connect)"
	case e == nil:
		s += " (send)"
	case e.Format != nil && e.Hex:
		s += " (expect log-format binary)"
	case e.Format != nil:
		s += " (expect log-format string)"
	case e.Hex && e.Regexp != nil:
		s += " (expect binary regex)"
	case e.Regexp != nil:
		s += " (expect regex)"
	case e.Hex:
		s += " (expect binary '" + said(string(e.Text)) + "')"
	default:
		s += " (expect string '" + said(string(e.Text)) + "')"
	}
	if c.step.Comment != "" {
		s += " comment: '" + c.step.Comment + "'"
	}
	return s
}

// expect judges what came. more says that it takes more bytes to judge.
func (c *run) expect(e *Expect) (r result, more, ok bool) {
	if len(c.in) == 0 && !c.last {
		return r, true, true
	}
	given := e
	if e, r, ok = c.text(e); !ok {
		return r, false, false
	}
	if !c.last && (len(c.in) < len(e.Text) || len(c.in) < e.MinRecv) {
		return r, true, true
	}
	if e.Custom != nil {
		v := e.Custom(c.in, c.last)
		c.code = v.Code
		return result{status: v.Status, code: v.Code, info: said(v.Note)}, v.More, v.Status == Unknown
	}
	match := false
	switch {
	case e.Regexp != nil && e.Hex:
		match = e.Regexp.MatchString(fmt.Sprintf("%X", c.in))
	case e.Regexp != nil:
		match = e.Regexp.Match(c.in)
	default:
		match = bytes.Contains(c.in, e.Text)
	}
	switch {
	case !match && !c.last && e.MinRecv == 0:
		return r, true, true
	case match != e.Not:
		return r, false, true
	}
	r = result{status: L7RSP}
	if e.Bad != 0 {
		r.status = e.Bad
	}
	switch {
	case c.note(&r, e, false):
	case c.spec.Script.Kind == TCP:
		r.info = mismatch(given, match) + " at step " + strconv.Itoa(c.step.Number)
	}
	if c.step.Comment != "" {
		r.info += " comment: " + c.step.Comment
	}
	return r, false, false
}

// mismatch tells what did, or did not, come.
func mismatch(e *Expect, match bool) string {
	s := "TCPCHK did not match content"
	if match {
		s = "TCPCHK matched unwanted content"
	}
	switch {
	case e.Format != nil && e.Hex:
		return s + " (log-format binary)"
	case e.Format != nil:
		return s + " (log-format string)"
	case e.Regexp != nil && e.Hex:
		return s + " (binary regex)"
	case e.Regexp != nil:
		return s + " (regex)"
	case e.Hex:
		return s + " (binary)"
	}
	return s + " '" + said(string(e.Text)) + "'"
}

// reader gives the connection to what reads an HTTP answer.
func (c *run) reader() *bufio.Reader {
	// The answer's head and body together are bounded, so a server that never
	// ends costs no more than this.
	return bufio.NewReaderSize(io.LimitReader(c.conn, 4*answerSize), 4<<10)
}
