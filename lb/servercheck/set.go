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
	"strconv"
	"strings"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/event"
	"lbsyslogd/lb/health"
)

// Set is all servers of a process, in the order of the configuration. It is
// built before anything runs, and Immutable then.
type Set struct {
	// Serving ends when the process begins to drain: from then on the next
	// worker checks, and announces what it finds.
	Serving context.Context

	// Node is this machine's name, which servers hear with http-check send-state.
	Node string

	// Cut ends the sessions on a server, with the letter of the termination
	// state that says why.
	Cut func(srv *backend.Server, why byte)

	// Announce writes an event to the process's own messages.
	Announce func(level slog.Level, kind event.Kind, text string, about ...slog.Attr)

	list     []*Server
	backends map[string]*members
}

// members are the servers of one backend.
type members struct {
	backend *backend.Backend
	list    []*Server
	byName  map[string]*Server
}

// Add adds a backend's servers, which may be none.
func (set *Set) Add(b *backend.Backend, servers []*Server) {
	if set.backends == nil {
		set.backends = map[string]*members{}
	}
	m := &members{backend: b, list: servers, byName: make(map[string]*Server, len(servers))}
	for _, s := range servers {
		s.set = set
		m.byName[s.srv.Name] = s
	}
	set.backends[b.Name] = m
	set.list = append(set.list, servers...)
}

// All are the servers in the order in which they were added: by
// backend.Server.Index.
func (set *Set) All() []*Server { return set.list }

// Backend looks a backend up; nil for none.
func (set *Set) Backend(name string) *backend.Backend {
	if m := set.backends[name]; m != nil {
		return m.backend
	}
	return nil
}

// Find looks a server up, by its name or as "#ID". The error is
// control.ErrNoBackend or control.ErrNoServer.
func (set *Set) Find(backend, server string) (*Server, error) {
	m := set.backends[backend]
	if m == nil {
		return nil, control.ErrNoBackend
	}
	if s := m.byName[server]; s != nil {
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
	for _, s := range set.list {
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
	var all []*health.Checker
	for _, s := range set.list {
		if s.checks != nil {
			all = append(all, s.checks)
		}
		if s.agent != nil {
			all = append(all, s.agent)
		}
	}
	health.Spread(all)
	new(health.Scheduler).Run(ctx, all...)
}

// FollowTracked gives servers that track another its state, once before Run.
func (set *Set) FollowTracked() {
	for _, s := range set.list {
		if s.tracks != nil {
			s.follow()
		}
	}
}
