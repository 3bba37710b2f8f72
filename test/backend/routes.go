package backend

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// SmallBody is the length of the answer to /r/...: what the operators' tables ask for.
const SmallBody = 200

// exchange is one connection's request and the means to answer it. Owned by the connection's goroutine.
type exchange struct {
	name string
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	req  request
	quit <-chan struct{} // closed with the server
	last bool            // no request follows on this connection
	buf  []byte
}

// route answers the request in x; arg is the path behind the route's own element.
type route struct {
	name string
	do   func(x *exchange, arg string) error
}

// routes is looked up by the path's first element; the busiest rows stand first. It is never written to.
var routes = [...]route{
	{"r", (*exchange).small}, // /r/RUN/N: 200 bytes beginning with the path, then the posted body's sum
	{"", (*exchange).small},
	{"bytes", (*exchange).bytes},       // /bytes/N: N bytes
	{"chunked", (*exchange).chunked},   // /chunked/N: N bytes in chunks of odd sizes, and a trailer
	{"unsized", (*exchange).unsized},   // /unsized/N: N bytes that end with the connection
	{"drip", (*exchange).drip},         // /drip/N: N bytes, one every 10 ms
	{"delay", (*exchange).delay},       // /delay/MS: 200 bytes after MS milliseconds
	{"echo", (*exchange).echo},         // the posted body, framed as it came
	{"headers", (*exchange).headers},   // the request's header lines
	{"status", (*exchange).status},     // /status/CODE
	{"close", (*exchange).closing},     // 200 bytes and Connection: close
	{"cut", (*exchange).cut},           // half of an answer, then the connection is cut
	{"upgrade", (*exchange).upgrading}, // 101, then an echo of bytes
}

func (x *exchange) answer() error {
	x.last = x.req.close
	path, _, _ := strings.Cut(x.req.path, "?")
	first, arg, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	for _, rt := range &routes {
		if rt.name == first {
			return rt.do(x, arg)
		}
	}
	if _, err := x.req.body(x.r, io.Discard); err != nil {
		return err
	}
	return x.full(404, x.filler(SmallBody))
}

// head writes a status line and the headers every answer has; framing is the header that says how long the body is.
func (x *exchange) head(code int, framing string) {
	b := x.w.AvailableBuffer()
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, " Answer\r\nX-Backend: "...)
	b = append(b, x.name...)
	b = append(b, "\r\n"...)
	b = append(b, framing...)
	switch {
	case x.last:
		b = append(b, "Connection: close\r\n"...)
	case x.req.http10:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = append(b, "\r\n"...)
	x.w.Write(b)
}

// full answers with a body of known length.
func (x *exchange) full(code int, body []byte) error {
	x.head(code, "Content-Length: "+strconv.Itoa(len(body))+"\r\n")
	if x.req.method == "HEAD" || code == 204 || code == 304 {
		return nil
	}
	_, err := x.w.Write(body)
	return err
}

// filler returns n bytes of a known pattern, valid until the next call.
func (x *exchange) filler(n int) []byte {
	for len(x.buf) < n {
		x.buf = append(x.buf, Pattern(len(x.buf)))
	}
	return x.buf[:n]
}

// Pattern is the byte at offset i of every generated body.
func Pattern(i int) byte { return "abcdefghijklmnopqrstuvwxyz012345"[i&31] }

// AppendSmall appends the body that answers /r/...: the path, for a posted body its CRC-32 and length, and dots up to SmallBody
// bytes. The load client builds the same bytes, so an answer that reached the wrong request is noticed.
func AppendSmall(dst []byte, path string, sum uint32, length int64) []byte {
	start := len(dst)
	dst = append(dst, path...)
	if length > 0 {
		dst = append(dst, ' ')
		dst = strconv.AppendUint(dst, uint64(sum), 16)
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, length, 10)
	}
	dst = append(dst, '\n')
	for len(dst)-start < SmallBody {
		dst = append(dst, '.')
	}
	return dst
}

func (x *exchange) small(string) error {
	var sum uint32
	var n int64
	if x.req.length != 0 {
		h := crc32.NewIEEE()
		var err error
		if n, err = x.req.body(x.r, h); err != nil {
			return err
		}
		sum = h.Sum32()
	}
	x.buf = AppendSmall(x.buf[:0], x.req.path, sum, n)
	err := x.full(200, x.buf)
	x.buf = x.buf[:0]
	return err
}

func (x *exchange) bytes(arg string) error {
	n, err := x.count(arg)
	if err != nil {
		return err
	}
	return x.full(200, x.filler(n))
}

func (x *exchange) chunked(arg string) error {
	n, err := x.count(arg)
	if err != nil {
		return err
	}
	if x.req.http10 {
		return x.endless(n) // RFC 9112 section 6.1: a 1.0 client gets no chunks
	}
	x.head(200, "Transfer-Encoding: chunked\r\nTrailer: X-Length\r\n")
	if x.req.method == "HEAD" {
		return nil
	}
	body := x.filler(n)
	for size := 1; len(body) > 0; size = min(size*3+1, 10000) {
		chunk := body[:min(size, len(body))]
		fmt.Fprintf(x.w, "%x\r\n%s\r\n", len(chunk), chunk)
		body = body[len(chunk):]
	}
	_, err = fmt.Fprintf(x.w, "0\r\nX-Length: %d\r\n\r\n", n)
	return err
}

func (x *exchange) unsized(arg string) error {
	n, err := x.count(arg)
	if err != nil {
		return err
	}
	return x.endless(n)
}

// endless answers with n bytes that end with the connection.
func (x *exchange) endless(n int) error {
	x.last = true
	x.head(200, "")
	_, err := x.w.Write(x.filler(n))
	return err
}

func (x *exchange) drip(arg string) error {
	n, err := x.count(arg)
	if err != nil {
		return err
	}
	x.head(200, "Content-Length: "+strconv.Itoa(n)+"\r\n")
	for i := range n {
		x.w.WriteByte(Pattern(i))
		if err := x.w.Flush(); err != nil {
			return err
		}
		if err := x.wait(10 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (x *exchange) delay(arg string) error {
	ms, err := x.count(arg)
	if err != nil {
		return err
	}
	if err := x.wait(time.Duration(ms) * time.Millisecond); err != nil {
		return err
	}
	return x.full(200, x.filler(SmallBody))
}

// echo frames its answer as the request was framed, so both directions of either framing pass the balancer. A chunked body is
// echoed while it arrives; what is echoed before it is complete cannot carry its sum.
func (x *exchange) echo(string) error {
	if x.req.length >= 0 {
		x.head(200, "Content-Length: "+strconv.FormatInt(x.req.length, 10)+"\r\n")
		_, err := x.req.body(x.r, x.w)
		return err
	}
	x.head(200, "Transfer-Encoding: chunked\r\n")
	if _, err := x.req.body(x.r, chunkWriter{x.w}); err != nil {
		return err
	}
	_, err := x.w.WriteString("0\r\n\r\n")
	return err
}

type chunkWriter struct{ w *bufio.Writer }

func (c chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil // an empty chunk would end the body
	}
	fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(p), p)
	return len(p), c.w.Flush()
}

func (x *exchange) headers(string) error {
	if _, err := x.req.body(x.r, io.Discard); err != nil {
		return err
	}
	return x.full(200, append([]byte(x.req.method+" "+x.req.path+"\n"), x.req.head...))
}

func (x *exchange) status(arg string) error {
	code, err := x.count(arg)
	if err != nil {
		return err
	}
	if code == 204 || code == 304 {
		x.head(code, "")
		return nil
	}
	return x.full(code, x.filler(SmallBody))
}

func (x *exchange) closing(arg string) error {
	x.last = true
	return x.small(arg)
}

func (x *exchange) cut(string) error {
	x.last = true
	x.head(200, "Content-Length: 1000\r\n")
	_, err := x.w.Write(x.filler(500))
	return err
}

func (x *exchange) upgrading(string) error {
	if x.req.upgrade == "" {
		return x.full(426, nil)
	}
	x.last = true
	fmt.Fprintf(x.w, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\nX-Backend: %s\r\n", x.req.upgrade, x.name)
	if x.req.wsKey != "" {
		sum := sha1.Sum([]byte(x.req.wsKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 4.2.2
		fmt.Fprintf(x.w, "Sec-WebSocket-Accept: %s\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	}
	x.w.WriteString("\r\n")
	if err := x.w.Flush(); err != nil {
		return err
	}
	_, err := io.Copy(x.conn, x.r)
	return err
}

// wait returns after d, or earlier with an error when the server is closed.
func (x *exchange) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-x.quit:
		return net.ErrClosed
	}
}

// count reads the request's body away and the number in its path.
func (x *exchange) count(arg string) (int, error) {
	if _, err := x.req.body(x.r, io.Discard); err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(arg, 10, 30)
	if err != nil {
		return 0, malformed("path %q wants a number", x.req.path)
	}
	return int(n), nil
}
