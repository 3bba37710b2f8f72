// Package backend decides which server gets a request, and holds what is known
// of the servers: weight, administrative and health state, load.
//
//  1. Pick (or Take, for a client bound by a cookie) reserves a place on a
//     server, by the balance algorithm, within the server's maxconn.
//  2. When every server is full the caller queues a Waiter, which is granted a
//     place when one is released.
//  3. Release gives the place back, to the first waiter if there is one.
//
// All loops share a Backend; one short critical section per call is its only
// synchronisation. It knows nothing of connections.
package backend

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Algo is a balance algorithm.
type Algo uint8

// The balance algorithms (HAProxy configuration manual, "balance").
const (
	RoundRobin Algo = iota
	LeastConn
	Source
	URI
	Random
	First
	Key // by a hash of what the configuration names

	keyless // what has nothing to hash goes round
)

// Options of a backend. Immutable after New.
type Options struct {
	Name       string
	Algo       Algo
	Draws      int  // random(N): how many servers compete; 0 is the default, 2
	Consistent bool // hash-type consistent
	Fixed      bool // static-rr: weights do not change
	// BalanceFactor bounds a server's load, in percent of its part of all
	// requests, where consistent hashing would give it more; 0 does not.
	BalanceFactor int
	AllBackups    bool // option allbackups: all backup servers share the load
	FullConn      int  // sessions at which servers with a minconn have their whole maxconn
}

// Backend is a set of servers.
type Backend struct {
	Options

	// Servers changes in Add and Remove alone, while no loop runs
	// (stream.Engine.Still): loops read it freely, others ask All.
	Servers []*Server

	mu sync.Mutex
	// mu guards the fields below and the guarded fields of the servers.
	active []*Server // those that take part in balancing now
	lost   *Server   // who left none of them, until TookLast or there is one again; nil: nobody
	total  int       // sum of their shares
	scale  int       // of a share to a weight: steps when some server starts slowly, else 1
	grows  bool      // some server has a minconn
	hashes hashTable // of static-rr, too
	wheels [2]wheel  // roundrobin: of servers, and of backup servers
	unit   int       // what the configured weights are multiples of
	moves  uint64    // numbers what leastconn's servers are given and give back
	queue  queue
	seq    uint64 // of the latest waiter
	cur    int
	max    int
	picked uint64
	change time.Time // last time the backend went up or down
	downAt time.Time // zero while up
	down   time.Duration
	downs  uint64
}

// New makes a backend of servers, which must belong to no other.
func New(o Options, servers []*Server) *Backend {
	b := &Backend{Options: o, change: time.Now()}
	for _, s := range servers {
		s.b, s.change, s.warm.percent, s.turn = b, b.change, 100, turn{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.setServers(servers)
	b.spin()
	return b
}

// Hashes reports whether a hash names the server.
func (a Algo) Hashes() bool { return a == Source || a == URI || a == Key }

// Static reports whether an operator can give a server no weight but none and its own.
func (o *Options) Static() bool { return o.static() }

// static reports whether the weights of servers are those of the configuration,
// whatever comes up slowly.
func (o *Options) static() bool { return o.Fixed || o.Algo.Hashes() && !o.Consistent }

// Outcome is what Pick or Take came to.
type Outcome uint8

// Outcomes.
const (
	Picked Outcome = iota
	Full           // there are usable servers, all at their maxconn: queue
	None           // no server is usable
)

// Pick reserves a place on a server. hash places the request for the hashing
// algorithms; avoid, when not nil, is a server that just refused (it is taken
// only if there is no other). Picked means the caller must Release; Full gives
// the server to queue for when the hash names one, or nil to queue for any.
func (b *Backend) Pick(hash uint32, avoid *Server) (*Server, Outcome) {
	return b.pick(hash, avoid, b.Algo)
}

// PickAny is Pick for a request that has nothing to hash: the servers take
// turns.
func (b *Backend) PickAny(avoid *Server) (*Server, Outcome) { return b.pick(0, avoid, keyless) }

func (b *Backend) pick(hash uint32, avoid *Server, algo Algo) (*Server, Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.active) == 0 {
		return nil, None
	}
	if b.queue.len > 0 && !algo.Hashes() {
		return nil, Full // whoever waits comes first
	}
	s := b.choose(algo, hash, avoid)
	if s == nil || s.full() {
		return s, Full
	}
	b.take(s)
	if s != avoid && !s.Unnamed { // else it is tried once more
		b.picked++
		s.picked++
	}
	return s, Picked
}

// Take reserves a place on s itself, for a client that is bound to it.
func (b *Backend) Take(s *Server) Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !s.usable():
		return None
	case s.full():
		return Full
	}
	b.take(s)
	return Picked
}

// TakeKept is Take for a client whose own connection to s is the reason: it counts as chosen by the algorithm, as with HAProxy.
func (b *Backend) TakeKept(s *Server) Outcome {
	got := b.Take(s)
	if got == Picked {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.picked++
		s.picked++
	}
	return got
}

// TakeDown reserves a place on a server that is down, within no limit, for a
// client that is to try it (option persist); false when it is up, and Take is
// to be asked.
func (b *Backend) TakeDown(s *Server) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.usable() {
		return false
	}
	b.take(s)
	return true
}

func (b *Backend) take(s *Server) {
	s.cur++
	b.move(s)
	s.max = max(s.max, s.cur)
}

// Release gives a place on s back. The longest waiter that s may serve gets
// it.
func (b *Backend) Release(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.cur--
	b.move(s)
	b.grant(s)
}

// move puts s behind its equals. mu is held.
func (b *Backend) move(s *Server) {
	b.moves++
	s.stirred = b.moves
	s.weighed()
}

// Enter and Leave count the sessions of the backend, as HAProxy's scur does.
func (b *Backend) Enter() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cur++
	b.max = max(b.max, b.cur)
	if b.grows {
		b.grown()
	}
}

// Leave ends what Enter began, and gives how many others there are.
func (b *Backend) Leave() int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cur--
	return int32(b.cur)
}

// Sessions is how many have entered and not left.
func (b *Backend) Sessions() int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int32(b.cur)
}

// choose applies the algorithm to the active servers that are not full; only a
// hash may choose a full one. mu is held.
func (b *Backend) choose(algo Algo, hash uint32, avoid *Server) *Server {
	switch algo {
	case keyless:
		return b.hashes.next(avoid)
	case Source, URI, Key:
		if b.BalanceFactor > 0 && b.Consistent {
			return b.bounded(hash, avoid)
		}
		return b.hashes.lookup(hash, avoid)
	case LeastConn:
		return b.leastConn(avoid)
	case Random:
		return b.random(avoid)
	case First:
		for _, s := range b.active {
			if !s.full() && (s != avoid || len(b.active) == 1) {
				return s
			}
		}
		return nil
	}
	return b.roundRobin(avoid)
}

// roundRobin has the servers take turns. mu is held.
func (b *Backend) roundRobin(avoid *Server) *Server {
	switch s := b.active[0]; {
	case b.Fixed:
		return b.hashes.next(avoid)
	case len(b.active) > 1:
		return b.wheel(s).choose(avoid)
	case s.full():
		return nil
	case s.Backup && !b.AllBackups:
		return s
	default:
		return b.wheel(s).choose(avoid)
	}
}

// leastConn chooses, as HAProxy does, the server with the fewest connections by its weight, one more included unless it is idle; of equals the one
// that has been given or has given back none for the longest time.
func (b *Backend) leastConn(avoid *Server) *Server {
	var best *Server
	for _, s := range b.active {
		if s.full() || s == avoid && len(b.active) > 1 {
			continue
		}
		if best == nil {
			best = s
			continue
		}
		if s.pressure < best.pressure || s.pressure == best.pressure && s.stirred < best.stirred {
			best = s
		}
	}
	return best
}

// random draws servers by weight and takes the least loaded of them.
func (b *Backend) random(avoid *Server) *Server {
	var best *Server
	draws := b.Draws
	if draws == 0 {
		draws = 2
	}
	for range draws {
		n := rand.IntN(b.total)
		for _, s := range b.active {
			if n -= s.share; n < 0 {
				if !s.full() && s != avoid && (best == nil || s.load()*best.share < best.load()*s.share) {
					best = s
				}
				break
			}
		}
	}
	if best == nil {
		best = b.leastConn(avoid)
	}
	return best
}

// rebuild recomputes which servers take part in balancing, and keeps the times
// of the backend's ups and downs. mu is held.
func (b *Backend) rebuild() {
	was := len(b.active) > 0
	b.elect()
	b.clock(was)
}

// elect recomputes which servers take part in balancing. mu is held.
func (b *Backend) elect() {
	for _, s := range b.active {
		s.active = false
	}
	b.active = b.active[:0]
	for _, s := range b.Servers {
		if !s.Backup && s.balanced() {
			b.active = append(b.active, s)
		}
	}
	if len(b.active) == 0 {
		for _, s := range b.Servers {
			if s.Backup && s.balanced() {
				b.active = append(b.active, s)
				if !b.AllBackups {
					break
				}
			}
		}
	}
	if b.Algo == First {
		slices.SortStableFunc(b.active, func(x, y *Server) int { return cmp.Compare(x.ID, y.ID) })
	}
	b.total = 0
	for _, s := range b.Servers {
		if heft := s.heft(); heft != s.turn.weight {
			b.wheel(s).weigh(s, heft)
		}
		part := 0
		if s.balanced() {
			part = s.part()
		}
		if part != s.share && part > 0 {
			b.move(s)
		}
		s.share = part
	}
	for _, s := range b.active {
		s.active = true
		b.total += s.share
	}
	if len(b.active) > 0 {
		b.lost = nil
	}
	if b.Algo.Hashes() || b.Fixed {
		b.hashes.build(b.active, b.unit, b.Consistent && !b.Fixed)
	}
}

// clock keeps the times of the backend's ups and downs.
func (b *Backend) clock(was bool) {
	switch is := len(b.active) > 0; {
	case was == is:
	case is:
		b.change = time.Now()
		if !b.downAt.IsZero() {
			b.down += b.change.Sub(b.downAt)
			b.downAt = time.Time{}
		}
	default:
		b.change = time.Now()
		b.downAt = b.change
		b.downs++
	}
}

// Stats is a snapshot of what the backend counts itself.
type Stats struct {
	Up               bool
	Cur, Max         int
	Queued, QueueMax int
	Picked           uint64
	Weight           int // sum over the active servers, less of it for those that start slowly
	UserWeight       int // the same without slow starts
	Active, Backup   int // usable servers of either kind
	Change           time.Time
	Down             time.Duration
	Downs            uint64
}

// Stats gives a consistent snapshot.
func (b *Backend) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Stats{
		Up: len(b.active) > 0, Cur: b.cur, Max: b.max, Queued: b.queue.len, QueueMax: b.queue.max,
		Picked: b.picked, Change: b.change, Down: b.down, Downs: b.downs,
	}
	if !b.downAt.IsZero() {
		st.Down += time.Since(b.downAt)
	}
	for _, s := range b.active {
		st.Weight += s.weight * s.step()
		st.UserWeight += s.weight
	}
	st.Weight = (st.Weight + steps - 1) / steps
	for _, s := range b.Servers {
		switch {
		case !s.balanced():
		case s.Backup:
			st.Backup++
		default:
			st.Active++
		}
	}
	return st
}

// Clear forgets the maxima, and with all the counts too, of the backend and
// its servers.
func (b *Backend) Clear(all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.max, b.queue.max = b.cur, b.queue.len
	if all {
		b.picked, b.downs = 0, 0
	}
	for _, s := range b.Servers {
		s.max, s.queue.max = s.cur, s.queue.len
		if all {
			s.picked, s.downs, s.fails = 0, 0, 0
		}
	}
}

// Unlimited is a maxconn that is never reached.
const Unlimited = math.MaxInt32
