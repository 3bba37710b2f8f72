package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"lbsyslogd/test/load"
)

// Two kinds of requests are sent where a file says: "mapped" by a map, "listed" by a list of patterns. Both files change at run time, and each request
// that was made after a change and ended before the next has to have gone where the file said.

// Backends that the files choose between, and the names of the kinds.
const (
	red    = "red"
	blue   = "blue"
	mapped = "mapped"
	listed = "listed"
)

// change is one of a route's: from its begin on requests may go to the new backend, from its end on they have to.
type change struct {
	begin, end time.Duration
	to         string // where requests go
	file       string // where the file says that they go: a worker that starts without one before it knows nothing else
	failed     bool   // the command did; whether it was done nobody knows
}

// route is where requests of one kind go.
type route struct {
	name string
	path string // of the file

	// mu guards the field below.
	mu      sync.Mutex
	changes []change // Invariant: never empty, and ordered by time.
}

// newRoute writes the file.
func newRoute(dir, name string) (*route, error) {
	r := &route{name: name, path: filepath.Join(dir, name+".list"), changes: []change{{to: red, file: red}}}
	return r, r.write(red)
}

// write makes the file say where requests go.
func (r *route) write(to string) error {
	text := r.name + " " + to + "\n"
	if r.name == listed { // whoever is on the list goes to blue
		text = "nobody\n"
		if to == blue {
			text += r.name + "\n"
		}
	}
	if err := os.WriteFile(r.path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(r.path+".new", r.path)
}

// command is what changes the route at run time.
func (r *route) command(to string) string {
	switch {
	case r.name == mapped:
		return fmt.Sprintf("set map %s %s %s", r.path, r.name, to)
	case to == blue:
		return fmt.Sprintf("add acl %s %s", r.path, r.name)
	}
	return fmt.Sprintf("del acl %s %s", r.path, r.name)
}

func (r *route) last() change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes[len(r.changes)-1]
}

// begin forgets all but the last change: those of earlier rounds.
func (r *route) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = r.changes[len(r.changes)-1:]
}

// reroute sends one kind of requests to the other backend: by a command, which has to hold over reloads, or by the file and a reload.
func (r *route) reroute(h *doer, byFile bool) error {
	c := r.last()
	other := red
	if c.to == red {
		other = blue
	}
	// A file that says what it said when it was read changes nothing: what was changed at run time stays.
	byFile = byFile && c.file != other
	next := change{begin: time.Since(h.epoch), end: 1<<63 - 1, to: other, file: c.file}
	if byFile {
		next.file = other
	}
	r.mu.Lock()
	r.changes = append(r.changes, next)
	r.mu.Unlock()
	var err error
	if byFile {
		if err = r.write(other); err == nil {
			err = told(h.lb.Reload(h.ctx))
		}
	} else {
		err = h.say(r.command(other), "")
		if err != nil && c.file == other && strings.Contains(err.Error(), "Key not found") && time.Duration(h.forgot.Load()) >= c.begin {
			err = nil // a worker has taken the entry along, so requests go where the file says already
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := &r.changes[len(r.changes)-1]
	now.end, now.failed = time.Since(h.epoch), err != nil
	return err
}

func (h *doer) changeMap(arg uint32) error  { return h.routes[0].reroute(h, arg%3 == 0) }
func (h *doer) changeList(arg uint32) error { return h.routes[1].reroute(h, arg%3 == 0) }

// forgets reports whether a worker may have taken along what was changed at run time.
func (w window) forgets() bool { return w.fault.permits.breaks || w.fault.permits.scarce }

// permitted reports whether a request may have gone to a backend.
func (r *route) permitted(a asked, backend string, windows []window) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, c := range r.changes {
		// A worker that leaves is not told any more: what it has not handed over yet may go where it knows.
		left := func(w window) bool { return w.fault.replaces && w.end >= a.dialled && w.begin <= c.end }
		if i > 0 && r.changes[i-1].to == backend && a.dialled <= c.end && slices.ContainsFunc(windows, left) {
			return true
		}
		begins := func(w window) bool { return w.fault.permits.lasts && w.begin <= c.end && w.end+slack >= c.begin }
		if i > 0 && r.changes[i-1].to == backend && a.begun <= c.end+slack && a.ended >= c.begin && slices.ContainsFunc(windows, begins) {
			return true
		}
		end := time.Duration(1<<63 - 1)
		if i+1 < len(r.changes) {
			end = r.changes[i+1].end
		}
		if a.ended < c.begin || a.begun > end {
			continue
		}
		if c.to == backend || c.failed {
			return true
		}
		for _, w := range windows { // a worker that was killed, or could not meet the next one, took what it had been told along, until the next change
			if w.forgets() && w.end+slack >= c.begin && w.begin <= a.ended && c.file == backend {
				return true
			}
		}
	}
	return false
}

// routed complains about answered requests that went where they should not.
func (j *judge) routed(r *run, routes []*route) {
	windows := slices.Concat(j.past, j.windows)
	for _, to := range routes {
		if to.name != r.kind {
			continue
		}
		for n, a := range r.asked {
			l := r.logged[n]
			if a.outcome != load.OK || !a.known || l.lines != 1 || l.state != quiet || n >= len(r.served) {
				continue
			}
			if where := wentTo(r, r.served[n], l); !to.permitted(a, where, windows) {
				j.complain(fmt.Sprintf("/r/%s/%d", r.name, n), "it went to %q, at %v to %v; the changes: %+v", where, a.begun, a.ended, to.changes)
			}
		}
	}
}
