package assemble

import (
	"sync"
	"time"

	"lbsyslogd/lb/syslog"
	"lbsyslogd/syslogd/message"
)

// sideLog takes the log lines that no loop writes: those of the health checks,
// and those about a worker that was killed. A receiver that lags takes few
// at a time (a unix socket's queue may hold ten), and nothing else would offer
// it the rest soon.
type sideLog struct {
	*syslog.Shared

	mu sync.Mutex
	// mu guards the fields below.
	offering bool // a goroutine offers what is left
	closed   bool
}

// offerEvery is how often a receiver that lags is offered what is left.
const offerEvery = 5 * time.Millisecond

// write logs one line. What is not taken at once is offered again until it is.
func (l *sideLog) write(sev message.Severity, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.Log(sev, line)
	if !l.offering && l.Flush() {
		l.offering = true
		go l.offer()
	}
}

// offer ends when all is taken, or with the log.
func (l *sideLog) offer() {
	tick := time.NewTicker(offerEvery)
	defer tick.Stop()
	for range tick.C {
		l.mu.Lock()
		if l.closed || !l.Flush() {
			l.offering = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
	}
}

// finish waits until all is taken, and no longer than until the time given;
// nothing is logged any more then.
func (l *sideLog) finish(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	for l.Flush() && time.Now().Before(until) {
		time.Sleep(time.Millisecond)
	}
	l.closed = true
	l.Close()
}

// sideLogs are those of one worker.
type sideLogs struct {
	mu sync.Mutex
	// mu guards the fields below.
	list []*sideLog
	lost map[int]*sideLog // by stream.Frontend.Logs: about requests that a killed worker lost
}

// open makes a log for these targets.
func (s *sideLogs) open(targets []syslog.Target) (*sideLog, error) {
	out, err := syslog.NewShared(targets...)
	if err != nil {
		return nil, err
	}
	l := &sideLog{Shared: out}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, l)
	return l, nil
}

// ofFrontend is where lost requests of a frontend are logged; it is opened by
// the first.
func (s *sideLogs) ofFrontend(set int, targets []syslog.Target) (*sideLog, error) {
	s.mu.Lock()
	l := s.lost[set]
	s.mu.Unlock()
	if l != nil {
		return l, nil
	}
	l, err := s.open(targets)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost == nil {
		s.lost = map[int]*sideLog{}
	}
	s.lost[set] = l
	return l, nil
}

// lastOffer bounds how long an ending worker waits for its log's receivers.
const lastOffer = 2 * time.Second

// finish has the last lines leave.
func (s *sideLogs) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Now().Add(lastOffer)
	for _, l := range s.list {
		l.finish(until)
	}
}

// endStreams has the last lines written, when nobody logs any more.
func (rt *Runtime) endStreams() {
	until := time.Now().Add(lastOffer)
	for _, s := range rt.streams {
		s.Close(until)
	}
}
