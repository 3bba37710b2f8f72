package stream

import (
	"sync"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/stats"
)

// Pace is how many of something began in the last second, over all shards, for
// the rules that ask (fe_req_rate and its kin). The shards' own counters are
// read when they report, which is too late for a rule. A nil Pace counts nothing.
type Pace struct {
	began time.Time // Immutable.

	mu sync.Mutex
	// mu guards the field below.
	rate stats.Rate
}

// NewPace makes one that has counted nothing yet.
func NewPace() *Pace { return &Pace{began: time.Now().Add(-time.Hour)} }

// Value is how many began in the last second.
func (p *Pace) Value() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.rate.Value(time.Since(p.began).Milliseconds()))
}

func (p *Pace) count() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate.Add(time.Since(p.began).Milliseconds(), 1)
}

// Paces are those of a frontend or a backend; nil what no rule asks for.
type Paces struct {
	Sessions, Requests *Pace
	Servers            map[*backend.Server]*Pace
}
