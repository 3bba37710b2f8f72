package peers

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/stick"
)

// Table is a table of a section. Immutable after Begin.
type Table struct {
	Name  string // as peers know it
	Table *stick.Table
}

// Section is a peers section. The exported fields are set before Begin.
type Section struct {
	Name   string
	Self   string // this node's name
	Addr   string // where this node listens, for Show
	Pid    int
	Peers  []*Peer // without this node
	Tables []Table
	// Listeners are this section's, until End.
	Listeners []net.Listener
	// Report hears what an operator should know; bad says that something is
	// wrong.
	Report func(text string, bad bool)

	begun     time.Time
	origin    uint64 // of what this node has counted since it began with nothing
	young     bool   // that was this process
	work      sync.WaitGroup
	ctx       context.Context
	cancel    context.CancelFunc
	strangers chan struct{} // places for those who have not said who they are

	// Lock order: mu before session.mu.
	mu sync.Mutex
	// mu guards the fields below, and those of its peers that say so.
	running, over bool
	learning
}

// Peer is another node. The exported fields are set before Begin.
type Peer struct {
	Name string
	Addr string // for Show
	// Dial connects to it.
	Dial func(ctx context.Context) (net.Conn, error)

	section *Section
	tables  []*place
	origin  atomic.Uint64 // of the peer's shares that are known; 0: none are

	// Section.mu guards the fields below.
	session  *session // of which both know the names; nil: none
	dialling bool     // a hello was sent, and not answered yet
	cutDial  context.CancelFunc
	changed  chan struct{} // closed, and another one made, when session becomes nil
	old      bool          // it speaks version 2.0
	status   int
	greeted  time.Time // of the last answer to a hello
	next     time.Time // when it is dialled
	failures int       // connections in a row of which nothing came
	bad      bool      // the last one ended because of what the peer sent
	told     string    // what was reported of it last

	counters
}

// counters are what Show shows.
type counters struct {
	conns, refused, crossed, silent, beatsSent, beatsGot atomic.Uint64
	sent, got                                            atomic.Uint64 // updates
	sharesSent, sharesGot                                atomic.Uint64
	walks                                                atomic.Uint64 // how often all was sent
	requests                                             atomic.Uint64 // how often all was asked for
}

// place is how far a peer has come with a table.
type place struct {
	Table
	id      uint64 // of the table, here
	columns []column
	trouble string // what of it cannot be learned, and was reported. Owned by the reader of the peer's session

	node int // the peer's place among the table's Nodes; below 0: its rates are not added up

	acked atomic.Uint64 // the last change that the peer has said it has
}

// reached notes that the peer has come so far.
func (t *place) reached(id uint64) {
	for have := t.acked.Load(); have < id && !t.acked.CompareAndSwap(have, id); {
		have = t.acked.Load()
	}
}

// Times. They are HAProxy's but for the wait after a failure, which grows.
const (
	dialTime   = 3 * time.Second // for a connection and the answer to the hello, each
	beatEvery  = 3 * time.Second
	silence    = 10 * time.Second // after which a peer is gone
	writeTime  = 10 * time.Second // for one write
	resyncTime = 5 * time.Second

	// The wait before a peer is dialled again is random, so that two do not dial
	// each other at the same moment again and again.
	firstWait, waitSpread = 50 * time.Millisecond, 2 * time.Second
	longestWait           = 15 * time.Second
)

// strangersPerPeer is how many connections may wait for their hello to be read.
const strangersPerPeer = 3

// Begin listens and connects. state is what the worker before has said at its End;
// nil: there was none, and everything is asked of a peer.
func (s *Section) Begin(state *State) {
	s.mu.Lock()
	if s.running || s.over {
		s.mu.Unlock()
		return
	}
	s.running = true
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.work.Add(1) // so that End waits for all of this
	s.mu.Unlock()
	defer s.work.Done()
	s.begun = time.Now()
	s.strangers = make(chan struct{}, strangersPerPeer*max(len(s.Peers), 1))
	s.mu.Lock()
	s.deadline = s.begun.Add(resyncTime)
	for _, p := range s.Peers {
		p.section, p.changed = s, make(chan struct{})
		for i, t := range s.Tables {
			p.tables = append(p.tables, &place{Table: t, id: uint64(i) + 1, columns: columns(t.Table), node: slices.Index(t.Table.Nodes, p.Name)})
		}
	}
	if len(s.Peers) == 0 {
		s.complete = true
	}
	s.mu.Unlock()
	s.take(state)
	for _, l := range s.Listeners {
		s.work.Go(func() { s.accept(l) })
	}
	for _, p := range s.Peers {
		s.work.Go(p.keep)
	}
	s.work.Go(s.learn)
}

// End closes the listeners and all connections. False if it has not begun, or has
// ended already.
func (s *Section) End() bool {
	s.mu.Lock()
	running := s.running
	s.running, s.over = false, true
	s.mu.Unlock()
	if running {
		s.cancel()
	}
	for _, l := range s.Listeners {
		l.Close()
	}
	if running {
		s.work.Wait()
	}
	return running
}

// accept takes connections until the listener is closed.
func (s *Section) accept(l net.Listener) {
	for {
		select {
		case s.strangers <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := l.Accept()
		if err != nil {
			<-s.strangers
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond): // out of descriptors, most likely
				continue
			}
		}
		s.work.Go(func() { s.welcome(conn) })
	}
}

func (s *Section) report(bad bool, text string) {
	if s.Report != nil {
		s.Report("peers section "+s.Name+": "+text, bad)
	}
}

// Connected is how many peers there are connections to, and active adds those that
// are being connected to.
func (s *Section) Connected() (connected, active int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.Peers {
		if p.session != nil {
			connected++
			active++
		} else if p.dialling {
			active++
		}
	}
	return connected, active
}
