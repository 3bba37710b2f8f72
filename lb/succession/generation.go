// Package succession is what the generations of workers give each other: the
// state of the servers, what was counted, stick tables, TLS ticket keys, and
// connections. The master takes no part in it: a socket pair ties each worker
// to the one before it and to the one after.
//
//	new worker, before it accepts          old worker, serving
//	ask, before it builds anything      ->                                       predecessor.go
//	                                    <- tables: stick tables                  tables.go
//	                                    <- changes: what operators changed       changes.go
//	                                    <- state: servers, their load, ticket
//	                                       keys                                  successor.go
//	                                    <- busy: load of the servers, whenever
//	                                       it changes                            load.go
//	new worker, serving                    old worker, told to drain
//	                                    <- changes, state: what is another
//	                                       since they were sent
//	                                    <- counts: all that was counted          counts.go
//	                                    <- tables, peers: it speaks to peers
//	                                       no more                               peers.go
//	                                    <- move: connections                     successor.go
//	taken                               ->
//	others: load of the servers but for
//	the receiver's, whenever it changes ->                                       others.go
//	clear, when an operator says so     ->
//	                                    <- cleared, and counts
//	                                    <- counts, when nothing is left
//
// A worker that leaves may itself still be receiving from one before it, which
// has a long request to finish. It passes that connection on with former, so
// the oldest worker's connections move to the newest, and nobody has to stay
// for the sake of another.
//
// The two may be of different builds: after an upgrade, or on the way back from
// one. Each says which Version of these messages it speaks. Fields are only ever
// added, and what is not known is ignored; where that would be wrong, as with a
// connection of a kind that the other side does not know, the receiver's version
// decides: what it would not understand is not sent, and what it does not
// understand is not taken. The connection is served to the end of its exchange
// then, and closed politely.
package succession

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/handoff"
	"lbsyslogd/lb/peers"
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stats"
	"lbsyslogd/lb/stick"
	"lbsyslogd/lb/stream"
)

// Version is that of the messages. It grows when a receiver would do wrong that
// ignores something new (stream.Parcel.Needs). A build that says none is of 1.
const Version = 5

// Kinds of messages.
const (
	kindAsk     = "ask"
	kindState   = "state"
	kindCounts  = "counts"
	kindMove    = "move"
	kindTaken   = "taken"
	kindFormer  = "former"
	kindBusy    = "busy"
	kindOthers  = "others"
	kindTables  = "tables"
	kindPeers   = "peers"
	kindChanges = "changes"
	kindClear   = "clear"
	kindCleared = "cleared"

	kindPromoted = "promoted"
)

// message is what one worker sends another at a time.
type message struct {
	Kind    string           `json:"kind"`
	Version int              `json:"version,omitempty"` // with ask and state: what the sender speaks
	Needs   int              `json:"needs,omitempty"`   // with move: what the receiver has to speak
	Policy  string           `json:"policy,omitempty"`  // with ask: the new configuration's `handover`
	More    bool             `json:"more,omitempty"`    // the next message goes on
	Servers []serverState    `json:"servers,omitempty"`
	Since   []backendTimes   `json:"since,omitempty"` // with the last of the servers
	Tickets []ticketKeys     `json:"tickets,omitempty"`
	Rows    []rowCounts      `json:"rows,omitempty"`
	Total   *totals          `json:"total,omitempty"`
	Busy    []load           `json:"busy,omitempty"`
	Parcels []*stream.Parcel `json:"parcels,omitempty"`
	FDs     []int            `json:"fds,omitempty"` // how many descriptors each parcel has
	Taken   []bool           `json:"taken,omitempty"`
	All     bool             `json:"all,omitempty"`   // with clear: not the maxima alone; with others: nothing that was said before holds
	Met     int              `json:"met,omitempty"`   // with others: how many workers that the receiver has introduced are counted in it
	Back    bool             `json:"back,omitempty"`  // with ask: nothing but counts, load and connections (Partner, Meet)
	Peers   bool             `json:"peers,omitempty"` // with the last of the state: peers are to follow
}

// Secrets implements handoff.Secretive.
func (m message) Secrets() (all []*[]byte) {
	for _, p := range m.Parcels {
		all = append(all, p.Secrets()...)
	}
	return all
}

// serverState is one server's state at run time. A server with another
// address is another server.
type serverState struct {
	Backend string `json:"backend"`
	Server  string `json:"server"`
	Address string `json:"address"`
	Name    string `json:"name,omitempty"`    // that it was resolved from
	Load    int    `json:"load,omitempty"`    // as in load.go; known before the new worker accepts
	Awaited int    `json:"awaited,omitempty"` // as in load.go
	servercheck.State
}

// backendTimes are when a backend went up or down.
type backendTimes struct {
	Backend string `json:"backend"`
	backend.Times
}

// messageParts is how many servers or rows one message holds: it must stay
// well below handoff.MaxMessage.
const messageParts = 50

// sendWait bounds a send to another worker, which reads all the time.
const sendWait = 10 * time.Second

// Options are what a generation gives and takes. Immutable after New.
type Options struct {
	Engine  *stream.Engine
	Servers *servercheck.Set
	Tables  []*stick.Table // in the order of the configuration
	Peers   peers.Set      // that have them too
	Tickets *Tickets

	// Changes is what operators changed at run time and no other message has, in
	// a form of its own, and Apply takes it over; nil text is nothing.
	Changes func() []byte
	// LateChanges is what has changed since Changes was called last, nil for nothing; Apply takes it over, too.
	LateChanges func() []byte
	Apply       func(text []byte)

	// Asked is what the worker before is saying of its state; nil without one.
	Asked *Answer

	// Policy is what the configuration says of connections: "move", which is
	// the default, or another word of `handover`.
	Policy string

	// Count gives the rows of what this worker has counted itself, each valid
	// until the next, and Clear forgets it. Rows is how many there are.
	Count func(each func(*stats.Row)) stats.Info
	Rows  int
	Clear func(all bool)

	// Warn tells an operator what went wrong.
	Warn func(text string)

	// Running ends when the process stops, Serving when it begins to drain.
	Running, Serving context.Context
}

// Generation is one worker's place in the row: after the workers before it
// that have connections left, before the one that will take over.
type Generation struct {
	Options
	taken  atomic.Int64 // connections of the workers before
	before predecessors // the workers before, and what they have counted
	next   *successor   // the worker that will take over, once there is one

	disowned *successor // the other worker of a trial that is over; nil as a rule
	onTrial  bool       // next is. Owned by whoever calls Share, Disown and Leave

	changing sync.Mutex // held while changes are gathered and sent
	sending  sync.Mutex // held while counts are made and sent: a later sum must not arrive first. Lock order: before counting.
	lastSent bool       // sending guards it: nothing is counted any more

	counting sync.Mutex // guards the fields below, and the making of snapshots
	final    *counts    // all that was counted when the next worker was sent the counts first; nil before
	sent     map[rowKey]rowCounts

	tablesMu sync.Mutex // guards tablesTo, and the order of what is sent of tables
	tablesTo *successor // gets the tables

	early      map[*backend.Server]places // load that came with the state. Owned by whoever starts this one.
	inherits   bool                       // there was a worker before. Owned by whoever starts this one.
	awaitPeers bool                       // it speaks to peers. Owned by whoever starts this one.
	complete   chan struct{}              // closed when before has what there is
	isComplete sync.Once
	parting    sync.Once
	work       sync.WaitGroup
}

// New makes the place of a worker that has not begun yet.
func New(o Options) *Generation {
	return &Generation{Options: o, complete: make(chan struct{})}
}

// Snapshot is all that this worker and those before it have counted. Once the
// next worker has the counts it stays at those: whoever asks that one
// afterwards must not see less.
func (g *Generation) Snapshot() *stats.Snapshot {
	g.counting.Lock()
	defer g.counting.Unlock()
	s := &stats.Snapshot{Rows: make([]stats.Row, 0, g.Rows)}
	s.Info = g.Count(func(r *stats.Row) { s.Rows = append(s.Rows, *r) })
	if g.final != nil {
		for i := range s.Rows {
			forget(&s.Rows[i])
		}
		forgetTotals(&s.Info)
		g.final.addTo(s)
		return s
	}
	g.before.add(s)
	return s
}

// ClearCounters forgets the maxima, or all counters, here and in the workers
// before.
func (g *Generation) ClearCounters(all bool) {
	g.clear(all, nil)
}

// clear is ClearCounters, which asker has asked for; nil is somebody here.
func (g *Generation) clear(all bool, asker *successor) {
	for _, p := range g.before.clear(all, asker != nil) {
		// An error means that it has left: what it counted is cleared.
		_ = p.link.Send(message{Kind: kindClear, All: all}, nil, sendWait)
	}
	g.Clear(all)
}

// Lost counts a request of a frontend that a killed worker had in flight.
func (g *Generation) Lost(frontend string) { g.before.lost(frontend) }

// Moved is how many client connections the next worker has taken.
func (g *Generation) Moved() int64 {
	if g.next == nil {
		return 0
	}
	return g.next.moved.Load()
}

// Close ends the connections to the other workers.
func (g *Generation) Close() {
	for _, s := range []*successor{g.next, g.disowned} {
		if s != nil {
			s.link.Close()
		}
	}
	g.before.close()
}

// Complete is closed when every worker before has sent its counts, or is gone:
// from then on the sums do not go back.
func (g *Generation) Complete() <-chan struct{} { return g.complete }

// countsWait bounds how long the stats sockets wait for what the worker
// before has counted.
const countsWait = 2 * time.Second

// AwaitCounts waits until `show stat` would not go backwards. False when the
// next worker is to answer already.
func (g *Generation) AwaitCounts() bool {
	if !g.inherits {
		return true
	}
	wait := time.NewTimer(countsWait)
	defer wait.Stop()
	select {
	case <-g.complete:
	case <-wait.C:
	case <-g.Serving.Done():
	}
	return g.Serving.Err() == nil
}

// policyMove is the default of `handover`.
const policyMove = "move"

func policyOr(configured string) string {
	if configured != "" {
		return configured
	}
	return policyMove
}

// Meet takes over what a worker has that leaves and was not known here until now: its
// counts and its connections. Its state is older than what is known here.
func (g *Generation) Meet(link *handoff.Conn) {
	p := g.before.join(link, false)
	if err := link.Send(message{Kind: kindAsk, Version: Version, Policy: policyOr(g.Policy), Back: true}, nil, sendWait); err != nil && !isGone(err) {
		g.Warn("meet an earlier worker: " + err.Error())
	}
	g.work.Go(func() { g.takeOver(p) })
}

// Follow takes connections over from the worker before, until it has left.
func (g *Generation) Follow(link *handoff.Conn) {
	p := g.before.join(link, false) // here, so that a drain does not miss it
	for srv, n := range g.early {
		g.before.hold(p, srv, n)
	}
	g.early = nil
	if !g.awaitPeers {
		g.beginPeers(nil)
	}
	g.work.Go(func() { g.takeOver(p) })
}
