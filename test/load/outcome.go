package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrLast is of a request in a pipeline after an answer that announced the connection's end: the server has not looked at it.
var ErrLast = fmt.Errorf("the answer before it was the connection's last: %w", io.EOF)

// Outcome is what became of one request.
type Outcome int

// Every request ends in exactly one of these.
const (
	OK          Outcome = iota // the right answer, whole
	Refused                    // the connection was refused
	Reset                      // the connection was reset
	EarlyClose                 // the connection ended before the answer did
	Timeout                    // nothing came in time
	BadStatus                  // an answer other than 200
	WrongBody                  // 200 with another body than this request's
	BadResponse                // not an HTTP response
	OtherError                 // any other error of the network or of TLS
	outcomes
)

func (o Outcome) String() string {
	return [outcomes]string{"ok", "refused", "reset", "early close", "timeout", "bad status", "wrong body", "bad response", "other error"}[o]
}

// StatusError is an answer with another status than was wanted.
type StatusError int

func (e StatusError) Error() string { return fmt.Sprintf("%v: %d", errBadStatus, int(e)) }

func (e StatusError) Is(target error) bool { return target == errBadStatus }

var (
	errBadStatus   = errors.New("status is not 200")
	errWrongBody   = errors.New("the body is not this request's")
	errBadResponse = errors.New("not an HTTP response")
)

// Classify tells which outcome err stands for.
func Classify(err error) Outcome {
	var ne net.Error
	switch {
	case err == nil:
		return OK
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EarlyClose
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return Timeout
	case errors.Is(err, errBadStatus):
		return BadStatus
	case errors.Is(err, errWrongBody):
		return WrongBody
	case errors.Is(err, errBadResponse):
		return BadResponse
	}
	return OtherError
}

// Failure is one request that did not go well.
type Failure struct {
	Number  int
	Outcome Outcome
	Err     error
}

// Result is what a run came to, or has come to so far.
type Result struct {
	Counts   [outcomes]uint64
	Conns    uint64    // connections made
	Failures []Failure // the first few
	Elapsed  time.Duration
	P50, P99 time.Duration // of the right answers; an upper bound within an eighth
	Max      time.Duration
}

// OK is the number of requests that were answered rightly.
func (r Result) OK() uint64 { return r.Counts[OK] }

// Failed is the number of requests that were not.
func (r Result) Failed() uint64 {
	var n uint64
	for _, c := range r.Counts[OK+1:] {
		n += c
	}
	return n
}

// String tells the counts that are not zero, then the first failures.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d ok", r.OK())
	for o := OK + 1; o < outcomes; o++ {
		if r.Counts[o] > 0 {
			fmt.Fprintf(&b, ", %d %v", r.Counts[o], o)
		}
	}
	fmt.Fprintf(&b, " over %d connections in %v, 99%% within %v, longest %v", r.Conns, r.Elapsed.Round(time.Millisecond), r.P99, r.Max.Round(time.Microsecond))
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "\n  request %d: %v: %v", f.Number, f.Outcome, f.Err)
	}
	return b.String()
}

// keptFailures bounds Result.Failures.
const keptFailures = 20

// tally counts outcomes as they come in from all connections.
type tally struct {
	counts [outcomes]atomic.Uint64
	conns  atomic.Uint64
	times  [64 * 8]atomic.Uint64 // by bucket
	max    atomic.Int64

	// mu guards the fields below.
	mu       sync.Mutex
	failures []Failure
}

func (t *tally) add(number int, err error, took time.Duration) Outcome {
	o := Classify(err)
	t.counts[o].Add(1)
	if o == OK {
		t.times[bucket(took)].Add(1)
		for {
			old := t.max.Load()
			if int64(took) <= old || t.max.CompareAndSwap(old, int64(took)) {
				return o
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failures) < keptFailures {
		t.failures = append(t.failures, Failure{number, o, err})
	}
	return o
}

func (t *tally) result(elapsed time.Duration) Result {
	r := Result{Elapsed: elapsed, Conns: t.conns.Load(), Max: time.Duration(t.max.Load())}
	for o := range r.Counts {
		r.Counts[o] = t.counts[o].Load()
	}
	var sums [len(t.times)]uint64
	var sum uint64
	for i := range t.times {
		sum += t.times[i].Load()
		sums[i] = sum
	}
	within := func(share uint64) time.Duration {
		i := sort.Search(len(sums), func(i int) bool { return sums[i]*100 >= sum*share })
		return min(bucketEnd(i), r.Max)
	}
	if sum > 0 {
		r.P50, r.P99 = within(50), within(99)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Failures = append([]Failure(nil), t.failures...)
	return r
}

// bucket divides each power of two of nanoseconds into eight.
func bucket(d time.Duration) int {
	n := uint64(max(d, 8))
	exp := 0
	for v := n; v >= 16; v >>= 1 {
		exp++
	}
	return exp*8 + int(n>>exp) - 8
}

// bucketEnd is the first duration behind bucket i.
func bucketEnd(i int) time.Duration {
	return time.Duration(i%8+9) << (i / 8)
}
