package stream

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/test/wait"
)

// across is a Carrier to an engine in the same process: parcels pass through
// their encoding, and descriptors are duplicated, as between two processes.
type across struct {
	t  *testing.T
	to *Engine

	// refuse says which parcels the receiver does not take; nil takes all.
	refuse func(*Parcel) bool
	// die has the receiver take the batch and then vanish before it says so.
	die bool
	// adopted is called when the receiver has taken the batch and has not said so.
	adopted func()

	mu    sync.Mutex
	kinds map[Kind]int // of the parcels that were taken
}

func (a *across) carry(parcels []*Parcel) ([]bool, error) {
	var sent []*Parcel
	for _, p := range parcels {
		text, err := json.Marshal(p)
		if err != nil {
			a.t.Error(err)
		}
		q := &Parcel{}
		if err := json.Unmarshal(text, q); err != nil {
			a.t.Error(err)
		}
		for i, secret := range p.Secrets() {
			*q.Secrets()[i] = slices.Clone(*secret)
		}
		for _, fd := range p.FDs {
			dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				a.t.Error(err)
			}
			q.FDs = append(q.FDs, dup)
		}
		if a.refuse != nil && a.refuse(p) {
			q.Frontend, q.Backend = "another", "another"
		}
		sent = append(sent, q)
	}
	taken, begin := a.to.Adopt(sent)
	if a.adopted != nil {
		a.adopted()
	}
	for i, q := range sent {
		if !taken[i] || a.die {
			for _, fd := range q.FDs {
				unix.Close(fd)
			}
		}
	}
	if a.die {
		return nil, errors.New("the receiver was killed")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, p := range parcels {
		if taken[i] {
			a.kinds[p.Kind]++
		}
	}
	begin()
	return taken, nil
}

// moved is how many parcels of a kind were taken.
func (a *across) moved(k Kind) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kinds[k]
}

// client is a raw connection to an engine.
type client struct {
	t *testing.T
	*net.TCPConn
	r   *bufio.Reader
	tls *tls.Conn // nil: plain
}

func connect(t *testing.T, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, TCPConn: c.(*net.TCPConn), r: bufio.NewReader(c)}
}

func (c *client) say(text string) {
	c.t.Helper()
	var w io.Writer = c
	if c.tls != nil {
		w = c.tls
	}
	if _, err := io.WriteString(w, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear(text string) {
	c.t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
		c.t.Fatalf("got %q (%v), want %q", got[:n], err, text)
	}
}

// get has one request answered and reports whether the connection stays.
func (c *client) get(path string) (keeps bool) {
	c.t.Helper()
	c.say("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
	return c.answer(path)
}

func (c *client) answer(path string) (keeps bool) {
	c.t.Helper()
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("%s: %v", path, err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil || string(body) != path {
		c.t.Fatalf("%s: %q %v", path, body, err)
	}
	return !a.Close
}

// pair is an engine that leaves and one that takes over, in front of the same
// server.
func pair(t *testing.T, http bool, server string) (old, next *rig, a *across) {
	t.Helper()
	old = newRig(t, http, []string{server}, nil)
	next = newRig(t, http, []string{server}, nil)
	return old, next, &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
}

func awaitEmpty(t *testing.T, e *Engine) {
	t.Helper()
	select {
	case <-e.Empty():
	case <-time.After(20 * time.Second):
		t.Fatalf("%d connections are left in the engine that leaves", e.Conns())
	}
}

func pathServer(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
}

// echoServer sends back what it gets, after an upgrade if it is asked for one.
func echoServer(t *testing.T) string {
	return script(t, func(c *net.TCPConn, br *bufio.Reader) {
		if first, err := br.Peek(3); err == nil && string(first) == "GET" {
			readHead(br)
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		}
		io.Copy(c, br)
		c.CloseWrite()
	})
}

func TestHandoverOfRequests(t *testing.T) {
	old, next, a := pair(t, true, pathServer(t))
	var idle []*client
	for i := range 300 { // more than one batch
		c := connect(t, old.addr)
		if !c.get(fmt.Sprintf("/first/%d", i)) {
			t.Fatal("not kept")
		}
		idle = append(idle, c)
	}
	half := connect(t, old.addr)
	half.say("GET /half HTTP/1.1\r\nHo")
	silent := connect(t, old.addr)
	old.Handover(a.carry)
	awaitEmpty(t, old.Engine)
	for i, c := range idle {
		if !c.get(fmt.Sprintf("/second/%d", i)) {
			t.Fatal("the answer after the move ends the connection")
		}
	}
	half.say("st: a\r\n\r\n")
	half.answer("/half")
	silent.get("/silent")
	if n := a.moved(ClientParcel); n != 302 || next.Conns() != 302 {
		t.Errorf("%d moved, %d are there", n, next.Conns())
	}
	var was, is FrontCounters
	was, is = old.Shards[0].Read().Front[0], next.Shards[0].Read().Front[0]
	if n := was.SessTotal + is.SessTotal; n != 302 {
		t.Errorf("%d sessions were counted, there were 302", n)
	}
	if n := was.ReqTotal + is.ReqTotal; n != 602 {
		t.Errorf("%d requests were counted, there were 602", n)
	}
}

func TestHandoverOfTunnels(t *testing.T) {
	for _, upgrade := range []bool{false, true} {
		old, next, a := pair(t, upgrade, echoServer(t))
		c := connect(t, old.addr)
		if upgrade {
			c.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			if a, err := http.ReadResponse(c.r, nil); err != nil || a.StatusCode != 101 {
				t.Fatal(a, err)
			}
		}
		c.say("before")
		c.hear("before")
		// So much that it stands in every buffer on the way.
		text := strings.Repeat("0123456789abcdef", 1<<20)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, text)
			if err == nil {
				err = c.CloseWrite()
			}
			sent <- err
		}()
		c.hear(text[:1])
		old.Handover(a.carry)
		awaitEmpty(t, old.Engine)
		c.hear(text[1:])
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %d bytes, %v", len(rest), err)
		}
		if n := a.moved(TunnelParcel); n != 1 {
			t.Errorf("%d tunnels moved", n)
		}
		in := old.Shards[0].Read().Front[0].BytesIn + next.Shards[0].Read().Front[0].BytesIn
		if want := uint64(len("before") + len(text)); in < want || !upgrade && in != want {
			t.Errorf("%d bytes were counted, want %d", in, want)
		}
	}
}

// TestHandoverToOneThatDies has the receiver vanish after it took the
// connections and before it said so: it has read nothing, so the sender goes on
// as if nothing had been.
func TestHandoverToOneThatDies(t *testing.T) {
	old, _, a := pair(t, false, echoServer(t))
	a.die = true
	var tunnels []*client
	for i := range 20 {
		c := connect(t, old.addr)
		c.say(fmt.Sprintf("before %d", i))
		c.hear(fmt.Sprintf("before %d", i))
		tunnels = append(tunnels, c)
	}
	old.Handover(func(parcels []*Parcel) ([]bool, error) {
		for i, c := range tunnels { // it is there to be read while the receiver has it
			c.say(fmt.Sprintf("meanwhile %d", i))
		}
		return a.carry(parcels)
	})
	for i, c := range tunnels {
		c.hear(fmt.Sprintf("meanwhile %d", i))
		c.say("after")
		c.hear("after")
		c.CloseWrite()
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
			t.Errorf("after the end: %d bytes, %v", len(rest), err)
		}
	}
	awaitEmpty(t, old.Engine)
}

// TestHandoverRefused has the receiver refuse some: they are served on where
// they are, and their next answer ends them.
func TestHandoverRefused(t *testing.T) {
	old, _, a := pair(t, true, pathServer(t))
	var clients []*client
	ports := map[uint16]bool{} // of those that are refused
	for i := range 40 {
		c := connect(t, old.addr)
		c.get("/first")
		clients = append(clients, c)
		if i%2 == 0 {
			ports[c.LocalAddr().(*net.TCPAddr).AddrPort().Port()] = true
		}
	}
	a.refuse = func(p *Parcel) bool { return ports[p.Peer.Port()] }
	old.Handover(a.carry)
	wait.Until(t, "those that stay to be alone", func() bool {
		fixed := 0
		sh := old.Shards[0]
		sh.Loop.Call(func() {
			for s := sh.sessions.head.next; s != &sh.sessions.head; s = s.next {
				if s.fixed {
					fixed++
				}
			}
		})
		return fixed == 20 && old.Conns() == 20
	})
	for i, c := range clients {
		if keeps := c.get("/second"); keeps != (i%2 == 1) {
			t.Errorf("connection %d is kept: %v", i, keeps)
		}
		c.Close()
	}
	awaitEmpty(t, old.Engine)
	if n := a.moved(ClientParcel); n != 20 {
		t.Errorf("%d moved", n)
	}
}

// TestHandoverRefusedAndSpread: those that are refused, or stay because the
// receiver is gone, leave within close-spread-time, as if there had been no
// handover.
func TestHandoverRefusedAndSpread(t *testing.T) {
	for _, gone := range []bool{false, true} {
		old := newRig(t, true, []string{pathServer(t)}, func(r *rig) {
			r.fe.Timeouts.Client = 600_000
			r.Leaving.Spread = 20 * time.Millisecond
		})
		var clients []*client
		for range 10 {
			c := connect(t, old.addr)
			c.get("/first")
			clients = append(clients, c)
		}
		old.Handover(func(parcels []*Parcel) ([]bool, error) {
			if gone {
				return nil, errors.New("the receiver was killed")
			}
			return make([]bool, len(parcels)), nil
		})
		for _, c := range clients {
			if _, err := c.r.ReadByte(); err != io.EOF {
				t.Errorf("gone %v: %v, want the end", gone, err)
			}
		}
		awaitEmpty(t, old.Engine)
	}
}

// TestKilledWithTunnelsOnTheirWay reads what a killed engine had in flight while
// its tunnels are on their way: the receiver knows of them, and logs each when
// it ends. Until it has said that it takes them it may be killed, and this engine goes
// on with them: they would have a second line. One that it refuses is this engine's again.
func TestKilledWithTunnelsOnTheirWay(t *testing.T) {
	const all = 10
	old, next, a := pair(t, false, echoServer(t))
	inFlight := func(r *rig) int {
		t.Helper()
		lost, _, err := ReadFlights(r.Flights)
		if err != nil {
			t.Fatal(err)
		}
		return len(lost)
	}
	var tunnels []*client
	for range all {
		c := connect(t, old.addr)
		c.say("before")
		c.hear("before")
		tunnels = append(tunnels, c)
	}
	if n := inFlight(old); n != all {
		t.Fatalf("%d are in flight", n)
	}
	stays := uint16(tunnels[0].port())
	a.refuse = func(p *Parcel) bool { return p.Peer.Port() == stays }
	a.adopted = func() {
		if n := inFlight(next); n != 0 {
			t.Errorf("%d would be lost with the next process, which has not answered", n)
		}
	}
	old.Handover(func(parcels []*Parcel) ([]bool, error) {
		taken, err := a.carry(parcels)
		next.Shards[0].Loop.Call(func() {}) // after they have started
		if was, is := inFlight(old), inFlight(next); was != 0 || is != all-1 {
			t.Errorf("on their way %d would be lost with this process, %d with the next", was, is)
		}
		return taken, err
	})
	wait.Until(t, "the refused one to be alone", func() (alone bool) {
		old.Shards[0].Loop.Call(func() { alone = old.Conns() == 1 })
		return alone
	})
	if n := inFlight(old); n != 1 {
		t.Errorf("%d are in flight", n)
	}
}

// TestHandoverWaitsForTheAnswer has a request in flight: its connection moves
// when it is answered.
func TestHandoverWaitsForTheAnswer(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	old, next, a := pair(t, true, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, r.URL.Path)
	}))
	c := connect(t, old.addr)
	c.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	old.Handover(a.carry)
	if n := old.Conns(); n != 1 {
		t.Errorf("%d connections are left", n)
	}
	close(release)
	if !c.answer("/slow") || !c.answer("/pipelined") || !c.get("/then") {
		t.Error("an answer ends the connection")
	}
	awaitEmpty(t, old.Engine)
	if next.Conns() != 1 {
		t.Errorf("%d connections are there", next.Conns())
	}
}

// TestHandoverWaitsForAnHTTP2Server: a connection whose request is with a server
// that speaks HTTP/2 moves after the answer, too: the server's connection stays here,
// and what the client has sent ahead is answered by the next process.
func TestHandoverWaitsForAnHTTP2Server(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	addr, _ := serveHTTP2(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		io.WriteString(w, r.URL.Path)
	})
	old := newRig(t, true, []string{addr}, func(r *rig) { speakHTTP2(r, false) })
	next := newRig(t, true, []string{addr}, func(r *rig) { speakHTTP2(r, false) })
	a := &across{t: t, to: next.Engine, kinds: map[Kind]int{}}
	c := connect(t, old.addr)
	c.say("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	old.Handover(a.carry)
	close(release)
	if !c.answer("/slow") || !c.answer("/pipelined") || !c.get("/then") {
		t.Error("an answer ends the connection")
	}
	awaitEmpty(t, old.Engine)
	if next.Conns() != 1 {
		t.Errorf("%d connections are there", next.Conns())
	}
}

// TestAdoptedServerConnectionsAreFew: however many idle server connections
// come from earlier generations, no more are kept than those needed at once.
func TestAdoptedServerConnectionsAreFew(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	r := newRig(t, true, []string{addr}, nil)
	const come, need = 10, 3
	var parcels []*Parcel
	ended := make(chan struct{}, come)
	for range come {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		copied, err := unix.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		c.Close()
		parcels = append(parcels, &Parcel{
			Kind: ServerParcel, FDs: []int{copied}, Began: -1, Need: need,
			Backend: "be", Server: "s1", Address: r.Servers[0].Addr().String(),
		})
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.Copy(io.Discard, server)
			server.Close()
			ended <- struct{}{}
		}()
	}
	taken, start := r.Adopt(parcels)
	start()
	for i := range taken {
		if !taken[i] {
			t.Errorf("connection %d was refused: the sender would go on with it", i)
		}
	}
	for range come - need {
		<-ended
	}
	kept := 0
	r.Shards[0].Loop.Call(func() { kept = r.Shards[0].pools[0].len })
	if kept != need {
		t.Errorf("%d connections are kept, %d were needed at once", kept, need)
	}
}

// TestAdoptedBlockingSocket takes over a connection whose socket somebody has made a blocking one: it holds up nobody.
func TestAdoptedBlockingSocket(t *testing.T) {
	r := newRig(t, true, []string{pathServer(t)}, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := connect(t, ln.Addr().String())
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := accepted.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := unix.Dup(int(f.Fd())) // Fd makes it a blocking one
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	accepted.Close()
	now := time.Now()
	taken, start := r.Adopt([]*Parcel{{
		Kind: ClientParcel, FDs: []int{copied}, Frontend: "fe", Listener: r.addr, Accepted: now, Since: now.UnixMilli(), Active: now.UnixMilli(), Began: -1,
	}})
	if !taken[0] {
		t.Fatal("refused")
	}
	start()
	connect(t, r.addr).get("/other")
	c.get("/adopted")
}
