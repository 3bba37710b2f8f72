package stream

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// TestAllowance: time and bytes fill it, and neither beyond what it holds.
func TestAllowance(t *testing.T) {
	terms := terms{burst: 10, rate: 100, worth: 50}
	var a allowance
	spend := func(now, moved int64, n int) (left int) {
		for range n {
			if !a.spend(terms, now, moved) {
				return left
			}
			left++
		}
		return left
	}
	for _, c := range []struct {
		now, moved int64
		want       int // of 100
	}{
		{1_000_000, 0, 10}, {1_000_000, 0, 0}, {1_000_050, 0, 5}, {1_000_050, 99, 1}, {1_000_050, 1000, 10}, {9_000_000, 1000, 10}, {9_000_000, 1 << 40, 10},
	} {
		if got := spend(c.now, c.moved, 100); got != c.want {
			t.Errorf("at %d with %d bytes: %d, want %d", c.now, c.moved, got, c.want)
		}
	}
}

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
