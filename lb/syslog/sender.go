package syslog

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbsyslogd/syslogd/message"
)

// How long a target waits before it connects again: the receiver that was
// replaced is there at once, one that is gone should not cost a socket a turn.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// Sender sends lines to its targets. Owned by one loop; only Dropped, Sent and
// Waiting may be called from elsewhere.
type Sender struct {
	targets []*target
	now     time.Time // of this turn, taken at its first line
	fresh   bool

	sent    atomic.Uint64
	dropped atomic.Uint64
	waiting atomic.Uint64
}

// target is one destination. Owned by its Sender.
type target struct {
	Target
	header  header
	sock    *socket // nil with a Stream or Ring
	lines   backlog
	backoff time.Duration // 0: the socket works
	retry   time.Time

	stuck  time.Time     // since when lines wait; zero: none does
	reason syscall.Errno // why
	looked time.Time     // at what came back
	sentAt int64         // when lines were sent last, Unix time in ns

	atRisk int // lines that wait, and that nobody would know of if the process were killed
}

// lookEvery is how often a sender asks for datagrams that came back though
// the kernel took all it was given: it reports them only at the next one,
// which may be long in coming.
const lookEvery = 100 * time.Millisecond

// NewSender makes a sender. Sockets are opened by the first Flush, and again
// whenever a receiver comes back. The error names a target that can never
// work.
func NewSender(targets ...Target) (*Sender, error) {
	s := &Sender{}
	for i := range targets {
		t := &target{Target: targets[i]}
		if t.Health == nil {
			t.Health = &Health{Address: t.Address}
		}
		if t.Len <= 0 {
			t.Len = defaultLen
		}
		if t.Stream != nil && t.Network == "fd" {
			t.Len-- // HAProxy counts the line's end here
		}
		t.lines.limit = t.Backlog
		if t.lines.limit <= 0 {
			t.lines.limit = defaultBacklog
		}
		var err error
		if t.header, err = newHeader(&t.Target); err != nil {
			return nil, err
		}
		if t.Stream == nil && t.Ring == nil {
			if t.sock, err = newSocket(t.Network, t.Address); err != nil {
				return nil, err
			}
		}
		s.targets = append(s.targets, t)
	}
	return s, nil
}

// Log takes one line for every target whose level admits it. msg is copied,
// without its own line end.
func (s *Sender) Log(sev message.Severity, msg []byte) { s.LogData(sev, nil, msg) }

// LogData is Log with the structured data of RFC 5424 ("[id@1 a=\"b\"]"), which
// targets of other formats do not get.
func (s *Sender) LogData(sev message.Severity, data, msg []byte) {
	if !s.fresh {
		s.now, s.fresh = time.Now(), true
	}
	if n := len(msg); n > 0 && msg[n-1] == '\n' {
		msg = msg[:n-1]
	}
	for _, t := range s.targets {
		if int(sev) > t.Level || t.Sample != nil && !t.Sample.take() {
			continue
		}
		if dropped := t.add(sev, data, msg, s.now); dropped > 0 {
			s.dropped.Add(uint64(dropped))
			t.Health.trouble(s.now, t.reason, dropped, t.lines.len())
		}
	}
}

// add appends one line, cut to the target's length, and gives the number of
// old lines dropped for it.
func (t *target) add(sev message.Severity, data, msg []byte, now time.Time) (dropped int) {
	if t.header.format == formatJournal {
		dropped = t.lines.begin(t.Len + 2*len(data) + len(t.header.tail) + fieldsOverhead)
		from := len(t.lines.buf)
		buf := t.header.appendJournal(t.lines.buf, max(sev, message.Severity(t.MinLevel)), data, msg, t.Len)
		t.lines.buf = append(buf, '\n')
		t.lines.end(from)
		return dropped
	}
	dropped = t.lines.begin(t.Len + 1)
	from := len(t.lines.buf)
	buf := t.header.append(t.lines.buf, max(sev, message.Severity(t.MinLevel)), now, data)
	room := t.Len - (len(buf) - from)
	switch {
	case room < 0:
		buf = buf[:from+t.Len]
	case len(msg) > room:
		buf = append(buf, msg[:room]...)
	default:
		buf = append(buf, msg...)
	}
	t.lines.buf = append(buf, '\n')
	t.lines.end(from)
	return dropped
}

// Flush sends what the kernel takes, at the end of a loop's turn. It never
// blocks.
func (s *Sender) Flush() {
	s.fresh = false
	waiting := 0
	for _, t := range s.targets {
		if t.lines.len() > 0 {
			s.findLate(t)
			t.sentAt = s.now.UnixNano()
			sent, dropped := t.flush()
			if t.udp() && s.now.Sub(t.looked) >= lookEvery {
				t.looked = s.now
				back := t.back()
				sent, dropped = sent-back, dropped+back
			}
			if sent != 0 { // negative when more came back than went out
				s.sent.Add(uint64(sent))
				t.Health.took(sent)
			}
			if dropped > 0 {
				s.dropped.Add(uint64(dropped))
			}
			if t.Stream == nil || t.lines.len() > 0 { // a Stream judges by itself what it has taken
				t.judge(dropped)
			}
		}
		waiting += t.lines.len()
		t.risk(min(t.atRisk, t.lines.len()))
	}
	if s.waiting.Load() != uint64(waiting) {
		s.waiting.Store(uint64(waiting))
	}
}

// findLate looks, before more is sent, what came back of what was sent before the
// latest outage was over: the end was proven by other loops.
func (s *Sender) findLate(t *target) {
	if t.sentAt == 0 || t.Health.ended.Load() < t.sentAt || !t.udp() {
		return
	}
	if back := t.back(); back > 0 {
		s.sent.Add(-uint64(back))
		t.Health.took(-back)
		s.dropped.Add(uint64(back))
		t.Health.late(back)
	}
}

// judge tells Health how a flush went that lost so many lines.
func (t *target) judge(dropped int) {
	if dropped == 0 && t.lines.len() == 0 {
		t.stuck, t.reason = time.Time{}, 0
		if t.Health.bad.Load() {
			t.Health.fine(time.Now())
		}
		return
	}
	now := time.Now()
	switch {
	case t.lines.len() == 0:
		t.stuck = time.Time{}
	case t.stuck.IsZero():
		t.stuck = now
	}
	if dropped > 0 || now.Sub(t.stuck) >= patience {
		t.Health.trouble(now, t.reason, dropped, t.lines.len())
	}
}

// Pending reports whether lines wait for a receiver: the loop calls Flush
// again within about a millisecond then.
func (s *Sender) Pending() bool {
	for _, t := range s.targets {
		if t.lines.len() > 0 {
			return true
		}
	}
	return false
}

// Known says after a Flush of how many of the lines that wait, of the newest, somebody would know if the process were killed.
func (s *Sender) Known(lines int) {
	for _, t := range s.targets {
		t.risk(max(t.lines.len()-lines, 0))
	}
}

func (t *target) risk(lines int) {
	t.Health.risk(lines - t.atRisk)
	t.atRisk = lines
}

// Sent is the number of lines handed to the kernel and not reported back as
// unreceived.
func (s *Sender) Sent() uint64 { return s.sent.Load() }

// Dropped is the number of lines lost here: the backlog was full, a line was
// larger than the socket takes, or nobody listened (as far as ICMP tells).
func (s *Sender) Dropped() uint64 { return s.dropped.Load() }

// Waiting is the number of lines kept at the last Flush.
func (s *Sender) Waiting() uint64 { return s.waiting.Load() }

// Close makes a last attempt to send, counts what is left as dropped and
// closes the sockets.
func (s *Sender) Close() {
	s.Flush()
	for _, t := range s.targets {
		s.findLate(t)
		back := 0
		if t.udp() {
			back = t.back()
		}
		s.sent.Add(-uint64(back))
		t.Health.took(-back)
		lost := back + t.lines.len()
		s.dropped.Add(uint64(lost))
		if lost > 0 {
			t.Health.trouble(time.Now(), t.reason, lost, 0)
		}
		t.lines.done(t.lines.len())
		t.risk(0)
		if t.sock != nil {
			t.sock.close()
		}
	}
	s.waiting.Store(0)
}

// flush sends batches until the target's lines are gone or the kernel says
// wait. A datagram that came back is taken off sent and counted as dropped.
func (t *target) flush() (sent, dropped int) {
	if t.Ring != nil {
		sent = t.lines.len()
		t.Ring.put(t.lines.all())
		t.lines.done(sent)
		return sent, 0
	}
	if t.Stream != nil {
		return t.stream(), 0
	}
	for opened := false; t.lines.len() > 0; {
		if t.sock.fd < 0 {
			if opened { // it broke again at once
				t.wait()
			}
			if !t.connect() {
				return sent, dropped
			}
			opened = true
		}
		want := min(t.lines.len(), batch)
		n, errno := t.sock.send(&t.lines)
		t.lines.done(n)
		sent += n
		if t.sock.udp && n < want { // an error in mid-batch is not reported, only the short count
			back := t.back()
			sent, dropped = sent-back, dropped+back
		}
		if errno != 0 {
			t.reason = errno
		}
		switch errno {
		case 0:
			t.backoff = 0
		case unix.ECONNREFUSED:
			if t.sock.udp {
				continue // it was about an earlier datagram; the socket stays usable
			}
			t.sock.close()
		case unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
			return sent, dropped
		case unix.EMSGSIZE, unix.EPERM, unix.EACCES:
			t.lines.done(1) // this line, not the receiver, is refused
			dropped++
		default: // the receiver is gone: ENOTCONN, EPIPE, ECONNRESET, ENETUNREACH, ...
			t.sock.close()
		}
	}
	return sent, dropped
}

// stream gives the lines to the target's Stream, all or none.
func (t *target) stream() (sent int) {
	n := t.lines.len()
	if !t.Stream.put(t.lines.all()) {
		t.reason = unix.EAGAIN
		return 0
	}
	t.lines.done(n)
	return n
}

// udp reports whether datagrams may come back.
func (t *target) udp() bool { return t.sock != nil && t.sock.udp && t.sock.fd >= 0 }

// connect opens the socket unless a failure was too recent.
func (t *target) connect() bool {
	if t.backoff > 0 && time.Now().Before(t.retry) {
		return false
	}
	if err := t.sock.open(); err != nil {
		t.reason = unix.EIO
		errors.As(err, &t.reason)
		t.wait()
		return false
	}
	return true
}

// back gives the number of datagrams that came back since the last call.
func (t *target) back() int {
	n, reason := t.sock.refused()
	if reason != 0 {
		t.reason = reason
	}
	return n
}

// wait doubles the time until the next attempt.
func (t *target) wait() {
	t.backoff = min(max(t.backoff*2, firstBackoff), lastBackoff)
	t.retry = time.Now().Add(t.backoff)
}
