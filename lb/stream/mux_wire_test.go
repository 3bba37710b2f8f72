package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"lbsyslogd/lb/accesslog"
	"lbsyslogd/lb/logformat"
	"lbsyslogd/lb/syslog"
	"lbsyslogd/test/wait"
)

// framer is an HTTP/2 client that sends what it likes.
type framer struct {
	t *testing.T
	c net.Conn
	*http2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
}

// newWire connects and says what a client has to say first.
func newWire(t *testing.T, addr string) *framer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newWireOver(t, c)
}

func newWireOver(t *testing.T, c net.Conn) *framer {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	w := &framer{t: t, c: c, Framer: http2.NewFramer(c, c)}
	w.AllowIllegalWrites = true
	w.enc = hpack.NewEncoder(&w.buf)
	io.WriteString(c, http2.ClientPreface)
	w.WriteSettings()
	return w
}

// block encodes fields: name, value, name, value.
func (w *framer) block(fields ...string) []byte {
	w.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(w.buf.Bytes())
}

func (w *framer) request(id uint32, end bool, more ...string) {
	fields := append([]string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/"}, more...)
	w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(fields...), EndHeaders: true, EndStream: end})
}

// hear reads until one of the frames ends a stream or the connection, and says how.
func (w *framer) hear() string {
	for {
		f, err := w.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			return fmt.Sprintf("RST %d %s", f.StreamID, f.ErrCode)
		case *http2.DataFrame:
			if f.StreamEnded() {
				return fmt.Sprintf("answer %d", f.StreamID)
			}
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				return fmt.Sprintf("answer %d", f.StreamID)
			}
		}
	}
}

// TestMisbehaviour is what a client may not do, and how it learns: of the stream alone where the rest of the connection is sound (RFC 9113
// section 5.4).
func TestMisbehaviour(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	r := newRig(t, true, []string{srv}, nil)
	raw := func(kind http2.FrameType, flags http2.Flags, id uint32, payload string) func(*framer) {
		return func(w *framer) { w.WriteRawFrame(kind, flags, id, []byte(payload)) }
	}
	for _, c := range []struct {
		name string
		do   func(*framer)
		want string
	}{
		{"nothing wrong", func(w *framer) { w.request(1, true) }, "answer 1"},
		{"an unknown frame", func(w *framer) { w.WriteRawFrame(99, 0, 0, []byte("x")); w.request(1, true) }, "answer 1"},
		{"padding", func(w *framer) {
			w.request(1, false, "content-length", "3")
			w.WriteDataPadded(1, true, []byte("abc"), make([]byte, 200))
		}, "answer 1"},
		{"a field block in pieces", func(w *framer) {
			b := w.block(":method", "GET", ":scheme", "http", ":path", "/")
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1], EndStream: true})
			w.WriteContinuation(1, false, b[1:2])
			w.WriteContinuation(1, true, b[2:])
		}, "answer 1"},
		{"trailers", func(w *framer) {
			w.request(1, false)
			w.WriteData(1, false, []byte("abc"))
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block("x-sum", "1"), EndHeaders: true, EndStream: true})
		}, "answer 1"},

		{"an even stream", func(w *framer) { w.request(2, true) }, "GOAWAY PROTOCOL_ERROR"},
		{"a stream that goes back", func(w *framer) { w.request(5, false); w.request(3, true) }, "GOAWAY PROTOCOL_ERROR"},
		{"DATA before HEADERS", func(w *framer) { w.WriteData(1, true, []byte("x")) }, "GOAWAY PROTOCOL_ERROR"},
		{"DATA without a stream", raw(http2.FrameData, 0, 0, "x"), "GOAWAY PROTOCOL_ERROR"},
		{"too much padding", raw(http2.FrameHeaders, http2.FlagHeadersPadded, 1, "\xffxx"), "GOAWAY PROTOCOL_ERROR"},
		{"CONTINUATION alone", raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, ""), "GOAWAY PROTOCOL_ERROR"},
		{"a block that is interrupted", func(w *framer) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(":method", "GET")})
			w.WritePing(false, [8]byte{})
		}, "GOAWAY PROTOCOL_ERROR"},
		{"a broken block", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\xff\xff\xff\xff\xff\xff\xff"), "GOAWAY COMPRESSION_ERROR"},
		{"a large frame", raw(http2.FrameData, 0, 1, strings.Repeat("x", 1<<14+1)), "GOAWAY FRAME_SIZE_ERROR"},
		{"a promise", raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), "GOAWAY PROTOCOL_ERROR"},
		{"a broken PING", raw(http2.FramePing, 0, 0, "x"), "GOAWAY FRAME_SIZE_ERROR"},
		{"broken SETTINGS", raw(http2.FrameSettings, 0, 0, "x"), "GOAWAY FRAME_SIZE_ERROR"},
		{"a window that is too large", func(w *framer) {
			w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
		}, "GOAWAY FLOW_CONTROL_ERROR"},
		{"a window that grows too large", func(w *framer) { w.WriteWindowUpdate(0, 1<<31-1) }, "GOAWAY FLOW_CONTROL_ERROR"},
		{"a window that does not grow", func(w *framer) { w.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }, "GOAWAY PROTOCOL_ERROR"},
		{"a reset of nothing", func(w *framer) { w.WriteRSTStream(1, http2.ErrCodeCancel) }, "GOAWAY PROTOCOL_ERROR"},

		{"a stream's window too large", func(w *framer) { w.request(1, false); w.WriteWindowUpdate(1, 1<<31-1) }, "RST 1 FLOW_CONTROL_ERROR"},
		{"more than content-length", func(w *framer) { w.request(1, false, "content-length", "2"); w.WriteData(1, false, []byte("abc")) }, "RST 1 PROTOCOL_ERROR"},
		{"less than content-length", func(w *framer) { w.request(1, false, "content-length", "4"); w.WriteData(1, true, []byte("abc")) }, "RST 1 PROTOCOL_ERROR"},
		{"a malformed request", func(w *framer) { w.request(1, true, "connection", "close") }, "RST 1 PROTOCOL_ERROR"},
		{"trailers that do not end", func(w *framer) {
			w.request(1, false)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block("x", "y"), EndHeaders: true})
		}, "RST 1 PROTOCOL_ERROR"},

		{"requests taken back", func(w *framer) {
			for i := range uint32(2 * resetTerms.Burst) {
				w.request(2*i+1, true)
				w.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"a block without an end", func(w *framer) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(":method", "GET")})
			for range 3 {
				w.WriteContinuation(1, false, make([]byte, 1<<14))
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"empty pieces of a block", func(w *framer) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block(":method", "GET")})
			for range 10 * idleTerms.Burst {
				w.WriteContinuation(1, false, nil)
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"empty DATA", func(w *framer) {
			w.request(1, false)
			for range 10 * idleTerms.Burst {
				w.WriteData(1, false, nil)
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"SETTINGS again and again", func(w *framer) {
			for range 10 * idleTerms.Burst {
				w.WriteSettings()
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
	} {
		w := newWire(t, r.addr)
		// What lb sends meanwhile is read, or both would wait for each other.
		heard := make(chan string, 1)
		go func() { heard <- w.hear() }()
		c.do(w)
		if got := <-heard; got != c.want {
			t.Errorf("%s: heard %q, want %q", c.name, got, c.want)
		}
		w.c.Close()
	}
	wait.Until(t, "every connection's end", func() bool { return r.Conns() == 0 })
}

// TestTakenBack has a client take a request back that its server is at work on: the server's connection is closed, and the line says who it was.
func TestTakenBack(t *testing.T) {
	begun, ended := make(chan bool), make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-r.Context().Done()
		ended <- true
	})
	lines, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	r := newRig(t, true, []string{srv}, func(r *rig) {
		format, err := logformat.Parse("%ts %r", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.fe.Access, r.fe.Logs = accesslog.Policy{Format: format, HTTP: true}, 0
		r.Targets = [][]syslog.Target{{{Network: "udp", Address: lines.LocalAddr().String(), Format: "raw", Len: 1024, Level: 7}}}
	})
	w := newWire(t, r.addr)
	w.request(1, true)
	<-begun
	w.WriteRSTStream(1, http2.ErrCodeCancel)
	<-ended
	b := make([]byte, 1024)
	lines.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, _, err := lines.ReadFrom(b)
	if err != nil || !strings.Contains(string(b[:n]), "CH POST http://a/ HTTP/2.0") {
		t.Errorf("%q, %v", b[:n], err)
	}
	w.request(3, true) // the connection is as good as before
	<-begun
	w.c.Close()
	<-ended
}

// TestWindows reads an answer through a window of one byte at first: not a byte more comes than it allows.
func TestWindows(t *testing.T) {
	body := strings.Repeat("0123456789", 10_000)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
	r := newRig(t, true, []string{srv}, nil)
	w := newWire(t, r.addr)
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	w.request(1, true)
	var got strings.Builder
	allowed, step := 1, 1
	for {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		data, ok := f.(*http2.DataFrame)
		if !ok {
			continue
		}
		got.Write(data.Data())
		if got.Len() > allowed {
			t.Fatalf("%d bytes came, %d were allowed", got.Len(), allowed)
		}
		if data.StreamEnded() {
			break
		}
		if got.Len() == allowed {
			step = min(2*step, 5000)
			w.WriteWindowUpdate(1, uint32(step))
			w.WriteWindowUpdate(0, uint32(step))
			allowed += step
		}
	}
	if got.String() != body {
		t.Errorf("%d bytes of %d", got.Len(), len(body))
	}
}

// TestRandomFrames sends frames of any kind with any content: whatever becomes of these connections, nothing of them is left, and the
// engine serves on.
func TestRandomFrames(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	r := newRig(t, true, []string{srv}, nil)
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWire(t, r.addr)
		go io.Copy(io.Discard, w.c)
		next := uint32(1)
		for range 50 {
			id := uint32(rnd.IntN(int(next) + 4))
			switch rnd.IntN(10) {
			case 0, 1, 2:
				w.request(next, rnd.IntN(2) == 0)
				next += 2
			case 3, 4:
				w.WriteData(id|1, rnd.IntN(3) == 0, make([]byte, rnd.IntN(3000)))
			case 5:
				w.WriteRSTStream(id|1, http2.ErrCodeCancel)
			case 6:
				w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: rnd.Uint32N(1 << 16)})
			case 7:
				w.WriteWindowUpdate(id, 1+rnd.Uint32N(1<<16))
			default:
				payload := make([]byte, rnd.IntN(20))
				for i := range payload {
					payload[i] = byte(rnd.Uint32())
				}
				head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|rnd.Uint32N(11))
				head = append(head, byte(rnd.Uint32()))
				head = binary.BigEndian.AppendUint32(head, id)
				w.c.Write(append(head, payload...))
			}
		}
		w.c.Close()
	}
	wait.Until(t, "every connection's end", func() bool { return r.Conns() == 0 })
	wait.Until(t, "every place to be free", func() bool {
		st := r.be.Stats()
		return st.Cur == 0 && st.Queued == 0 && r.Servers[0].Load() == 0
	})
	wait.Until(t, "every session's end", func() (none bool) { // one may just be accepted
		r.Shards[0].Loop.Call(func() { none = r.Shards[0].sessions.len == 0 })
		return none
	})
	w := newWire(t, r.addr)
	w.request(1, true)
	if got := w.hear(); got != "answer 1" {
		t.Errorf("afterwards: %s", got)
	}
}
