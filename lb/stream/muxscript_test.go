package stream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// muxScript is what a client says, in parts; after each it waits for the ends of
// some streams.
type muxScript []struct {
	say   []byte
	until []uint32
}

// record makes the muxScript: what a client may say that later depends on what it
// said before.
func recordMux() muxScript {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	var fields bytes.Buffer
	enc := hpack.NewEncoder(&fields)
	block := func(more ...string) []byte {
		fields.Reset()
		for i := 0; i < len(more); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: more[i], Value: more[i+1]})
		}
		return bytes.Clone(fields.Bytes())
	}
	request := func(id uint32, end bool, more ...string) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: end, BlockFragment: block(append(
			[]string{":method", "POST", ":scheme", "http", ":authority", "a.example", ":path", fmt.Sprintf("/%d", id), "x-kept", "one value of all requests"}, more...)...)})
	}
	var all muxScript
	part := func(until ...uint32) {
		all = append(all, struct {
			say   []byte
			until []uint32
		}{bytes.Clone(b.Bytes()), until})
		b.Reset()
	}

	b.WriteString(http2.ClientPreface)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}, http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 15})
	f.WriteSettingsAck()
	request(1, true)
	request(3, false, "content-length", "6")
	f.WriteDataPadded(3, false, []byte("abc"), make([]byte, 40))
	f.WritePing(false, [8]byte{1})
	f.WriteData(3, true, []byte("def"))
	part(1, 3)

	request(5, false, "x-more", "another value") // chunked, with trailers
	f.WriteData(5, false, []byte("0123456789"))
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, EndHeaders: true, EndStream: true, BlockFragment: block("x-kept", "one value of all requests")})
	h := block(":method", "GET", ":scheme", "http", ":path", "/7", "x-kept", "one value of all requests", "x-more", "another value", "x-cut", "in pieces")
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 7, EndStream: true, BlockFragment: h[:3]})
	f.WriteContinuation(7, false, h[3:9])
	f.WriteContinuation(7, true, h[9:])
	part(5, 7)

	f.WriteRSTStream(1, http2.ErrCodeCancel) // of a stream that has ended
	f.WriteWindowUpdate(3, 10)
	f.WritePriority(7, http2.PriorityParam{StreamDep: 0, Weight: 3})
	request(9, true, "x-size", "250") // more than the stream's window
	f.WriteWindowUpdate(9, 100)
	f.WriteWindowUpdate(9, 90)
	f.WriteRawFrame(77, 0, 9, []byte("unknown"))
	part(9)

	enc.SetMaxDynamicTableSize(64)
	request(11, true, "x-small", "table")
	enc.SetMaxDynamicTableSize(4096)
	f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 128}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16})
	request(13, true, "x-small", "table", "x-size", "3000")
	part(11, 13)
	f.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096})
	request(15, true, "x-small", "table")
	request(17, false, "x-small", "table")
	f.WriteData(17, true, bytes.Repeat([]byte("17"), 100))
	f.WritePing(false, [8]byte{2})
	part(15, 17)
	return all
}

// size is how long the muxScript is.
func (s muxScript) size() (n int) {
	for _, p := range s {
		n += len(p.say)
	}
	return n
}

// heard is what a client heard: of each stream, and of the connection.
type heardMux struct {
	streams map[uint32]string
	ended   map[uint32]bool
	pings   string
}

// muxEar reads what lb says.
type muxEar struct {
	t   *testing.T
	f   *http2.Framer
	got heardMux
}

func newEar(t *testing.T, c net.Conn) *muxEar {
	e := &muxEar{t: t, f: http2.NewFramer(io.Discard, c), got: heardMux{map[uint32]string{}, map[uint32]bool{}, ""}}
	e.f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return e
}

// until reads until the streams have ended.
func (e *muxEar) until(what string, done func() bool) bool {
	e.t.Helper()
	for !done() {
		f, err := e.f.ReadFrame()
		if err != nil {
			e.t.Errorf("%s: %v, having heard %v", what, err, e.got)
			return false
		}
		id := f.Header().StreamID
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				if h.Name != "date" {
					e.got.streams[id] += h.Name + "=" + h.Value + " "
				}
			}
			e.got.ended[id] = f.StreamEnded()
		case *http2.DataFrame:
			e.got.streams[id] += string(f.Data())
			e.got.ended[id] = f.StreamEnded()
		case *http2.RSTStreamFrame:
			e.got.streams[id] += " RST " + f.ErrCode.String()
			e.got.ended[id] = true
		case *http2.GoAwayFrame:
			e.t.Errorf("%s: GOAWAY %v %s", what, f.ErrCode, f.DebugData())
			return false
		case *http2.PingFrame:
			e.got.pings += fmt.Sprint(f.IsAck(), f.Data)
		}
	}
	return true
}

func (h *heardMux) has(ids []uint32) bool {
	for _, id := range ids {
		if !h.ended[id] {
			return false
		}
	}
	return true
}

// asked answers with what it was asked, and notes that.
type askedServer struct {
	mu  sync.Mutex
	all []string
}

func (a *askedServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	delete(r.Header, "X-Forwarded-For")
	text := fmt.Sprintf("%s %s %s %v %v %v %v", r.Method, r.URL, r.Host, r.Header, body, r.Trailer, err)
	a.mu.Lock()
	a.all = append(a.all, text)
	a.mu.Unlock()
	w.Header().Set("X-Same", "in each answer")
	w.Header().Set("X-Path", r.URL.Path)
	size, _ := strconv.Atoi(r.Header.Get("X-Size"))
	io.WriteString(w, r.URL.Path+strings.Repeat("x", size))
}

// take gives what was asked, in the order of its text.
func (a *askedServer) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(a.all)
	a.all = nil
	slices.Sort(all)
	return all
}
