package master

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/lb/handoff"
)

// worker is one worker as its master sees it. Owned by the goroutine of Run,
// but for words, which has its own lock.
type worker struct {
	pid        int
	process    *os.Process
	facts      handoff.Facts
	link       *handoff.Conn   // its sender and receiver use it
	out        chan<- parcel   // to its sender
	ended      <-chan struct{} // closed when the connection has ended: nothing more is sent
	words      words           // what it printed before it was ready
	wants      []handoff.Want
	snapshot   *os.File          // its configuration's text; nil unknown
	flights    *os.File          // its requests in flight; nil if it left no record
	others     []string          // sockets that it does not want, while its own are being opened
	fresh      []string          // sockets that were opened for it alone
	stale      map[string]int    // by name: sockets that those replace, as they can no longer be reached
	renamed    map[string]string // sockets that its configuration writes in another form, and what they were called
	wanted     bool              // it has said all its wants
	ready      bool
	readyAt    time.Time
	draining   bool
	asked      []func(*handoff.Status)
	timer      *time.Timer // ends its patience: start timeout
	adopting   bool        // its facts have not come yet
	stranger   bool        // no child of this process: how it ends is not known
	killed     bool        // by its master: it will not serve, whatever it says
	hungUp     bool        // all that it said has been heard
	distrusted bool        // it said what it cannot have to say, which was reported
	gone       func()      // its process has ended, and what it said is waited for; nil before and after
}

// parcel is one message to a worker. fds are closed after the sending when
// own is set.
type parcel struct {
	order handoff.Order
	fds   []int
	own   bool
	sent  chan struct{} // instead of a message: closed when all before it was sent; nil as a rule
	after *turn         // what has to be sent first, to another worker; nil: nothing
}

// turn puts what two workers are sent in an order, which their senders alone do
// not keep: a master that is killed has said the one thing, or both, but never
// the other alone.
type turn struct {
	sent  <-chan struct{} // closed when the other worker has been sent what comes first
	ended <-chan struct{} // closed when that cannot be sent any more
}

// wait waits for the turn, unless own, the connection for which it waits, ends.
// Invariant: what it waits for was queued earlier, so senders never wait for
// each other in a circle.
func (t *turn) wait(own <-chan struct{}) {
	if t == nil {
		return
	}
	select {
	case <-t.sent:
	case <-t.ended:
	case <-own:
	}
}

// sentAll is the turn of what has to come after all that w was sent up to now. nil
// when w is stuck.
func (r *run) sentAll(w *worker) *turn {
	p := parcel{sent: make(chan struct{})}
	select {
	case w.out <- p:
		return &turn{sent: p.sent, ended: w.ended}
	default:
		return nil
	}
}

// sendWait bounds one send to a worker, which reads all the time.
const sendWait = 10 * time.Second

// newWorker starts the two goroutines that talk to a worker. Both end with the
// connection.
func (r *run) newWorker(link *handoff.Conn) *worker {
	out := make(chan parcel, 256)
	gone := make(chan struct{})
	w := &worker{link: link, out: out, ended: gone}
	go func() { // sender
		defer link.Close()
		for {
			select {
			case p := <-out:
				if p.sent != nil {
					close(p.sent)
					continue
				}
				p.after.wait(gone)
				err := link.Send(p.order, p.fds, sendWait)
				if p.own {
					closeAll(p.fds)
				}
				if err != nil {
					return // the receiver notices the end
				}
			case <-gone:
				return
			}
		}
	}()
	go func() { // receiver
		defer close(gone)
		for {
			report := new(handoff.Report)
			fds, err := link.Receive(report)
			if errors.Is(err, handoff.ErrDescriptors) {
				// The worker is there, and what else it says is to be heard.
				r.post(func() { r.Log.Warn(fmt.Sprintf("worker %d: %v", w.pid, handoff.ErrDescriptors)) })
				err = nil
			}
			if err != nil {
				if err != io.EOF && !errors.Is(err, net.ErrClosed) { // the sender may have noticed the end first
					r.post(func() { r.Log.Warn(fmt.Sprintf("worker %d: %v", w.pid, err)) })
				}
				r.post(func() { r.hungUp(w) })
				return
			}
			from := link.From()
			if !r.post(func() { r.hear(w, report, from, fds) }) {
				closeAll(fds)
				return
			}
		}
	}()
	return w
}

// send hands a message to the worker's sender. One that does not take its
// messages any more is stuck, and killed.
func (r *run) send(w *worker, p parcel) {
	select {
	case w.out <- p:
	default:
		if p.own {
			closeAll(p.fds)
		}
		r.Log.Error(fmt.Sprintf("worker %d does not take orders any more, killing it", w.pid))
		w.kill()
	}
}

// flush waits until the workers have been sent all that they were to be, but
// not for long.
func (r *run) flush() {
	limit := time.After(time.Second)
	for _, w := range r.workers() {
		p := parcel{sent: make(chan struct{})}
		select {
		case w.out <- p:
		default:
			continue // it is stuck
		}
		select {
		case <-p.sent:
		case <-limit:
			return
		}
	}
}

func (r *run) order(w *worker, kind string) { r.send(w, parcel{order: handoff.Order{Kind: kind}}) }

// hear takes a message from a worker. from is its sender as the kernel says,
// where the link identifies it. fds are this function's.
//
// A worker reads what strangers send, so it may be in a stranger's hands, and
// the master may be root: it believes what a worker in that state has to say,
// and nothing else. What decides over files, sockets and configurations comes
// from a worker that has not served yet.
func (r *run) hear(w *worker, report *handoff.Report, from *unix.Ucred, fds []int) {
	defer func() { closeAll(fds) }()
	if !w.may(r, report.Kind) {
		r.distrust(w, report.Kind)
		return
	}
	switch report.Kind {
	case handoff.Wanted:
		if report.Facts != nil {
			w.learn(report.Facts)
			fds = keep(&w.snapshot, "configuration", fds)
		}
		w.wants = append(w.wants, report.Wants...)
		if !report.More {
			w.wanted = true
			r.provide(w)
		}
	case handoff.Ready:
		r.isReady(w)
	case handoff.Flights:
		fds = keep(&w.flights, "flights", fds)
	case handoff.Snapshot:
		if ownRights(from) {
			fds = keep(&w.snapshot, "configuration", fds)
		}
	case handoff.Leaving:
		r.switched(w)
	case handoff.Gave:
		for _, name := range report.Names {
			if slices.Contains(w.names(), name) {
				r.Opener.GaveAway(name)
			}
		}
	case handoff.Tell:
		asked := w.asked
		w.asked = nil
		for _, answer := range asked {
			answer(report.Status)
		}
	case handoff.Adopted:
		fds = r.introduced(w, report, from, fds)
	}
}

// may says whether a worker in its state has such a thing to say.
func (w *worker) may(r *run, kind string) bool {
	switch kind {
	case handoff.Wanted:
		return w == r.starting && !w.wanted
	case handoff.Ready:
		return w == r.starting && w.wanted
	case handoff.Snapshot, handoff.Adopted:
		return w.adopting
	case handoff.Flights:
		return w.ready || w.adopting
	case handoff.Leaving, handoff.Gave, handoff.Tell:
		return w.ready
	}
	return false
}

// distrust reports, once, a worker that says what it cannot have to say.
func (r *run) distrust(w *worker, kind string) {
	if w.distrusted || w.killed {
		return
	}
	w.distrusted = true
	r.Log.Error(fmt.Sprintf("worker %d sent the message %q, which a worker in its state never sends: it is ignored, as will be any others; the process may be in the hands of an attacker", w.pid, kind))
}

// learn takes what a worker says about its configuration. What the master knows
// itself stays.
func (w *worker) learn(f *handoff.Facts) {
	known := w.facts
	w.facts = *f
	w.facts.Pid, w.facts.Generation, w.facts.Reloads = known.Pid, known.Generation, known.Reloads
}

// ownRights says whether the sender of a message may do what this process may:
// what it wants to be done it could do itself.
func ownRights(from *unix.Ucred) bool {
	return from != nil && (from.Uid == 0 || int(from.Uid) == os.Geteuid())
}

// keep puts the one descriptor of a message into f. It returns what is left.
// A worker that is adopted twice brings the same again.
func keep(f **os.File, name string, fds []int) []int {
	if len(fds) != 1 {
		return fds
	}
	if *f != nil {
		(*f).Close()
	}
	*f = os.NewFile(uintptr(fds[0]), name)
	return nil
}

// ask has answer called with the worker's status, or nil if it is gone.
func (r *run) ask(w *worker, answer func(*handoff.Status)) {
	w.asked = append(w.asked, answer)
	if len(w.asked) == 1 {
		r.order(w, handoff.Ask)
	}
}

// hungUp is called when the connection to a worker has ended. Its process has
// ended too, or does so in a moment: exited decides.
func (r *run) hungUp(w *worker) {
	w.hungUp = true
	for _, answer := range w.asked {
		answer(nil)
	}
	w.asked = nil
	r.switched(w)
	r.adoptedOrNot(w)
	w.finishGone()
}

// lastWordsWait bounds the wait for what a worker said before its end. Its end
// of the connection is closed with it, unless a process of its own has it.
const lastWordsWait = time.Second

// processGone is called when a worker's process has ended. What it said before
// (whose requests it had in flight, say) is heard first, as it may still be
// under way.
func (r *run) processGone(w *worker, how string) {
	w.gone = func() { r.exited(w, how) }
	if w.hungUp {
		w.finishGone()
		return
	}
	r.after(lastWordsWait, w.finishGone)
}

// finishGone ends the wait of processGone.
func (w *worker) finishGone() {
	if gone := w.gone; gone != nil {
		w.gone = nil
		gone()
	}
}

// kill ends a worker.
func (w *worker) kill() {
	w.killed = true
	if w.process != nil { // it has said who it is
		_ = w.process.Signal(unix.SIGKILL) // one that is gone needs none
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
