// Package backend is what stands behind the balancer in the tests, the demo and the benchmark: small servers that answer
// in a known way, check what they were sent, and count both.
//
//  1. Start accepts (hub.go); a goroutine per connection reads one request at a time (request.go).
//  2. The path's first element picks the answer from a table (routes.go).
//  3. Whatever is not a well-formed request is counted as Malformed: a balancer that lets one through has been smuggled past.
package backend

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

// Counts is what a server has seen. All numbers only grow.
type Counts struct {
	Connections atomic.Uint64
	Requests    atomic.Uint64
	Malformed   atomic.Uint64 // a head or a body that does not parse
	Aborted     atomic.Uint64 // the peer left in the middle of a request or of its answer
}

// Server is one HTTP/1.1 backend.
type Server struct {
	hub
	Counts Counts
	name   string
}

// Start listens on addr ("127.0.0.1:0" takes a free port) and serves until Close. Every answer carries name in the header X-Backend.
func Start(name, addr string) (*Server, error) {
	s := &Server{name: name}
	if err := s.open(addr, s.serve); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) serve(c net.Conn) {
	s.Counts.Connections.Add(1)
	x := &exchange{
		name: s.name,
		conn: c,
		quit: s.quit,
		r:    bufio.NewReaderSize(c, 16<<10),
		w:    bufio.NewWriterSize(c, 16<<10),
	}
	for {
		err := x.req.read(x.r, x.w)
		switch {
		case err == io.EOF:
			return
		case errors.Is(err, errMalformed):
			s.Counts.Malformed.Add(1)
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		case err != nil:
			s.Counts.Aborted.Add(1)
			return
		}
		s.Counts.Requests.Add(1)
		err = x.answer()
		if err == nil && x.r.Buffered() == 0 { // pipelined requests share one write
			err = x.w.Flush()
		}
		switch {
		case errors.Is(err, errMalformed):
			s.Counts.Malformed.Add(1)
			return
		case err != nil:
			s.Counts.Aborted.Add(1)
			return
		case x.last:
			return
		}
	}
}
