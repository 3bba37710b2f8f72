package master

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// provide opens what a worker wants and nobody has opened yet, then sends it
// all of its sockets. Where one cannot be had it gets the reasons instead, and
// what was opened for it is closed.
func (r *run) provide(w *worker) {
	if r.attempt.ifChanged && r.sameAsServing(w) && !r.anyStale(w) {
		r.attempt.unchanged = true
		r.order(w, handoff.Stop)
		return
	}
	errs := handoff.Twice(w.wants)
	w.others = r.unwantedBy(w)
	for _, want := range handoff.PathsLast(w.wants) {
		if want.Network == "unix" && len(errs) > 0 {
			break
		}
		if err := r.socket(w, want); err != nil {
			errs = append(errs, handoff.WantError{Where: want.Where, Text: err.Error()})
			r.attempt.taken = r.attempt.taken || errors.Is(err, unix.EADDRINUSE)
		}
	}
	if len(errs) > 0 {
		r.takeBack(w)
		r.refuse(w, errs)
		return
	}
	r.connectToSuccessor(w)
	names := w.names()
	for first := true; first || len(names) > 0; first = false {
		part := names[:min(len(names), handoff.Batch)]
		names = names[len(part):]
		fds := make([]int, len(part))
		for i, name := range part {
			fds[i], _ = r.sockets.Get(name)
		}
		// A copy of the descriptors would cost a system call each: the set
		// keeps them at least until the worker is ready or dead.
		r.send(w, parcel{order: handoff.Order{Kind: handoff.Sockets, Names: part, More: len(names) > 0}, fds: fds})
	}
}

// connectToSuccessor gives the serving worker and the new one a connection between them:
// state and connections go over it without the master. The new one gets nothing
// before the old one has heard of it: should this process be killed in between, two
// workers would serve that know nothing of each other.
func (r *run) connectToSuccessor(w *worker) {
	if r.current == nil {
		return
	}
	if err := r.tie(r.current, handoff.Successor, w, handoff.Former); err != nil {
		r.Log.Warn(fmt.Sprintf("connect worker %d to worker %d: %v; connections will not move", r.current.pid, w.pid, err))
		return
	}
	if r.attempt.canary == nil {
		return
	}
	if err := r.tie(r.current, handoff.Partner, w, handoff.Back); err != nil {
		r.Log.Error(fmt.Sprintf("connect worker %d, which is to be on trial, to worker %d: %v", w.pid, r.current.pid, err))
		w.kill()
	}
}

// tie gives one end of a new connection to the serving worker with an order, and
// after that the other end to the new worker, among its sockets.
func (r *run) tie(serving *worker, order string, fresh *worker, name string) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.send(serving, parcel{order: handoff.Order{Kind: order}, fds: fds[:1], own: true})
	r.send(fresh, parcel{order: handoff.Order{Kind: handoff.Sockets, Names: []string{name}, More: true}, fds: fds[1:], own: true, after: r.sentAll(serving)})
	return nil
}

// unwantedBy names the sockets that are there and that a worker does not want. It is
// looked up once for all that the worker wants, of which there may be thousands.
func (r *run) unwantedBy(w *worker) (names []string) {
	wanted := set(w.names())
	for _, name := range r.sockets.Names() {
		if !wanted[name] {
			names = append(names, name)
		}
	}
	return names
}

// set is what a list has.
func set(list []string) map[string]bool {
	has := make(map[string]bool, len(list))
	for _, name := range list {
		has[name] = true
	}
	return has
}

func (w *worker) names() []string {
	names := make([]string, len(w.wants))
	for i, want := range w.wants {
		names[i] = want.Key()
	}
	return names
}

// socket makes sure that the set has what is wanted, and that it can be
// reached.
func (r *run) socket(w *worker, want handoff.Want) error {
	name := want.Key()
	old, have := r.sockets.Get(name)
	if !have {
		old, have = r.unretire(w, name)
	}
	if !have {
		old, have = r.inOtherForm(w, want)
	}
	why := ""
	if have {
		if why = r.Opener.Stale(old, want); why == "" {
			if r.Opener.Displaced(want) {
				r.Log.Warn(fmt.Sprintf("%s: %s cannot be reached: something else has its path by now; remove that, and the next reload opens it again", want.Where, want))
			}
			return r.Opener.Refresh(old, want)
		}
	}
	fd, err := r.Opener.Open(want)
	if errors.Is(err, unix.EADDRINUSE) {
		fd, err = r.openBesideOurOwn(w, want, err)
	}
	switch {
	case err != nil && why != "":
		return fmt.Errorf("%s cannot be reached: %s, and it cannot be opened again: %w", want, why, err)
	case err != nil:
		return err
	case why != "":
		r.Log.Warn(fmt.Sprintf("%s: %s could not be reached: %s; it was opened again", want.Where, want, why))
		r.sockets.Take(name)
		if w.stale == nil {
			w.stale = map[string]int{}
		}
		w.stale[name] = old
	}
	r.sockets.Add(name, fd)
	w.fresh = append(w.fresh, name)
	return nil
}

// inOtherForm looks for a socket that is what is wanted, though the
// configuration wrote it differently until now (*:80 for 0.0.0.0:80), and gives
// it the new name.
func (r *run) inOtherForm(w *worker, want handoff.Want) (int, bool) {
	for _, name := range w.others {
		fd, there := r.sockets.Get(name)
		if !there || strings.Contains(name, ",namespace=") || !handoff.Same(fd, want) {
			continue
		}
		r.sockets.Take(name)
		r.sockets.Add(want.Key(), fd)
		if w.renamed == nil {
			w.renamed = map[string]string{}
		}
		w.renamed[want.Key()] = name
		return fd, true
	}
	return -1, false
}

// anyStale reports whether something that a worker wants, and that is there,
// can no longer be reached.
func (r *run) anyStale(w *worker) bool {
	return slices.ContainsFunc(w.wants, func(want handoff.Want) bool {
		fd, ok := r.sockets.Get(want.Key())
		return ok && r.Opener.Stale(fd, want) != ""
	})
}

// openBesideOurOwn opens an address that conflicts with one that the
// configuration had until now, *:80 with 127.0.0.1:80: both exist for the
// moment of the switch. SO_REUSEPORT may be set on a bound socket, and is
// taken away again, so that no stranger can share the port. The first error
// stays when the address is somebody else's.
func (r *run) openBesideOurOwn(w *worker, want handoff.Want, first error) (int, error) {
	var ours []int
	for _, name := range w.others {
		if fd, there := r.sockets.Get(name); there {
			ours = append(ours, fd)
		}
	}
	for _, fd := range r.retiring.All() {
		ours = append(ours, fd)
	}
	if len(ours) == 0 {
		return -1, first
	}
	sharePort := func(on int) {
		for _, fd := range ours {
			// Unix sockets refuse it, and it does not concern them.
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, on)
		}
	}
	sharePort(1)
	defer sharePort(0)
	sharing := handoff.Opener{SharePort: true}
	fd, err := sharing.Open(want)
	if err != nil {
		return -1, first
	}
	// A failure leaves the option on, which costs nothing.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 0)
	return fd, nil
}

// refuse sends the reasons, in as many messages as they need.
func (r *run) refuse(w *worker, errs []handoff.WantError) {
	for part := range slices.Chunk(errs, handoff.Batch/4) {
		errs = errs[len(part):]
		r.send(w, parcel{order: handoff.Order{Kind: handoff.Refused, Errors: part, More: len(errs) > 0}})
	}
}

// takeBack closes the sockets that were opened for a worker that will not
// serve.
func (r *run) takeBack(w *worker) {
	for _, name := range w.fresh {
		r.drop(name)
	}
	for name, fd := range w.stale {
		r.sockets.Add(name, fd) // what serves now listens there as well as it can
	}
	for name, before := range w.renamed {
		if fd, ok := r.sockets.Take(name); ok {
			r.sockets.Add(before, fd)
		}
	}
	w.fresh, w.stale, w.renamed = nil, nil, nil
}

// drop closes the master's copy of a socket.
func (r *run) drop(name string) {
	r.sockets.Remove(name)
	if err := r.Opener.Forget(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.Log.Warn(fmt.Sprintf("remove the socket's path: %v", err))
	}
}

// closeUnwanted closes the sockets that the current worker does not want. The old
// worker still has its copies: it serves what waits in their queues before it
// closes them. Those whose port has another listener now are retired first.
func (r *run) closeUnwanted(served bool) (retired bool) {
	for _, name := range r.unwantedBy(r.current) {
		r.unstore(listenerPrefix + name)
		if fd, _ := r.sockets.Get(name); served && handoff.SharesPort(fd, r.current.wants) && !r.Opener.Activated.Holds(fd) && handoff.Retire(fd) {
			r.sockets.Take(name)
			r.retiring.Add(name, fd)
			retired = true
			continue
		}
		r.drop(name)
	}
	if retired {
		if r.retireTimer != nil {
			r.retireTimer.Stop()
		}
		r.retireTimer = r.after(retiredWait, r.closeRetired)
	}
	for name, fd := range r.current.stale {
		unix.Close(fd)
		r.unstore(listenerPrefix + name)
	}
	for name, before := range r.current.renamed {
		r.unstore(listenerPrefix + before)
		if !slices.Contains(r.current.fresh, name) {
			r.current.fresh = append(r.current.fresh, name)
		}
	}
	fresh := set(r.current.fresh)
	for name, fd := range r.sockets.All() {
		if fresh[name] {
			r.store(listenerPrefix+name, fd)
		}
	}
	r.current.fresh, r.current.stale, r.current.renamed = nil, nil, nil
	r.warnUnwanted()
	return retired
}

// retiredWait is how long the old worker has for what waits in retired sockets: until then they let no new connection begin. A client tries again
// after a second.
const retiredWait = handoff.RetireWait + 400*time.Millisecond

// closeRetired closes the retired sockets. Whoever else has one keeps it as it was.
func (r *run) closeRetired() {
	for _, name := range r.retiring.Names() {
		if fd, ok := r.retiring.Get(name); ok {
			_ = handoff.Unretire(fd) // matters only to a process that shares it, and cannot fail but without a filter
		}
		r.retiring.Remove(name)
	}
}

// unretire gives back a socket that the configuration before did not want and this one does.
func (r *run) unretire(w *worker, name string) (int, bool) {
	fd, ok := r.retiring.Take(name)
	if !ok {
		return -1, false
	}
	if err := handoff.Unretire(fd); err != nil {
		unix.Close(fd)
		return -1, false
	}
	r.sockets.Add(name, fd)
	w.fresh = append(w.fresh, name)
	return fd, true
}

// warnUnwanted warns of sockets on which the service manager listens for
// nothing: whoever connects there waits for ever. Once for each set of them.
func (r *run) warnUnwanted() {
	list := strings.Join(r.Opener.Activated.Unwanted(r.current.wants), ", ")
	if list != "" && list != r.unwanted {
		r.Log.Warn(fmt.Sprintf("the service manager listens on %s, which no bind line asks for: what connects there waits and is never answered", list))
	}
	r.unwanted = list
}
