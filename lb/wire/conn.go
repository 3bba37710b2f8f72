package wire

import (
	"lbsyslogd/lb/loop"
)

// Status is what became of a read or a write.
type Status uint8

// Statuses.
const (
	OK    Status = iota
	Again        // nothing now; readiness will tell
	EOF          // the peer has ended its stream
	Error        // the connection is gone
)

// Kind is what carries a connection's bytes.
type Kind uint8

// Kinds.
const (
	Plain    Kind = iota
	Secure        // TLS, by our own record layer
	Library       // TLS, by crypto/tls
	Streamed      // a stream of another connection
)

// Stream is what a connection of kind Streamed has in place of a socket.
type Stream interface {
	Read(b []byte) (int, Status)
	Write(b []byte) (int, Status)
	// Readable reports whether Read has something to give.
	Readable() bool
}

// ender is a stream whose end can be sent while the other direction goes on.
type ender interface{ End() }

// Conn is one connection. Readiness is edge-triggered: a flag stays until a
// call proves it wrong.
type Conn struct {
	loop    *loop.Loop
	handler loop.Handler
	fd      int
	kind    Kind

	watched  bool // registered with epoll
	readable bool
	writable bool
	ended    bool // the peer has sent its end; bytes may still be unread
	broken   bool // reset or fully closed
	eof      bool // its end has been read
	shut     bool // our end has been sent

	tls    *TLS       // of the kinds with TLS
	hs     *Handshake // while it is under way
	stream Stream
}

// Open makes a connection of a socket; handler hears of its events. New says
// that the socket was accepted or came from elsewhere, and is not being
// connected.
func Open(l *loop.Loop, handler loop.Handler, fd int, connected bool) Conn {
	return Conn{loop: l, handler: handler, fd: fd, readable: connected, writable: true}
}

// OpenStream makes a connection of a stream.
func OpenStream(l *loop.Loop, s Stream) Conn {
	return Conn{loop: l, fd: -1, kind: Streamed, stream: s, watched: true}
}

// Kind is what carries the bytes.
func (c *Conn) Kind() Kind { return c.kind }

// FD is the socket; -1 of a stream.
func (c *Conn) FD() int { return c.fd }

// Watch registers the connection with epoll, once; what is ready already is
// then reported.
func (c *Conn) Watch() error {
	if c.watched {
		return nil
	}
	c.watched = true
	if err := c.loop.Add(c.fd, c.handler); err != nil {
		c.broken = true
		return err
	}
	return nil
}

// Watched reports whether the connection is registered with epoll.
func (c *Conn) Watched() bool { return c.watched }

// Note takes events over. A handshake goes on with them.
func (c *Conn) Note(ev loop.Events) {
	if ev&(loop.In|loop.RdHup|loop.Hup|loop.Err) != 0 {
		c.readable = true
	}
	if ev&(loop.Out|loop.Hup|loop.Err) != 0 {
		c.writable = true
	}
	if ev&(loop.RdHup|loop.Hup) != 0 {
		c.ended = true
	}
	if ev&(loop.Hup|loop.Err) != 0 {
		c.broken = true
	}
	if c.hs != nil {
		c.loop.Stale() // a step of it takes as long as many requests
		c.hs.advance() // which may end the connection
	}
}

// Flush sends what is pending, if the socket may take it.
func (c *Conn) Flush() {
	if c.Pending() && c.writable {
		c.flush()
	}
}

// Retry has the next read and write ask the socket, whatever was known.
func (c *Conn) Retry() { c.readable, c.writable = true, true }

// Rest has nothing be read before the next event: what an idle connection
// gives by itself is not what is waited for.
func (c *Conn) Rest() { c.readable = false }

// Full has nothing be written before the next event.
func (c *Conn) Full() { c.writable = false }

// MayRead reports whether a read could give something.
func (c *Conn) MayRead() bool {
	switch c.kind {
	case Streamed:
		return c.stream.Readable() || c.broken
	case Secure:
		return c.readable || c.tls.ready()
	case Library:
		return true // only a read tells
	}
	return c.readable
}

// MayWrite reports whether a write could take something.
func (c *Conn) MayWrite() bool { return c.writable || c.kind == Streamed }

// PeerEnded reports whether the peer's end has come; bytes before it may still
// be unread.
func (c *Conn) PeerEnded() bool { return c.ended }

// Broken reports whether the connection was reset or fully closed.
func (c *Conn) Broken() bool { return c.broken }

// Break makes the connection one that is gone.
func (c *Conn) Break() { c.broken = true }

// EOF reports whether the peer's end has been read.
func (c *Conn) EOF() bool { return c.eof }

// Shut reports whether our end has been sent.
func (c *Conn) Shut() bool { return c.shut }

// Read fills b. A short read means that nothing more is there now.
func (c *Conn) Read(b []byte) (int, Status) {
	switch c.kind {
	case Plain:
		return c.recv(b)
	case Secure:
		return c.tls.read(c, b)
	case Library:
		return c.tls.lib.read(c, b)
	}
	n, st := c.stream.Read(b)
	c.eof = c.eof || st == EOF
	return n, st
}

// Write sends what it can of b. Under TLS some of that may be Pending.
func (c *Conn) Write(b []byte) (int, Status) {
	switch c.kind {
	case Plain:
		return c.send(b)
	case Secure:
		return c.tls.write(c, b, nil)
	case Library:
		return c.tls.lib.write(c, b)
	}
	return c.stream.Write(b)
}

// WriteWide is Write for as much as WideMost of b, which leaves under TLS in one call if a wide buffer is to be had. Nothing may be Pending.
func (c *Conn) WriteWide(b []byte) (int, Status) {
	if c.kind == Secure {
		return c.tls.writeWide(c, b)
	}
	return c.Write(b)
}

// Write2 sends what it can of a, then b, in one call; neither may be empty.
func (c *Conn) Write2(a, b []byte) (int, Status) {
	switch c.kind {
	case Plain:
		return c.send2(a, b)
	case Secure:
		return c.tls.write(c, a, b)
	}
	return c.Write(a)
}

// Pending reports whether bytes that were taken by Write wait for the peer.
func (c *Conn) Pending() bool {
	switch c.kind {
	case Secure:
		return c.tls.out != nil
	case Library:
		return len(c.tls.lib.out) > 0
	}
	return false
}

// flush sends what is pending; false when the connection is gone.
func (c *Conn) flush() bool {
	switch c.kind {
	case Secure:
		return c.tls.flush(c)
	case Library:
		return c.tls.lib.flush(c)
	}
	return true
}

// Shutdown sends our end, once, after what is pending.
func (c *Conn) Shutdown() {
	if c.shut {
		return
	}
	if c.kind == Streamed {
		if s, ok := c.stream.(ender); ok {
			c.shut = true
			s.End()
		}
		return
	}
	c.CloseNotify()
	if c.Pending() && !c.broken {
		c.tls.shutdown = true // flush does
		c.shut = true
		return
	}
	c.shut = true
	loop.ShutdownWrite(c.fd)
}

// CloseNotify says in TLS, once, that nothing more is sent.
func (c *Conn) CloseNotify() {
	if c.broken {
		return
	}
	switch c.kind {
	case Secure:
		c.tls.closeNotify(c)
	case Library:
		c.tls.lib.closeNotify(c)
	}
}

// Discard reads bytes that nobody will look at, past TLS.
func (c *Conn) Discard(b []byte) Status {
	_, st := c.recv(b)
	return st
}

// Quiet reports whether nothing has come over an idle connection, not even its
// end.
func (c *Conn) Quiet() bool {
	if c.kind == Plain {
		return loop.Quiet(c.fd)
	}
	return c.Absorb()
}

// Still reports whether nothing has come over an idle connection as far as is known: it was read until it was empty, and no event has come since.
func (c *Conn) Still() bool { return !c.MayRead() && !c.ended && !c.broken }

// Absorb takes what a connection may get while it is idle, such as the session
// tickets of TLS; false when something else has come.
func (c *Conn) Absorb() bool {
	if c.kind != Secure || c.broken || c.ended {
		return false
	}
	c.readable = true
	var none [1]byte
	n, st := c.tls.read(c, none[:])
	return n == 0 && st == Again
}

// HalfClosed notes what an earlier process had read and sent of either end.
func (c *Conn) HalfClosed(peer, ours bool) { c.eof, c.ended, c.shut = peer, peer, ours }

// Forget lets go of a connection that lives on in another process: nothing is
// said to the peer.
func (c *Conn) Forget() {
	if c.watched {
		c.loop.Forget(c.fd)
		c.watched = false
	}
	if c.tls != nil {
		c.tls.forget()
	}
}

// Close closes the connection at once and gives up what it holds.
func (c *Conn) Close() {
	if c.kind == Streamed {
		return
	}
	if c.tls != nil {
		c.tls.release(c)
	}
	if c.hs != nil && c.hs.abandon() { // its goroutine has the socket
		c.loop.Forget(c.fd)
		c.fd = -1
		return
	}
	switch {
	case c.watched:
		c.loop.CloseFD(c.fd)
	case c.fd >= 0:
		loop.CloseRaw(c.fd)
	}
	c.fd = -1
}
