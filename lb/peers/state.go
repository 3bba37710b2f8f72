package peers

import (
	"encoding/json"

	"lbsyslogd/lb/stick"
)

// State is what the next worker needs to know of a section to go on.
type State struct {
	Section  string
	Complete bool
	Origin   uint64 `json:",omitempty"` // of this node's shares
	Tables   []TableState
	Peers    []PeerState
}

// TableState has what some peer does not know yet (stick.Table.AppendUpdates).
type TableState struct {
	Name    string
	Updates []byte
}

// PeerState is how far a peer has come, by table.
type PeerState struct {
	Name   string
	Old    bool              `json:",omitempty"`
	Acked  map[string]uint64 // the number of the last change
	Origin uint64            `json:",omitempty"` // of its shares that are known
}

// State is how it stands after End. Tables may go on changing: what the next worker
// was sent of them before is part of it, and what it is sent later it will see by
// itself.
func (s *Section) State() *State {
	st := &State{Section: s.Name, Complete: s.complete, Origin: s.origin}
	for _, p := range s.Peers {
		one := PeerState{Name: p.Name, Old: p.old, Acked: map[string]uint64{}, Origin: p.origin.Load()}
		for _, t := range p.tables {
			one.Acked[t.Name] = t.acked.Load()
		}
		st.Peers = append(st.Peers, one)
	}
	for _, t := range s.Tables {
		least := ^uint64(0)
		for _, p := range st.Peers {
			least = min(least, p.Acked[t.Name])
		}
		st.Tables = append(st.Tables, TableState{t.Name, t.Table.AppendUpdates(nil, least)})
	}
	return st
}

// take goes on where the worker before has stopped.
func (s *Section) take(st *State) {
	if st == nil {
		st = &State{}
	}
	for _, t := range s.Tables {
		var told []byte
		for _, one := range st.Tables {
			if one.Name == t.Name {
				told = one.Updates
			}
		}
		if err := t.Table.TakeUpdates(told, stick.Now()); err != nil {
			s.report(true, "take over from the former worker what peers do not know of table "+t.Name+": "+err.Error())
			// Every change from now on is theirs.
			_ = t.Table.TakeUpdates(nil, stick.Now())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = s.complete || st.Complete
	if s.origin, s.young = st.Origin, st.Origin == 0; s.young {
		s.origin = newOrigin()
	}
	for _, one := range st.Peers {
		if p := s.peer(one.Name); p != nil {
			p.old = one.Old
			p.origin.Store(one.Origin)
			for _, t := range p.tables {
				t.acked.Store(one.Acked[t.Name])
			}
		}
	}
}

// Set is all sections of a process.
type Set []*Section

// Hold is called before tables come from the worker before.
func (all Set) Hold() {
	for _, s := range all {
		for _, t := range s.Tables {
			t.Table.HoldUpdates()
		}
	}
}

// Begin begins all sections with what End of the worker before gave.
func (all Set) Begin(told []byte) {
	var list []*State
	if len(told) > 0 {
		if err := json.Unmarshal(told, &list); err != nil {
			list = nil
		}
	}
	for _, s := range all {
		var its *State
		for _, st := range list {
			if st != nil && st.Section == s.Name {
				its = st
			}
		}
		s.Begin(its)
	}
}

// End ends all sections. Whoever takes over is to get first what their tables have
// learned until now, and then what state gives; nil: none had begun.
func (all Set) End() (state func() []byte) {
	var ended []*Section
	for _, s := range all {
		if s.End() {
			ended = append(ended, s)
		}
	}
	return func() []byte {
		if len(ended) == 0 {
			return nil
		}
		list := make([]*State, len(ended))
		for i, s := range ended {
			list[i] = s.State()
		}
		b, err := json.Marshal(list)
		if err != nil { // strings and numbers always can be
			return nil
		}
		return b
	}
}

// Connected is Section.Connected of all sections together.
func (all Set) Connected() (connected, active int) {
	for _, s := range all {
		c, a := s.Connected()
		connected, active = connected+c, active+a
	}
	return connected, active
}
