package backend

import (
	"net"
	"sync"
)

// hub accepts connections, hands each to a goroutine, and ends them all when it is closed.
type hub struct {
	ln   net.Listener
	quit chan struct{} // closed by close
	done sync.WaitGroup

	// mu guards the fields below.
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// open listens on addr and calls serve for every connection; the connection is closed when serve returns.
func (h *hub) open(addr string, serve func(net.Conn)) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	h.ln, h.quit, h.conns = ln, make(chan struct{}), map[net.Conn]struct{}{}
	h.done.Add(1)
	go h.accept(serve)
	return nil
}

// Addr returns the address the server listens on.
func (h *hub) Addr() string { return h.ln.Addr().String() }

// Close stops listening, cuts every connection and waits for their goroutines. Only the first call does anything.
func (h *hub) Close() error {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	h.mu.Unlock()
	if !first {
		return nil
	}
	close(h.quit)
	err := h.ln.Close()
	h.Cut()
	h.done.Wait()
	return err
}

// Cut closes every connection there is and goes on listening.
func (h *hub) Cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.conns {
		c.Close()
	}
}

func (h *hub) accept(serve func(net.Conn)) {
	defer h.done.Done()
	for {
		c, err := h.ln.Accept()
		if err != nil {
			return // Close has closed the listener
		}
		h.mu.Lock()
		if h.closed {
			c.Close()
		} else {
			h.conns[c] = struct{}{}
			h.done.Go(func() {
				serve(c)
				c.Close()
				h.mu.Lock()
				delete(h.conns, c)
				h.mu.Unlock()
			})
		}
		h.mu.Unlock()
	}
}
