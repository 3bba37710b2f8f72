package resolve

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// Slot is one server that gets its address from an answer.
type Slot interface {
	// Now is the address that it has; invalid: none.
	Now() netip.AddrPort
	// Move gives it another one; invalid takes it out of service. A weight of
	// -1 leaves its own.
	Move(to netip.AddrPort, weight int)
}

// Group is the servers of a backend that share a name.
type Group struct {
	Resolver *Resolver
	Question Question
	Port     uint16         // where an answer tells none
	Networks []netip.Prefix // addresses of these come first
	MayShare bool           // two servers may have one address
	NoWeight bool           // weights of SRV records say nothing
	Slots    []Slot

	good time.Time // the last valid answer
	gone []time.Time
}

// Run keeps the group's addresses up to date until ctx ends.
func (g *Group) Run(ctx context.Context) {
	g.good = time.Now() // what a generation before knew is as good as an answer
	g.gone = make([]time.Time, len(g.Slots))
	for {
		records, outcome := g.Resolver.lookup(ctx, g.Question)
		if ctx.Err() != nil {
			return
		}
		next := g.Resolver.Resolve
		if outcome == Valid && len(records) > 0 {
			next = g.Resolver.Hold.Valid
			g.take(records, time.Now())
		} else {
			g.fail(outcome, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(next, 10*time.Millisecond)):
		}
	}
}

// take shares an answer out: whoever has one of its addresses keeps it, others
// get what is left.
func (g *Group) take(records []Record, now time.Time) {
	g.good = now
	if len(g.Networks) > 0 {
		rank := func(r Record) int {
			i := slices.IndexFunc(g.Networks, func(p netip.Prefix) bool { return p.Contains(r.Addr) })
			if i < 0 {
				return len(g.Networks)
			}
			return i
		}
		slices.SortStableFunc(records, func(a, b Record) int { return rank(a) - rank(b) })
	}
	places := make([]netip.AddrPort, len(records))
	for i, r := range records {
		port := r.Port
		if port == 0 {
			port = g.Port
		}
		places[i] = netip.AddrPortFrom(r.Addr, port)
	}
	taken := make([]bool, len(records))
	var without []int
	for i, s := range g.Slots {
		at := slices.Index(places, s.Now())
		if at < 0 || taken[at] && !g.MayShare {
			without = append(without, i)
			continue
		}
		taken[at] = true
		g.gone[i] = time.Time{}
		s.Move(places[at], g.weight(records[at]))
	}
	for n, i := range without {
		at := slices.Index(taken, false)
		if at < 0 && g.MayShare {
			at = n % len(places)
		}
		if at < 0 {
			g.lose(i, now, g.Resolver.Hold.Obsolete)
			continue
		}
		taken[at] = true
		g.gone[i] = time.Time{}
		g.Slots[i].Move(places[at], g.weight(records[at]))
	}
}

func (g *Group) weight(r Record) int {
	if g.NoWeight {
		return -1
	}
	return r.Weight
}

// fail holds what is known for as long as this outcome allows.
func (g *Group) fail(o Outcome, now time.Time) {
	if now.Sub(g.good) < g.Resolver.Hold.of(o) {
		return
	}
	for i := range g.Slots {
		g.lose(i, now, 0)
	}
}

// lose takes an address from a server, once it has been missing for so long.
func (g *Group) lose(i int, now time.Time, hold time.Duration) {
	if g.gone[i].IsZero() {
		g.gone[i] = now
	}
	if now.Sub(g.gone[i]) >= hold {
		g.Slots[i].Move(netip.AddrPort{}, -1)
	}
}
