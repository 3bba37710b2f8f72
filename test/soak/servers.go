package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/rig"
)

// server is one web server behind lb, which writes the servers' book.
type server struct {
	name  string
	addr  string
	index int    // its bit in served.servers
	line  string // what its line in the configuration says besides
	books *books

	secure *tls.Config // of a server that is spoken to over TLS
	http2  bool        // it speaks HTTP/2 without TLS

	close     func() error // ends it, with what it has in its hands
	malformed func() uint64

	trouble atomic.Pointer[trouble]
}

// trouble is what a server does to the requests that it meets; nil is none.
type trouble struct {
	deed  backend.Deed
	every uint64 // each request of so many
	delay time.Duration
	count atomic.Uint64
}

// Headers that a server looks at.
const (
	markHeader = "x-soak-once" // by which a rule of the configuration marks each request: it has to be there once
	runHeader  = "x-soak-run"  // the run's name, from clients that want it compared with the path's
)

// marks reads both of a head.
func marks(head []byte) (rules int, run string) {
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case len(name) == len(markHeader) && strings.EqualFold(string(name), markHeader):
			rules++
		case len(name) == len(runHeader) && strings.EqualFold(string(name), runHeader):
			run = string(bytes.TrimSpace(value))
		}
	}
	return rules, run
}

func (w *server) start() error {
	if w.http2 {
		return w.startHTTP2()
	}
	s, err := backend.StartWith(backend.Options{Name: w.name, Addr: w.addr, TLS: w.secure, Meet: w.meet, Met: w.met})
	if err == nil {
		w.close, w.malformed = s.Close, s.Counts.Malformed.Load
	}
	return err
}

// startHTTP2 starts a server of the standard library that speaks HTTP/2.
func (w *server) startHTTP2() error {
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: w, Protocols: &protocols}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	w.malformed = func() uint64 { return 0 } // the library answers them itself
	w.close = func() error {
		err := s.Close()
		<-done
		return err
	}
	return nil
}

// ServeHTTP answers as test/backend does. Garbage is nothing that one stream could say: the stream is reset.
func (w *server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, grpcPrefix) {
		w.serveGRPC(rw, r)
		return
	}
	deed := w.entered(r.URL.Path, len(r.Header.Values(markHeader)), r.Header.Get(runHeader))
	if deed == backend.Garbage || deed == backend.Cut {
		panic(http.ErrAbortHandler)
	}
	sum := crc32.NewIEEE()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	check := uint32(0)
	if n > 0 {
		check = sum.Sum32()
	}
	body := backend.AppendSmall(nil, r.URL.Path, check, n)
	rw.Header().Set("X-Backend", w.name)
	rw.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err = rw.Write(body)
	if err == nil {
		err = http.NewResponseController(rw).Flush()
	}
	// The frames may be with lb, and the connection end before this handler hears that they have left.
	w.books.met(r.URL.Path, err == nil)
}

func (w *server) meet(_, path string, head []byte) backend.Deed {
	rules, run := marks(head)
	return w.entered(path, rules, run)
}

// entered decides what to do with a request, and enters it into the book.
func (w *server) entered(path string, rules int, run string) backend.Deed {
	deed := backend.Answer
	if t := w.trouble.Load(); t != nil && t.count.Add(1)%t.every == 0 {
		deed = t.deed
		time.Sleep(t.delay)
	}
	if deed == backend.Unasked && strings.HasPrefix(path, "/upgrade") {
		deed = backend.Answer // after an upgrade every byte is the tunnel's
	}
	w.books.meet(w.index, path, rules, run, deed)
	return deed
}

// met is of the servers of HTTP/1.1, whose answers are one write each: the kernel has taken all of it, or there is an error.
func (w *server) met(path string, deed backend.Deed, err error) {
	if err == nil && (deed == backend.Answer || deed == backend.Unasked) {
		w.books.met(path, true)
	}
}

// startServers starts the web servers, each at a port of its own that it keeps when it dies and comes back: three of HTTP/1.1, one over TLS, two of
// HTTP/2.
func startServers(b *books, signer *rig.Authority, dir string) ([]*server, error) {
	list := []*server{{name: "web1"}, {name: "web2"}, {name: "web3"}, {name: "tls1", line: "ssl verify none"}, {name: "h21", line: "proto h2", http2: true},
		{name: "h22", line: "proto h2", http2: true}}
	ports, err := rig.FreePorts(host, len(list))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "server.pem")
	if err := signer.Write(file, host); err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		return nil, err
	}
	list[3].secure = &tls.Config{Certificates: []tls.Certificate{certificate}}
	for i, w := range list {
		w.addr, w.index, w.books = fmt.Sprintf("%s:%d", host, ports[i]), i, b
		if err := w.start(); err != nil {
			return list[:i], err
		}
	}
	return list, nil
}
