package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// sink is the fourth book: a receiver to which syslogd sends each line of the log, too, as an object of JSON, from a file of its own. It promises each
// line at least once, and twice only if the receiver or syslogd failed meanwhile.
type sink struct {
	books *books
	http  *http.Server
	addr  string

	trouble atomic.Int32 // what becomes of requests: one of those below
	lines   atomic.Int64 // of all
}

// Troubles of the receiver.
const (
	none    = iota
	refuses // it answers 503 and takes nothing
	cuts    // it takes the lines and ends the connection in place of an answer
	stalls  // it takes its time
)

func openSink(b *books) (*sink, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	k := &sink{books: b, addr: l.Addr().String()}
	k.http = &http.Server{Handler: k, ReadHeaderTimeout: time.Minute}
	go k.http.Serve(l)
	return k, nil
}

// ServeHTTP enters the lines of one batch.
func (k *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	trouble := k.trouble.Load()
	if trouble == refuses {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // half a batch, which comes again
	}
	if trouble == stalls {
		time.Sleep(300 * time.Millisecond)
	}
	for line := range bytes.Lines(text) {
		k.enter(line)
	}
	if trouble == cuts {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (k *sink) enter(line []byte) {
	_, rest, ok := bytes.Cut(line, []byte("/r/"))
	if !ok {
		return
	}
	name, rest, _ := bytes.Cut(rest, []byte("/"))
	digits := 0
	for digits < len(rest) && rest[digits]-'0' <= 9 {
		digits++
	}
	n, err := strconv.Atoi(string(rest[:digits]))
	k.books.mu.RLock()
	run := k.books.runs[string(name)]
	k.books.mu.RUnlock()
	if run == nil || err != nil || n > 1<<28 {
		return // of an earlier round; whoever lacks it complains
	}
	k.lines.Add(1)
	run.mu.Lock()
	defer run.mu.Unlock()
	run.sunk = grow(run.sunk, n)
	run.sunk[n] = min(run.sunk[n], 250) + 1
}

// failReceiver has the receiver of the sink fail for a while.
func (h *doer) failReceiver(arg uint32) error {
	h.sink.trouble.Store(int32(refuses + arg%3))
	defer h.sink.trouble.Store(none)
	return h.pause(span(arg))
}

// sunk compares what the sink got of a run with the lines of the log.
func (j *judge) sunk(r *run) {
	if r.plain {
		return // its lines have no path
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	again := slices.ContainsFunc(j.windows, func(w window) bool { return w.fault.permits.resends })
	for n, l := range r.logged {
		var got uint8
		if n < len(r.sunk) {
			got = r.sunk[n]
		}
		if got == l.lines {
			continue
		}
		at := j.written(r.asked[n])
		lost := func(w window) bool { return j.loses(w, at) }
		switch {
		case got > l.lines && l.lines > 0 && again:
		case got > 0 && l.lines == 0 && j.excuse("a line that the sink alone has", lost):
		case got < l.lines && j.excuse("a line that the sink does not have", lost):
		default:
			j.complain(fmt.Sprintf("/r/%s/%d", r.name, n), "the sink has its line %d times, the log %d times", got, l.lines)
		}
	}
}
