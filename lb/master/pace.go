package master

import "time"

// Requests for a reload that come together are answered together. One that
// comes while nothing goes on is obeyed at once, and one that comes while a
// reload runs gets the next one, which begins when that has ended. This is
// enough as long as few ask: a loop of reloads has a generation for each.
//
// Two hundred who ask at once do not come in one instant, though: their
// processes start over seconds, and every generation would find a few of them.
// So a crowd makes the next reload wait until it has gathered.

const (
	// crowd is how many requests within a second are one: more than operators
	// and timers that happen to meet, more than a loop that reloads five times
	// a second.
	crowd = 8

	// lull is how long nobody must have asked for a crowd to be complete. Two
	// cores that start hundreds of programs make gaps of some 100 ms.
	lull = 500 * time.Millisecond

	// patience bounds the wait of those who asked first.
	patience = 5 * time.Second
)

// pace says when the next reload may begin. Owned by the goroutine of Run.
type pace struct {
	asked [crowd]time.Time // by the last ones, a ring
	next  int              // in asked
	until time.Time        // nobody of the crowd waits longer; past when there is none
}

// ask notes a request.
func (p *pace) ask(now time.Time) {
	p.asked[p.next] = now
	p.next = (p.next + 1) % crowd
	if now.Sub(p.asked[p.next]) <= time.Second && now.After(p.until) {
		p.until = now.Add(patience)
	}
}

// rest is how long the next reload has to wait for others who will ask for it;
// not above 0 is not at all.
func (p *pace) rest(now time.Time) time.Duration {
	last := p.asked[(p.next+crowd-1)%crowd]
	return min(p.until.Sub(now), last.Add(lull).Sub(now))
}

// nextReload begins the reload for those who asked while another attempt was
// under way, when they are all. What a former master left is taken over first.
func (r *run) nextReload() {
	if len(r.waiting) == 0 || r.attempt.why != "" || len(r.adopting) > 0 || r.stopping {
		return
	}
	// Where nothing serves nothing is gained by waiting.
	if d := r.pace.rest(time.Now()); d > 0 && r.current != nil {
		r.after(d, r.nextReload)
		return
	}
	next := attempt{why: reloading, waiters: r.waiting, ifChanged: !r.waitingAnyway}
	r.waiting, r.waitingAnyway = nil, false
	r.begin(next)
}
