package http2

import "strconv"

// Incoming is a message that comes on a stream, a request or an answer, and is
// read in HTTP/1.1: its head, then its body, in chunks if it has no length.
// What a stream holds is bounded by Granted, which the caller counts.
type Incoming struct {
	Head     []byte // unread
	Body     []byte // unread
	Trailers []byte // as lines
	Length   int64  // what is to come of a content-length; -1: there is none
	Chunked  bool
	Ended    bool // the peer has sent all
	ReadEnd  bool // the last chunk was read
	Withheld bool // the body is not to be read yet: it is a tunnel's, to which nobody has agreed
	Wide     bool // Granted was made larger than usual

	Window  RecvWindow
	Granted int // the window in all: what is left of it, what is consumed, and Body
}

// Take takes the content of a DATA frame of n bytes, padding included. The
// caller has seen that the windows have room for it, and Length.
func (in *Incoming) Take(data []byte, n int) {
	in.Window.Left -= n
	in.Window.Consumed += n - len(data) // padding is read already
	if in.Length >= 0 {
		in.Length -= int64(len(data))
	}
	if need := len(in.Body) + len(data); need > cap(in.Body) { // about what it can need
		grown := make([]byte, len(in.Body), max(need, min(2*cap(in.Body), in.Granted)))
		copy(grown, in.Body)
		in.Body = grown
	}
	in.Body = append(in.Body, data...)
}

// End notes that the peer has sent all, and needs no window any more: Granted
// changes by what it returns.
func (in *Incoming) End() (change int) {
	in.Ended = true
	change = len(in.Body) - in.Granted
	in.Granted = len(in.Body)
	return change
}

// Wants is by how much the window could grow to have a size, as far as the body
// can need it; perhaps less than 0.
func (in *Incoming) Wants(size int) int {
	more := size - in.Granted
	if in.Length >= 0 {
		more = int(min(int64(more), in.Length-int64(in.Window.Left+in.Window.Consumed)))
	}
	return more
}

// Grow widens the window by n bytes. The peer hears of it by the next
// WINDOW_UPDATE.
func (in *Incoming) Grow(n int) {
	in.Granted += n
	in.Window.Consumed += n
}

// Lend has the peer send n bytes more than the window, which it has done already.
func (in *Incoming) Lend(n int) {
	in.Granted += n
	in.Window.Left += n
}

// Due reports whether enough was consumed, of a window of up to some size, that
// the peer should hear of it.
func (in *Incoming) Due(size int) bool { return in.Window.Consumed >= min(in.Granted, size)/4 }

// Readable reports whether Read has something to give.
func (in *Incoming) Readable() bool {
	return len(in.Head) > 0 || len(in.Body) > 0 && !in.Withheld || in.Chunked && in.Ended && !in.ReadEnd
}

// chunkRoom is what the framing of a chunk takes at most.
const chunkRoom = 16

// Read reads the message into b. Of what it gives, body bytes were the peer's;
// they are consumed, or taken off Granted when no more are to come.
func (in *Incoming) Read(b []byte) (n, body int) {
	n = copy(b, in.Head)
	if in.Head = in.Head[n:]; len(in.Head) > 0 {
		return n, 0
	}
	in.Head = nil
	switch {
	case in.Withheld:
	case !in.Chunked:
		body = copy(b[n:], in.Body)
		n += body
	case len(in.Body) > 0 && len(b)-n > chunkRoom:
		body = min(len(in.Body), len(b)-n-chunkRoom)
		out := strconv.AppendInt(b[:n], int64(body), 16)
		out = append(out, "\r\n"...)
		out = append(out, in.Body[:body]...)
		n = len(append(out, "\r\n"...))
	}
	in.took(body)
	if in.Chunked && in.Ended && len(in.Body) == 0 && !in.ReadEnd && len(b)-n >= len("0\r\n\r\n")+len(in.Trailers) {
		out := append(b[:n], "0\r\n"...)
		out = append(out, in.Trailers...)
		n = len(append(out, "\r\n"...))
		in.ReadEnd = true
	}
	return n, body
}

// took takes n bytes off the body.
func (in *Incoming) took(n int) {
	if n == 0 {
		return
	}
	if in.Body = in.Body[n:]; len(in.Body) == 0 {
		in.Body = nil
	}
	if in.Ended {
		in.Granted -= n
	} else {
		in.Window.Consumed += n
	}
}
