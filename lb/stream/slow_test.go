package stream

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lbsyslogd/test/wait"
)

// TestSlowClients: a thousand clients that send their head a byte at a time
// are refused when timeout http-request is over, counted from the first byte,
// and nobody else waits for them.
func TestSlowClients(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	r := newRig(t, true, []string{srv}, func(r *rig) { r.fe.Timeouts.Request = 1000 })
	const clients = 1000
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i], _ = dial(t, r.addr)
	}
	refused := make(chan bool, clients)
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			b, _ := io.ReadAll(c)
			refused <- strings.HasPrefix(string(b), "HTTP/1.1 408 ")
		})
	}
	head := "GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 1000)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; len(refused) < clients && i < len(head); i++ {
		for _, c := range conns {
			io.WriteString(c, head[i:i+1]) // an error is a client that was refused
		}
		if got := talk(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "ok") {
			t.Fatalf("another client got %q", got)
		}
		<-tick.C
	}
	wg.Wait()
	for range clients {
		if !<-refused {
			t.Fatal("a slow client was not told 408")
		}
	}
	wait.Until(t, "every connection's end", func() bool { return r.Conns() == 0 })
}
