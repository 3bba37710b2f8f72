package stream

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// echoWebSockets is a server of HTTP/1.1 that agrees to WebSockets, gives back what comes, and ends when the client does or has said "end"; it refuses
// those for /no, and answers other requests with ok.
func echoWebSockets(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go echoWebSocket(c)
		}
	}()
	return ln.Addr().String()
}

func echoWebSocket(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		key := req.Header.Get("Sec-WebSocket-Key")
		raw, err := base64.StdEncoding.DecodeString(key)
		switch {
		case req.Header.Get("Upgrade") == "":
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			continue
		case req.Method != "GET" || req.URL.Path == "/no" || err != nil || len(raw) != 16 || req.Header.Get("Upgrade") != "websocket":
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			continue
		}
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: echo\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		b := make([]byte, 32<<10)
		for {
			n, err := in.Read(b)
			if _, werr := c.Write(b[:n]); err != nil || werr != nil || bytes.HasSuffix(b[:n], []byte("end")) {
				return
			}
		}
	}
}

// webSocketClient is a connection of HTTP/2 with WebSockets over it.
type webSocketClient struct {
	*framer
	offered bool // SETTINGS_ENABLE_CONNECT_PROTOCOL
	dec     *hpack.Decoder
	heads   map[uint32]map[string]string
	got     map[uint32]*strings.Builder
	ended   map[uint32]string // END_STREAM or the code of a reset
	goaway  bool
}

func newWebSocketClient(t *testing.T, addr string) *webSocketClient {
	c := &webSocketClient{framer: newWire(t, addr), dec: hpack.NewDecoder(4096, nil), heads: map[uint32]map[string]string{}, got: map[uint32]*strings.Builder{}, ended: map[uint32]string{}}
	c.readUntil("the settings", func() bool { return c.offered })
	return c
}

// open asks for a WebSocket.
func (c *webSocketClient) open(id uint32, path string, more ...string) {
	fields := append([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", path}, more...)
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.block(append(fields, "sec-websocket-version", "13", "origin", "https://a")...), EndHeaders: true})
}

func (c *webSocketClient) text(id uint32) string {
	if c.got[id] == nil {
		return ""
	}
	return c.got[id].String()
}

// readUntil reads frames until a condition holds.
func (c *webSocketClient) readUntil(what string, done func() bool) {
	c.t.Helper()
	for !done() {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v; heads %v, ended %v", what, err, c.heads, c.ended)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingEnableConnectProtocol); ok && v == 1 {
				c.offered = true
			}
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.WritePing(true, f.Data)
			}
		case *http2.HeadersFrame:
			fields, err := c.dec.DecodeFull(f.HeaderBlockFragment())
			if err != nil {
				c.t.Fatal(err)
			}
			head := map[string]string{}
			for _, field := range fields {
				head[field.Name] = field.Value
			}
			c.heads[f.StreamID] = head
			if f.StreamEnded() {
				c.ended[f.StreamID] = "END_STREAM"
			}
		case *http2.DataFrame:
			if c.got[f.StreamID] == nil {
				c.got[f.StreamID] = new(strings.Builder)
			}
			c.got[f.StreamID].Write(f.Data())
			if n := len(f.Data()); n > 0 {
				c.WriteWindowUpdate(0, uint32(n))
				c.WriteWindowUpdate(f.StreamID, uint32(n))
			}
			if f.StreamEnded() {
				c.ended[f.StreamID] = "END_STREAM"
			}
		case *http2.RSTStreamFrame:
			c.ended[f.StreamID] = f.ErrCode.String()
		case *http2.GoAwayFrame:
			c.goaway = true
		}
	}
}

// TestWebSocketsOfHTTP2 opens tunnels by extended CONNECT (RFC 8441) to a server of HTTP/1.1.
func TestWebSocketsOfHTTP2(t *testing.T) {
	var line func() string
	r := newRig(t, true, []string{echoWebSockets(t)}, func(r *rig) { line = logTo(t, r, "%HM %HU %HV %ST %tsc") })
	c := newWebSocketClient(t, r.addr)
	c.open(1, "/ws?a=b", "sec-websocket-key", "what a client may not choose")
	c.WriteData(1, false, []byte("early ")) // before anybody has agreed
	c.request(3, true)
	c.readUntil("the answer", func() bool { return c.heads[1] != nil })
	if h := c.heads[1]; h[":status"] != "200" || h["sec-websocket-protocol"] != "echo" || h["upgrade"]+h["connection"]+h["sec-websocket-accept"] != "" {
		t.Fatalf("answered %v", h)
	}
	c.readUntil("the early bytes", func() bool { return c.text(1) == "early " })
	long := strings.Repeat("0123456789abcdef", 200) // less than the window
	for range 30 {
		before := len(c.text(1))
		c.WriteData(1, false, []byte(long))
		c.readUntil("an echo", func() bool { return len(c.text(1)) == before+len(long) })
	}
	c.WriteData(1, true, []byte("bye"))
	c.readUntil("the server's end", func() bool { return c.ended[1] != "" })
	if !strings.HasSuffix(c.text(1), long+"bye") || c.ended[1] != "END_STREAM" {
		t.Errorf("%d bytes, ended by %s", len(c.text(1)), c.ended[1])
	}
	for {
		if got := line(); !strings.HasPrefix(got, "POST / ") {
			if got != "GET /ws?a=b HTTP/2.0 101 ----" {
				t.Errorf("logged %q", got)
			}
			break
		}
	}

	// The server ends first: what the client still says is for nobody.
	c.open(5, "/ws")
	c.WriteData(5, false, []byte("end"))
	c.readUntil("the server's end", func() bool { return c.ended[5] != "" })
	if c.text(5) != "end" || c.ended[5] != "END_STREAM" {
		t.Errorf("%q, ended by %s", c.text(5), c.ended[5])
	}
	c.WriteData(5, true, nil)
	if got := line(); got != "GET /ws HTTP/2.0 101 ----" {
		t.Errorf("logged %q", got)
	}

	// It does not want any: what was sent ahead is never taken for a request.
	c.open(7, "/no")
	c.WriteData(7, false, []byte("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"))
	c.readUntil("the refusal", func() bool { return c.ended[7] != "" })
	if c.heads[7][":status"] != "403" || c.text(7) != "no" {
		t.Errorf("answered %v %q", c.heads[7], c.text(7))
	}
	if got := line(); got != "GET /no HTTP/2.0 403 ----" {
		t.Errorf("logged %q", got)
	}

	// The client leaves.
	c.open(9, "/ws")
	c.readUntil("the answer", func() bool { return c.heads[9] != nil })
	c.WriteRSTStream(9, http2.ErrCodeCancel)
	if got := line(); got != "GET /ws HTTP/2.0 101 ----" {
		t.Errorf("logged %q", got)
	}
	c.request(11, true)
	c.readUntil("an answer after all of that", func() bool { return c.ended[11] == "END_STREAM" })
}

// TestWrongWebSocketsOfHTTP2 is how a client is told that it did not ask as RFC 8441 wants it.
func TestWrongWebSocketsOfHTTP2(t *testing.T) {
	for name, c := range map[string]struct {
		fields []string
		want   string
	}{
		"GET":              {[]string{":method", "GET", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws"}, "PROTOCOL_ERROR"},
		"no path":          {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a"}, "PROTOCOL_ERROR"},
		"no authority":     {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/ws"}, "PROTOCOL_ERROR"},
		"twice":            {[]string{":method", "CONNECT", ":protocol", "websocket", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws"}, "PROTOCOL_ERROR"},
		"a length":         {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws", "content-length", "3"}, "PROTOCOL_ERROR"},
		"lines in it":      {[]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a", ":path", "/ws HTTP/1.1\r\nx: y"}, "PROTOCOL_ERROR"},
		"another protocol": {[]string{":method", "CONNECT", ":protocol", "connect-udp", ":scheme", "https", ":authority", "a", ":path", "/"}, "400"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, []string{echoWebSockets(t)}, nil)
			w := newWebSocketClient(t, r.addr)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(c.fields...), EndHeaders: true})
			w.readUntil("an answer", func() bool { return w.ended[1] != "" })
			if got := w.ended[1]; w.heads[1] != nil {
				if got = w.heads[1][":status"]; got != c.want {
					t.Errorf("answered %s", got)
				}
			} else if got != c.want {
				t.Errorf("ended by %s", got)
			}
		})
	}
	t.Run("not offered", func(t *testing.T) {
		r := newRig(t, true, []string{echoWebSockets(t)}, func(r *rig) { r.Limits.NoTunnels = true })
		w := &webSocketClient{framer: newWire(t, r.addr), dec: hpack.NewDecoder(4096, nil), heads: map[uint32]map[string]string{}, got: map[uint32]*strings.Builder{}, ended: map[uint32]string{}}
		w.open(1, "/ws")
		w.readUntil("the reset", func() bool { return w.ended[1] != "" })
		if w.offered || w.ended[1] != "PROTOCOL_ERROR" {
			t.Errorf("offered: %v, ended by %s", w.offered, w.ended[1])
		}
	})
}
