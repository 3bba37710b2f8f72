package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// player is one connection of an HTTP/2 server that sends what it likes.
type player struct {
	*http2.Framer
	c   net.Conn
	nth int // which connection of the server it is, from 0
	enc *hpack.Encoder
	buf bytes.Buffer
}

// playServer is a server that plays a scene on each connection, after it has read the preface and sent its settings.
func playServer(t *testing.T, settings []http2.Setting, scene func(*player)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for nth := 0; ; nth++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(20 * time.Second))
				f := &player{Framer: http2.NewFramer(c, c), c: c, nth: nth}
				f.AllowIllegalWrites = true
				f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
				f.enc = hpack.NewEncoder(&f.buf)
				preface := make([]byte, len(http2.ClientPreface))
				if _, err := io.ReadFull(c, preface); err != nil {
					return
				}
				f.WriteSettings(settings...)
				scene(f)
				io.Copy(io.Discard, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// await reads until a request's head comes, and gives its stream; 0 when the connection ends.
func (f *player) await() uint32 {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0
		}
		if h, ok := frame.(*http2.MetaHeadersFrame); ok {
			return h.StreamID
		}
	}
}

// head sends fields: name, value, name, value.
func (f *player) head(id uint32, end bool, fields ...string) {
	f.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.buf.Bytes(), EndHeaders: true, EndStream: end})
}

// answer gives 200 with a body to every request from now on.
func (f *player) answer() {
	for id := f.await(); id != 0; id = f.await() {
		f.head(id, false, ":status", "200", "content-length", "2")
		f.WriteData(id, true, []byte("ok"))
	}
}

// TestServersOfHTTP2 plays what servers may do, and what they may not: what the client gets, and how the log says it ended.
func TestServersOfHTTP2(t *testing.T) {
	raw := func(kind http2.FrameType, flags http2.Flags, id uint32, payload string) func(*player) {
		return func(f *player) {
			f.await()
			f.WriteRawFrame(kind, flags, id, []byte(payload))
		}
	}
	reset := func(code http2.ErrCode) func(*player) {
		return func(f *player) { f.WriteRSTStream(f.await(), code); f.answer() }
	}
	first := func(do func(*player)) func(*player) { // on the first connection; later ones answer
		return func(f *player) {
			if f.nth == 0 {
				do(f)
			} else {
				f.answer()
			}
		}
	}
	for _, c := range []struct {
		name  string
		scene func(*player)
		want  string // status, body, end, retries
	}{
		{"an answer", func(f *player) { f.answer() }, "200 ok ---- 0"},
		{"an answer without a length", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200")
			f.WriteData(id, false, []byte("o"))
			f.WriteData(id, true, []byte("k"))
		}, "200 ok ---- 0"},
		{"an answer of a head alone", func(f *player) { f.head(f.await(), true, ":status", "404") }, "404  ---- 0"},
		{"an interim answer first", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "103", "link", "</a>")
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteData(id, true, []byte("ok"))
		}, "200 ok ---- 0"},
		{"an answer and a reset that says that no more of the request is wanted", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteData(id, true, []byte("ok"))
			f.WriteRSTStream(id, http2.ErrCodeNo)
		}, "200 ok ---- 0"},
		{"a reset before the answer", reset(http2.ErrCodeCancel), "502 page SH-- 0"},
		{"a reset for an error", reset(http2.ErrCodeInternal), "502 page SH-- 0"},
		{"a demand for HTTP/1.1", reset(http2.ErrCodeHTTP11Required), "502 page SH-- 0"},
		{"a refused stream", first(reset(http2.ErrCodeRefusedStream)), "200 ok ---- 1"},
		{"a reset in the answer", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteData(id, false, []byte("o"))
			f.WriteRSTStream(id, http2.ErrCodeInternal)
		}, "200 cut SD-- 0"},
		{"a GOAWAY that names the request, and the answer", func(f *player) {
			id := f.await()
			f.WriteGoAway(id, http2.ErrCodeNo, nil)
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteData(id, true, []byte("ok"))
		}, "200 ok ---- 0"},
		{"a GOAWAY that does not name the request", first(func(f *player) { f.await(); f.WriteGoAway(0, http2.ErrCodeNo, nil) }), "200 ok ---- 1"},
		{"a GOAWAY in the answer, and the end", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteGoAway(id, http2.ErrCodeInternal, nil)
			f.c.Close()
		}, "200 cut SD-- 0"},
		{"the end before the answer", func(f *player) { f.await(); f.c.Close() }, "502 page SH-- 0"},
		{"an answer that is too short", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200", "content-length", "3")
			f.WriteData(id, true, []byte("ok"))
		}, "200 cut SD-- 0"},
		{"no status", func(f *player) { f.head(f.await(), true, "x", "y") }, "502 page PH-- 0"},
		{"a field of HTTP/1", func(f *player) { f.head(f.await(), true, ":status", "200", "connection", "close") }, "502 page PH-- 0"},
		{"DATA before the head", func(f *player) { f.WriteData(f.await(), true, []byte("x")) }, "502 page SH-- 0"},
		{"a frame for a stream that was not opened", raw(http2.FrameData, 0, 7, "x"), "502 page SH-- 0"},
		{"a PUSH_PROMISE", raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), "502 page SH-- 0"},
		{"a CONTINUATION without HEADERS", raw(http2.FrameContinuation, 4, 1, "x"), "502 page SH-- 0"},
		{"a block that cannot be read", raw(http2.FrameHeaders, 4, 1, "\xff\xff\xff\xff\xff\xff"), "502 page SH-- 0"},
		{"a window that is too large", raw(http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff"), "502 page SH-- 0"},
		{"a window by nothing", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), "502 page SH-- 0"},
		{"a frame that is too large", func(f *player) {
			f.await()
			f.c.Write([]byte{0, 0x40, 1, 0, 0, 0, 0, 0, 1})
		}, "502 page SH-- 0"},
		{"a PING for each answer to the last one", func(f *player) {
			id := f.await()
			f.WritePing(false, [8]byte{})
			for answered := 0; answered < 12_000; {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if _, ok := frame.(*http2.PingFrame); ok {
					answered++
					f.WritePing(false, [8]byte{})
				}
			}
			f.head(id, false, ":status", "200", "content-length", "2")
			f.WriteData(id, true, []byte("ok"))
		}, "200 ok ---- 0"},
		{"PINGs without end", func(f *player) {
			f.await()
			for f.WritePing(false, [8]byte{}) == nil {
			}
		}, "502 page SH-- 0"},
		{"CONTINUATIONs without end", func(f *player) {
			f.WriteRawFrame(http2.FrameHeaders, 0, f.await(), nil)
			for f.WriteRawFrame(http2.FrameContinuation, 0, 1, bytes.Repeat([]byte{0x82}, 1000)) == nil {
			}
		}, "502 page SH-- 0"},
		{"more than the window", func(f *player) {
			id := f.await()
			f.head(id, false, ":status", "200")
			for f.WriteData(id, false, make([]byte, 16<<10)) == nil {
			}
		}, "200 cut SD-- 0"},
		{"HTTP/1.1", func(f *player) { f.await(); io.WriteString(f.c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "502 page SH-- 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var line func() string
			r := newRig(t, true, []string{playServer(t, nil, c.scene)}, func(r *rig) {
				speakHTTP2(r, false)
				line = logTo(t, r, "%ST %tsc %rc")
			})
			conn, in := dial(t, r.addr)
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
			status, body := hearAnswer(in)
			var logged, end, retries string
			fmt.Sscan(line(), &logged, &end, &retries)
			if got := fmt.Sprintf("%d %s %s %s", status, body, end, retries); got != c.want || fmt.Sprint(status) != logged {
				t.Errorf("%s, logged %s; want %s", got, logged, c.want)
			}
			if n := r.Held(); n != 0 {
				t.Errorf("%d bytes are still held", n)
			}
		})
	}
}

// hearAnswer reads an answer: "page" for one of lb's own, "cut" for one that ends too early.
func hearAnswer(in *bufio.Reader) (status int, body string) {
	resp, err := http.ReadResponse(in, nil)
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(in, nil)
	}
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return resp.StatusCode, "cut"
	case strings.Contains(string(b), "<h1>"):
		return resp.StatusCode, "page"
	}
	return resp.StatusCode, string(b)
}

// TestRoomOnServers: no more streams at once than the server takes, and its windows are kept to the byte.
func TestRoomOnServers(t *testing.T) {
	body := strings.Repeat("0123456789", 300)
	srv := playServer(t, []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 1}, {ID: http2.SettingInitialWindowSize, Val: 1}}, func(f *player) {
		type in struct {
			allowed, step int
			got           strings.Builder
		}
		open, known := map[uint32]*in{}, false
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			id := frame.Header().StreamID
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				if known && len(open) > 0 {
					t.Errorf("stream %d begins while %d are open", id, len(open))
				}
				open[id] = &in{allowed: 1, step: 1}
				if !known { // it could not know better
					open[id].allowed = 1<<16 - 1
				}
			case *http2.SettingsFrame:
				if frame.IsAck() && !known {
					known = true
					for id, st := range open { // whose windows became smaller by what they were
						st.allowed += 1<<16 - 1
						f.WriteWindowUpdate(id, 1<<16-1)
					}
				}
			case *http2.DataFrame:
				st := open[id]
				if st.allowed -= len(frame.Data()); st.allowed < 0 {
					t.Errorf("%d bytes too much", -st.allowed)
				}
				st.got.Write(frame.Data())
				if frame.StreamEnded() {
					f.head(id, false, ":status", "200", "content-length", fmt.Sprint(st.got.Len()))
					f.WriteData(id, true, []byte(st.got.String()))
					delete(open, id)
				} else if st.allowed == 0 {
					st.step *= 2
					st.allowed = st.step
					f.WriteWindowUpdate(id, uint32(st.step))
				}
			}
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.be.Reuse = ReuseAlways
		speakHTTP2(r, false)
	})
	// The first one waits until the server's settings have come.
	if resp, err := http1Plain.client(t).Post("http://"+r.addr, "text/plain", strings.NewReader(body)); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	var all sync.WaitGroup
	for _, chunked := range []bool{false, true, false, true, false, true} {
		all.Go(func() {
			var in io.Reader = strings.NewReader(body)
			if chunked {
				in = io.LimitReader(in, 1<<20)
			}
			resp, err := http1Plain.client(t).Post("http://"+r.addr, "text/plain", in)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
				t.Errorf("%d: %d bytes of %d, %v", resp.StatusCode, len(got), len(body), err)
			}
		})
	}
	all.Wait()
}

// TestMuteServers: a connection whose server has sent no SETTINGS within timeout connect is given up, so that no other request waits for them.
func TestMuteServers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // its kernel accepts, and nobody says anything
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	r := newRig(t, true, []string{ln.Addr().String()}, func(r *rig) {
		r.be.Reuse, r.be.Retries, r.be.Timeouts.Connect = ReuseAlways, 0, 50
		speakHTTP2(r, false)
	})
	resp, err := http1Plain.client(t).Get("http://" + r.addr)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if pool, links := r.pooled(); resp.StatusCode != 503 || links != 0 || pool.used != 0 || pool.idle() != 0 {
		t.Errorf("%d; %d links are left, %d used and %d idle", resp.StatusCode, links, pool.used, pool.idle())
	}
}

// TestContinueFromServers: the server's 100 comes before the body, and an answer without it means that no body is wanted.
func TestContinueFromServers(t *testing.T) {
	r := newRig(t, true, []string{playServer(t, nil, func(f *player) {
		id := f.await()
		f.head(id, false, ":status", "100")
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
				break
			}
		}
		f.head(id, true, ":status", "201")
		id = f.await()
		f.head(id, true, ":status", "417")
		f.WriteRSTStream(id, http2.ErrCodeNo)
	})}, func(r *rig) { speakHTTP2(r, false) })
	c, in := dial(t, r.addr)
	io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 100 {
		t.Fatal(resp, err)
	}
	io.WriteString(c, "abc")
	if status, _ := hearAnswer(in); status != 201 {
		t.Errorf("answered %d", status)
	}
	io.WriteString(c, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if status, _ := hearAnswer(in); status != 417 {
		t.Errorf("answered %d", status)
	}
}

// playWebSockets is a server of HTTP/2 with tunnels that give back what comes.
func playWebSockets(t *testing.T) string {
	return playServer(t, []http2.Setting{{ID: http2.SettingEnableConnectProtocol, Val: 1}}, func(f *player) {
		var id uint32
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.MetaHeadersFrame:
				id = frame.StreamID
				method, protocol := frame.PseudoValue("method"), frame.PseudoValue("protocol")
				key := "none"
				for _, one := range frame.RegularFields() {
					if one.Name == "sec-websocket-key" {
						key = one.Value
					}
				}
				if method != "CONNECT" || protocol != "websocket" || frame.PseudoValue("path") != "/ws" {
					t.Errorf("asked by %s for %s", method, protocol)
				}
				f.head(id, false, ":status", "200", "sec-websocket-protocol", "echo", "x-key", key)
			case *http2.DataFrame:
				f.WriteData(id, frame.StreamEnded(), frame.Data())
				if n := len(frame.Data()); n > 0 {
					f.WriteWindowUpdate(0, uint32(n))
					f.WriteWindowUpdate(id, uint32(n))
				}
			}
		}
	})
}

// TestWebSocketOverHTTP2 goes through a tunnel of RFC 8441 to the server.
func TestWebSocketOverHTTP2(t *testing.T) {
	var line func() string
	r := newRig(t, true, []string{playWebSockets(t)}, func(r *rig) {
		speakHTTP2(r, false)
		r.be.HTTP2[r.Servers[0]].WebSocket = true
		line = logTo(t, r, "%ST %tsc")
	})
	c, in := dial(t, r.addr)
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || resp.Header.Get("X-Key") != "dGhlIHNhbXBsZSBub25jZQ==" {
		t.Fatal(resp, err)
	}
	for _, text := range []string{"hello", strings.Repeat("x", 40_000), "bye"} {
		go io.WriteString(c, text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != text {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(in); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if got := line(); !strings.HasPrefix(got, "101 --") {
		t.Errorf("logged %q", got)
	}
}

// TestUploadsWithSmallWindows: a server that gives an upload's windows back in pieces
// of 200 bytes gets all of it.
func TestUploadsWithSmallWindows(t *testing.T) {
	const size = 4 << 20
	srv := playServer(t, nil, func(f *player) {
		got := 0
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			d, ok := frame.(*http2.DataFrame)
			if !ok {
				continue
			}
			got += len(d.Data())
			if d.StreamEnded() {
				text := fmt.Sprint(got)
				f.head(d.StreamID, false, ":status", "200", "content-length", fmt.Sprint(len(text)))
				f.WriteData(d.StreamID, true, []byte(text))
				continue
			}
			for n := len(d.Data()); n > 0; n -= 200 {
				f.WriteWindowUpdate(0, uint32(min(n, 200)))
				f.WriteWindowUpdate(d.StreamID, uint32(min(n, 200)))
			}
		}
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { speakHTTP2(r, false) })
	resp, err := http.Post("http://"+r.addr, "text/plain", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != fmt.Sprint(size) {
		t.Errorf("%s %q %v", resp.Status, b, err)
	}
}
