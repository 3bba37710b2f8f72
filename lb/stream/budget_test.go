package stream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"

	"lbsyslogd/test/wait"
)

// TestQueuedRequestsHoldNoBuffer: a request that waits for a place holds what
// it consists of and no 32 KiB buffer; it arrives whole, with its body.
func TestQueuedRequestsHoldNoBuffer(t *testing.T) {
	bothProtocols(t, func(t *testing.T, kind protocol) {
		proceed := make(chan struct{})
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			select {
			case <-proceed:
			case <-t.Context().Done():
			}
			fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, b)
		})
		r := newRig(t, true, []string{srv}, func(r *rig) { r.Servers[0].MaxConn = 1 })
		client := kind.client(t)
		var all sync.WaitGroup
		const n = 50
		for i := range n {
			all.Go(func() {
				body := strings.Repeat(fmt.Sprintf("%d.", i), 400)
				resp, err := client.Post(fmt.Sprintf("%s/%d?q", kind.url(r), i), "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if b, err := io.ReadAll(resp.Body); err != nil || string(b) != fmt.Sprintf("POST /%d?q %s", i, body) {
					t.Errorf("%d: %d bytes, %v", i, len(b), err)
				}
			})
		}
		wait.Until(t, "the queue", func() bool { return r.be.Stats().Queued == n-1 })
		r.Shards[0].Loop.Call(func() {
			for s := r.Shards[0].sessions.head.next; s != &r.Shards[0].sessions.head; s = s.next {
				if s.state == exchanging && s.t.phase == phaseQueue && s.in != nil {
					t.Error("a request that waits holds a buffer")
				}
			}
		})
		if held := r.Held(); held == 0 || held > n*20_000 {
			t.Errorf("%d bytes are held", held)
		}
		close(proceed)
		all.Wait()
		client.CloseIdleConnections()
		wait.Until(t, "nothing to be held", func() bool { return r.Held() == 0 })
	})
}

// TestBodiesThatWaitAreBounded: uploads to a server that is full get what the
// budget has and no more than the smallest window beyond it; one that is read
// comes through meanwhile (F2).
func TestBodiesThatWaitAreBounded(t *testing.T) {
	const conns, streams, budget = 6, 90, 1 << 20
	proceed := make(chan struct{})
	full := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-proceed
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	r := newRig(t, true, []string{full}, func(r *rig) {
		r.Servers[0].MaxConn = 1
		r.Budget = budget
	})
	open := newRig(t, true, []string{serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})}, func(o *rig) { o.Budget = 1 }) // as poor as one can be
	upload := func(url string, client *http.Client, size int) {
		resp, err := client.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != fmt.Sprint(size) {
			t.Errorf("%s %q, %v, want %d", resp.Status, b, err, size)
		}
	}
	var all sync.WaitGroup
	var clients []*http.Client
	for range conns {
		client := http2Plain.client(t)
		client.Timeout = 0
		clients = append(clients, client)
		for range streams {
			all.Go(func() { upload(http2Plain.url(r), client, 64<<10) })
		}
	}
	wait.Until(t, "the queue", func() bool { return r.be.Stats().Queued >= conns*streams-1 })
	if held := r.Held(); held > budget+conns*(maxStreams*minWindow+64<<10) {
		t.Errorf("%d bytes are held", held)
	}
	upload(http2Plain.url(open), http2Plain.client(t), 3<<20)
	close(proceed)
	all.Wait()
	for _, c := range clients {
		c.CloseIdleConnections()
	}
	wait.Until(t, "nothing to be held", func() bool { return r.Held() == 0 })
}

// TestHeadsThatWaitAreBounded: requests with large heads, over HTTP/2, to a server
// that is full: when the budget is used up a connection has a few of them, and the
// others are refused, which clients may send again. One that has none gets its place
// in the queue.
func TestHeadsThatWaitAreBounded(t *testing.T) {
	const conns, streams, budget = 4, 100, 1 << 20
	proceed := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-proceed
		fmt.Fprint(w, len(r.Header.Get("x-long")))
	})
	r := newRig(t, true, []string{srv}, func(r *rig) {
		r.Servers[0].MaxConn = 1
		r.Budget = budget
	})
	long := strings.Repeat("~", 14_000)
	var wires []*framer
	for range conns {
		w := newWire(t, r.addr)
		w.WriteSettingsAck()
		wires = append(wires, w)
		for i := range uint32(streams) {
			w.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: false, EndStream: true,
				BlockFragment: w.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/")})
			w.WriteContinuation(2*i+1, true, w.block("x-long", long))
		}
		w.settle()
	}
	queued := r.be.Stats().Queued
	if held := r.Held(); held < budget || held > budget+conns*(crowdedHeads+64<<10) {
		t.Errorf("%d bytes are held, of %d requests", held, queued)
	}
	if queued < conns*4 || queued > conns*streams/2 {
		t.Errorf("%d requests wait", queued)
	}
	other := make(chan error, 1)
	go func() {
		resp, err := http2Plain.client(t).Get(http2Plain.url(r))
		if err == nil {
			resp.Body.Close()
		}
		other <- err
	}()
	wait.Until(t, "another client in the queue", func() bool { return r.be.Stats().Queued == queued+1 })
	close(proceed)
	if err := <-other; err != nil {
		t.Error(err)
	}
	wait.Until(t, "the queue to be served", func() bool { return r.be.Stats().Queued == 0 })
	for _, w := range wires {
		w.c.Close()
	}
	wait.Until(t, "nothing to be held", func() bool { return r.Held() == 0 })
}

// TestMemoryIsGivenBack: what was held is the system's again when it is not held any
// more, not minutes later (F2).
func TestMemoryIsGivenBack(t *testing.T) {
	const much = 4 * muchHeld
	e := new(Engine)
	released := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapReleased
	}
	ballast := bytes.Repeat([]byte("x"), much)
	before := released()
	e.hold(len(ballast))
	e.giveBackMemory()
	e.hold(-len(ballast))
	runtime.KeepAlive(ballast)
	e.giveBackMemory()
	wait.Until(t, "the memory to be given back", func() bool { return released() >= before+much/2 })
}
