package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// muxPair is two engines that give each other their connections, as two
// generations do, but go on serving.
type muxPair struct {
	t     *testing.T
	rigs  [2]*rig
	trips [2]*across
}

func newMuxPair(t *testing.T, server string, adjust func(*rig)) *muxPair {
	p := &muxPair{t: t}
	for i := range p.rigs {
		p.rigs[i] = newRig(t, true, []string{server}, func(r *rig) {
			if adjust != nil {
				adjust(r)
			}
			r.Leaving.Patience = time.Hour
			if i > 0 {
				r.fe.Listeners[0].Name = p.rigs[0].fe.Listeners[0].Name
			}
		})
	}
	for i := range p.trips {
		p.trips[i] = &across{t: t, to: p.rigs[1-i].Engine, kinds: map[Kind]int{}}
		sh := p.rigs[i].Shards[0]
		sh.Loop.Call(func() {
			sh.Loop.AtTurnEnd(func() {
				if sh.mover != nil {
					sh.mover.turn()
				}
			})
		})
	}
	return p
}

// move has one engine give its client connections to the other, now or when
// they come to a boundary.
func (p *muxPair) move(from int) {
	sh := p.rigs[from].Shards[0]
	sh.Loop.Call(func() {
		sh.mover = &mover{sh: sh, carry: p.trips[from].carry}
		sh.mover.begin()
	})
}

// moved waits until they have gone, and stops giving.
func (p *muxPair) moved(from int) {
	p.t.Helper()
	wait.Until(p.t, "the connection to move", func() bool { return p.rigs[from].Conns() == 0 })
	p.stop(from)
}

func (p *muxPair) stop(from int) {
	sh := p.rigs[from].Shards[0]
	sh.Loop.Call(func() { sh.mover = nil })
}

// settled waits until the engine has read all that a client has sent.
func settled(t *testing.T, c *net.TCPConn, r *rig) {
	raw, _ := c.SyscallConn()
	wait.Until(t, "the bytes to be read", func() bool {
		left := 1
		raw.Control(func(fd uintptr) { left, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if left > 0 {
			return false
		}
		sh := r.Shards[0]
		sh.Loop.Call(func() {
			for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
				if fd := s.FD(); fd >= 0 {
					left, _ = unix.IoctlGetInt(fd, unix.TIOCINQ)
				}
			}
		})
		return left == 0
	})
}

// TestMuxMovesAtEveryByte: wherever in what a client says its connection moves,
// server and client see what they see of one that stays. Streams that are in the
// middle of something are finished first, with all that the client says
// meanwhile.
func TestMuxMovesAtEveryByte(t *testing.T) {
	all := recordMux()
	for _, over := range []protocol{http2Plain, http2TLS} {
		t.Run(over.String(), func(t *testing.T) {
			srv := &askedServer{}
			p := newMuxPair(t, serve(t, srv.ServeHTTP), func(r *rig) { over.adjust(t, r) })
			step := 11 // and every byte with LB_LONG
			if over == http2TLS {
				step = 37
			}
			if os.Getenv("LB_LONG") != "" {
				step = 1
			}
			var want heardMux
			var wantAsked []string
			for cut := -1; cut <= all.size(); {
				tcp := connect(t, p.rigs[0].addr).TCPConn
				var c net.Conn = tcp
				if over == http2TLS {
					c = tls.Client(tcp, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				}
				got, ok := playMux(t, p, all, cut, tcp, c)
				c.Close()
				if !ok {
					t.Fatalf("cut at %d", cut)
				}
				were := srv.take()
				if cut < 0 {
					want, wantAsked = got, were
					cut = 0
					continue
				}
				if !maps.Equal(got.streams, want.streams) || got.pings != want.pings {
					t.Fatalf("cut at %d: heard %v, unmoved %v", cut, got, want)
				}
				if !slices.Equal(were, wantAsked) {
					t.Fatalf("cut at %d: asked %q, unmoved %q", cut, were, wantAsked)
				}
				cut += step
			}
			for i := range p.rigs {
				wait.Until(t, "the end", func() bool { return p.rigs[i].Conns() == 0 && p.rigs[i].Held() == 0 })
			}
		})
	}
}

// playMux says all of the muxScript and has the connection move after cut bytes,
// and back when it is over; it does not move if cut is negative.
func playMux(t *testing.T, p *muxPair, all muxScript, cut int, tcp *net.TCPConn, c net.Conn) (heardMux, bool) {
	ear := newEar(t, c)
	at := 0
	move := func(say []byte) {
		if k := cut - at; cut >= 0 && k >= 0 && k < len(say) {
			c.Write(say[:k])
			settled(t, tcp, p.rigs[0])
			p.move(0)
			c.Write(say[k:])
		} else {
			c.Write(say)
		}
		at += len(say)
	}
	for _, part := range all {
		move(part.say)
		if !ear.until(fmt.Sprint(part.until), func() bool { return ear.got.has(part.until) }) {
			return ear.got, false
		}
	}
	if cut == all.size() {
		p.move(0)
	}
	if cut >= 0 {
		p.moved(0)
		p.move(1)
		p.moved(1)
	}
	f := http2.NewFramer(c, nil)
	f.WritePing(false, [8]byte{9})
	return ear.got, ear.until("the last ping", func() bool { return strings.Contains(ear.got.pings, "[9 ") })
}

// TestMovedMuxIsAsStrict: what ends a connection or a stream does so after a
// move too: nothing that was known of it is forgotten.
func TestMovedMuxIsAsStrict(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	p := newMuxPair(t, srv, nil)
	ping := func(n int) func(*framer) {
		return func(w *framer) {
			for range n {
				w.WritePing(true, [8]byte{}) // which nothing answers
			}
		}
	}
	for _, c := range []struct {
		name          string
		before, after func(*framer)
		want          string
	}{
		{"an entry that is in the table", func(w *framer) { w.request(1, true, "x-a", "b") }, func(w *framer) { w.request(3, true, "x-a", "b") }, "answer 3"},
		{"one that is not", func(w *framer) { w.request(1, true) }, func(w *framer) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, EndStream: true, BlockFragment: []byte{0x80 | 80}})
		}, "GOAWAY COMPRESSION_ERROR"},
		{"a table that was made small", func(w *framer) { w.enc.SetMaxDynamicTableSize(0); w.request(1, true, "x-a", "b") }, func(w *framer) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, EndStream: true, BlockFragment: []byte{0x80 | 62}})
		}, "GOAWAY COMPRESSION_ERROR"},
		{"a stream that goes back", func(w *framer) { w.request(5, true) }, func(w *framer) { w.request(3, true) }, "GOAWAY PROTOCOL_ERROR"},
		{"DATA after the end", func(w *framer) { w.request(5, true) }, func(w *framer) { w.WriteData(5, true, []byte("x")) }, "GOAWAY STREAM_CLOSED"},
		{"DATA that never began", func(w *framer) { w.request(5, true) }, func(w *framer) { w.WriteData(7, true, []byte("x")) }, "GOAWAY PROTOCOL_ERROR"},
		{"an interrupted block", func(w *framer) {
			w.request(1, true)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: w.block(":method", "GET")})
		}, func(w *framer) { w.WritePing(false, [8]byte{}) }, "GOAWAY PROTOCOL_ERROR"},
		{"another stream's block", func(w *framer) {
			w.request(1, true)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: w.block(":method", "GET")})
		}, func(w *framer) { w.WriteContinuation(5, true, nil) }, "GOAWAY PROTOCOL_ERROR"},
		{"the rest of a block", func(w *framer) {
			w.request(1, true)
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndStream: true, BlockFragment: w.block(":method", "GET", ":scheme", "http")})
		}, func(w *framer) { w.WriteContinuation(3, true, w.block(":path", "/")) }, "answer 3"},
		{"a window that grows too large", func(w *framer) { w.request(1, true); w.WriteWindowUpdate(0, 1<<31-1-65535) }, func(w *framer) { w.WriteWindowUpdate(0, 1) }, "GOAWAY FLOW_CONTROL_ERROR"},
		{"patience that is used up", ping(1999), ping(1000), "GOAWAY ENHANCE_YOUR_CALM"},
		{"a second preface", func(w *framer) { w.request(1, true) }, func(w *framer) { io.WriteString(w.c, http2.ClientPreface) }, "GOAWAY FRAME_SIZE_ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, p.rigs[0].addr)
			w.t = t
			c.before(w)
			settled(t, w.c.(*net.TCPConn), p.rigs[0])
			p.move(0)
			p.moved(0)
			c.after(w)
			for {
				got := w.hear()
				if strings.HasPrefix(got, "answer") && got != c.want {
					continue // what came before the move
				}
				if got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
				break
			}
			w.c.Close()
			wait.Until(t, "the end", func() bool { return p.rigs[1].Conns() == 0 })
		})
	}
}

// TestMuxWaitsForItsStreams: requests that come while others run are held and
// go along, whether they were read by then or waited in a queue; one that the
// client takes back is ended where it is.
func TestMuxWaitsForItsStreams(t *testing.T) {
	var running atomic.Int32
	goOn := make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Add(-1)
		if r.URL.Path == "/slow" {
			<-goOn
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, r.Header.Get("X-By"), body)
	})
	p := newMuxPair(t, srv, func(r *rig) { r.be.Servers[0].MaxConn = 1 })
	w := newWire(t, p.rigs[0].addr)
	w.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	ask := func(id uint32, path string, end bool) {
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: end, BlockFragment: w.block(
			":method", "POST", ":scheme", "http", ":authority", "a", ":path", path, "x-by", "h2")})
	}
	ask(1, "/slow", true)
	wait.Until(t, "the slow one", func() bool { return running.Load() == 1 })
	ask(3, "/queued", false)
	w.WriteData(3, false, []byte("be"))
	settled(t, w.c.(*net.TCPConn), p.rigs[0])
	p.move(0)
	ask(5, "/held", false)
	ask(7, "/taken-back", true)
	w.WriteRSTStream(7, http2.ErrCodeCancel)
	w.WriteData(5, false, []byte("be"))
	settled(t, w.c.(*net.TCPConn), p.rigs[0])
	if n := p.trips[0].moved(MuxParcel); n != 0 {
		t.Fatal("it moves with a stream that runs")
	}
	goOn <- true
	p.moved(0)
	if n := p.trips[0].moved(MuxParcel); n != 1 {
		t.Errorf("%d moved", n)
	}
	w.WriteData(3, true, []byte("hind"))
	w.WriteData(5, true, []byte("fore"))
	got := map[uint32]string{}
	for done := 0; done < 3; {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatalf("%v after %v", err, got)
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			got[f.StreamID] += string(f.Data())
			if f.StreamEnded() {
				done++
			}
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			t.Fatal(f)
		}
	}
	if want := map[uint32]string{1: "/slow h2 ", 3: "/queued h2 behind", 5: "/held h2 before"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for i, want := range []uint64{2, 2} { // 1 and 7, which a server has not seen; 3 and 5
		var n uint64
		sh := p.rigs[i].Shards[0]
		sh.Loop.Call(func() { n = sh.Front[0].ReqTotal })
		if n != want {
			t.Errorf("engine %d counts %d requests, want %d", i, n, want)
		}
	}
	w.c.Close()
	for i := range p.rigs {
		wait.Until(t, "nothing to be held", func() bool { return p.rigs[i].Conns() == 0 && p.rigs[i].Held() == 0 })
	}
}

// TestMuxStays: a connection whose streams take long, and one that the next
// process does not take, end politely; what was held meanwhile is answered.
func TestMuxStays(t *testing.T) {
	for _, why := range []string{"a long stream", "refused", "the receiver dies", "too much is held", "no h2 there"} {
		t.Run(why, func(t *testing.T) {
			goOn, running := make(chan bool), make(chan bool, 1)
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/1" {
					running <- true
					<-goOn
				}
				io.WriteString(w, r.URL.Path)
			})
			chain := newSecureChain(t, true, srv)
			chain.adjust = func(r *rig) {
				if r.Leaving.Patience = time.Hour; why == "a long stream" {
					r.Leaving.Patience = time.Millisecond
				}
			}
			chain.rigs = nil
			old := chain.next(nil)
			next := chain.next(func(r *rig) { r.fe.NoH2Upgrade = why == "no h2 there" })
			a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}, die: why == "the receiver dies"}
			if why == "refused" {
				a.refuse = func(*Parcel) bool { return true }
			}
			w := newWire(t, old.addr)
			path := func(id uint32, more ...string) {
				w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: w.block(append(
					[]string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", fmt.Sprintf("/%d", id)}, more...)...)})
			}
			path(1)
			<-running
			old.Handover(a.carry)
			path(3)
			if why == "too much is held" {
				for id := uint32(5); id < 15; id += 2 {
					path(id, "x-large", strings.Repeat("x", 15<<10))
				}
			}
			settled(t, w.c.(*net.TCPConn), old)
			if why != "a long stream" && why != "too much is held" {
				goOn <- true
			}
			got := map[string]bool{}
			for {
				s := w.hear()
				got[s] = true
				if s == "GOAWAY NO_ERROR" {
					w.WritePing(true, lastPing)
				}
				if s == "GOAWAY NO_ERROR" && why == "a long stream" || s == "answer 3" && why == "too much is held" {
					select {
					case goOn <- true:
					default:
					}
				}
				if s == "closed" {
					goto closed
				}
			}
		closed:
			if !got["answer 1"] || !got["answer 3"] || !got["GOAWAY NO_ERROR"] {
				t.Errorf("the client heard %v", got)
			}
			w.c.Close()
			awaitEmpty(t, old.Engine)
			if n := a.moved(MuxParcel); n != 0 || old.Held() != 0 {
				t.Errorf("%d moved, %d bytes are held", n, old.Held())
			}
		})
	}
}

// TestMuxUnderLoad: clients of crypto/tls and net/http ask without a pause over
// several generations: nothing fails, and nobody connects twice.
func TestMuxUnderLoad(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Path", r.URL.Path)
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.URL.Path+strings.Repeat("y", 3000))
		w.Write(body)
	})
	for _, over := range []protocol{http2Plain, http2TLS} {
		t.Run(over.String(), func(t *testing.T) {
			chain := newSecureChain(t, true, srv)
			chain.rigs = nil
			chain.adjust = func(r *rig) { over.adjust(t, r); r.Leaving.Patience = time.Hour }
			first := chain.next(nil)
			c := over.client(t)
			var dials atomic.Int32
			c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			}
			if resp, err := c.Get(over.url(first)); err != nil {
				t.Fatal(err)
			} else {
				resp.Body.Close()
			}
			stop := make(chan bool)
			var all sync.WaitGroup
			for g := range 8 {
				all.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						path, body := fmt.Sprintf("/%d/%d", g, i), strings.Repeat("z", i%5*2000)
						resp, err := c.Post(over.url(first)+path, "text/plain", strings.NewReader(body))
						if err != nil {
							t.Error(err)
							return
						}
						got, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						if want := path + strings.Repeat("y", 3000) + body; err != nil || string(got) != want || resp.Header.Get("X-Path") != path {
							t.Errorf("%s: %d bytes, want %d: %v", path, len(got), len(want), err)
							return
						}
					}
				})
			}
			for range 5 {
				old, a := chain.move(nil)
				awaitEmpty(t, old.Engine)
				if n := a.moved(MuxParcel); n != 1 {
					t.Errorf("%d moved", n)
				}
			}
			close(stop)
			all.Wait()
			if n := dials.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestMuxUnsent: an answer that its client does not read goes along with its
// windows as they are, once its last byte is in the connection's frames.
func TestMuxUnsent(t *testing.T) {
	body := bodyOf(3, 60_000)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	})
	p := newMuxPair(t, srv, nil)
	w := newWire(t, p.rigs[0].addr)
	for id := uint32(1); id < 400; id += 2 {
		w.request(id, true)
	}
	w.WriteWindowUpdate(0, 1<<30)
	p.move(0)
	seen := map[uint32][]byte{}
	var total uint32
	for len(seen) < 200 || !allOf(seen, len(body)) {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.(*http2.DataFrame); ok {
			seen[d.StreamID] = append(seen[d.StreamID], d.Data()...)
			if total += uint32(len(d.Data())); total > 1<<20 {
				w.WriteWindowUpdate(0, total)
				total = 0
			}
		} else if _, ok := f.(*http2.GoAwayFrame); ok {
			t.Fatal("GOAWAY")
		} else if r, ok := f.(*http2.RSTStreamFrame); ok && r.ErrCode == http2.ErrCodeRefusedStream {
			seen[r.StreamID] = body // beyond a hundred at once
		}
	}
	for id, got := range seen {
		if !bytes.Equal(got, body) {
			t.Errorf("%d: another body", id)
		}
	}
	p.moved(0)
}

func allOf(seen map[uint32][]byte, size int) bool {
	for _, b := range seen {
		if len(b) < size {
			return false
		}
	}
	return true
}
