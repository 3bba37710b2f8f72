// Package servercheck keeps what is known of each server's health: what its
// checks, its agent, its traffic and its operator say of it.
//
//  1. Set.Add takes a server with what is to be checked          set.go, server.go
//  2. Set.Run asks it at intervals (package health)           server.go
//  3. a report, or an operator's command, changes the server's
//     state in package backend                                   server.go, operator.go
//  4. a change is logged, and servers that track it follow       announce.go
//  5. the state is shown, and given to the next worker           state.go
package servercheck

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
)

// Set is all servers of a process, in the order of the configuration; those
// that operators add come last.
type Set struct {
	// Serving ends when the process begins to drain: from then on the next
	// worker checks, and announces what it finds.
	Serving context.Context

	// MaxSpread bounds the time between the first checks of the first server and of the last one (max-spread-checks); 0: their intervals do alone.
	MaxSpread time.Duration

	// Node is this machine's name, which servers hear with http-check send-state.
	Node string

	// Cut ends the sessions on a server, with the letter of the termination
	// state that says why.
	Cut func(srv *backend.Server, why byte)

	// Maintain says that a server goes into maintenance, or comes out of it. Nil: nobody wants to know.
	Maintain func(srv *backend.Server, on bool)

	// Announce writes an event to the process's own messages.
	Announce func(level slog.Level, kind event.Kind, text string, about ...slog.Attr)

	scheduler health.Scheduler
	quiet     atomic.Bool // nothing is told

	mu sync.RWMutex
	// mu guards the fields below. A list is replaced, never changed.
	list     []*Server
	byIndex  []*Server // by backend.Server.Index; those that were removed are still there
	backends map[string]*members
	order    []*members
	running  context.Context // of Run; nil before
}

// members are the servers of one backend.
type members struct {
	backend *backend.Backend // Immutable.

	// Set.mu guards the fields below.
	list   []*Server
	byName map[string]*Server // nil for a few servers
}

// fewServers are found by looking at each.
const fewServers = 8

// named finds a server; nil if there is none. Set.mu is held.
func (m *members) named(name string) *Server {
	if m.byName != nil {
		return m.byName[name]
	}
	for _, s := range m.list {
		if s.srv.Name == name {
			return s
		}
	}
	return nil
}

// index makes byName, where it is worth it. Set.mu is held.
func (m *members) index() {
	m.byName = nil
	if len(m.list) <= fewServers {
		return
	}
	m.byName = make(map[string]*Server, len(m.list))
	for _, s := range m.list {
		m.byName[s.srv.Name] = s
	}
}

// Add adds a backend's servers, which may be none.
func (set *Set) Add(b *backend.Backend, servers []*Server) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.backends == nil {
		set.backends = map[string]*members{}
	}
	m := &members{backend: b, list: servers}
	for _, s := range servers {
		s.set = set
	}
	m.index()
	set.backends[b.Name] = m
	set.order = append(set.order, m)
	set.list = append(set.list, servers...)
	set.byIndex = append(set.byIndex, servers...)
}

// Maintained says which servers are in maintenance as the process begins: by their lines, or as in the process before.
func (set *Set) Maintained() {
	set.mu.RLock()
	defer set.mu.RUnlock()
	for _, s := range set.list {
		if set.Maintain != nil && s.inMaintenance() {
			set.Maintain(s.srv, true)
		}
	}
}

// Join adds a server that an operator added, to a backend that is there.
func (set *Set) Join(s *Server) {
	set.mu.Lock()
	m := set.backends[s.who.Backend]
	s.set = set
	m.list = append(slices.Clip(slices.Clone(m.list)), s)
	if m.byName != nil {
		m.byName[s.srv.Name] = s
	} else {
		m.index()
	}
	set.list = append(slices.Clip(slices.Clone(set.list)), s)
	for len(set.byIndex) <= s.srv.Index {
		set.byIndex = append(set.byIndex, nil)
	}
	set.byIndex[s.srv.Index] = s
	ctx := set.running
	set.mu.Unlock()
	if ctx == nil {
		return // Run will find it
	}
	for _, c := range []*health.Checker{s.checks, s.agent} {
		if c != nil {
			set.scheduler.Add(ctx, c)
		}
	}
}

// Part takes a server out that an operator removed: it is not checked any more.
func (set *Set) Part(s *Server) {
	set.mu.Lock()
	m := set.backends[s.who.Backend]
	gone := func(o *Server) bool { return o == s }
	m.list = slices.DeleteFunc(slices.Clone(m.list), gone)
	delete(m.byName, s.srv.Name)
	set.list = slices.DeleteFunc(slices.Clone(set.list), gone)
	set.mu.Unlock()
	for _, c := range []*health.Checker{s.checks, s.agent} {
		if c != nil {
			set.scheduler.Remove(c)
		}
	}
	if t := s.tracks; t != nil {
		t.acting.Lock()
		t.followers = slices.DeleteFunc(slices.Clone(t.followers), gone)
		t.acting.Unlock()
	}
}

// Follow makes s, which is about to join, follow another server.
func (set *Set) Follow(s, other *Server) {
	s.tracks = other
	other.acting.Lock()
	other.followers = append(slices.Clip(slices.Clone(other.followers)), s)
	other.acting.Unlock()
}

// Followed reports whether other servers follow s.
func (s *Server) Followed() bool {
	s.acting.Lock()
	defer s.acting.Unlock()
	return len(s.followers) > 0
}

// CatchUp takes over the state of the server that s follows, once it has joined.
func (s *Server) CatchUp() {
	if s.tracks != nil {
		s.follow()
	}
}

// All are the servers in the order in which they were added.
func (set *Set) All() []*Server {
	set.mu.RLock()
	defer set.mu.RUnlock()
	return set.list
}

// At is the server with a backend.Server.Index.
func (set *Set) At(i int) *Server {
	set.mu.RLock()
	defer set.mu.RUnlock()
	return set.byIndex[i]
}

// Backend looks a backend up; nil for none.
func (set *Set) Backend(name string) *backend.Backend {
	set.mu.RLock()
	defer set.mu.RUnlock()
	if m := set.backends[name]; m != nil {
		return m.backend
	}
	return nil
}

// Find looks a server up, by its name or as "#ID". The error is
// control.ErrNoBackend or control.ErrNoServer.
func (set *Set) Find(backend, server string) (*Server, error) {
	set.mu.RLock()
	defer set.mu.RUnlock()
	m := set.backends[backend]
	if m == nil {
		return nil, control.ErrNoBackend
	}
	if s := m.named(server); s != nil && !s.srv.Unnamed {
		return s, nil
	}
	if id, ok := parseID(server); ok {
		for _, s := range m.list {
			if s.srv.ID == id {
				return s, nil
			}
		}
	}
	return nil, control.ErrNoServer
}

func parseID(name string) (int, bool) {
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	id, err := strconv.Atoi(name[1:])
	return id, err == nil
}

// Same finds a server that is at the address given: one with another address
// is another server, but for one whose name is resolved and still the same.
func (set *Set) Same(backend, server, address, name string) *Server {
	s, err := set.Find(backend, server)
	if err != nil || s.srv.Addr().String() != address && !s.inherit(address, name) {
		return nil
	}
	return s
}

// Track ties the servers that follow another to it, when all are there. refuse
// gets what cannot be.
func (set *Set) Track(refuse func(s *Server, err error)) {
	for _, s := range set.All() {
		if s.opt.Track == "" {
			continue
		}
		backend, name, _ := strings.Cut(s.opt.Track, "/")
		t, err := set.Find(backend, name)
		if err != nil {
			refuse(s, fmt.Errorf("track %s: %w", s.opt.Track, err))
			continue
		}
		s.tracks = t
		t.followers = append(t.followers, s)
	}
}

// Run checks all servers until ctx ends.
func (set *Set) Run(ctx context.Context) {
	set.mu.Lock()
	set.running = ctx
	var all []*health.Checker
	for _, s := range set.list {
		if s.checks != nil {
			all = append(all, s.checks)
		}
		if s.agent != nil {
			all = append(all, s.agent)
		}
	}
	health.Spread(all, set.MaxSpread)
	set.scheduler.Begin(ctx, all...)
	set.mu.Unlock()
	set.scheduler.Turn(ctx)
}

// FollowTracked gives servers that track another its state, once before Run.
func (set *Set) FollowTracked() {
	set.quiet.Store(true) // that it begins so is no news
	defer set.quiet.Store(false)
	for _, s := range set.All() {
		if s.tracks != nil {
			s.follow()
		}
	}
}
