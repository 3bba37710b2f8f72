// Package load is an HTTP client with a ledger: it sends numbered requests, never sends one twice, and says of each what became
// of it. A request that was refused, reset, cut short or answered wrongly is a failure, whatever a patient client might have
// made of it by trying again.
//
//  1. Run starts a goroutine per connection (conn.go); they draw request numbers from one counter, so each is sent once.
//  2. A connection writes its request and reads the answer (response.go) into buffers it keeps.
//  3. The answer is compared with what the backend must have sent for that very number.
//  4. The outcome is counted (outcome.go); Progress may be called at any time.
package load

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what to send. Addr, Run and Requests are needed; the other fields have usable zero values.
type Options struct {
	Addr     string        // host:port
	Run      string        // names this run in the path: /r/RUN/N
	Requests int           // numbered 0 to Requests-1
	Least    int           // so many of them are sent even if the context ends before
	Conns    int           // connections at once; 0 means 1
	PerConn  int           // requests on one connection before the client asks to close it; 0 means no end
	Rate     int           // requests a second over all connections; 0 means as fast as answers come
	PostEach int           // every PostEach-th request posts a body; 0 means none does
	BodySize int           // of a posted body, bytes; 0 means 1000
	Chunked  bool          // a posted body is sent in chunks
	Pipeline int           // requests that are sent together, before the first answer is read; 0 means 1
	Timeout  time.Duration // for a connection to be made, and for an answer; 0 means 30 s
	TLS      *tls.Config   // nil for plain TCP

	// Each, if not nil, is called with every request when its outcome is known, from all connections at once.
	Each func(Request)
}

// Request is what became of one request.
type Request struct {
	Number  int
	Outcome Outcome
	Status  int // of the answer; 0 if none came
	Err     error
	Behind  bool      // in its pipeline, an answer before it broke off or was the connection's last: the server may never have read it
	Dialled time.Time // when its connection was begun
	Begun   time.Time
	Ended   time.Time
}

// Load is one run.
type Load struct {
	opt   Options
	next  atomic.Int64 // the next request's number
	begun time.Time
	tally tally
}

// New prepares a run. The caller must call Run exactly once.
func New(opt Options) *Load {
	opt.Conns, opt.Pipeline = max(opt.Conns, 1), max(opt.Pipeline, 1)
	if opt.BodySize == 0 {
		opt.BodySize = 1000
	}
	if opt.Timeout == 0 {
		opt.Timeout = 30 * time.Second
	}
	return &Load{opt: opt, begun: time.Now()}
}

// Run sends the requests and returns when each has its outcome. When ctx ends no further request is begun, but for the Least.
func (l *Load) Run(ctx context.Context) Result {
	l.begun = time.Now()
	var done sync.WaitGroup
	for range l.opt.Conns {
		done.Go(func() { newConn(l).run(ctx) })
	}
	done.Wait()
	return l.tally.result(time.Since(l.begun))
}

// Progress returns what is known so far.
func (l *Load) Progress() Result { return l.tally.result(time.Since(l.begun)) }

// draw returns the next request's number once it is due, or false when there is none. A number that is drawn is sent, also when ctx
// ends while it waits for its time: the numbers sent have no gap.
func (l *Load) draw(ctx context.Context) (int, bool) {
	if ctx.Err() != nil && l.next.Load() >= int64(l.opt.Least) {
		return 0, false
	}
	n := int(l.next.Add(1) - 1)
	if n >= l.opt.Requests {
		return 0, false
	}
	if l.opt.Rate > 0 {
		due := l.begun.Add(time.Duration(n) * time.Second / time.Duration(l.opt.Rate))
		if d := time.Until(due); d > 0 {
			<-time.After(d)
		}
	}
	return n, true
}
