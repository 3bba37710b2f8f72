package route

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Rate is how many messages may come in a second, and how many at once after a while without any. The zero value is no limit.
type Rate struct{ PerSecond, Burst int }

// A Limiter lets through what does not exceed a Rate, counts the rest, and says for whom. The zero value lets everything through.
type Limiter struct {
	rate    atomic.Pointer[pace] // nil: no limit
	dropped atomic.Uint64

	// mu guards the fields below.
	mu      sync.RWMutex
	senders map[netip.Addr]*bucket
	others  bucket // of senders that the table has no room for
	swept   int64  // when the table was last searched for room
}

// pace is a Rate in nanoseconds: one message takes interval, and a burst is as many as fit in slack.
type pace struct {
	Rate
	interval, slack int64
}

// A bucket is one sender's account: the moment at which all that it has sent would have come at the even rate. Once that has passed, the account
// says nothing that a new one does not.
type bucket struct {
	even    atomic.Int64
	dropped atomic.Uint64 // since the last report
	total   atomic.Uint64
}

const (
	// mostBuckets bounds the memory for senders. What does not find room, of forged addresses say, shares one account.
	mostBuckets = 8192
	// sweepPause comes between two searches for room.
	sweepPause = int64(100 * time.Millisecond)
)

// epoch is what times are counted from, by the clock that nobody sets.
var epoch = time.Now()

func sinceEpoch(t time.Time) int64 { return int64(t.Sub(epoch)) }

// SetRate changes the limit, from the next message on. What was counted stays.
func (l *Limiter) SetRate(r Rate) {
	if r.PerSecond <= 0 {
		l.rate.Store(nil)
		return
	}
	p := &pace{Rate: r, interval: max(1, int64(time.Second)/int64(r.PerSecond))}
	p.slack = p.interval * int64(max(1, r.Burst))
	l.rate.Store(p)
}

// Rate is the limit.
func (l *Limiter) Rate() Rate {
	if p := l.rate.Load(); p != nil {
		return p.Rate
	}
	return Rate{}
}

// Active says whether there is a limit.
func (l *Limiter) Active() bool { return l.rate.Load() != nil }

// take lets one message through, or does not.
func (b *bucket) take(p *pace, now int64) bool {
	for {
		even := b.even.Load()
		next := max(even, now) + p.interval
		if next > now+p.slack {
			if even > now+2*p.slack { // of a slower rate, before a reload
				b.even.CompareAndSwap(even, now+p.slack)
			}
			return false
		}
		if b.even.CompareAndSwap(even, next) {
			return true
		}
	}
}

// Take lets a message of a sender through that came at now, or counts it as dropped.
func (l *Limiter) Take(sender netip.Addr, now int64) bool {
	p := l.rate.Load()
	if p == nil {
		return true
	}
	b := l.find(sender, now)
	if b.take(p, now) {
		return true
	}
	b.dropped.Add(1)
	b.total.Add(1)
	l.dropped.Add(1)
	return false
}

// find is the account of a sender.
func (l *Limiter) find(sender netip.Addr, now int64) *bucket {
	l.mu.RLock()
	b := l.senders[sender]
	l.mu.RUnlock()
	if b != nil {
		return b
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b = l.senders[sender]; b != nil {
		return b
	}
	if len(l.senders) >= mostBuckets && !l.sweep(now) {
		return &l.others
	}
	if l.senders == nil {
		l.senders = make(map[netip.Addr]*bucket)
	}
	b = new(bucket)
	l.senders[sender] = b
	return b
}

// sweep forgets the senders that have nothing to be remembered for, and says whether there is room. Called with mu held.
func (l *Limiter) sweep(now int64) bool {
	if now-l.swept >= sweepPause || now < l.swept {
		l.swept = now
		for sender, b := range l.senders {
			if b.even.Load() <= now && b.dropped.Load() == 0 {
				delete(l.senders, sender)
			}
		}
	}
	return len(l.senders) < mostBuckets
}

// Limited is what was dropped of a sender. The zero Sender with Others set is all those that the table had no room for.
type Limited struct {
	Sender  netip.Addr
	Others  bool
	Dropped uint64
}

// Dropped is how many messages were dropped in all.
func (l *Limiter) Dropped() uint64 { return l.dropped.Load() }

// Report is who lost messages since the last Report, the worst first.
func (l *Limiter) Report() []Limited {
	return l.list(func(b *bucket) uint64 { return b.dropped.Swap(0) })
}

// Worst are up to n senders that lost messages, of those that are remembered, the worst first.
func (l *Limiter) Worst(n int) []Limited {
	all := l.list(func(b *bucket) uint64 { return b.total.Load() })
	return all[:min(n, len(all))]
}

func (l *Limiter) list(count func(*bucket) uint64) (all []Limited) {
	if l.dropped.Load() == 0 {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for sender, b := range l.senders {
		if n := count(b); n > 0 {
			all = append(all, Limited{Sender: sender, Dropped: n})
		}
	}
	if n := count(&l.others); n > 0 {
		all = append(all, Limited{Others: true, Dropped: n})
	}
	slices.SortFunc(all, func(a, b Limited) int { return cmp.Or(cmp.Compare(b.Dropped, a.Dropped), a.Sender.Compare(b.Sender)) })
	return all
}
