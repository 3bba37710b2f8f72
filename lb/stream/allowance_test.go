package stream

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestBytesMovedCountForTheClient downloads while it measures with PINGs, gives
// the windows back in pieces of 128 bytes, and takes images back by the hundred
// (B10, B11): all of the download comes.
func TestBytesMovedCountForTheClient(t *testing.T) {
	const size = 8 << 20
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/image") {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, strings.Repeat("x", size))
	})
	r := newRig(t, true, []string{srv}, nil)
	w := newWire(t, r.addr)
	w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 64 << 10})
	w.request(1, true)
	id := uint32(1)
	for got := 0; got < size; {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			t.Fatalf("after %d bytes: GOAWAY %s: %s", got, f.ErrCode, f.DebugData())
		case *http2.DataFrame:
			n := len(f.Data())
			before := got
			got += n
			w.WritePing(false, [8]byte{'m'})
			for ; n > 0; n -= 256 {
				w.WriteWindowUpdate(0, uint32(min(n, 128)))
				w.WriteWindowUpdate(1, uint32(min(n, 128)))
				if n > 128 {
					w.WriteWindowUpdate(0, uint32(min(n-128, 128)))
					w.WriteWindowUpdate(1, uint32(min(n-128, 128)))
				}
			}
			if got>>20 != before>>20 && got>>20 <= 4 { // four times ninety images, each taken back
				for range 90 {
					id += 2
					w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/image"), EndHeaders: true, EndStream: true})
					w.WriteRSTStream(id, http2.ErrCodeCancel)
				}
			}
		}
	}
}

// TestPingsOfOneThatWaits: a client that measures a slow download by a PING for
// each answer to the last one, or by a few at once, has all of the download, however
// many they are.
func TestPingsOfOneThatWaits(t *testing.T) {
	more, all := make(chan bool), make(chan bool)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		flush := http.NewResponseController(w)
		for {
			select {
			case <-more:
				io.WriteString(w, "x")
				flush.Flush()
			case <-all:
				return
			case <-r.Context().Done():
				return
			}
		}
	})
	const pings, pieces = 12_000, 10
	for _, atOnce := range []int{1, 4} {
		r := newRig(t, true, []string{srv}, nil)
		w := newWire(t, r.addr)
		w.request(1, true)
		for range atOnce {
			w.WritePing(false, [8]byte{'m'})
		}
		got := 0
		for answered := 0; answered < pings; {
			f, err := w.ReadFrame()
			if err != nil {
				t.Fatalf("%d at once, after %d answers: %v", atOnce, answered, err)
			}
			switch f := f.(type) {
			case *http2.GoAwayFrame:
				t.Fatalf("%d at once, after %d answers: GOAWAY %s: %s", atOnce, answered, f.ErrCode, f.DebugData())
			case *http2.DataFrame:
				got += len(f.Data())
			case *http2.PingFrame:
				if answered++; answered%(pings/pieces) == 0 {
					more <- true
				}
				w.WritePing(false, [8]byte{'m'})
			}
		}
		all <- true
		for ended := false; !ended; {
			f, err := w.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := f.(*http2.DataFrame); ok {
				got += len(d.Data())
				ended = d.StreamEnded()
			}
		}
		if got != pieces {
			t.Errorf("%d at once: %d bytes", atOnce, got)
		}
	}
}

// TestUploadsInSmallFrames: ninety uploads at once, a byte in each DATA frame (B11).
func TestUploadsInSmallFrames(t *testing.T) {
	const streams, bytes = 90, 60
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		io.WriteString(w, strings.Repeat("x", int(n)))
	})
	r := newRig(t, true, []string{srv}, nil)
	w := newWire(t, r.addr)
	w.WriteSettingsAck()
	for i := range uint32(streams) {
		w.request(2*i+1, false)
	}
	for n := range bytes {
		for i := range uint32(streams) {
			w.WriteData(2*i+1, n == bytes-1, []byte("x"))
		}
	}
	got, ended := 0, 0
	for ended < streams {
		f, err := w.ReadFrame()
		if err != nil {
			t.Fatalf("%d of %d are answered: %v", ended, streams, err)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			t.Fatalf("%d of %d are answered: %v", ended, streams, f)
		case *http2.DataFrame:
			if got += len(f.Data()); f.StreamEnded() {
				ended++
			}
		}
	}
	if got != streams*bytes {
		t.Errorf("%d bytes arrived", got)
	}
}
