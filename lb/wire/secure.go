package wire

import (
	"errors"
	"io"

	"lbsyslogd/lb/loop"
	"lbsyslogd/lb/secret"
	"lbsyslogd/lb/tlsrecord"
)

// TLS is what a connection has for TLS. Idle it holds no buffer.
type TLS struct {
	Info
	rec *tlsrecord.Conn
	lib *library // in place of rec

	tickets *tickets // while they may come; nil without

	in    *loop.Buffer // ciphertext, and plain within it
	part  []byte       // half a record, while no buffer is held
	plain []byte       // decrypted, not taken
	out   *loop.Buffer // encrypted, unsent; never empty
	wide  bool         // out is of Loop.Wide, else of Loop.Sealed

	lastWrite int64 // ms on the loop's clock
	shutdown  bool  // our end is to be sent after out

	loop *loop.Loop // with rest
	rest loop.Timer // armed while rec holds keys
}

// Info is what a handshake came to.
type Info struct {
	Version     uint16 `json:"version"`
	Suite       uint16 `json:"suite"`
	VersionName string `json:"-"` // for logs; whoever did the handshake gives the names
	SuiteName   string `json:"-"`
	SNI         string `json:"sni,omitempty"`
	ALPN        string `json:"alpn,omitempty"`
	Resumed     bool   `json:"resumed,omitempty"`

	Detail *Detail `json:"detail,omitempty"` // nil: the handshake was not asked for it
}

// The first record after a pause is small, so that the peer can read it before
// the rest has come; a connection that flows has records as large as they may
// be.
const (
	firstRecord = 4 << 10
	pauseMs     = 1000
)

// restMs is how long nothing was written when the keys are given up: they take more than twice the memory of all else that an idle
// connection has, and to derive them again takes some microseconds.
const restMs = 2000

// used has the keys be given up after a pause. It is called when they have been used.
func (t *TLS) used(c *Conn) {
	if t.rest.Armed() {
		return
	}
	t.loop, t.rest.OnExpire = c.loop, t
	t.loop.Arm(&t.rest, restMs)
}

// Expire gives up the keys, unless something was written meanwhile. Of a connection that is only read from they are derived anew
// every now and then.
func (t *TLS) Expire() {
	if at := t.lastWrite + restMs; at > t.loop.Now() {
		t.loop.ArmAt(&t.rest, at)
		return
	}
	t.rec.Rest()
}

// Info is what the handshake came to; nil of a connection without TLS.
func (c *Conn) Info() *Info {
	if c.tls == nil {
		return nil
	}
	return &c.tls.Info
}

// buffered is the ciphertext that is here.
func (t *TLS) buffered() []byte {
	if t.in != nil {
		return t.in.Bytes()
	}
	return t.part
}

// ready reports whether a read has something to give without the socket.
func (t *TLS) ready() bool {
	if len(t.plain) > 0 {
		return true
	}
	b := t.buffered()
	n, err := t.rec.Size(b)
	return err != nil || n > 0 && len(b) >= n
}

// read decrypts into b as many whole records as are here, or a part of one.
func (t *TLS) read(c *Conn, b []byte) (int, Status) {
	if len(b) == 0 {
		return 0, Again
	}
	n := 0
	for {
		if len(t.plain) > 0 {
			if n == 0 {
				n = copy(b, t.plain)
				t.plain = t.plain[n:]
			}
			if len(t.plain) == 0 {
				t.putIn(c)
			}
			return n, OK
		}
		rec := t.buffered()
		size, err := t.rec.Size(rec)
		switch {
		case err != nil:
			if n > 0 { // which is reported when this has been taken
				return n, OK
			}
			return 0, t.fail(c, err)
		case size > 0 && len(rec) >= size:
			if n > 0 && len(b)-n < size {
				return n, OK
			}
			k, err := t.open(c, b[n:], size)
			if err != nil && n == 0 {
				return 0, t.fail(c, err)
			}
			if n += k; err != nil {
				return n, OK // tlsrecord says it again
			}
			continue
		case n > 0:
			t.putIn(c)
			return n, OK
		}
		if st := t.fill(c); st != OK {
			t.putIn(c)
			if st == EOF && len(t.part) > 0 {
				c.broken = true
				return 0, Error // in the middle of a record
			}
			return 0, st
		}
	}
}

// open decrypts the first record, of size bytes, into b, or in its place when
// b is too small. It gives what is in b.
func (t *TLS) open(c *Conn, b []byte, size int) (int, error) {
	if t.in == nil {
		t.getIn(c)
	}
	rec := t.in.Data[t.in.R : t.in.R+size]
	dst := b[0:0:len(b)]
	if len(b) < size {
		dst = nil
	}
	var was uint64
	if t.tickets != nil {
		was = t.rec.Received()
		t.tickets.before(rec)
	}
	data, err := t.rec.Open(dst, rec)
	t.used(c)
	if err != nil {
		return 0, err
	}
	if t.tickets != nil && !t.tickets.after(t.rec, data, t.rec.Received() != was+1) {
		t.noTickets()
	}
	t.in.R += size
	if dst == nil {
		t.plain = data
		return 0, nil
	}
	return len(data), nil
}

// fill reads more ciphertext.
func (t *TLS) fill(c *Conn) Status {
	if !c.readable && !c.eof {
		return Again
	}
	if t.in == nil {
		t.getIn(c)
	}
	if t.in.R > 0 && len(t.in.Space()) < tlsrecord.MaxRecord {
		t.in.Compact()
	}
	n, st := c.recv(t.in.Space())
	t.in.W += n
	return st
}

// getIn takes a buffer for what is read, and puts the part into it.
func (t *TLS) getIn(c *Conn) {
	t.in = c.loop.Buffers.Get()
	t.in.W = copy(t.in.Data[:], t.part)
	t.part = t.part[:0]
}

// putIn gives the buffer back; half a record waits in memory of its own size.
func (t *TLS) putIn(c *Conn) {
	if t.in == nil || len(t.plain) > 0 {
		return
	}
	if t.part = append(t.part[:0], t.in.Bytes()...); len(t.part) == 0 {
		t.part = nil
	}
	c.loop.Buffers.Put(t.in)
	t.in = nil
}

// fail ends a connection for an error of the record layer, and tells the peer.
func (t *TLS) fail(c *Conn, err error) Status {
	t.putIn(c)
	if err == io.EOF {
		c.eof = true
		return EOF
	}
	var e *tlsrecord.Error
	if errors.As(err, &e) && !e.Remote {
		if t.flush(c) {
			t.getOut(c)
			t.out.W = len(t.rec.Alert(t.out.Data[:t.out.W:len(t.out.Data)], e.Alert))
			t.used(c)
			t.flush(c)
		}
	}
	c.broken = true
	return Error
}

// getOut takes a buffer for what is sent.
func (t *TLS) getOut(c *Conn) {
	if t.out == nil {
		t.out = c.loop.Sealed.Get()
	}
}

// SealedSize is how large a buffer is that takes size bytes of data as records of full size: what one read brought leaves in one piece.
func SealedSize(size int) int { return tlsrecord.Room(size, tlsrecord.MaxPlaintext) + alertRoom }

// alertRoom stays free after data: our end may have to be said while nothing of it has been sent.
const alertRoom = tlsrecord.Overhead + 2

// WideMost is how much data WriteWide takes at most.
const WideMost = 128 << 10

// WideSize is how large a wide buffer is, besides ordinary ones of some size. A small first record makes one more of it.
func WideSize(size int) int { return SealedSize(max(size, WideMost)) + tlsrecord.Overhead }

// recordSize is how much data a record has now.
func (t *TLS) recordSize(c *Conn) int {
	now := c.loop.Now()
	paused := now-t.lastWrite >= pauseMs
	t.lastWrite = now
	if paused {
		return firstRecord
	}
	return tlsrecord.MaxPlaintext
}

// write encrypts what it can of a, then b, unless the socket takes nothing.
func (t *TLS) write(c *Conn, a, b []byte) (int, Status) {
	if t.out != nil {
		if !t.flush(c) {
			return 0, Error
		}
		if t.out != nil {
			return 0, Again
		}
	}
	return t.fillOut(c, a, b)
}

// fillOut encrypts and sends, until something is pending.
func (t *TLS) fillOut(c *Conn, a, b []byte) (n int, st Status) {
	for len(a) > 0 || len(b) > 0 {
		t.getOut(c)
		for _, p := range [...]*[]byte{&a, &b} {
			for len(*p) > 0 {
				size := t.recordSize(c)
				k := min(len(*p), size, tlsrecord.Fit(len(t.out.Space())-alertRoom, size))
				if k == 0 {
					break
				}
				t.out.W = len(t.rec.Seal(t.out.Data[:t.out.W:len(t.out.Data)], (*p)[:k], size))
				t.used(c)
				*p = (*p)[k:]
				n += k
			}
			if len(*p) > 0 {
				break
			}
		}
		if !t.flush(c) {
			return 0, Error
		}
		if t.out != nil {
			break
		}
	}
	return n, OK
}

// writeWide is write with a wide buffer, if nothing is pending and one is to be had.
func (t *TLS) writeWide(c *Conn, b []byte) (int, Status) {
	if t.out == nil && len(b) > c.loop.Buffers.Size() {
		t.out = c.loop.Wide.Get()
		t.wide = t.out != nil
	}
	return t.fillOut(c, b, nil)
}

// flush sends what it can of out; false when the connection is gone.
func (t *TLS) flush(c *Conn) bool {
	for t.out != nil && t.out.Len() > 0 {
		n, st := c.send(t.out.Bytes())
		switch st {
		case Again:
			return true
		case Error:
			t.putOut(c)
			return false
		}
		t.out.R += n
	}
	t.putOut(c)
	return true
}

// putOut gives the buffer back, and sends our end if that waited for it.
func (t *TLS) putOut(c *Conn) {
	t.dropOut(c)
	if t.shutdown {
		t.shutdown = false
		loop.ShutdownWrite(c.fd)
	}
}

// dropOut gives the buffer back, whatever is in it.
func (t *TLS) dropOut(c *Conn) {
	switch {
	case t.out == nil:
	case t.wide:
		c.loop.Wide.Put(t.out)
	default:
		c.loop.Sealed.Put(t.out)
	}
	t.out, t.wide = nil, false
}

func (t *TLS) closeNotify(c *Conn) {
	if t.rec.Said() {
		return
	}
	t.getOut(c)
	if t.out.R > 0 {
		t.out.Compact()
	}
	t.out.W = len(t.rec.CloseNotify(t.out.Data[:t.out.W:len(t.out.Data)]))
	t.used(c)
	t.flush(c)
}

// noTickets lets go of crypto/tls, which took the tickets.
func (t *TLS) noTickets() {
	if t.tickets != nil {
		secret.Conn(t.tickets.conn)
		t.tickets = nil
	}
}

// release gives up what is held.
func (t *TLS) release(c *Conn) {
	t.plain, t.part = nil, nil
	t.noTickets()
	if t.in != nil {
		c.loop.Buffers.Put(t.in)
		t.in = nil
	}
	t.dropOut(c)
	t.forget()
}

// forget overwrites the secrets.
func (t *TLS) forget() {
	if t.rest.Armed() {
		t.loop.Disarm(&t.rest)
	}
	if t.rec != nil {
		t.rec.Forget()
	}
}
