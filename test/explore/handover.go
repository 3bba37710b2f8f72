package explore

// The protocol of a handover between three workers under a master, as small as it can be and still have everything in it: a tunnel that is open from
// the beginning, and a client that comes with one request at whatever time.
//
//	old     serves at first
//	fresh   is the new worker of a reload, on trial or not
//	newest  is the worker of the reload after it, of the same master or of the next one
//
// A step is what happens without anybody else seeing the middle of it: one message sent or received, one order obeyed.

// worker names the processes that serve.
type worker = int8

const (
	old worker = iota
	fresh
	newest
	workers

	nobody worker = -1
	inMail worker = -2 // of an end of a link: on its way in a message
)

// Connections of clients.
const (
	tunnel = iota // open from the beginning; can move at any time
	late          // comes meanwhile, with one request; can move before it and after it
	clients
)

// Links between workers. The sender is at end 0, the receiver at end 1.
const (
	former  = iota // from old to fresh
	back           // from fresh to old: what gives everything back if the trial fails
	further        // to newest
	links
)

// place is where a connection stands in a worker.
type place int8

const (
	away     place = iota
	accepted       // for the worker on trial; nothing is read
	packed         // on its way, nothing is read any more
	adopted        // taken, and not begun
	serving
)

// flight is a request's slot in the record that outlives the worker.
type flightState int8

const (
	noFlight flightState = iota
	inFlight
	handedOver
)

// kind is that of a message between workers, or of a master's order.
type kind int8

const (
	nothing kind = iota
	counts       // a: the sum
	move         // a: the connection, b: 1 if nothing was read from it
	taken        // a: 1 if it was
	promoted
	introduce // a: the link whose receiving end comes along, b: what was counted there, c: 1 if that is all of before
	successor // a: the link
	partner   // a: the link
	share
	unshare
	promote
	drain
	adopt
	masterGone
)

var kinds = [...]string{
	nothing:    "nothing",
	counts:     "counts",
	move:       "move",
	taken:      "taken",
	promoted:   "promoted",
	introduce:  "former",
	successor:  "successor",
	partner:    "partner",
	share:      "share",
	unshare:    "share of nothing",
	promote:    "promote",
	drain:      "drain",
	adopt:      "adopt",
	masterGone: "the master is gone",
}

type message struct {
	kind    kind
	a, b, c int8
}

// mail is what was sent and not received yet.
type mail struct {
	m [8]message
	n int8
}

func (q *mail) put(m message) { q.m[q.n] = m; q.n++ }

func (q *mail) take() message {
	m := q.m[0]
	copy(q.m[:], q.m[1:])
	q.n--
	q.m[q.n] = message{}
	return m
}

func (q *mail) has(k kind) bool {
	for i := range q.n {
		if q.m[i].kind == k {
			return true
		}
	}
	return false
}

// before is a worker before, as the one after it sees it (succession: predecessor).
type before struct {
	at           standing
	sum          int8
	sent, summed bool
	peer, heir   bool
}

type standing int8

const (
	unknown standing = iota
	living
	passed
	peers
	ended
)

// link is a connection between two workers.
type link struct {
	ends [2]worker
	q    [2]mail // to the receiver, to the sender
	busy int8    // the connection that is sent and not answered for; -1 none
	as   place   // of the connection when it was sent: accepted or packed
	over bool    // of a trial that has ended
	sum  int8    // what the sender has sent of its counts
	hold int8    // of the receiver: 1 it has adopted and not said so, 2 it has said so and not begun
	got  message // what it holds; c: 1 if it was taken
}

// process is a worker.
type process struct {
	alive, accepting, trial, onTrial bool
	leaving                          int8 // 1: Leave was called, 2: the engine drains
	next, shares, acceptedFor        int8 // links; -1 none
	stuck                            bool // the mover's receiver is gone
	told                             bool // the counts of the beginning of the leave are sent
	own, kept                        int8
	before                           [links]before
	at                               [clients]place
	fixed                            [clients]bool
	flight                           [clients]flightState
	orders                           mail
	introduced                       bool
}

// stage is how far the masters are.
type stage int8

const (
	idleMaster stage = iota
	trying
	judging
	promoting
	takingBack
	settled
	dead
	finding
	following
	finished
)

// wrong is what a step has found wrong.
type wrong int8

const (
	endsInFlight wrong = iota + 1
	readTwice
)

var wrongs = [...]string{
	endsInFlight: "a worker ends in order with a request in its record",
	readTwice:    "a worker goes on with a connection that another one has read from",
}

// state is everything. Each field is of bytes, so that there are none between them (fingerprint).
type state struct {
	p       [workers]process
	l       [links]link
	master  stage
	current worker
	kept    bool // the service manager keeps the links to workers: they do not notice that a master ends
	second  bool // there was another master
	canary  bool
	kills   int8
	unheard [workers]bool // killed, and its master has not heard of it
	died    [workers]bool // was killed
	gaveUp  bool          // on a receiver that was stuck
	unread  bool          // a record was lost with its master
	dumb    [clients]bool // its worker was killed after it had said that it took it, and before it had begun

	busy  [clients]bool // an exchange runs
	gone  [clients]bool // closed in order
	cut   [clients]bool // a killed worker was the last to have it
	come  [clients]bool
	lines [clients]int8
	read  [clients]worker // who was the last to read from it
	all   int8            // exchanges that have ended
	wrong wrong
}

// start is the beginning: old serves, with a tunnel if the world has one.
func (w world) start(canary, kept bool) state {
	s := state{current: old, canary: canary, kept: kept}
	for i := range s.p {
		s.p[i].next, s.p[i].shares, s.p[i].acceptedFor = -1, -1, -1
	}
	for i := range s.l {
		s.l[i].ends, s.l[i].busy = [2]worker{nobody, nobody}, -1
	}
	s.read = [clients]worker{nobody, nobody}
	o := &s.p[old]
	o.alive, o.accepting = true, true
	if w.quiet {
		return s
	}
	s.read[tunnel] = old
	o.at[tunnel], o.flight[tunnel] = serving, inFlight
	s.come[tunnel], s.busy[tunnel] = true, true
	return s
}

// fault is an error in the protocol that can be planted.
type fault int8

const (
	noFault fault = iota
	startsUnsaid
	readsOnAfterPacking
	closesUnderTheTrial
	keepsTheTrial
	countsPassedTwice
	flightsAtOnce
	servesWhatIsStuck
	refusesSilently
	forgetsTheLastCounts
	drainsBeforePromoting
	promotesUnsaid
)

// world has the rules.
type world struct {
	fault fault
	most  int8 // kills
	once  bool // one reload, unless another master comes
	quiet bool // there is no tunnel
}

// close is one end's.
func (s *state) close(l int8, end int) {
	k := &s.l[l]
	k.ends[end] = nobody
	for q := &k.q[1-end]; q.n > 0; {
		m := q.take()
		if s.drop(m); m.kind == move && k.ends[0] == nobody {
			s.cut[m.a] = true // its sender is dead, or has given the receiver up
		}
	}
}

// drop is the end of a message that nobody receives.
func (s *state) drop(m message) {
	switch m.kind {
	case introduce:
		s.close(m.a, 1)
	case successor:
		s.close(m.a, 0)
	case partner:
		s.close(m.a, 1)
	}
}

// listens reports whether the receiver is there, or has left an answer.
func (s *state) listens(l int8) bool { return s.l[l].ends[1] != nobody || s.l[l].q[1].n > 0 }

func (s *state) send(l int8, m message) bool {
	if s.l[l].ends[1] == nobody {
		return false
	}
	s.l[l].q[0].put(m)
	return true
}

// holders is how many live workers have a connection, or have it in their mail.
func (s *state) holders(c int8) (n int) {
	for w := range s.p {
		if s.p[w].alive && s.p[w].at[c] != away {
			n++
		}
	}
	for i := range s.l {
		for k := range s.l[i].q[0].n {
			if m := s.l[i].q[0].m[k]; m.kind == move && m.a == c {
				n++
			}
		}
	}
	return n
}

// snapshot is what a worker answers to `show stat`.
func (s *state) snapshot(w worker) int8 {
	p := &s.p[w]
	sum := p.own + p.kept
	for i := range p.before {
		if b := &p.before[i]; b.at == living || b.at == passed {
			sum += b.sum
		}
	}
	return sum
}

// counted is what a worker says that it has counted (addRow).
func (p *process) counted() int8 {
	sum := p.own + p.kept
	for i := range p.before {
		if b := &p.before[i]; b.at == living && !b.peer {
			sum += b.sum
		}
	}
	return sum
}

func (p *process) empty() bool {
	for c := range p.at {
		if p.at[c] != away {
			return false
		}
	}
	return true
}

// serve begins to read from a connection.
func (s *state) serve(w worker, c int8) {
	p := &s.p[w]
	p.at[c], s.read[c] = serving, w
	if s.busy[c] {
		p.flight[c] = inFlight
	}
}

// stay goes on with a connection that the receiver did not take.
func (s *state) stay(w worker, c int8) {
	p := &s.p[w]
	if p.at[c] == packed {
		p.fixed[c] = true
	}
	if s.read[c] != nobody && s.read[c] != w {
		s.wrong = readTwice
	}
	s.serve(w, c)
}
