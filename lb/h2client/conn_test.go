package h2client

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// TestAnswerBeforeTheEnd: a server answers and closes, and what is written next finds the connection gone. What the server said before counts.
func TestAnswerBeforeTheEnd(t *testing.T) {
	e := newEnds(t, newLoop(t))
	c := e.c
	var streams [3]*Stream // as many as the scene answers
	for i := range streams {
		streams[i] = ask(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	c.Flush()
	const settings = 9 + 6 // bytes of the frame that the scene begins with
	said := seeds()[0]
	if _, err := unix.Write(e.server, said[:settings]); err != nil {
		t.Fatal(err)
	}
	c.Pump()
	c.Flush()
	if _, err := unix.Write(e.server, said[settings:]); err != nil {
		t.Fatal(err)
	}
	e.w.Retry()
	e.close()
	c.Doubt() // something is to be written
	c.Flush()
	b := make([]byte, 1024)
	n, _ := streams[0].Read(b)
	if got := string(b[:n]); !c.Over() || !strings.HasSuffix(got, "HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok") {
		t.Errorf("got %q; over: %v", got, c.Over())
	}
	for _, s := range streams {
		s.Close()
	}
	if e.h.held != 0 {
		t.Errorf("%d bytes are held", e.h.held)
	}
}

// TestSettingsFirst: requests wait for the server's SETTINGS, follow our acknowledgement, and are no more at once than it takes; before its first DATA
// the server hears nothing of windows. What it says of a stream beyond its end is reset.
func TestSettingsFirst(t *testing.T) {
	e := newEnds(t, newLoop(t))
	c := e.c
	streams := []*Stream{ask(c, "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n"), ask(c, "HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n")}
	say := func(write func(f *http2.Framer)) {
		var b bytes.Buffer
		write(http2.NewFramer(&b, nil))
		if _, err := unix.Write(e.server, b.Bytes()); err != nil {
			t.Fatal(err)
		}
		e.w.Retry()
		c.Pump()
	}
	heard := func() (frames []string) {
		c.Flush()
		b := make([]byte, 4096)
		n, _ := unix.Read(e.server, b)
		in := bytes.NewReader(bytes.TrimPrefix(b[:max(n, 0)], []byte(http2.ClientPreface)))
		for peer := http2.NewFramer(nil, in); ; {
			f, err := peer.ReadFrame()
			if err != nil {
				return frames
			}
			frames = append(frames, fmt.Sprint(f.Header().Type, " ", f.Header().StreamID, " ", f.Header().Flags))
		}
	}
	check := func(what string, want ...string) {
		t.Helper()
		if got := heard(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("at first", "SETTINGS 0 0")
	say(func(f *http2.Framer) { f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1}) })
	check("after SETTINGS", "SETTINGS 0 1", "HEADERS 1 5")
	say(func(f *http2.Framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
	})
	streams[0].Close()
	c.Flush()
	c.Pump()
	check("after the first answer", "HEADERS 3 5")
	say(func(f *http2.Framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: []byte{0x88}, EndHeaders: true})
	})
	say(func(f *http2.Framer) { f.WriteData(3, true, nil) })
	check("after DATA", "WINDOW_UPDATE 0 0")
	streams[1].Close()
	say(func(f *http2.Framer) { f.WriteData(3, true, nil) })
	check("after DATA beyond the end", "RST_STREAM 3 0")
	if e.h.held != 0 {
		t.Errorf("%d bytes are held", e.h.held)
	}
}

// TestWindowOfTheDead: DATA on its way to streams that we have ended takes nothing away from those to come.
func TestWindowOfTheDead(t *testing.T) {
	e := newEnds(t, newLoop(t))
	c := e.c
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.WriteSettings()
	say := func() {
		if _, err := unix.Write(e.server, b.Bytes()); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		e.w.Retry()
		c.Pump()
		c.Flush()
	}
	say()
	for id := uint32(1); id < 8; id += 2 { // each as much as a stream may send, and all of them as much as the connection may
		s := ask(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.Flush()
		s.Close()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x88}, EndHeaders: true})
		f.WriteData(id, false, make([]byte, min(window, 65535-int(id/2)*window)))
		say()
	}
	if c.Over() || c.recv.Left == 0 {
		t.Errorf("the server may send %d bytes more; over: %v %s", c.recv.Left, c.Over(), c.Reason())
	}
}
