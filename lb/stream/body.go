package stream

import "lbsyslogd/lb/http1"

// A response's body on its way through its buffer: checked against the framing
// that the server gave it (resKind), and put into the form that the client gets
// (said). The two are independent; where they agree the bytes stay where they
// are.
//
//	the server sends      the client gets
//	a length              asIs
//	chunks                asIs, or plain until the end (HTTP/1.0, HTTP/2)
//	all until its end     asIs until the end
//	a length, or chunks   packed: compressed (pack.go), in chunks of ours (HTTP/1.1), or plain (HTTP/2)
//	any of them           nothing: HEAD, 204, 304

// body is in what form the client gets a response's body.
type body uint8

const (
	asIs    body = iota // byte for byte
	plain               // without the chunks that it came in
	packed              // compressed
	nothing             // its head stands alone
)

// takeResponse takes the new bytes of res, those after resReady. What the
// client gets of them becomes ready.
func (t *txn) takeResponse() error {
	off := t.res.R + t.resReady
	p := t.res.Data[off:t.res.W]
	switch t.resKind {
	case http1.NoBody:
		t.resDone = true
		t.keepServer = t.keepServer && len(p) == 0
	case http1.LengthBody:
		n := min(int64(len(p)), t.resLeft)
		if t.cached != nil {
			t.keepBody(p[:n])
		}
		if t.said != nothing {
			t.resReady += int(n)
		}
		t.tookBody(int(n))
		t.keepServer = t.keepServer && int(n) == len(p)
	case http1.ChunkedBody:
		if err := t.takeChunks(p); err != nil {
			return err
		}
	default:
		if t.cached != nil {
			t.keepBody(p)
		}
		t.resReady += len(p)
	}
	if t.resDone && t.cached != nil {
		t.kept()
	}
	if t.packer != nil {
		t.pack(off)
	}
	t.early = t.early || t.resDone && t.unsent()
	return nil
}

// tookBody counts n bytes of a body with a length.
func (t *txn) tookBody(n int) {
	t.resLeft -= int64(n)
	t.resDone = t.resLeft == 0
	t.early = t.early || t.resDone && t.unsent()
}

func (t *txn) takeChunks(p []byte) error {
	taken, kept := 0, 0
	for taken < len(p) && !t.resCh.Done() {
		late := t.resCh.InTrailers()
		n, data, err := t.resCh.Next(p[taken:])
		if err != nil {
			t.badAnswer(bad{err.Error(), p, taken + n})
			return err
		}
		if t.cached != nil {
			t.keepBody(p[taken : taken+n])
		}
		if late {
			t.keepTrailers(p[taken : taken+n])
		}
		if t.said == asIs || (t.said == plain || t.said == packed) && data {
			if kept != taken {
				copy(p[kept:], p[taken:taken+n])
			}
			kept += n
		}
		taken += n
	}
	t.resReady += kept
	if t.resDone = t.resCh.Done(); t.resDone && len(t.trailers) > 0 {
		t.captureTrailers()
	}
	t.keepServer = t.keepServer && taken == len(p)
	return nil
}

// keepTrailers keeps a part of the answer's trailer section for whatever needs
// more than its bytes: a client of HTTP/2, captures, compression. An empty
// section is not worth the memory.
func (t *txn) keepTrailers(part []byte) {
	if t.s.stream == nil && t.packer == nil && len(t.s.fe.ResCaptures) == 0 || len(t.trailers) == 0 && part[0] == '\r' {
		return
	}
	t.trailers = append(t.trailers, part...)
}

// captureTrailers fills captures whose header did not come with those of the
// trailers: grpc-status, above all.
func (t *txn) captureTrailers() {
	captures := t.s.fe.ResCaptures
	if len(captures) == 0 {
		return
	}
	var h http1.Head
	if _, err := h.ParseResponse(append([]byte("HTTP/1.1 200 OK\r\n"), t.trailers...)); err != nil {
		return // larger than a head may be
	}
	for i, text := range capture(nil, &h, captures) {
		if t.rec.ResCaptures[i] == "" {
			t.rec.ResCaptures[i] = text
		}
	}
}
