package served

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// recorder stands for all servers: each connection is spoken to in what its first bytes are of, and what belongs to an ask (it has its number) is kept.
type recorder struct {
	cert tls.Certificate

	mu   sync.Mutex
	seen map[string][]string // by the ask's number; mu guards it
}

// listen takes the place of one server.
func (r *recorder) listen(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go func() { // until the process ends
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(c, addr)
		}
	}()
	return nil
}

// visit is one connection to a server.
type visit struct {
	r    *recorder
	c    net.Conn
	b    *bufio.Reader
	at   string   // the server's address
	from string   // the balancer's
	told []string // what came before: PROXY, TLS
}

var number = regexp.MustCompile(`served-(\d+)`)

// saw keeps what an ask brought here.
func (v *visit) saw(text string) {
	m := number.FindStringSubmatch(text)
	if m == nil {
		return // a check
	}
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	text = strings.Join(append([]string{v.at, "from " + v.from}, append(v.told, text)...), " | ")
	v.r.seen[m[1]] = append(v.r.seen[m[1]], text)
}

// take gives what an ask has brought so far.
func (r *recorder) take(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen[strconv.Itoa(n)])
}

// firstWords are what servers of protocols say that begin, by their ports.
var firstWords = map[string]string{
	"25": "220 recorder ESMTP\r\n", "22": "SSH-2.0-recorder\r\n", "2222": "SSH-2.0-recorder\r\n",
	"3306": "\x4a\x00\x00\x00\x0a8.0.30\x00\x01\x00\x00\x00abcdefgh\x00\xff\xf7\x21\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00mysql_native_password\x00",
}

func (r *recorder) serve(c net.Conn, at string) {
	defer c.Close()
	from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	v := &visit{r: r, c: c, b: bufio.NewReader(c), at: at, from: from}
	_, port, _ := net.SplitHostPort(at)
	if words := firstWords[port]; words != "" {
		io.WriteString(c, words)
	}
	for range 4 { // of what may stand around a protocol
		head, err := v.b.Peek(1)
		if err != nil {
			return
		}
		switch {
		case head[0] == '\r':
			v.proxyTwo()
		case head[0] == 0x16:
			t := tls.Server(peeked{v.c, v.b}, &tls.Config{Certificates: []tls.Certificate{r.cert}, NextProtos: []string{"h2", "http/1.1"}})
			if t.Handshake() != nil {
				return
			}
			state := t.ConnectionState()
			v.told = append(v.told, fmt.Sprintf("TLS sni=%s alpn=%s", state.ServerName, state.NegotiatedProtocol))
			v.c, v.b = t, bufio.NewReader(t)
		case head[0] >= 'A' && head[0] <= 'z':
			if !v.words() {
				return
			}
		default:
			v.binary()
			return
		}
	}
}

// peeked is a connection some of whose bytes are in a reader.
type peeked struct {
	net.Conn
	b *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.b.Read(b) }

// proxyTwo reads the header of the PROXY protocol's version 2.
func (v *visit) proxyTwo() {
	head := make([]byte, 16)
	if _, err := io.ReadFull(v.b, head); err != nil {
		return
	}
	rest := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(v.b, rest); err != nil {
		return
	}
	text := fmt.Sprintf("PROXY2 %02x%02x", head[12], head[13])
	if head[13] == 0x11 && len(rest) >= 12 {
		src, _ := netip.AddrFromSlice(rest[:4])
		dst, _ := netip.AddrFromSlice(rest[4:8])
		text += fmt.Sprintf(" %s:%d %s:%d", src, binary.BigEndian.Uint16(rest[8:]), dst, binary.BigEndian.Uint16(rest[10:]))
		for rest = rest[12:]; len(rest) >= 3; {
			n := int(binary.BigEndian.Uint16(rest[1:]))
			text += fmt.Sprintf(" tlv%02x(%d)", rest[0], n)
			rest = rest[min(len(rest), 3+n):]
		}
	}
	v.told = append(v.told, text)
}

// words speaks with a client that begins with a line; more is whether something else may follow.
func (v *visit) words() (more bool) {
	if start, _ := v.b.Peek(6); string(start) == "PROXY " {
		line, _ := v.b.ReadString('\n')
		v.told = append(v.told, strings.TrimSpace(line))
		return true
	}
	if start, _ := v.b.Peek(5); string(start) == "PRI *" {
		v.http2()
		return false
	}
	for {
		line, err := v.b.ReadString('\n')
		if err != nil {
			if line != "" {
				v.saw(fmt.Sprintf("%q", line))
			}
			return false
		}
		text := strings.TrimSpace(line)
		if strings.Contains(text, " HTTP/1.") {
			if !v.request(text) {
				return false
			}
			continue
		}
		v.saw(fmt.Sprintf("%q", line))
		answer := "+OK\r\n"
		switch low := strings.ToLower(text); {
		case low == "ping":
			answer = "+PONG\r\n"
		case strings.HasPrefix(low, "info"):
			answer = "$13\r\nrole:master\r\n\r\n"
		case strings.HasPrefix(low, "helo"), strings.HasPrefix(low, "ehlo"):
			answer = "250 recorder\r\n"
		case strings.HasPrefix(low, "sentinel"):
			answer = "*2\r\n$9\r\n10.0.0.11\r\n$4\r\n6379\r\n"
		case strings.HasPrefix(low, "ssh-"):
			answer = "SSH-2.0-recorder at " + v.at + "\r\n"
		}
		io.WriteString(v.c, answer)
	}
}

// http2 serves a connection of HTTP/2 to its end.
func (v *visit) http2() {
	ended := make(chan struct{})
	server := http.Server{Handler: http.HandlerFunc(v.handle), Protocols: new(http.Protocols), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(ended)
		}
	}}
	server.Protocols.SetUnencryptedHTTP2(true) // TLS was taken off before
	one := make(chan net.Conn, 1)
	one <- peeked{v.c, v.b}
	close(one)
	if server.Serve(oneConn(one)) == io.EOF {
		<-ended
	}
}

// oneConn is a listener with one connection.
type oneConn chan net.Conn

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, io.EOF
}
func (l oneConn) Close() error   { return nil }
func (l oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// request answers a request of HTTP/1; more is whether another may follow.
func (v *visit) request(first string) (more bool) {
	method, rest, _ := strings.Cut(first, " ")
	fields := map[string]string{}
	var names []string
	for {
		line, err := v.b.ReadString('\n')
		if err != nil {
			return false
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		names = append(names, name+": "+strings.TrimSpace(value))
		fields[name] = strings.TrimSpace(value)
	}
	slices.Sort(names)
	var body []byte
	if fields["expect"] != "" {
		io.WriteString(v.c, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	if n, _ := strconv.Atoi(fields["content-length"]); n > 0 {
		body = make([]byte, n)
		io.ReadFull(v.b, body)
	} else if strings.Contains(fields["transfer-encoding"], "chunked") {
		body, _ = io.ReadAll(httputil.NewChunkedReader(v.b))
		for line := "x"; strings.TrimSpace(line) != ""; { // the trailers
			line, _ = v.b.ReadString('\n')
		}
	}
	v.saw(fmt.Sprintf("%s | %s | %q", first, strings.Join(names, "; "), body))
	if strings.EqualFold(fields["upgrade"], "websocket") && strings.Contains(strings.ToLower(fields["connection"]), "upgrade") {
		io.WriteString(v.c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\nX-Recorder: "+v.at+"\r\n\r\n")
		line, _ := v.b.ReadString('\n')
		io.WriteString(v.c, "echo "+line)
		return false
	}
	answer := answerTo(v.at, method, fields["x-answer"], strings.HasSuffix(rest, "HTTP/1.0"))
	v.c.Write(answer)
	return !strings.EqualFold(fields["connection"], "close") && !strings.HasSuffix(rest, "HTTP/1.0") && !bytes.Contains(answer, []byte("\r\nConnection: close"))
}

// page is what servers answer with: it satisfies the checks of the files.
var page = strings.Repeat("recorder says OK 200 OK \"status\":\"green\" role:master\n", 40)

// answerTo makes an answer: kind is what the ask wants of it.
func answerTo(at, method, kind string, old bool) []byte {
	status, body := "200 OK", "recorder at "+at+"\n"+page
	head := "Server: recorder\r\nX-Recorder: " + at + "\r\nX-Powered-By: Go\r\nContent-Type: text/html\r\nLast-Modified: Sat, 29 Oct 1994 19:43:31 GMT\r\n"
	switch kind {
	case "404":
		status = "404 Not Found"
	case "500":
		status = "500 Internal Server Error"
	case "503":
		status = "503 Service Unavailable"
	case "302":
		status = "302 Found"
		head += "Location: http://" + at + "/elsewhere?x=1\r\n"
	case "cookie":
		head += "Set-Cookie: SID=of-" + strings.ReplaceAll(at, ":", ".") + "; path=/\r\nSet-Cookie: IP=1; path=/\r\nSet-Cookie: JSESSIONID=j1; Path=/app\r\n"
	case "cacheable":
		head += "Cache-Control: public, max-age=60\r\nETag: \"abc\"\r\n"
	case "private":
		head += "Cache-Control: private, no-cache\r\n"
	case "json":
		head = strings.Replace(head, "text/html", "application/json", 1)
	case "304":
		return []byte("HTTP/1.1 304 Not Modified\r\n" + head + "\r\n")
	case "close":
		return []byte("HTTP/1.1 200 OK\r\n" + head + "Connection: close\r\n\r\n" + body)
	case "chunked":
		if !old {
			head += "Transfer-Encoding: chunked\r\n\r\n"
			if method != "HEAD" {
				head += fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
			}
			return []byte("HTTP/1.1 200 OK\r\n" + head)
		}
	}
	head += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	if method != "HEAD" {
		head += body
	}
	return []byte("HTTP/1.1 " + status + "\r\n" + head)
}

// handle answers a request of HTTP/2.
func (v *visit) handle(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	names := []string{"host: " + r.Host}
	for name, values := range r.Header {
		for _, value := range values {
			if name != "Host" { // HAProxy says it besides the authority
				names = append(names, strings.ToLower(name)+": "+value)
			}
		}
	}
	slices.Sort(names)
	v.saw(fmt.Sprintf("%s %s HTTP/2 | %s | %q", r.Method, r.RequestURI, strings.Join(names, "; "), body))
	w.Header().Set("X-Recorder", v.at)
	w.Header()["Date"] = nil
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		w.(http.Flusher).Flush() // no length is known
		w.Write([]byte("\x00\x00\x00\x00\x02\x08\x01"))
		w.Header().Set("Grpc-Status", "0")
		return
	}
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "recorder at "+v.at+"\n"+page)
}

// binary answers what is no text, once.
func (v *visit) binary() {
	b := make([]byte, 4096)
	for {
		n, err := v.b.Read(b)
		if err != nil {
			return
		}
		got := b[:n]
		v.saw(fmt.Sprintf("%q", got))
		answer := []byte("recorder at " + v.at + "\n")
		switch {
		case got[0] == 0x30: // LDAP
			answer = []byte("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00")
		case got[0] == 0x10: // MQTT
			answer = []byte("\x20\x02\x00\x00")
		case got[0] == 0x03: // RDP
			answer = []byte("\x03\x00\x00\x0b\x06\xd0\x00\x00\x12\x34\x00")
		case got[0] == 0x00: // PostgreSQL
			answer = []byte("R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I")
		case got[0] >= 0xfe || got[0] == 0x3a: // Minecraft, MongoDB
			answer = []byte("\xff\xee\xee\xee\xee\xee\xee\xee\xee")
		}
		v.c.SetWriteDeadline(time.Now().Add(time.Second))
		v.c.Write(answer)
	}
}
