package syslog

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Health is how one receiver does, as all senders of the process that send to
// it see it. It counts, and reports an outage once and its end once.
type Health struct {
	Address string
	// Tell is called at the beginning and the end of an outage, from loops too,
	// so it must not wait. Nil: nobody wants to know.
	Tell func(Outage)

	sent, lost atomic.Uint64
	ended      atomic.Int64 // when the latest outage was over, Unix time in ns; 0: there was none
	estate     *Estate      // has the same figures, for whoever comes after this process; nil: there is none
	bad        atomic.Bool  // mu's fields describe an outage

	// mu guards the fields below.
	mu     sync.Mutex
	now    Outage
	told   bool      // the outage has been reported
	proof  time.Time // since when everything is taken again; zero: it is not
	silent time.Time // no other outage is reported before
}

// Outage is a time in which a receiver took nothing, or not enough.
type Outage struct {
	Address string
	Over    bool
	Reason  syscall.Errno
	Lost    uint64 // lines, so far
	Waiting int    // and kept for later, when it began
	Since   time.Time
	Until   time.Time // the last trouble
	Late    uint64    // with Over: lines that were lost, too, which was found out after the end had been reported
}

const (
	// proven is how long everything must be taken before an outage is over:
	// what nobody received is reported by ICMP, which needs a moment.
	proven = 200 * time.Millisecond
	// patience is how long lines may wait without one being lost before that is
	// an outage: a receiver that is restarted is away for less.
	patience = time.Second
	// minQuiet is the least time between the end of an outage that was reported and the
	// next that is: a receiver that comes and goes must not fill the journal.
	minQuiet = time.Minute
)

// Sent is the number of lines the kernel took and that were not reported back.
func (h *Health) Sent() uint64 { return h.sent.Load() }

// Lost is the number of lines that the receiver did not get.
func (h *Health) Lost() uint64 { return h.lost.Load() }

// trouble notes that lines were lost, or wait for long.
func (h *Health) trouble(now time.Time, reason syscall.Errno, lost, waiting int) {
	h.lost.Add(uint64(lost))
	if h.estate != nil {
		h.estate.lost.Add(uint64(lost))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.bad.Load() {
		h.bad.Store(true)
		h.now = Outage{Address: h.Address, Since: now}
		h.told = false
	}
	h.now.Reason, h.now.Until, h.now.Waiting = reason, now, waiting
	h.now.Lost += uint64(lost)
	h.proof = time.Time{}
	if !h.told && !now.Before(h.silent) {
		h.told = true
		h.say()
	}
}

// late notes lines that were sent before the latest outage was over and came back,
// which their loop has found out only now: they are no new outage.
func (h *Health) late(lost int) {
	h.lost.Add(uint64(lost))
	if h.estate != nil {
		h.estate.lost.Add(uint64(lost))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.Lost += uint64(lost)
	if !h.bad.Load() && h.told {
		h.now.Late = uint64(lost)
		h.say()
	}
}

// fine notes, in an outage, that everything was taken.
func (h *Health) fine(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case !h.bad.Load():
	case h.proof.IsZero():
		h.proof = now
	case now.Sub(h.proof) >= proven:
		h.bad.Store(false)
		h.ended.Store(now.UnixNano())
		h.now.Over = true
		if h.told {
			h.silent = now.Add(minQuiet)
			h.say()
		}
	}
}

// recovered notes that everything was taken.
func (h *Health) recovered() {
	if h.bad.Load() {
		h.fine(time.Now())
	}
}

// took counts lines as sent; a negative number takes them back.
func (h *Health) took(n int) {
	h.sent.Add(uint64(n))
	if h.estate != nil {
		h.estate.sent.Add(uint64(n))
	}
}

// risk notes by how much the number of lines that a kill would take has changed.
func (h *Health) risk(change int) {
	if change != 0 && h.estate != nil {
		h.estate.risk.Add(uint64(change))
	}
}

func (h *Health) say() {
	if h.Tell != nil {
		h.Tell(h.now)
	}
}

// String is the outage as an operator's sentence.
func (o Outage) String() string {
	if o.Over {
		if o.Late > 0 {
			return fmt.Sprintf("log: %s did not get %s more, sent before it took lines again; %s lost in all between %s and %s", o.Address,
				count(o.Late, "", ""), count(o.Lost, "was", "were"), o.Since.Format(time.TimeOnly), o.Until.Format(time.TimeOnly))
		}
		if o.Lost == 0 {
			return fmt.Sprintf("log: %s takes lines again; none was lost", o.Address)
		}
		return fmt.Sprintf("log: %s takes lines again; %s lost between %s and %s", o.Address, count(o.Lost, "was", "were"),
			o.Since.Format(time.TimeOnly), o.Until.Format(time.TimeOnly))
	}
	what := "cannot be reached"
	hint := ": is syslogd running?"
	switch o.Reason {
	case unix.ECONNREFUSED:
		what = "refuses datagrams"
	case unix.ENOENT:
		what = "is not there"
	case 0, unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
		o.Reason = unix.EAGAIN
		what, hint = "takes lines too slowly", ": is the log daemon's machine too busy?"
	case unix.EPERM, unix.EACCES:
		what, hint = "may not be sent to", ": look at the firewall, or the socket's permissions."
	case unix.EMSGSIZE:
		what, hint = "refuses a line for its length", ": lower len on the log line."
	default:
		if _, _, err := net.SplitHostPort(o.Address); err == nil {
			hint = ": is there a route to it?"
		}
	}
	fate := count(o.Lost, "", "") + " lost so far"
	if o.Lost == 0 {
		fate = count(uint64(o.Waiting), "waits", "wait")
	}
	return fmt.Sprintf("log: %s %s (%s)%s %s", o.Address, what, o.Reason.Error(), hint, fate)
}

// count is "1 line was" or "2 lines were".
func count(n uint64, one, many string) string {
	text, verb := "lines", many
	if n == 1 {
		text, verb = "line", one
	}
	if verb != "" {
		verb = " " + verb
	}
	return fmt.Sprintf("%d %s%s", n, text, verb)
}
