package main

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"lbsyslogd/test/backend"
	"lbsyslogd/test/load"
)

// asked is what the client's book says of one request.
type asked struct {
	known   bool
	unread  bool // an answer before it in its pipeline broke off, or announced the connection's end
	outcome load.Outcome
	// unprocessed: lb said, as HTTP/2 can, that it had not looked at it.
	unprocessed bool
	status      int16
	server      string        // who has answered, if the client looked
	bytes       int64         // of a tunnel: what came
	dialled     time.Duration // its connection was begun; all times since the site's epoch
	begun       time.Duration
	ended       time.Duration
	err         string // "" if all went well
}

// served is what the servers' book says of one request.
type served struct {
	seen     uint8 // heads that servers have read
	answered uint8 // whole answers that they have written
	unsure   uint8 // answers whose writing ended with an error: whether they arrived whole the client knows
	garbage  uint8 // times that a server answered with what is no HTTP
	cut      uint8 // times that a server ended the connection in place of an answer
	servers  uint8 // which have seen it, a bit each
	rules    int8  // how often the configuration's rule has marked it, at most: one time is right
	foreign  bool  // it had a header of another run
}

// logged is what the log says of one request.
type logged struct {
	lines   uint8
	status  int16
	state   [4]byte
	second  [4]byte // the state of another line, if there are two
	retries uint8
	server  string
	backend string
	bytes   int64 // that lb says it has sent to the client
}

// run is one numbered sequence of requests and the three books about it. A number is an index in each.
type run struct {
	name   string
	kind   string
	round  int
	tunnel bool // each request is a tunnel
	plain  bool // of TCP: no server has a book about it

	// mu guards the fields below.
	mu     sync.Mutex
	asked  []asked
	served []served
	logged []logged
	sunk   []uint8 // how often the sink has got the line
}

// grow returns list with room for index n.
func grow[T any](list []T, n int) []T {
	for len(list) <= n {
		var none T
		list = append(list, none)
	}
	return list
}

// note is the load client's Each.
func (r *run) note(epoch time.Time, q load.Request) {
	a := asked{known: true, outcome: q.Outcome, status: int16(q.Status), begun: q.Begun.Sub(epoch), ended: q.Ended.Sub(epoch), dialled: q.Dialled.Sub(epoch)}
	a.unread = q.Behind
	if q.Err != nil {
		a.err = q.Err.Error()
	}
	r.put(q.Number, a)
}

func (r *run) put(n int, a asked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = grow(r.asked, n)
	r.asked[n] = a
}

// requests is how many numbers the client has used.
func (r *run) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// books finds runs by what a path says. The set of runs changes only between rounds.
type books struct {
	// mu guards the fields below.
	mu    sync.RWMutex
	round int
	runs  map[string]*run
	last  map[string]*run // the runs of the round before
	// strays are requests that servers have seen and that name no run of this round.
	strays []string
}

func (b *books) begin(round int, runs []*run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.round = round
	b.last = b.runs
	b.runs = make(map[string]*run, len(runs))
	for _, r := range runs {
		b.runs[r.name] = r
	}
	b.strays = nil
}

// find returns the run and number that a path /r/RUN/N names, or nil.
func (b *books) find(path string) (*run, int) {
	name, n, ok := split(path)
	if !ok {
		return nil, 0
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.runs[name], n
}

// split takes a path /r/RUN/N apart.
func split(path string) (run string, n int, ok bool) {
	_, rest, marked := strings.Cut(path, "/r/")
	name, number, found := strings.Cut(rest, "/")
	i, err := strconv.ParseUint(number, 10, 31)
	return name, int(i), marked && found && err == nil
}

// late reports whether a request that a server reads now is of the round before, and its client had seen its connection break: what a killed worker had
// sent may lie in a server's socket for a while.
func (b *books) late(path string) bool {
	name, n, ok := split(path)
	if !ok {
		return false
	}
	b.mu.RLock()
	r := b.last[name]
	b.mu.RUnlock()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return n < len(r.asked) && r.asked[n].broken()
}

// broken reports whether the connection ended before an answer had come.
func (a asked) broken() bool {
	return a.known && (a.outcome == load.Reset || a.outcome == load.EarlyClose || a.outcome == load.Refused)
}

// meet notes that a server has read a request's head.
func (b *books) meet(server int, path string, marks int, from string, deed backend.Deed) {
	r, n := b.find(path)
	if r == nil {
		if strings.Contains(path, "/r/") && !b.late(path) {
			b.mu.Lock()
			b.strays = append(b.strays, path)
			b.mu.Unlock()
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served = grow(r.served, n)
	s := &r.served[n]
	s.seen++
	s.servers |= 1 << server
	s.rules = max(s.rules, int8(min(marks, 100)))
	s.foreign = s.foreign || from != "" && from != r.name
	switch deed {
	case backend.Garbage:
		s.garbage++
	case backend.Cut:
		s.cut++
	}
}

// met notes that a server has written a request's answer, or does not know whether it has.
func (b *books) met(path string, sure bool) {
	if r, n := b.find(path); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.served = grow(r.served, n)
		if sure {
			r.served[n].answered++
		} else {
			r.served[n].unsure++
		}
	}
}
