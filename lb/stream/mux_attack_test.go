package stream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	ours "lbsyslogd/lb/http2"
	"lbsyslogd/lb/loop"
	"lbsyslogd/test/wait"
)

// onMux runs f on the loop with the one HTTP/2 connection that the engine has.
func (r *rig) onMux(t *testing.T, f func(*mux)) {
	t.Helper()
	found := 0
	sh := r.Shards[0]
	sh.Loop.Call(func() {
		for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
			if s.state == multiplexing {
				found++
				f(s.mux)
				return
			}
		}
	})
	if found != 1 {
		t.Error("there is no HTTP/2 connection")
	}
}

// sound holds what is always so between two turns.
func sound(t *testing.T, m *mux) {
	t.Helper()
	unread, wide := 0, 0
	last := uint32(0)
	for _, st := range m.streams {
		unread += len(st.in.Body)
		if st.in.Wide {
			wide++
		}
		if st.closed || st.id <= last || m.streams.get(st.id) != st || st.s.stream != st {
			t.Errorf("stream %d is not what the list says", st.id)
		}
		last = st.id
	}
	whole := ours.DefaultWindow
	if m.acked {
		whole = connWindow
	}
	if m.recv.Left+m.recv.Consumed+unread != whole {
		t.Errorf("of the connection's window %d + %d + %d are left of %d", m.recv.Left, m.recv.Consumed, unread, whole)
	}
	if wide != m.wide {
		t.Errorf("%d wide windows are counted, there are %d", m.wide, wide)
	}
	for _, st := range m.waiting {
		if st.closed || !st.waiting {
			t.Errorf("stream %d waits in line though it is not there", st.id)
		}
	}
}

// settle waits until all that was sent before has been seen to.
func (w *framer) settle() {
	w.t.Helper()
	w.WritePing(false, [8]byte{'s'})
	for {
		f, err := w.ReadFrame()
		if err != nil {
			w.t.Fatal(err)
		}
		if p, ok := f.(*http2.PingFrame); ok && p.IsAck() {
			return
		}
	}
}

// end reads until the connection ends and says how.
func (w *framer) end() string {
	for {
		switch got := w.hear(); {
		case got == "closed", strings.HasPrefix(got, "GOAWAY"):
			return got
		}
	}
}

// TestFloods is what moves nothing, or has us work in vain, without any frame that is wrong by itself: it ends the connection.
func TestFloods(t *testing.T) {
	var begun atomic.Int32
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		begun.Add(1)
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // without an answer: after that a frame for the stream would be an error of the connection
	})
	r := newRig(t, true, []string{srv}, nil)
	many := func(f func(w *framer, id uint32)) func(*framer) {
		return func(w *framer) {
			for i := range uint32(2 * resetTerms.Burst) {
				f(w, 2*i+1)
			}
		}
	}
	refused := func(w *framer) { // stream 1 is cut, and the client has not ended it
		w.request(1, false, "content-length", "2")
		w.WriteData(1, false, []byte("abc"))
	}
	for _, c := range []struct {
		name string
		do   func(*framer)
	}{
		{"windows that grow too large", many(func(w *framer, id uint32) { w.request(id, false); w.WriteWindowUpdate(id, 1<<31-1) })},
		{"windows that do not grow", many(func(w *framer, id uint32) {
			w.request(id, false)
			w.WriteRawFrame(http2.FrameWindowUpdate, 0, id, make([]byte, 4))
		})},
		{"DATA after the end", many(func(w *framer, id uint32) {
			w.request(id, false)
			w.WriteData(id, true, []byte("x"))
			w.WriteData(id, true, []byte("x"))
		})},
		{"more than content-length", many(func(w *framer, id uint32) {
			w.request(id, false, "content-length", "2")
			w.WriteData(id, false, []byte("abc"))
		})},
		{"trailers that do not end", many(func(w *framer, id uint32) {
			w.request(id, false)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block("x", "y"), EndHeaders: true})
		})},
		{"malformed requests", many(func(w *framer, id uint32) { w.request(id, true, "connection", "close") })},
		{"empty DATA for a stream that was cut", func(w *framer) {
			refused(w)
			for range 10 * idleTerms.Burst {
				w.WriteData(1, false, nil)
			}
		}},
		{"fields for a stream that was cut", func(w *framer) {
			refused(w)
			for range 10 * idleTerms.Burst {
				w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block("x", "y"), EndHeaders: true})
			}
		}},
		{"resets of what is gone", func(w *framer) {
			refused(w)
			for range 10 * idleTerms.Burst {
				w.WriteRSTStream(1, http2.ErrCodeCancel)
			}
		}},
		{"PING", func(w *framer) {
			for range 10 * idleTerms.Burst {
				w.WritePing(false, [8]byte{})
			}
		}},
		{"PING without waiting, beside a request", func(w *framer) {
			before := begun.Load()
			w.request(1, false)
			wait.Until(t, "the request at its server", func() bool { return begun.Load() > before })
			pings := bytes.Repeat([]byte("\x00\x00\x08\x06\x00\x00\x00\x00\x00xxxxxxxx"), 1000)
			for range 100 {
				w.c.Write(pings)
			}
		}},
		{"windows that grow by a byte", func(w *framer) {
			for range 10 * idleTerms.Burst {
				w.WriteWindowUpdate(0, 1)
			}
		}},
		{"PRIORITY", func(w *framer) {
			for range 10 * idleTerms.Burst {
				w.WritePriority(1, http2.PriorityParam{Weight: 1})
			}
		}},
	} {
		w := newWire(t, r.addr)
		heard := make(chan string, 1)
		go func() { heard <- w.end() }()
		c.do(w)
		if got := <-heard; got != "GOAWAY ENHANCE_YOUR_CALM" {
			t.Errorf("%s: heard %q", c.name, got)
		}
		w.c.Close()
	}
	wait.Until(t, "every connection's end", func() bool { return r.Conns() == 0 })
}

// TestUploadsInLine has one connection send more bodies than the server takes requests: those that wait for a place must not hold the window that
// the one with the place needs.
func TestUploadsInLine(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	})
	r := newRig(t, true, []string{srv}, func(r *rig) { r.Servers[0].MaxConn = 1 })
	c := http2Plain.client(t)
	if resp, err := c.Get("http://" + r.addr); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
	body := strings.Repeat("x", 2<<20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, err := c.Post("http://"+r.addr, "", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); string(got) != fmt.Sprintf("%d <nil>", len(body)) || err != nil {
				t.Errorf("%s, %q, %v", resp.Status, got, err)
			}
		})
	}
	all.Wait()
	r.onMux(t, func(m *mux) { sound(t, m) })
}

// TestLineOfClosed has a client whose connection's window is used up take requests back: nothing of them stays in line, nor of their bodies.
func TestLineOfClosed(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Write(make([]byte, 1<<17))
	})
	r := newRig(t, true, []string{srv}, nil)
	w := newWire(t, r.addr)
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	for i := range uint32(100) {
		id := 2*i + 1
		w.request(id, false)
		w.WriteData(id, false, make([]byte, 1000))
		for begun := false; !begun; {
			f, err := w.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			h, ok := f.(*http2.HeadersFrame)
			begun = ok && h.StreamID == id
		}
		if i > 0 {
			w.WriteRSTStream(id, http2.ErrCodeCancel)
		}
	}
	w.settle()
	r.onMux(t, func(m *mux) {
		sound(t, m)
		if len(m.streams) != 1 || len(m.waiting) > 1 {
			t.Errorf("%d streams, %d in line", len(m.streams), len(m.waiting))
		}
	})
}

// TestWindowsGivenBack breaks every rule of a stream's body: what was sent of it is the connection's again.
func TestWindowsGivenBack(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	r := newRig(t, true, []string{srv}, func(r *rig) { r.Servers[0].MaxConn = 1 })
	w := newWire(t, r.addr)
	w.WriteSettingsAck()
	w.request(1, false) // has the place
	w.request(3, false)
	for range 2 * streamWindow / 1024 { // more than a stream's window while it waits
		w.WriteData(3, false, make([]byte, 1024))
	}
	w.request(5, false, "content-length", "1")
	w.WriteData(5, false, make([]byte, 1024))
	w.request(7, false)
	w.WriteData(7, true, make([]byte, 1024))
	w.WriteData(7, true, make([]byte, 1024))
	w.request(9, false)
	w.WriteDataPadded(9, false, make([]byte, 1024), make([]byte, 255))
	w.WriteRSTStream(9, http2.ErrCodeCancel)
	w.settle()
	r.onMux(t, func(m *mux) {
		sound(t, m)
		if len(m.streams) != 1 {
			t.Errorf("%d streams are left", len(m.streams))
		}
	})
}

// TestAnswersWithoutEnd has a client send many requests that are answered at once, in one piece, and not read: no more are looked at than there is room
// for their answers.
func TestAnswersWithoutEnd(t *testing.T) {
	r := newRig(t, true, nil, nil) // no server: a 503 for each
	w := newWire(t, r.addr)
	w.request(1, true)
	w.hear()
	w.WriteWindowUpdate(0, 1<<20)
	w.settle()
	var sent bytes.Buffer
	fr := http2.NewFramer(&sent, nil)
	n := 0
	for id := uint32(3); sent.Len() < 25<<10; id += 2 {
		fr.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, EndHeaders: true, EndStream: true,
			BlockFragment: w.block(":method", "GET", ":scheme", "http", ":path", "/"),
		})
		n++
	}
	r.onMux(t, func(m *mux) {
		m.s.in = m.s.sh.Loop.Buffers.Get()
		m.s.in.W = copy(m.s.in.Data[:], sent.Bytes())
		if e := m.frames(); e != nil {
			t.Error(e)
		}
		if len(m.out) > maxOutFrames+1000 {
			t.Errorf("%d bytes wait to be sent", len(m.out))
		}
		m.s.run()
	})
	for range n {
		if got := w.hear(); !strings.HasPrefix(got, "answer ") {
			t.Fatalf("heard %q", got)
		}
	}
	w.settle()
	wait.Until(t, "its memory to be given back", func() (idle bool) {
		r.onMux(t, func(m *mux) { sound(t, m); idle = m.out == nil && m.s.in == nil && cap(m.rest) == 0 })
		return idle
	})
}

// TestForgottenStream sends DATA for a stream that was answered early, and so long ago that many others have ended since: that is no error.
func TestForgottenStream(t *testing.T) {
	r := newRig(t, true, nil, nil)
	w := newWire(t, r.addr)
	w.request(1, false)
	w.hear()
	for i := range uint32(2 * len(ring{}.ids)) {
		w.request(2*i+3, i%2 == 0)
	}
	w.settle()
	w.WriteData(1, false, make([]byte, 1000))
	w.settle()
	r.onMux(t, func(m *mux) { sound(t, m) })
}

// TestBrokenAtTheEnd has the last words of a connection fail: its session is free then, and no timer of it may run.
func TestBrokenAtTheEnd(t *testing.T) {
	r := newRig(t, true, nil, nil)
	w := newWire(t, r.addr)
	w.request(1, true)
	w.hear()
	w.settle()
	r.onMux(t, func(m *mux) {
		s := m.s
		m.leaving = decided
		s.Break()
		m.flush()
		if s.state != closed || s.timer.Armed() {
			t.Errorf("state %d, a timer runs: %v", s.state, s.timer.Armed())
		}
	})
}

// TestEncryptedRest has the end of a connection come while the client has not taken all that TLS has encrypted: it is waited for, as long as timeout
// client says, not timeout http-keep-alive.
func TestEncryptedRest(t *testing.T) {
	r := newRig(t, true, nil, func(r *rig) {
		http2TLS.adjust(t, r)
		r.fe.Timeouts.KeepAlive, r.fe.Timeouts.Client = 20_000, 40_000
	})
	resp, err := http2TLS.client(t).Get(http2TLS.url(r))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r.onMux(t, func(m *mux) {
		s := m.s
		s.Full()
		m.touch()
		m.out = ours.AppendPing(m.out, 0, [8]byte{})
		m.flush()
		if !s.Pending() || len(m.out) > 0 {
			t.Error("nothing waits")
		}
		if at, want := m.deadline(), max(s.act, s.since)+s.fe.Timeouts.Client; at != want {
			t.Errorf("its time is up in %d ms", at-s.sh.Loop.Now())
		}
		m.decide()
		m.flush()
		if s.state != multiplexing {
			t.Errorf("it ends with bytes unsent, in state %d", s.state)
		}
		s.Ready(loop.Out)
	})
	wait.Until(t, "its end", func() bool { return r.Conns() == 0 })
}
