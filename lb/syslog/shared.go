package syslog

import (
	"sync"

	"lbsyslogd/syslogd/message"
)

// Shared is a Sender for ordinary goroutines: the few lines of health checks
// and of starting and stopping.
type Shared struct {
	mu sync.Mutex // guards s
	s  *Sender
}

// NewShared makes a Shared with sockets of its own.
func NewShared(targets ...Target) (*Shared, error) {
	s, err := NewSender(targets...)
	if err != nil {
		return nil, err
	}
	return &Shared{s: s}, nil
}

// Log sends one line now; what the kernel does not take goes out with a later
// Log or Flush.
func (sh *Shared) Log(sev message.Severity, msg string) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.s.Log(sev, []byte(msg))
	sh.s.Flush()
	sh.s.Known(0)
}

// Flush tries again what is left and reports whether lines still wait.
func (sh *Shared) Flush() (pending bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.s.Flush()
	sh.s.Known(0)
	return sh.s.Pending()
}

// Sent and Dropped are the counters of the Sender.
func (sh *Shared) Sent() uint64 { return sh.s.Sent() }

// Dropped is Sender.Dropped.
func (sh *Shared) Dropped() uint64 { return sh.s.Dropped() }

// Close is Sender.Close.
func (sh *Shared) Close() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.s.Close()
}
