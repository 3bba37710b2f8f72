// Package backend is what stands behind the balancer in the tests, the demo and the benchmark: small servers that answer
// in a known way, check what they were sent, and count both.
//
//  1. Start accepts (hub.go); a goroutine per connection reads one request at a time (request.go).
//  2. The path's first element picks the answer from a table (routes.go).
//  3. Whatever is not a well-formed request is counted as Malformed: a balancer that lets one through has been smuggled past.
package backend

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
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
	opt    Options
}

// Options say what a server is. Name and Addr are needed.
type Options struct {
	Name string      // in the header X-Backend of every answer
	Addr string      // "127.0.0.1:0" takes a free port
	TLS  *tls.Config // nil for plain TCP

	// Meet, if not nil, is called with every request whose head was read, before its answer, from all connections at once; head are its
	// header lines, valid until Meet returns. The server does what it says, and calls Met when that is done.
	Meet func(method, path string, head []byte) Deed
	Met  func(path string, deed Deed, err error)
}

// Deed is what a server does with a request.
type Deed int

const (
	Answer  Deed = iota
	Garbage      // send what is no HTTP, and end the connection
	Cut          // end the connection without an answer
	Unasked      // answer, then send answers that nobody asked for
)

// unasked are answers that nobody asked for: more of them than are read together with the right one.
var unasked = strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("nobody's answer. ", 125)[:2000], 40)

// Start listens on addr ("127.0.0.1:0" takes a free port) and serves until Close. Every answer carries name in the header X-Backend.
func Start(name, addr string) (*Server, error) { return StartWith(Options{Name: name, Addr: addr}) }

// StartWith is Start with all options.
func StartWith(opt Options) (*Server, error) {
	s := &Server{opt: opt}
	if err := s.open(opt.Addr, s.serve); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) serve(c net.Conn) {
	s.Counts.Connections.Add(1)
	if s.opt.TLS != nil {
		c = tls.Server(c, s.opt.TLS)
		defer c.Close()
	}
	x := &exchange{
		name: s.opt.Name,
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
		err = s.obey(x)
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

// obey does with a request what Meet says.
func (s *Server) obey(x *exchange) error {
	deed := Answer
	if s.opt.Meet != nil {
		deed = s.opt.Meet(x.req.method, x.req.path, x.req.head)
	}
	var err error
	switch deed {
	case Garbage:
		x.last = true
		x.w.WriteString("SSH-2.0-OpenSSH_9.2\r\n")
		err = x.w.Flush()
	case Cut:
		x.last = true
	case Unasked:
		if err = x.answer(); err == nil {
			x.w.WriteString(unasked) // what becomes of it is no matter: the answer goes with its first part
			x.last = x.w.Flush() != nil || x.last
		}
	default:
		err = x.answer()
		if err == nil && x.r.Buffered() == 0 { // pipelined requests share one write
			err = x.w.Flush()
		}
	}
	if s.opt.Met != nil {
		s.opt.Met(x.req.path, deed, err)
	}
	return err
}
