package h2client

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/wire"
)

// host counts what a connection holds.
type host struct {
	held    int
	touched bool
	ended   bool
}

func (h *host) Touch(*Conn)             { h.touched = true }
func (h *host) TakeOut() []byte         { return nil }
func (h *host) PutOut([]byte)           {}
func (h *host) Hold(n int)              { h.held += n }
func (h *host) Room(n int, _ int64) int { n = max(n, 0); h.held += n; return n }
func (h *host) Ended(*Conn)             { h.ended = true }
func (h *host) Ready(loop.Events)       {}

// user writes its request when it may.
type user struct {
	s       *Stream
	request []byte
}

func (u *user) Wake() {
	for u.s != nil && len(u.request) > 0 {
		n, st := u.s.Write(u.request)
		if st != wire.OK {
			return
		}
		u.request = u.request[n:]
	}
}

// ask opens a stream for a request.
func ask(c *Conn, request string) *Stream {
	u := &user{request: []byte(request)}
	u.s = c.Open(u)
	u.Wake()
	return u.s
}

// ends are a connection to a server, and the server's end of it.
type ends struct {
	c      *Conn
	w      wire.Conn
	h      host
	head   http1.Head
	server int // a descriptor; -1 closed
}

// newEnds opens both, until the test's end.
func newEnds(t testing.TB, l *loop.Loop) *ends {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := &ends{server: fds[1]}
	t.Cleanup(func() {
		unix.Close(fds[0])
		e.close()
	})
	e.w = wire.Open(l, &e.h, fds[0], true)
	e.c = New(Options{Wire: &e.w, Loop: l, Host: &e.h, Head: &e.head, Again: &e.h})
	return e
}

// close ends the server's side.
func (e *ends) close() {
	if e.server >= 0 {
		unix.Close(e.server)
		e.server = -1
	}
}

func newLoop(t testing.TB) *loop.Loop {
	t.Helper()
	l, err := loop.New(0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// FuzzServer has a server say what it likes to three requests: whatever comes is a prefix of an HTTP/1.1 answer that its parser reads, or an
// error, and in the end nothing is held.
func FuzzServer(f *testing.F) {
	for _, scene := range seeds() {
		f.Add(scene, 100)
		f.Add(scene, 7)
	}
	l := newLoop(f)
	f.Fuzz(func(t *testing.T, said []byte, piece int) {
		if len(said) > 64<<10 || piece <= 0 {
			return
		}
		e := newEnds(t, l)
		c := e.c
		requests := []string{
			"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n", "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
		}
		var streams []*Stream
		got := make([][]byte, len(requests))
		for _, r := range requests {
			streams = append(streams, ask(c, r))
		}
		buf := make([]byte, 32<<10)
		sink := make([]byte, 64<<10)
		for len(said) > 0 {
			n, err := unix.Write(e.server, said[:min(piece, len(said))])
			if err != nil {
				break
			}
			said = said[n:]
			e.w.Retry()
			c.Pump()
			c.Flush()
			unix.Read(e.server, sink)
			for i, s := range streams {
				for {
					n, st := s.Read(buf)
					if st != wire.OK {
						break
					}
					got[i] = append(got[i], buf[:n]...)
				}
			}
		}
		for i, s := range streams {
			for b := got[i]; len(b) > 0; {
				var head http1.Head
				n, err := head.ParseResponse(b)
				if err == http1.ErrIncomplete && !s.answered {
					break
				}
				if err != nil {
					t.Fatalf("%v in %q", err, b)
				}
				if b = b[n:]; head.Status() >= 200 {
					break
				}
			}
			s.Close()
		}
		if e.h.held != 0 {
			t.Fatalf("%d bytes are held", e.h.held)
		}
		if c.Streams() != 0 {
			t.Fatalf("%d streams are open", c.Streams())
		}
	})
}

// seeds are what servers say.
func seeds() (all [][]byte) {
	scene := func(say func(f *http2.Framer, block func(fields ...string) []byte)) {
		var b, fields bytes.Buffer
		f := http2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 10})
		enc := hpack.NewEncoder(&fields)
		say(f, func(list ...string) []byte {
			fields.Reset()
			for i := 0; i < len(list); i += 2 {
				enc.WriteField(hpack.HeaderField{Name: list[i], Value: list[i+1]})
			}
			return bytes.Clone(fields.Bytes())
		})
		all = append(all, b.Bytes())
	}
	head := func(f *http2.Framer, id uint32, end bool, block []byte) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: end})
	}
	scene(func(f *http2.Framer, block func(...string) []byte) {
		head(f, 1, false, block(":status", "103", "link", "x"))
		head(f, 1, false, block(":status", "200", "content-length", "2"))
		head(f, 3, true, block(":status", "204"))
		f.WriteData(1, true, []byte("ok"))
		head(f, 5, false, block(":status", "200", "x", "y"))
		f.WriteDataPadded(5, false, []byte("abc"), make([]byte, 9))
		head(f, 5, true, block("grpc-status", "0"))
	})
	scene(func(f *http2.Framer, block func(...string) []byte) {
		f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		f.WriteGoAway(3, http2.ErrCodeNo, []byte("bye"))
		f.WritePing(false, [8]byte{1})
		f.WriteWindowUpdate(0, 100)
		f.WriteWindowUpdate(5, 1<<31-1)
		head(f, 3, false, block(":status", "200"))
	})
	scene(func(f *http2.Framer, block func(...string) []byte) {
		b := block(":status", "404", "a", "b")
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1]})
		f.WriteContinuation(1, true, b[1:])
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		f.WriteData(1, true, nil)
	})
	all = append(all, []byte("HTTP/1.1 200 OK\r\n\r\n"))
	return all
}
