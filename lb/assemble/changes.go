package assemble

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"

	"lbsyslogd/lb/certs"
	"lbsyslogd/lb/control"
	files "lbsyslogd/lb/lookup" // lookup is a function here
	"lbsyslogd/lb/servercheck"
	"lbsyslogd/lb/stats"
)

// What operators changed on the stats socket survives a reload, until the
// configuration or the file says otherwise for that very thing. What was made
// of servers (state, weight, maxconn, health, agent) goes with their state.

// changes is what goes to the next worker.
type changes struct {
	Files  []fileChange  `json:"files,omitempty"`
	Limits []limitChange `json:"limits,omitempty"`
	Paused []string      `json:"paused,omitempty"` // frontends that were disabled

	// Servers come before their state: this says which there are, and where.
	Servers []serverChange `json:"servers,omitempty"`
	Rates   []rateChange   `json:"rates,omitempty"`
	Vars    []varChange    `json:"vars,omitempty"`

	Past stats.Past `json:"past"` // for the charts

	Late    bool     `json:"late,omitempty"`
	Resumed []string `json:"resumed,omitempty"` // with late: frontends that were paused before, and no longer are

	// Certificates may hold private keys. What they are encoded in is memory
	// of the two workers.
	Certificates []certs.Change `json:"certificates,omitempty"`
}

// serverChange is a server that an operator added, removed or moved.
type serverChange struct {
	Backend string   `json:"backend"`
	Server  string   `json:"server"`
	Added   []string `json:"added,omitempty"` // the words of `add server`
	ID      int      `json:"id,omitempty"`    // of one that was added
	Removed bool     `json:"removed,omitempty"`
	Plain   bool     `json:"plain,omitempty"` // set server ssl off

	// Of one that is not new: the address that the configuration has, and the
	// present one, "" for the same.
	Base string `json:"base,omitempty"`
	Addr string `json:"addr,omitempty"`
	Port string `json:"port,omitempty"`

	Places, BasePlaces servercheck.Places
}

// rateChange is a limit of what begins in a second.
type rateChange struct {
	What string `json:"what"`
	Base int    `json:"base"`
	Now  int    `json:"now"`
}

// varChange is a variable of the process.
type varChange struct {
	Name   string `json:"name"`
	Text   string `json:"text"`
	Format bool   `json:"format,omitempty"`
	Base   string `json:"base,omitempty"` // the value that the configuration gives it
}

// fileChange is a map or a list of patterns with other lines than its file.
type fileChange struct {
	Path  string        `json:"path"`
	Map   bool          `json:"map,omitempty"`
	Base  string        `json:"base"` // a sum of what the file had
	Lines []files.Entry `json:"lines"`
}

// limitChange is a maxconn: a frontend's, or the process's.
type limitChange struct {
	Frontend string `json:"frontend,omitempty"` // "" is the process
	Base     int    `json:"base"`               // what the configuration says
	Now      int    `json:"now"`
}

// changed gathers what was changed here.
func (rt *Runtime) changed() changes {
	var c changes
	for _, f := range rt.cfg.Files {
		if lines, base, ok := f.Changes(); ok {
			c.Files = append(c.Files, fileChange{f.Path, f.Map, base, lines})
		}
	}
	for i, fe := range rt.eng.Frontends {
		if now := fe.Limit(); now != rt.configuredLimits[i] {
			c.Limits = append(c.Limits, limitChange{fe.Proxy.Name, rt.configuredLimits[i], now})
		}
	}
	if now := rt.eng.Limit(); now != rt.hardMaxConn {
		c.Limits = append(c.Limits, limitChange{"", rt.hardMaxConn, now})
	}
	for _, fe := range rt.eng.Frontends {
		if fe.Paused() && !fe.Shut() { // whose way back is a reload
			c.Paused = append(c.Paused, fe.Proxy.Name)
		}
	}
	c.Servers, c.Rates, c.Vars = rt.changedServers(), rt.changedRates(), rt.changedVars()
	c.Certificates = rt.certs.Changes()
	return c
}

// late is what is sent once more as a whole, to a next worker that serves already; of the servers only what has changed is (laterServers).
func (c changes) late() changes {
	c.Servers = nil
	c.Past, c.Late = stats.Past{}, true
	return c
}

// takeBack adds what was another in sent than the configuration has it, and no longer is.
func (c *changes) takeBack(sent *changes) {
	for _, was := range sent.Limits {
		if !slices.ContainsFunc(c.Limits, func(l limitChange) bool { return l.Frontend == was.Frontend }) {
			c.Limits = append(c.Limits, limitChange{was.Frontend, was.Base, was.Base})
		}
	}
	for _, was := range sent.Rates {
		if !slices.ContainsFunc(c.Rates, func(r rateChange) bool { return r.What == was.What }) {
			c.Rates = append(c.Rates, rateChange{was.What, was.Base, was.Base})
		}
	}
	for _, name := range sent.Paused {
		if !slices.Contains(c.Paused, name) {
			c.Resumed = append(c.Resumed, name)
		}
	}
}

// changesSeed is of this process's sums.
var changesSeed = maphash.MakeSeed()

// sum tells changes apart, and holds no keys. It is quick: a map may have a million lines.
func (c changes) sum() uint64 {
	var h maphash.Hash
	h.SetSeed(changesSeed)
	for _, f := range c.Files {
		h.WriteString(f.Path + "\x00" + f.Base + "\x00")
		for i := range f.Lines {
			h.WriteString(f.Lines[i].Key)
			h.WriteByte(0)
			h.WriteString(f.Lines[i].Value)
			h.WriteByte(0)
		}
	}
	c.Files = nil
	if text, err := json.Marshal(c); err == nil { // it is made of strings and numbers
		h.Write(text)
		clear(text)
	}
	return max(h.Sum64(), 1)
}

// lateChanges is what was changed since encodeChanges, with all that was before but for servers; nil for nothing. Commands that came while the next worker began were
// obeyed here.
func (rt *Runtime) lateChanges() []byte {
	if rt.sentChanges == 0 {
		return nil
	}
	now := rt.changed()
	c, servers := now.late(), laterServers(rt.sent.Servers, now.Servers)
	if c.sum() == rt.sentChanges && len(servers) == 0 {
		return nil
	}
	c.Servers = servers
	c.takeBack(&rt.sent)
	text, err := json.Marshal(c)
	if err != nil {
		return nil
	}
	return text
}

// encodeChanges is changed for the next worker, and the history.
func (rt *Runtime) encodeChanges() []byte {
	c := rt.changed()
	rt.sentChanges = c.late().sum()
	rt.sent = changes{Servers: c.Servers, Limits: c.Limits, Rates: c.Rates, Paused: c.Paused}
	c.Past = rt.history.Past(rt.generation.Taken())
	text, err := json.Marshal(c)
	if err != nil {
		return nil // it is made of strings and numbers
	}
	return text
}

// applyChanges takes over what was changed in the worker before.
func (rt *Runtime) applyChanges(text []byte) {
	var c changes
	if err := json.Unmarshal(text, &c); err != nil {
		rt.note("take over what was changed at run time: " + err.Error())
		return
	}
	if !c.Late {
		rt.history.Inherit(c.Past, stats.Mark{At: rt.env.Started.Unix(), Generation: rt.env.Generation})
	}
	for _, change := range c.Files {
		for _, f := range rt.cfg.Files {
			if f.Path != change.Path || f.Map != change.Map {
				continue
			}
			done, err := f.Restore(change.Lines, change.Base)
			switch {
			case err != nil:
				rt.note(fmt.Sprintf("keep what was changed in %s at run time: %v", f.Path, err))
			case !done:
				rt.note(f.Path + " has changed: it counts, and what was changed in it at run time is gone")
			}
		}
	}
	rt.applyServers(c.Servers, c.Late)
	rt.applyRates(c.Rates)
	rt.applyVars(c.Vars)
	if len(c.Certificates) > 0 && rt.certs != nil {
		for _, text := range rt.certs.Restore(c.Certificates) {
			rt.note(text)
		}
	}
	for _, fe := range rt.eng.Frontends {
		if slices.Contains(c.Paused, fe.Proxy.Name) {
			_ = rt.eng.PauseFrontend(fe, true) // only to go on can fail
		}
		if slices.Contains(c.Resumed, fe.Proxy.Name) && fe.Paused() && !fe.Shut() {
			if err := rt.eng.PauseFrontend(fe, false); err != nil {
				rt.note("enable frontend " + fe.Proxy.Name + ": " + err.Error())
			}
		}
	}
	for _, l := range c.Limits {
		if l.Frontend == "" {
			if l.Base == rt.hardMaxConn {
				rt.eng.SetMaxConn(l.Now)
			}
			continue
		}
		for i, fe := range rt.eng.Frontends {
			if fe.Proxy.Name == l.Frontend && rt.configuredLimits[i] == l.Base {
				rt.eng.SetFrontendMaxConn(fe, l.Now)
			}
		}
	}
}

// RuntimeChanges implements control.Runtime.
func (rt *Runtime) RuntimeChanges() []control.Change {
	var list []control.Change
	add := func(what, now string) { list = append(list, control.Change{What: what, Now: now}) }
	c := rt.changed()
	for _, f := range c.Files {
		kind := "acl"
		if f.Map {
			kind = "map"
		}
		add(kind+" "+f.Path, fmt.Sprintf("%d lines", len(f.Lines)))
	}
	for _, l := range c.Limits {
		what := "global maxconn"
		if l.Frontend != "" {
			what = "frontend " + l.Frontend + " maxconn"
		}
		add(what, fmt.Sprintf("%d, configured %d", l.Now, l.Base))
	}
	for _, name := range c.Paused {
		add("frontend "+name, "disabled")
	}
	for _, r := range c.Rates {
		add("global rate-limit "+r.What, fmt.Sprintf("%d, configured %d", r.Now, r.Base))
	}
	for _, v := range c.Vars {
		add("variable "+v.Name, v.Text)
	}
	for _, s := range c.Servers {
		for _, text := range s.texts() {
			add("server "+s.Backend+"/"+s.Server, text)
		}
	}
	for _, t := range c.Certificates {
		add(t.Kind+" "+t.Name, "changed")
	}
	for _, s := range rt.Set.All() {
		for _, text := range s.ChangedByOperators() {
			add("server "+s.Backend()+"/"+s.Target().Name, text)
		}
	}
	return list
}

// ClearRuntimeChanges implements control.Runtime.
func (rt *Runtime) ClearRuntimeChanges() error {
	for _, f := range rt.cfg.Files {
		if err := f.Reset(); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if rt.certs != nil {
		if err := rt.certs.Reset(); err != nil {
			return err
		}
	}
	for i, fe := range rt.eng.Frontends {
		rt.eng.SetFrontendMaxConn(fe, rt.configuredLimits[i])
		if fe.Paused() && !fe.Shut() {
			if err := rt.eng.PauseFrontend(fe, false); err != nil {
				return fmt.Errorf("enable frontend %s: %w", fe.Proxy.Name, err)
			}
		}
	}
	rt.eng.SetMaxConn(rt.hardMaxConn)
	rt.clearRates()
	rt.clearVars()
	if err := rt.clearServers(); err != nil {
		return err
	}
	for _, s := range rt.Set.All() {
		s.ForgetOperators()
	}
	return nil
}
