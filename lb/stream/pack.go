package stream

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/compress"
	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/stats"
)

// Compressed responses. What was read of the body is compressed at once and takes
// its own place in the buffer; nothing is kept back for a better ratio, so that
// events reach the client as they come. The state of a response is a few words.

// packRoom is how much longer a buffer's content may become: the format's own
// bytes and those of a chunk, of the last one too.
const packRoom = compress.Growth + len("7fc0\r\n") + len("\r\n0\r\n\r\n")

// Compression is what all compressed responses have in common.
type Compression struct {
	rate atomic.Int64 // bytes a second that are compressed at most; 0: no limit
	Idle int          // percent of the time that the loops must be idle for another one; 0: none

	mu sync.Mutex
	// mu guards the fields below.
	in, out stats.Rate
	idle    int // of the last second
}

// Limit is how many bytes a second are compressed at most; 0: no limit.
func (c *Compression) Limit() int { return int(c.rate.Load()) }

// SetLimit changes it.
func (c *Compression) SetLimit(n int) { c.rate.Store(int64(n)) }

// SetIdle reports how many percent of the last second the loops were idle.
func (c *Compression) SetIdle(percent int) {
	c.mu.Lock()
	c.idle = percent
	c.mu.Unlock()
}

// Rates are how many bytes were compressed in the last second, and to how many.
func (c *Compression) Rates() (in, out int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().UnixMilli()
	return int(c.in.Value(now)), int(c.out.Value(now))
}

// count counts bytes that were compressed.
func (c *Compression) count(in, out int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().UnixMilli()
	c.in.Add(now, uint32(in))
	c.out.Add(now, uint32(out))
}

// allows reports whether another response may be compressed.
func (c *Compression) allows() bool {
	rate := c.Limit()
	if rate == 0 && c.Idle == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return (rate == 0 || int(c.in.Value(time.Now().UnixMilli())) <= rate) && c.idle >= c.Idle
}

// chooseCodec notes what the client of a request understands, as the backend
// has it, or else the frontend.
func (t *txn) chooseCodec(h *http1.Head) {
	be, fe := t.compressions()
	own := be
	if be == nil || len(be.Algorithms) == 0 {
		own = fe
	}
	if own == nil {
		return
	}
	t.codec = compress.Choose(h, own.Algorithms)
	if t.codec != compress.None && (be != nil && be.Offload || fe != nil && fe.Offload) {
		h.Del("accept-encoding")
	}
}

// compressions are what the backend, if there is one, and the frontend say.
func (t *txn) compressions() (be, fe *compress.Settings) {
	if t.be != nil {
		be = t.be.Compress
	}
	return be, t.s.fe.Compress
}

// compresses reports whether the response with this head is to be compressed.
func (t *txn) compresses(h *http1.Head) bool {
	be, fe := t.compressions()
	switch {
	case t.method == methodHead || h.Minor() == 0 || t.clientMinor == 0:
		return false
	case t.resKind != http1.ChunkedBody && t.resKind != http1.LengthBody || h.Coded:
		return false
	case be != nil && t.resKind == http1.LengthBody && t.resLeft < be.MinSize, fe != nil && t.resKind == http1.LengthBody && t.resLeft < fe.MinSize:
		return false
	}
	types := []string(nil)
	switch {
	case be != nil && len(be.Types) > 0:
		types = be.Types
	case fe != nil:
		types = fe.Types
	}
	return compress.Fits(h, types) && t.s.sh.eng.Compression.allows()
}

// compressed makes the head that of a compressed response.
func (t *txn) compressed(h *http1.Head) {
	t.packer = &compress.Writer{Algorithm: t.codec}
	t.packer.Mark(h)
	t.rec.Compressed = t.codec.String()
}

// sayPacked completes that head after the rules.
func (t *txn) sayPacked(h *http1.Head) {
	t.said = packed
	h.Del("content-length")
	switch {
	case t.s.stream != nil:
		h.Del("transfer-encoding")
	case h.Find("transfer-encoding", 0) < 0:
		h.AddString("transfer-encoding", "chunked")
	}
}

// countSaid counts an answer that goes to the client, if it is compressed.
func (t *txn) countSaid() {
	if t.said != packed {
		return
	}
	t.s.sh.Front[t.s.fe.Index].CompRsp++
	if t.be != nil {
		t.s.sh.Back[t.be.Index].CompRsp++
	}
}

// pack compresses what is ready from off on, in res.Data, in place.
func (t *txn) pack(off int) {
	sh := t.s.sh
	end := t.res.R + t.resReady
	in := t.res.Data[off:end]
	if len(in) == 0 && !t.resDone {
		return
	}
	b := t.packer.Append(sh.packBuf[:0], in, t.resDone)
	sh.packBuf = b
	t.countPacked(len(in), len(b))
	if len(b)+packRoom > len(t.res.Data)-off { // a head stands before it
		if off > t.res.R {
			t.resHead = sh.Loop.Buffers.Get()
			t.resHead.W = copy(t.resHead.Data[:], t.res.Data[t.res.R:off])
		}
		t.res.R, off = 0, 0
	}
	dst := t.res.Data[off:off]
	if t.s.stream != nil {
		dst = append(dst, b...)
	} else {
		if len(b) > 0 {
			dst = strconv.AppendInt(dst, int64(len(b)), 16)
			dst = append(dst, "\r\n"...)
			dst = append(dst, b...)
			dst = append(dst, "\r\n"...)
		}
		if t.resDone {
			dst = t.appendLastChunk(dst)
		}
	}
	t.resReady = off + len(dst) - t.res.R
	t.res.W = off + len(dst)
}

// appendLastChunk ends the chunks, with the server's trailers if there is room.
func (t *txn) appendLastChunk(dst []byte) []byte {
	if n := len(t.trailers); n == 0 || n > cap(dst)-len(dst)-len("0\r\n") {
		return append(dst, "0\r\n\r\n"...)
	}
	return append(append(dst, "0\r\n"...), t.trailers...)
}

func (t *txn) countPacked(in, out int) {
	var none stats.Counters
	fe, be := &t.s.sh.Front[t.s.fe.Index].Counters, &none
	if t.be != nil {
		be = &t.s.sh.Back[t.be.Index].Counters
	}
	if t.packer.Algorithm == compress.Identity {
		fe.CompByp += uint64(in)
		be.CompByp += uint64(in)
		return
	}
	for _, c := range [...]*stats.Counters{fe, be} {
		c.CompIn += uint64(in)
		c.CompOut += uint64(out)
	}
	t.s.sh.eng.Compression.count(in, out)
}
