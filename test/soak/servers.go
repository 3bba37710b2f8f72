package main

import (
	"bytes"
	"fmt"
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
	index int // its bit in served.servers
	books *books
	*backend.Server

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
	s, err := backend.StartWith(backend.Options{Name: w.name, Addr: w.addr, Meet: w.meet, Met: w.met})
	if err == nil {
		w.Server = s
	}
	return err
}

func (w *server) meet(_, path string, head []byte) backend.Deed {
	deed := backend.Answer
	if t := w.trouble.Load(); t != nil && t.count.Add(1)%t.every == 0 {
		deed = t.deed
		time.Sleep(t.delay)
	}
	if deed == backend.Unasked && strings.HasPrefix(path, "/upgrade") {
		deed = backend.Answer // after an upgrade every byte is the tunnel's
	}
	rules, run := marks(head)
	w.books.meet(w.index, path, rules, run, deed)
	return deed
}

func (w *server) met(path string, deed backend.Deed, err error) {
	if err == nil && (deed == backend.Answer || deed == backend.Unasked) {
		w.books.met(path)
	}
}

// startServers starts n web servers, each at a port of its own that it keeps when it dies and comes back.
func startServers(b *books, n int) ([]*server, error) {
	ports, err := rig.FreePorts(host, n)
	if err != nil {
		return nil, err
	}
	var list []*server
	for i, port := range ports {
		w := &server{name: fmt.Sprintf("web%d", i+1), addr: fmt.Sprintf("%s:%d", host, port), index: i, books: b}
		if err := w.start(); err != nil {
			return list, err
		}
		list = append(list, w)
	}
	return list, nil
}
