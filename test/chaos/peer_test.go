package chaos

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// peer is one end of a connection that a scene plays by hand, client or server.
type peer struct {
	c     *net.TCPConn
	got   strings.Builder
	ended string // how the stream ended: "end", "reset" or, while it lasts, ""
	left  bool   // our side closed it
}

// patience bounds every wait of a peer: a scene that needs it up is broken.
const patience = 6 * time.Second

func (p *peer) send(text string) { io.WriteString(p.c, text) }

// read takes what comes next; false at the end or when the time is up.
func (p *peer) read(within time.Duration) bool {
	if p.ended != "" || p.left {
		return false
	}
	b := make([]byte, 64<<10)
	p.c.SetReadDeadline(time.Now().Add(within))
	n, err := p.c.Read(b)
	p.got.Write(b[:n])
	var timeout net.Error
	switch {
	case err == nil:
		return true
	case errors.Is(err, io.EOF):
		p.ended = "end"
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		p.ended = "reset"
	default:
		p.ended = err.Error()
	}
	return false
}

// until reads until text has come, n times.
func (p *peer) until(text string, n int) {
	for strings.Count(p.got.String(), text) < n && p.read(patience) {
	}
}

// head reads the n-th head.
func (p *peer) head(n int) { p.until("\r\n\r\n", n) }

// rest reads to the end.
func (p *peer) rest() {
	for p.read(patience) {
	}
}

// settle reads what is on its way, and notes whether the stream ends.
func (p *peer) settle() {
	for p.read(settling) {
	}
	if p.ended == "" && !p.left {
		p.ended = "open"
	}
}

// settling is how long a quiet connection is looked at before it is taken to
// stay open.
const settling = 250 * time.Millisecond

func (p *peer) shut()  { p.c.CloseWrite() }
func (p *peer) close() { p.left = true; p.c.Close() }
func (p *peer) reset() { p.c.SetLinger(0); p.close() }

// stage is where a scene's servers stand; every connection plays the next
// part.
type stage struct {
	ln *net.TCPListener
	mu sync.Mutex
	// mu guards the fields below.
	peers []*peer
	busy  sync.WaitGroup
}

func openStage(play func(p *peer, n int)) (*stage, error) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	st := &stage{ln: ln}
	go func() {
		for {
			c, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			st.mu.Lock()
			p := &peer{c: c}
			st.peers = append(st.peers, p)
			n := len(st.peers)
			st.busy.Add(1)
			st.mu.Unlock()
			go func() {
				defer st.busy.Done()
				play(p, n)
				p.settle()
				p.c.Close()
			}()
		}
	}()
	return st, nil
}

// close ends the stage and gives what each connection got.
func (st *stage) close() []string {
	st.ln.Close()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.busy.Wait()
	var got []string
	for _, p := range st.peers {
		got = append(got, p.got.String())
	}
	return got
}
