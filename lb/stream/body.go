package stream

import (
	"strconv"

	"lbsyslogd/lb/http1"
)

// A response's body on its way through its buffer: checked against the framing
// that the server gave it (resKind), and put into the form that the client gets
// (said). The two are independent; where they agree the bytes stay where they
// are.
//
//	the server sends      the client gets
//	a length              asIs
//	chunks                asIs, or plain until the end (HTTP/1.0, HTTP/2)
//	all until its end     chunked (HTTP/1.1), or asIs until the end
//	any of them           nothing: HEAD, 204, 304

// body is in what form the client gets a response's body.
type body uint8

const (
	asIs    body = iota // byte for byte
	plain               // without the chunks that it came in
	chunked             // in chunks that we make
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
		t.resLeft -= n
		if t.said != nothing {
			t.resReady += int(n)
		}
		t.resDone = t.resLeft == 0
		t.keepServer = t.keepServer && int(n) == len(p)
	case http1.ChunkedBody:
		if err := t.takeChunks(p); err != nil {
			return err
		}
	case http1.UntilClose:
		if t.said == chunked && t.resReady == 0 && len(p) > 0 { // else placeHead has done it
			t.frontChunk(len(p))
		} else {
			t.resReady += len(p)
		}
	default:
		t.resReady += len(p)
	}
	t.early = t.early || t.resDone && t.unsent()
	return nil
}

func (t *txn) takeChunks(p []byte) error {
	taken, kept := 0, 0
	for taken < len(p) && !t.resCh.Done() {
		n, data, err := t.resCh.Next(p[taken:])
		if err != nil {
			t.badAnswer(bad{err.Error(), p, taken + n})
			return err
		}
		if t.said == asIs || t.said == plain && data {
			if kept != taken {
				copy(p[kept:], p[taken:taken+n])
			}
			kept += n
		}
		taken += n
	}
	t.resReady += kept
	t.resDone = t.resCh.Done()
	t.keepServer = t.keepServer && taken == len(p)
	return nil
}

// appendChunk begins a chunk of n bytes. The line end of the one before it
// comes only now, so that nothing must be put after a chunk's data.
func (t *txn) appendChunk(b []byte, n int) []byte {
	if t.inChunks {
		b = append(b, "\r\n"...)
	}
	t.inChunks = true
	b = strconv.AppendInt(b, int64(n), 16)
	return append(b, "\r\n"...)
}

// frontChunk makes a chunk of the n bytes in res, which have room before them.
func (t *txn) frontChunk(n int) {
	var room [chunkRoom]byte
	line := t.appendChunk(room[:0], n)
	t.res.R -= len(line)
	copy(t.res.Data[t.res.R:], line)
	t.resReady = len(line) + n
}

// lastChunk ends a body in chunks, in an empty res.
func (t *txn) lastChunk() {
	end := "0\r\n\r\n"
	if t.inChunks {
		end = "\r\n" + end
	}
	t.res.Reset()
	t.res.W = copy(t.res.Data[:], end)
	t.resReady = t.res.W
}
