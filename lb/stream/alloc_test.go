package stream

import (
	"io"
	"net"
	"testing"
)

// TestNoAllocations sends keep-alive requests through an engine: nothing on
// either side of it allocates, so what is counted is the engine's.
func TestNoAllocations(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				for {
					if _, err := c.Read(b); err != nil {
						return
					}
					c.Write(answer)
				}
			}()
		}
	}()
	r := newRig(t, true, []string{ln.Addr().String()}, func(r *rig) {
		r.fe.ForwardFor = &ForwardFor{Header: []byte("X-Forwarded-For")}
	})
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := []byte("GET /a/b?c HTTP/1.1\r\nHost: example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	b := make([]byte, 4096)
	exchange := func() {
		if _, err := c.Write(request); err != nil {
			t.Error(err)
		}
		if n, err := io.ReadAtLeast(c, b, len(answer)); err != nil || n < len(answer) {
			t.Error(n, err)
		}
	}
	for range 10 {
		exchange()
	}
	if n := testing.AllocsPerRun(2000, exchange); n != 0 {
		t.Errorf("%v allocations per request, want 0", n)
	}
}
