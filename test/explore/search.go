// Package explore walks through everything that can happen in a small handover: each order in which master, workers and clients can take their
// steps, and the death of each process between any two of them.
//
//  1. search.go visits every state that can be reached, once, and keeps how it got there
//  2. handover.go is the protocol: its steps are named after the functions whose work they are, in lb/succession, lb/stream, lb/worker and lb/master
//  3. handover_test.go says what must hold in each state, and plants errors that have to be found
//
// It is the protocol that is explored here, not the code. The code is killed at each of its messages by TestKilledAtEachMessage in test/handover.
package explore

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unsafe"
)

// fingerprint stands for a state. Two seeds make 128 bits: that two of some million states share one is less likely than a fault of the memory.
type fingerprint [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// printOf reads a state as bytes: it has no pointers, and nothing between its fields.
func printOf[S any](s *S) fingerprint {
	b := unsafe.Slice((*byte)(unsafe.Pointer(s)), unsafe.Sizeof(*s))
	return fingerprint{maphash.Bytes(seeds[0], b), maphash.Bytes(seeds[1], b)}
}

// model is what can be explored. next calls yield with each state that one step leads to, and check says what is wrong with a state; last says
// that no step is left.
type model[S any] struct {
	first S
	next  func(s *S, yield func(who, step string, s *S))
	check func(s *S, last bool) error
}

// outcome is what a search found.
type outcome struct {
	states, ends int   // different ones
	err          error // with the steps that lead there; nil if all is well
}

// explore visits every state, nearest first, so that an error comes with one of the shortest paths to it.
func explore[S any](m model[S]) (o outcome) {
	type origin struct {
		from      fingerprint
		who, step string
	}
	seen := map[fingerprint]origin{printOf(&m.first): {}}
	path := func(f fingerprint) string {
		var steps []string
		for at := seen[f]; at.step != ""; at = seen[at.from] {
			steps = append(steps, at.who+": "+at.step)
		}
		var b strings.Builder
		for i := len(steps) - 1; i >= 0; i-- {
			fmt.Fprintf(&b, "\n  %s", steps[i])
		}
		return b.String()
	}
	for queue := []S{m.first}; len(queue) > 0 && o.err == nil; {
		var later []S
		for i := range queue {
			s := &queue[i]
			from, last := printOf(s), true
			m.next(s, func(who, step string, n *S) {
				last = false
				f := printOf(n)
				if _, known := seen[f]; !known {
					seen[f] = origin{from, who, step}
					later = append(later, *n)
				}
			})
			o.states++
			if last {
				o.ends++
			}
			if err := m.check(s, last); err != nil {
				o.err = fmt.Errorf("%w, after%s", err, path(from))
				break
			}
		}
		queue = later
	}
	return o
}
