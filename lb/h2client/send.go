package h2client

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"

	"lbsyslogd/lb/http1"
	"lbsyslogd/lb/http2"
	"lbsyslogd/lb/wire"
)

// mayGoOn reports whether a stream that waits could write something.
func (s *Stream) mayGoOn() bool {
	c := s.c
	if !s.headSent {
		return c.leaving || c.frame.Settled && len(c.streams) < int(c.peer.MaxStreams)
	}
	return s.window > 0 && c.send > 0 || s.failed || s.drops || s.kind == http1.ChunkedBody && !s.chunks.InData()
}

// Write implements wire.Stream.
func (s *Stream) Write(b []byte) (n int, st wire.Status) {
	if s.failed {
		return 0, wire.Error
	}
	if s.drops && s.headSent {
		return len(b), wire.OK
	}
	if s.c.dead {
		s.lost(!s.headSent, s.c.reason)
		return 0, wire.Error
	}
	if len(s.c.out) >= maxOut {
		s.c.waitFor(s)
		return 0, wire.Again
	}
	if !s.headSent {
		if n, st = s.sendHead(b); st != wire.OK {
			return 0, st
		}
	}
	if n < len(b) {
		m, ok := s.sendBody(b[n:])
		if !ok {
			s.breakOff(http2.InternalError, "the request's body is not what its head says")
			return 0, wire.Error
		}
		n += m
	}
	if n == 0 {
		return 0, wire.Again
	}
	return n, wire.OK
}

// sendHead sends the head that b begins with.
func (s *Stream) sendHead(b []byte) (n int, st wire.Status) {
	c, h := s.c, s.c.Head
	if !s.mayGoOn() {
		c.waitFor(s)
		return 0, wire.Again
	}
	n, err := h.ParseRequest(b)
	if err != nil {
		s.lost(true, "a request head that HTTP/2 cannot carry: "+err.Error())
		return 0, wire.Error
	}
	protocol := ""
	if h.Upgrade && http1.EqualFold(h.Get("upgrade"), "websocket") {
		s.opens = true
		if !c.peer.Connect {
			s.declined = true
			s.lost(false, "the server does not offer WebSocket over HTTP/2 (RFC 8441)")
			return 0, wire.Error
		}
		protocol, s.accept = "websocket", acceptKey(h.Get("sec-websocket-key"))
	}
	if c.leaving || c.nextID >= enoughStreams {
		s.lost(true, "the server takes no more requests on this connection")
		return 0, wire.Error
	}
	s.id = c.nextID
	c.nextID += 2
	c.streams[s.id] = s
	s.kind, s.left, s.window = h.RequestBody(), h.Length, http2.SendWindow(c.peer.FirstWindow)
	method := string(h.Method())
	s.bodiless = method == "HEAD"
	if method == "CONNECT" || protocol != "" {
		s.opens, s.kind = true, http1.Tunnel
	}
	flags := http2.Flags(0)
	if s.kind == http1.NoBody {
		flags, s.done = http2.EndStream, true
	}
	c.touch()
	s.mark()
	s.headAt, s.headSent = s.last, true
	c.out = http2.AppendBlock(c.out, s.id, flags, c.enc.Request(h, s.Target, protocol), c.peer.MaxFrame)
	return n, wire.OK
}

// acceptKey is what an answer to a WebSocket's key says (RFC 6455 section 4.2.2).
func acceptKey(key []byte) []byte {
	if len(key) == 0 {
		return nil
	}
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.AppendEncode(nil, sum[:])
}

// sendBody sends what it can of b; false when that is no body of the request.
func (s *Stream) sendBody(b []byte) (n int, ok bool) {
	switch s.kind {
	case http1.ChunkedBody:
		return s.sendChunks(b)
	case http1.LengthBody:
		n = s.sendData(b[:min(int64(len(b)), s.left)])
		if s.left -= int64(n); s.left == 0 {
			s.endStream()
		}
		return n, true
	case http1.Tunnel:
		return s.sendData(b), true
	}
	return 0, false
}

// sendChunks sends what the chunks of b hold.
func (s *Stream) sendChunks(b []byte) (n int, ok bool) {
	for n < len(b) && !s.chunks.Done() {
		part := b[n:]
		if s.chunks.InData() {
			room := s.room()
			if room == 0 {
				s.c.waitFor(s)
				break
			}
			part = part[:min(len(part), room)]
		}
		late := s.chunks.InTrailers()
		m, data, err := s.chunks.Next(part)
		switch {
		case err != nil:
			return n, false
		case data:
			s.sendData(part[:m])
		case late && (len(s.trailers) > 0 || part[0] != '\r'):
			s.trailers = append(s.trailers, part[:m]...)
		}
		n += m
	}
	if s.chunks.Done() {
		s.endStream()
	}
	return n, true
}

// room is how many bytes one frame may have now.
func (s *Stream) room() int {
	c := s.c
	if len(c.out) >= maxOut {
		return 0
	}
	return int(max(min(int64(c.peer.MaxFrame), int64(s.window), int64(c.send)), 0))
}

// sendData sends what the windows take of b.
func (s *Stream) sendData(b []byte) (n int) {
	c := s.c
	for n < len(b) {
		part := min(len(b)-n, s.room())
		if part == 0 {
			c.waitFor(s)
			break
		}
		c.touch()
		s.mark()
		c.out = http2.AppendHeader(c.out, http2.Header{Length: part, Type: http2.Data, Stream: s.id})
		c.out = append(c.out, b[n:n+part]...)
		c.moves(part)
		s.window -= http2.SendWindow(part)
		c.send -= http2.SendWindow(part)
		n += part
	}
	return n
}

// mark notes where the stream's last frame begins.
func (s *Stream) mark() { s.last = s.c.sent + int64(len(s.c.out)) }

// endStream says that the request is complete: by its trailers, in its last
// frame if that has not left yet, or by one of its own.
func (s *Stream) endStream() {
	c := s.c
	if s.done {
		return
	}
	s.done = true
	c.touch()
	at := int64(-1)
	if s.last > s.headAt {
		at = s.last - c.sent
	}
	c.out = http2.AppendEnd(c.out, s.id, at, c.enc.Trailers(s.trailers), c.peer.MaxFrame)
}
