package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The chaos test over HTTP/2: the same servers, and clients of two kinds. One is Go's, with many requests at once on a connection, some of which it
// takes back; the other sends frames as it likes, within the rules, and minds its windows to the byte. Both may leave without a word.

func TestChaosHTTP2(t *testing.T) {
	queue := func(r *rig) {
		r.be.Reuse = ReuseAlways
		for _, s := range r.Servers {
			s.MaxConn = 6
		}
	}
	for _, mode := range []struct {
		name   string
		kind   protocol
		adjust func(*rig)
	}{
		{"safe", http2Plain, func(r *rig) { r.be.Reuse = ReuseSafe }},
		{"always, queue", http2Plain, queue},
		{"close", http2Plain, func(r *rig) { r.fe.ConnMode = Close }},
		{"tls, queue", http2TLS, queue},
	} {
		t.Run(mode.name, func(t *testing.T) {
			runChaos(t, mode.kind == http2TLS, func(r *rig) { mode.adjust(r); mode.kind.adjust(t, r) }, func(x *chaos, r *rig, rnd *rand.Rand) {
				if mode.kind == http2Plain && rnd.IntN(2) == 0 {
					x.framesClient(r, rnd)
				} else {
					x.streamsClient(r, mode.kind, rnd)
				}
			})
		})
	}
}

// body2 gives a body in pieces of random sizes.
type body2 struct {
	b   []byte
	rnd *rand.Rand
}

func (b *body2) Read(p []byte) (int, error) {
	if len(b.b) == 0 {
		return 0, io.EOF
	}
	pause(b.rnd)
	n := copy(p[:min(len(p), 1+b.rnd.IntN(1<<b.rnd.IntN(18)))], b.b)
	b.b = b.b[n:]
	return n, nil
}

// streamsClient is one connection of Go's client.
func (x *chaos) streamsClient(r *rig, kind protocol, rnd *rand.Rand) {
	var mu sync.Mutex // guards the two below
	var raw []net.Conn
	var left bool
	leave := func(forGood bool) {
		mu.Lock()
		defer mu.Unlock()
		left = forGood
		for _, c := range raw {
			c.Close()
		}
	}
	// Not CloseIdleConnections: a stream that was just taken back keeps its connection from being idle, and one may still be made.
	defer leave(true)
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			raw = append(raw, c)
			if left {
				c.Close()
			}
		}
		return c, err
	}
	tr := &http.Transport{DialContext: dial, Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	tr.Protocols.SetHTTP2(kind == http2TLS)
	tr.Protocols.SetUnencryptedHTTP2(kind == http2Plain)
	leaves := rnd.IntN(6) == 0
	var all sync.WaitGroup
	for range 1 + rnd.IntN(8) {
		a, rnd, sending := x.ask(rnd, false), rand.New(rand.NewPCG(rnd.Uint64(), 1)), rand.New(rand.NewPCG(rnd.Uint64(), 2))
		ctx, cancel := context.WithTimeout(x.t.Context(), hung)
		takesBack := rnd.IntN(6) == 0
		if takesBack {
			time.AfterFunc(time.Duration(rnd.IntN(5000))*time.Microsecond, cancel)
		}
		all.Go(func() {
			defer cancel()
			var body io.Reader
			if a.bodySize > 0 {
				body = &body2{bodyOf(a.id, a.bodySize), sending}
			}
			url := fmt.Sprintf("%s/%d/%s/%d/%d", kind.url(r), a.id, a.d.name, a.size, a.bodySize)
			req, err := http.NewRequestWithContext(ctx, a.method, url, body)
			if err != nil {
				x.t.Error(err)
				return
			}
			if rnd.IntN(2) == 0 {
				req.ContentLength = int64(a.bodySize)
			}
			resp, err := tr.RoundTrip(req)
			if err == nil {
				defer resp.Body.Close()
				if resp.StatusCode == http.StatusNotModified { // Go's client misses the content that content-length speaks of
					resp.Body = http.NoBody
				}
				resp.Body = io.NopCloser(slowly{resp.Body, rnd})
			}
			if _, err = x.checkAnswer(resp, a, err); err != nil && !takesBack && !leaves {
				x.t.Errorf("request %d %s %s: %v", a.id, a.method, req.URL.Path, err)
			}
		})
	}
	if leaves {
		pause(rnd)
		leave(false)
	}
	all.Wait()
}

// framesClient is a connection of frames.
func (x *chaos) framesClient(r *rig, rnd *rand.Rand) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		x.t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(hung))
	w := &framer{t: x.t, c: c, Framer: http2.NewFramer(c, c)}
	w.enc = hpack.NewEncoder(&w.buf)
	f := &frames{framer: w, x: x, open: map[uint32]*stream2{}, rnd: rand.New(rand.NewPCG(rnd.Uint64(), 2)), conn: 1<<16 - 1, first: 1<<16 - 1}
	f.more = sync.NewCond(&f.mu)
	io.WriteString(c, http2.ClientPreface)
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 + rnd.Uint32N(1<<rnd.IntN(18))},
		http2.Setting{ID: http2.SettingHeaderTableSize, Val: rnd.Uint32N(5000)})
	heard := make(chan struct{})
	go func() { f.hear(); close(heard) }()
	leaves := rnd.IntN(6) == 0
	f.write(rnd, leaves)
	if leaves {
		c.Close()
	} else {
		f.mu.Lock()
		f.last = true
		f.mu.Unlock()
		f.done()
	}
	<-heard
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, st := range f.open {
		if !leaves && !st.back {
			x.t.Errorf("request %d %.60q was not answered: %v", st.id, st.text, f.err)
		}
	}
}

// frames is what a framesClient knows.
type frames struct {
	*framer
	x   *chaos
	rnd *rand.Rand // the reader's

	mu sync.Mutex
	// mu guards the fields below, and the writing.
	more  *sync.Cond // a window has grown, a stream or the connection has ended
	open  map[uint32]*stream2
	conn  int
	first int // window of new streams
	last  bool
	err   error
}

type stream2 struct {
	*ask
	body   []byte // unsent
	window int
	got    []byte
	status string
	xid    string
	back   bool
}

// write sends requests, in frames of random sizes that take turns.
func (f *frames) write(rnd *rand.Rand, leaves bool) {
	next := uint32(1)
	var sending []uint32
	for left := 1 + rnd.IntN(8); left > 0 || len(sending) > 0; {
		f.mu.Lock()
		if f.err != nil {
			f.mu.Unlock()
			return
		}
		switch {
		case left > 0 && (len(sending) == 0 || rnd.IntN(3) == 0):
			left--
			a := f.x.ask(rnd, false)
			st := &stream2{ask: a, body: bodyOf(a.id, a.bodySize), window: f.first}
			f.open[next] = st
			fields := []string{":method", a.method, ":scheme", "http", ":authority", "a", ":path", fmt.Sprintf("/%d/%s/%d/%d", a.id, a.d.name, a.size, a.bodySize)}
			if rnd.IntN(2) == 0 && a.bodySize > 0 {
				fields = append(fields, "content-length", fmt.Sprint(a.bodySize))
			}
			b := f.block(fields...)
			cut := rnd.IntN(len(b))
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: next, BlockFragment: b[:cut], EndStream: a.bodySize == 0, PadLength: uint8(rnd.IntN(256))})
			f.WriteContinuation(next, true, b[cut:])
			if a.bodySize > 0 {
				sending = append(sending, next)
			}
			next += 2
		default:
			i := rnd.IntN(len(sending))
			id := sending[i]
			st := f.open[id]
			switch n := 0; {
			case st != nil && rnd.IntN(60) == 0:
				st.back = true
				f.WriteRSTStream(id, http2.ErrCodeCancel)
				st = nil
			case st != nil && f.conn > 300 && st.window > 300:
				n = 1 + rnd.IntN(min(len(st.body), f.conn-256, st.window-256, 1<<14-256))
				pad := make([]byte, rnd.IntN(256))
				f.WriteDataPadded(id, n == len(st.body), st.body[:n], pad)
				st.body = st.body[n:]
				f.conn -= n + len(pad) + 1
				st.window -= n + len(pad) + 1
			case st != nil:
				f.more.Wait()
			}
			if st == nil || len(st.body) == 0 {
				sending = append(sending[:i], sending[i+1:]...)
			}
		}
		f.mu.Unlock()
		if leaves && rnd.IntN(20) == 0 {
			return
		}
		if rnd.IntN(20) == 0 {
			pause(rnd)
		}
	}
}

// done closes the connection when nothing is expected any more; the caller does
// not hold mu.
func (f *frames) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, st := range f.open {
		if !st.back {
			return
		}
	}
	if f.last {
		f.c.Close()
	}
}

// hear reads until the connection ends.
func (f *frames) hear() {
	dec := hpack.NewDecoder(4096, nil)
	for {
		frame, err := f.ReadFrame()
		f.mu.Lock()
		if err != nil {
			if f.err == nil {
				f.err = err
			}
			f.more.Broadcast()
			f.mu.Unlock()
			return
		}
		id := frame.Header().StreamID
		st := f.open[id]
		ended := false
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingInitialWindowSize); ok {
				for _, st := range f.open {
					st.window += int(v) - f.first
				}
				f.first = int(v)
			}
			if !frame.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame:
			if id == 0 {
				f.conn += int(frame.Increment)
			} else if st != nil {
				st.window += int(frame.Increment)
			}
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				f.x.t.Errorf("GOAWAY: %v %s", frame.ErrCode, frame.DebugData())
			}
		case *http2.HeadersFrame:
			fields, err := dec.DecodeFull(frame.HeaderBlockFragment())
			if err != nil || !frame.HeadersEnded() {
				f.x.t.Errorf("a field block: %v", err)
			}
			if st != nil {
				for _, field := range fields {
					switch field.Name {
					case ":status":
						st.status = field.Value
					case "x-id":
						st.xid = field.Value
					}
				}
				ended = frame.StreamEnded()
			}
		case *http2.DataFrame:
			n := len(frame.Data())
			if st != nil {
				st.got = append(st.got, frame.Data()...)
				ended = frame.StreamEnded()
			}
			if n > 0 {
				f.WriteWindowUpdate(0, uint32(n))
				if !ended && st != nil {
					f.WriteWindowUpdate(id, uint32(n+f.rnd.IntN(3000)))
				}
			}
		case *http2.RSTStreamFrame:
			if st != nil {
				if !st.back && !st.d.fails {
					f.x.t.Errorf("request %d (%s) is reset: %v", st.id, st.text[:min(len(st.text), 40)], frame.ErrCode)
				}
				delete(f.open, id)
			}
		}
		if ended {
			f.judge(st)
			delete(f.open, id)
		}
		f.more.Broadcast()
		f.mu.Unlock()
		f.done()
	}
}

// judge checks a complete answer. The caller holds mu.
func (f *frames) judge(st *stream2) {
	f.x.certain(st.id)
	want := bodyOf(st.id, st.size)
	if st.method == "HEAD" || st.status != "200" {
		want = nil
	}
	switch {
	case st.xid == "":
		if st.status != "502" || !st.d.fails && st.method != "POST" && st.bodySize == 0 {
			f.x.t.Errorf("request %d: lb's own answer is a %s", st.id, st.status)
		}
		f.x.own.Add(1)
	case st.xid != fmt.Sprint(st.id):
		f.x.t.Errorf("request %d: the answer to %s", st.id, st.xid)
	case !bytes.Equal(st.got, want):
		f.x.t.Errorf("request %d: another answer, %d bytes for %d", st.id, len(st.got), len(want))
	default:
		f.x.answers.Add(1)
	}
}
