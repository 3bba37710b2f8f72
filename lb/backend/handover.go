package backend

import "time"

// State is what a server is at run time: what the next process takes over.
type State struct {
	Weight   int   `json:"weight"`
	Admin    Admin `json:"admin"`
	Health   bool  `json:"health"`
	Stopping bool  `json:"stopping,omitempty"`
	Turn     []int `json:"turn,omitempty"` // of roundrobin, see Server.told

	MaxConn int   `json:"maxconn,omitempty"` // when it was changed at run time
	Started int64 `json:"started,omitempty"` // when it came up, if it still starts slowly; Unix ms

	// When it last went up or down, as Unix time in ms, and how long it had been
	// down until now, in ms. Change is 0 from builds that did not send them.
	Change int64 `json:"change,omitempty"`
	Down   int64 `json:"down,omitempty"`

	// As the configuration had them: a value an operator changed is kept only
	// while the configuration's own stays the same.
	InitialWeight  int   `json:"initial_weight"`
	InitialAdmin   Admin `json:"initial_admin"`
	InitialMaxConn int   `json:"initial_maxconn,omitempty"`
}

// State gives s's state for the next process.
func (s *Server) State() State {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	st := State{
		Weight: s.weight, Admin: s.admin, Health: s.health, Stopping: s.stop, Turn: s.told(),
		InitialWeight: s.Initial, InitialAdmin: s.InitialAdmin, InitialMaxConn: s.MaxConn, MaxConn: s.limit,
	}
	st.Change, st.Down = s.change.UnixMilli(), s.downtime(time.Now()).Milliseconds()
	if s.warm.percent < 100 && s.usable() {
		st.Started = s.warm.since.UnixMilli()
	}
	return st
}

// Restore takes an earlier process's state over, which is no event: nothing is
// counted, and the times of its ups and downs go on. Backend.Restored must
// follow once all its servers have theirs.
func (s *Server) Restore(st State) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if st.InitialWeight == s.Initial {
		s.weight = st.Weight
	}
	if st.InitialAdmin == s.InitialAdmin {
		s.admin = st.Admin&^Tracked | s.admin&Tracked // which is the tracked server's, if it still is tracked
	}
	s.admin = s.admin&^NoAddress | st.Admin&NoAddress // it has the address of the worker before, or none as there
	s.stop, s.restored = st.Stopping, st.Turn
	if st.MaxConn != 0 && st.InitialMaxConn == s.MaxConn {
		s.limit = st.MaxConn
	}
	if s.Checked {
		s.health = st.Health
	}
	if st.Change != 0 {
		s.change, s.down = time.UnixMilli(st.Change), time.Duration(st.Down)*time.Millisecond
	}
	s.downAt = time.Time{}
	if !s.usable() {
		s.downAt = time.Now() // down has what was before
	}
	s.warm.percent = 100 // what this process has not seen come up is up
	if st.Started != 0 && s.usable() && s.SlowStart > 0 {
		s.begin(time.UnixMilli(st.Started))
	}
}

// Restored lets the backend follow what became of its servers by Restore, and
// gives it its own times: nil keeps them.
func (b *Backend) Restored(t *Times) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spin()
	b.elect()
	b.lost = nil // what was restored is no event
	if t != nil {
		b.change, b.down = time.UnixMilli(t.Change), time.Duration(t.Down)*time.Millisecond
	}
	b.downAt = time.Time{}
	if len(b.active) == 0 {
		b.downAt = time.Now()
	}
	for _, s := range b.Servers {
		if !s.usable() {
			b.queue.merge(&s.queue)
		}
	}
	b.grantAll()
}

// Times are a backend's for the next process: when it last went up or down, as
// Unix time in ms, and how long it had been down until now, in ms.
type Times struct {
	Change int64 `json:"change"`
	Down   int64 `json:"down,omitempty"`
}

// Times gives the backend's times for the next process.
func (b *Backend) Times() Times {
	b.mu.Lock()
	defer b.mu.Unlock()
	down := b.down
	if !b.downAt.IsZero() {
		down += time.Since(b.downAt)
	}
	return Times{Change: b.change.UnixMilli(), Down: down.Milliseconds()}
}

// Admit takes a place on s for a connection that is there already, whatever
// s's state and maxconn: one that came from an earlier process.
func (b *Backend) Admit(s *Server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.take(s)
}

// Others is what other processes make of a server, as far as this one knows. The
// zero value is that of a process that is alone.
type Others struct {
	Taken   int // places that they hold
	Awaited int // places for which somebody waits there whose turn is before anybody's here
	Room    int // how many there are for all, where it serves now; 0: as here
}

// SetOthers gives s what other processes make of it: places that they hold count
// for maxconn, and for the choice of the least loaded server, as those of this one.
func (s *Server) SetOthers(o Others) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if o != s.others {
		s.others = o
		s.weighed()
		s.b.grant(s)
	}
}

// Places is what other processes have to know of s: how many places are taken
// here, how many requests wait here for one, and how many there are for all.
func (s *Server) Places() (taken, awaited, room int) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.usable() {
		awaited = s.queue.len
	}
	if s.active {
		awaited += s.b.queue.len
	}
	return s.cur, awaited, s.room()
}
