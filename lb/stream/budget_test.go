package stream

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

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
