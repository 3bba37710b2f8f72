package served

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// do asks.
func (c *child) do(a *ask) []string {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.from)}, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp", a.addr)
	if err != nil {
		return []string{ended(err)} // before the client knew of its connection
	}
	defer conn.Close()
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	c.ports[port] = c.asked
	c.mine[c.asked-1] = port
	conn.SetDeadline(time.Now().Add(c.patience))
	plain := conn.(*net.TCPConn)
	if a.proxy {
		fmt.Fprintf(conn, "PROXY TCP4 %s 203.0.113.80 %s 80\r\n", a.from, port)
	}
	if a.tls && a.kind != "raw" || a.kind == "tls" || a.kind == "h2" && !a.h2c {
		conf := &tls.Config{InsecureSkipVerify: true, ServerName: a.name}
		if pair, err := tls.LoadX509KeyPair("/run/etc/certs/client.pem", "/run/etc/certs/client.pem"); err == nil {
			conf.Certificates = []tls.Certificate{pair}
		}
		if a.kind == "h2" {
			conf.NextProtos = []string{"h2"}
		}
		t := tls.Client(conn, conf)
		if err := t.Handshake(); err != nil {
			plain.CloseWrite()
			io.Copy(io.Discard, plain) // what a server has said that does not speak TLS
			if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
				return []string{"no TLS"}
			}
			return []string{ended(err)}
		}
		conn = t
	}
	out := []string{}
	if t, ok := conn.(*tls.Conn); ok {
		state := t.ConnectionState()
		out = append(out, fmt.Sprintf("TLS %s alpn=%s", state.PeerCertificates[0].Subject.CommonName, state.NegotiatedProtocol))
	}
	switch a.kind {
	case "h2":
		return append(out, c.http2(conn, a)...)
	case "raw", "tls":
		out = append(out, c.bytes(conn, a))
	default:
		out = append(out, c.http1(conn, a)...)
	}
	if a.mode == "tcp" { // a tunnel's two ends close in this order
		plain.CloseWrite()
		io.Copy(io.Discard, plain)
	}
	return out
}

func (c *child) marked(text string) string {
	n := fmt.Sprint(c.asked)
	if i := strings.Index(text, "served-###"); i >= 0 { // where a length stands before
		return strings.Replace(text, "served-###", fmt.Sprintf("served-%03d", c.asked), 1)
	}
	return strings.ReplaceAll(text, "served-#", "served-"+n)
}

// bytes sends what is no HTTP, and reads what comes.
func (c *child) bytes(conn net.Conn, a *ask) string {
	raw := cmp.Or(a.raw, "PING served-#\r\n")
	io.WriteString(conn, c.marked(raw))
	b := make([]byte, 65536)
	n, err := conn.Read(b)
	if n == 0 {
		return ended(err)
	}
	if half, ok := conn.(*net.TCPConn); ok {
		half.CloseWrite()
		more, err := io.ReadAll(conn)
		return short(string(b[:n])+string(more)) + " then " + ended(err)
	}
	return short(string(b[:n]))
}

func ended(err error) string {
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE): // it depends on what came first
		return "closed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	}
	return err.Error()
}

func (c *child) head(a *ask) string {
	if a.raw != "" {
		return a.raw
	}
	version := "HTTP/1.1"
	if a.old {
		version = "HTTP/1.0"
	}
	text := fmt.Sprintf("%s %s %s\r\nHost: %s\r\nX-Served: served-%d\r\n", a.method, a.target, version, a.host, c.asked)
	has := false
	for _, f := range a.fields {
		text += f + "\r\n"
		has = has || strings.HasPrefix(f, "Content-Length:") || strings.HasPrefix(f, "Transfer-Encoding:")
	}
	if a.body != "" && !has {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(a.body))
	}
	return text + "\r\n" + a.body
}

func (c *child) http1(conn net.Conn, a *ask) (out []string) {
	b := bufio.NewReader(conn)
	times := 1
	if a.kind == "twice" {
		times = 3
	}
	for range times {
		io.WriteString(conn, c.head(a))
		for {
			text, response := readResponse(b, cmp.Or(a.method, "GET"))
			out = append(out, text)
			if response == nil {
				return out
			}
			if response.StatusCode == 101 {
				fmt.Fprintf(conn, "hello\n")
				line, err := b.ReadString('\n')
				_, end := io.Copy(io.Discard, b) // the server ends first, and the client when it has seen that
				return append(out, fmt.Sprintf("%q %v then %s", line, err, ended(end)))
			}
			if response.Close {
				_, err := b.ReadByte()
				return append(out, "then "+ended(err))
			}
			if response.StatusCode == 401 {
				return out
			}
			if response.StatusCode >= 200 {
				break
			}
		}
	}
	return out
}

// readResponse reads one and describes it; it is nil if there is none.
func readResponse(b *bufio.Reader, method string) (string, *http.Response) {
	if _, err := b.Peek(1); err != nil {
		return ended(err), nil
	}
	r, err := http.ReadResponse(b, &http.Request{Method: method})
	if err != nil {
		return "no answer: " + ended(err), nil
	}
	if r.StatusCode == 101 {
		return r.Proto + " " + described(r, ""), r
	}
	body, err := io.ReadAll(r.Body)
	text := r.Proto + " " + described(r, string(body))
	if err != nil {
		return text + " then " + ended(err), nil
	}
	return text, r
}

func described(r *http.Response, body string) string {
	var fields []string
	long := false
	if r.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(strings.NewReader(body)); err == nil {
			plain, _ := io.ReadAll(z)
			body = string(plain)
			long = true
		}
	}
	long = long || len(body) > 3000
	for name, values := range r.Header {
		switch {
		case name == "Date", name == "Content-Length" && long:
			values = []string{"*"}
		case name == "Age" && len(values[0]) == 1: // the second may have ended meanwhile
			values = []string{"N"}
		}
		fields = append(fields, strings.ToLower(name)+"="+strings.Join(values, " ; "))
	}
	slices.Sort(fields)
	chunked := ""
	if len(r.TransferEncoding) > 0 {
		chunked = " chunked"
	}
	if r.Close {
		chunked += " close"
	}
	return fmt.Sprintf("%s%s | %s | %s", r.Status, chunked, strings.Join(fields, "; "), short(body))
}

// short shortens what is known or long.
func short(text string) string {
	text = strings.ReplaceAll(text, page, "PAGE")
	if len(text) > 3000 {
		return "long"
	}
	return fmt.Sprintf("%q", text)
}

// http2 asks over HTTP/2.
func (c *child) http2(conn net.Conn, a *ask) []string {
	dial := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	transport := &http.Transport{DialContext: dial, DialTLSContext: dial, DisableCompression: true, Protocols: new(http.Protocols)}
	scheme := "https"
	if a.h2c {
		scheme = "http"
		transport.Protocols.SetUnencryptedHTTP2(true)
	} else {
		transport.Protocols.SetHTTP2(true)
	}
	if a.raw != "" {
		a.method, a.target, a.host = "GET", "/raw", "raw.test"
	}
	r, err := http.NewRequest(a.method, scheme+"://"+a.host+a.target, strings.NewReader(a.body))
	if err != nil {
		return []string{"not asked"}
	}
	r.Header.Set("X-Served", fmt.Sprintf("served-%d", c.asked))
	r.Header.Set("User-Agent", "h2")
	for _, f := range a.fields {
		name, value, _ := strings.Cut(f, ":")
		if !slices.Contains([]string{"Connection", "Upgrade", "Transfer-Encoding", "Content-Length"}, name) {
			r.Header.Add(name, strings.TrimSpace(value))
		}
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return []string{"no answer"}
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	text := "HTTP/2 " + described(response, string(body))
	for name, values := range response.Trailer {
		text += fmt.Sprintf(" trailer %s=%q", name, values)
	}
	return []string{text}
}
