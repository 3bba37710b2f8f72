package stream

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// echoWebSockets is a server of HTTP/1.1 that agrees to WebSockets, gives back what comes, and ends when the client does or has said "end"; it refuses
// those for /no, and answers other requests with ok. After "half" it says nothing more, and reads on.
func echoWebSockets(t *testing.T, over *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if over != nil {
		ln = tls.NewListener(ln, over)
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
			if bytes.HasSuffix(b[:n], []byte("half")) {
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
				_, _ = io.Copy(io.Discard, in)
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
	return webSocketsOver(newWire(t, addr))
}

func webSocketsOver(w *framer) *webSocketClient {
	c := &webSocketClient{framer: w, dec: hpack.NewDecoder(4096, nil), heads: map[uint32]map[string]string{}, got: map[uint32]*strings.Builder{}, ended: map[uint32]string{}}
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
	r := newRig(t, true, []string{echoWebSockets(t, nil)}, func(r *rig) { line = logTo(t, r, "%HM %HPO%HQ %HV %ST %tsc") })
	c := newWebSocketClient(t, r.addr)
	c.open(1, "/ws?a=b", "sec-websocket-key", "what is no key")
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

// TestWebSocketsOfHTTP2Servers: a tunnel goes from a stream of the client's to one of the server's.
func TestWebSocketsOfHTTP2Servers(t *testing.T) {
	var line func() string
	r := newRig(t, true, []string{playWebSockets(t)}, func(r *rig) {
		speakHTTP2(r, false)
		r.be.HTTP2[r.Servers[0]].WebSocket = true
		line = logTo(t, r, "%HM %HPO%HQ %HV %ST %tsc")
	})
	c := newWebSocketClient(t, r.addr)
	c.open(1, "/ws")
	c.readUntil("the answer", func() bool { return c.heads[1] != nil })
	if h := c.heads[1]; h[":status"] != "200" || h["sec-websocket-protocol"] != "echo" || h["x-key"] != "none" {
		t.Fatalf("answered %v", h)
	}
	want := ""
	for i := range 50 {
		piece := fmt.Sprintf("%d ", i) + strings.Repeat("x", 2000)
		want += piece
		c.WriteData(1, false, []byte(piece))
		c.readUntil("an echo", func() bool { return len(c.text(1)) == len(want) })
	}
	c.WriteData(1, true, nil)
	c.readUntil("the server's end", func() bool { return c.ended[1] != "" })
	if c.text(1) != want || c.ended[1] != "END_STREAM" {
		t.Errorf("%d bytes, ended by %s", len(c.text(1)), c.ended[1])
	}
	if got := line(); got != "GET /ws HTTP/2.0 101 ----" {
		t.Errorf("logged %q", got)
	}
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
			r := newRig(t, true, []string{echoWebSockets(t, nil)}, nil)
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
		r := newRig(t, true, []string{echoWebSockets(t, nil)}, func(r *rig) { r.Limits.NoTunnels = true })
		w := &webSocketClient{framer: newWire(t, r.addr), dec: hpack.NewDecoder(4096, nil), heads: map[uint32]map[string]string{}, got: map[uint32]*strings.Builder{}, ended: map[uint32]string{}}
		w.open(1, "/ws")
		w.readUntil("the reset", func() bool { return w.ended[1] != "" })
		if w.offered || w.ended[1] != "PROTOCOL_ERROR" {
			t.Errorf("offered: %v, ended by %s", w.offered, w.ended[1])
		}
	})
}

// TestTunnelsOfHTTP2Move: WebSockets of one connection go on over several generations while they are used, whatever is encrypted, and none of their bytes is
// lost or comes twice.
func TestTunnelsOfHTTP2Move(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS: %v", encrypted), func(t *testing.T) {
			kind, over := http2Plain, (*tls.Config)(nil)
			if encrypted {
				kind, over = http2TLS, certificate(t)
			}
			chain := newSecureChain(t, true, echoWebSockets(t, over))
			chain.rigs = nil
			var lines []func() string
			chain.adjust = func(r *rig) {
				kind.adjust(t, r)
				if r.Leaving.Patience = time.Hour; encrypted {
					toTLS(t, trusting(), "")(r)
				}
				lines = append(lines, logTo(t, r, "%HPO %ST %tsc %U %B"))
			}
			first := chain.next(nil)
			conn, err := net.Dial("tcp", first.addr)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			}
			c := webSocketsOver(newWireOver(t, conn))
			ids := []uint32{1, 3, 5, 7}
			for _, id := range ids {
				c.open(id, fmt.Sprintf("/ws%d", id))
			}
			want := map[uint32]*strings.Builder{}
			for _, id := range ids {
				c.readUntil("a tunnel", func() bool { return c.heads[id] != nil })
				want[id] = new(strings.Builder)
			}
			moves := make(chan bool, 1)
			go func() {
				defer close(moves)
				for range 5 {
					old, a := chain.move(nil)
					awaitEmpty(t, old.Engine)
					if n := a.moved(MuxParcel); n != 1 {
						t.Errorf("%d moved", n)
					}
				}
			}()
			rounds, over5 := 0, false
			for ; !over5; rounds++ {
				select {
				case <-moves:
					over5 = true // once more after the last
				default:
				}
				for _, id := range ids {
					piece := fmt.Sprintf("%d.%d ", id, rounds) + strings.Repeat("x", rounds%3*1000)
					want[id].WriteString(piece)
					c.WriteData(id, false, []byte(piece))
				}
				c.readUntil("the echoes", func() bool {
					for _, id := range ids {
						if len(c.text(id)) < want[id].Len() {
							return false
						}
					}
					return true
				})
			}
			for _, id := range ids {
				if c.text(id) != want[id].String() {
					t.Errorf("tunnel %d: %d bytes came, other than those sent", id, len(c.text(id)))
				}
			}

			// One that the server has ended for its part moves, too, and ends when the client does.
			c.WriteData(1, false, []byte("half"))
			c.readUntil("the server's end", func() bool { return c.ended[1] != "" })
			old, a := chain.move(nil)
			awaitEmpty(t, old.Engine)
			if n := a.moved(MuxParcel); n != 1 {
				t.Errorf("%d moved", n)
			}
			for _, id := range ids {
				c.WriteData(id, true, []byte("bye"))
			}
			c.readUntil("the servers' ends", func() bool { return len(c.ended) == len(ids) })
			logged := map[string]bool{}
			for range ids {
				logged[lines[len(lines)-1]()] = true
			}
			for _, id := range ids {
				if c.ended[id] != "END_STREAM" {
					t.Errorf("tunnel %d ended by %s", id, c.ended[id])
				}
				sent, came := want[id].Len()+len("bye"), len(c.text(id))
				if id == 1 {
					sent += len("half")
				}
				found := false
				for line := range logged {
					var uri, end string
					var status, in, out int
					fmt.Sscan(line, &uri, &status, &end, &in, &out)
					found = found || uri == fmt.Sprintf("/ws%d", id) && status == 101 && end == "----" && in > sent && out > came
				}
				if !found {
					t.Errorf("tunnel %d, %d bytes sent and %d back: logged %v", id, sent, came, logged)
				}
			}
			if c.goaway {
				t.Error("the connection was told to go away")
			}
		})
	}
}

// TestTunnelsOfHTTP2Stay: where the next process does not take the connection, the tunnels go on in this one, and a GOAWAY sends the client's next requests
// to the other.
func TestTunnelsOfHTTP2Stay(t *testing.T) {
	for _, why := range []string{"refused", "the receiver dies", "the server is gone", "too many"} {
		t.Run(why, func(t *testing.T) {
			srv := echoWebSockets(t, nil)
			chain := newSecureChain(t, true, srv)
			chain.rigs = nil
			chain.adjust = func(*rig) {}
			old := chain.next(nil)
			if why == "the server is gone" {
				chain.server = echoWebSockets(t, nil)
			}
			next := chain.next(nil)
			a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}, die: why == "the receiver dies"}
			if why == "refused" {
				a.refuse = func(*Parcel) bool { return true }
			}
			c := newWebSocketClient(t, old.addr)
			n := uint32(2)
			if why == "too many" {
				n = 95
			}
			for i := range n {
				c.open(2*i+1, "/ws")
				c.readUntil("a tunnel", func() bool { return c.heads[2*i+1] != nil })
			}
			old.Handover(a.carry)
			c.readUntil("GOAWAY", func() bool { return c.goaway })
			for i := range n {
				c.WriteData(2*i+1, true, []byte("still here"))
			}
			c.readUntil("the ends", func() bool { return len(c.ended) == int(n) })
			for i := range n {
				if c.text(2*i+1) != "still here" || c.ended[2*i+1] != "END_STREAM" {
					t.Errorf("%q, ended by %s", c.text(2*i+1), c.ended[2*i+1])
				}
			}
			c.c.Close()
			awaitEmpty(t, old.Engine)
			if n := a.moved(MuxParcel); n != 0 {
				t.Errorf("%d moved", n)
			}
		})
	}
}
