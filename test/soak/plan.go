package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// event is one deed at its time.
type event struct {
	at    time.Duration // since the round began
	fault *fault
	arg   uint32 // chooses the details
}

// plan is what happens in one round.
type plan struct {
	seed   uint64
	round  int
	length time.Duration
	events []event
}

// draw makes the plan of a round from the seed; the operator pauses for every, if that is not 0. Each hand has a schedule of its own, so deeds of different hands meet in every way.
func draw(seed uint64, round int, length, every time.Duration, allowed func(*fault) bool) plan {
	p := plan{seed: seed, round: round, length: length}
	for h := range hands {
		r := rand.New(rand.NewPCG(seed, uint64(round)<<8|uint64(h)))
		var list []*fault
		sum := 0
		for _, f := range faults {
			if f.hand == hand(h) && allowed(f) {
				list = append(list, f)
				sum += f.weight
			}
		}
		if sum == 0 {
			continue
		}
		pause := hands[h].pause
		if hand(h) == operator && every > 0 {
			pause = every
		}
		for at := pause / 2; at < length-time.Second; {
			n := r.IntN(sum)
			i := 0
			for n >= list[i].weight {
				n -= list[i].weight
				i++
			}
			p.events = append(p.events, event{at.Truncate(time.Millisecond), list[i], r.Uint32()})
			at += time.Duration(float64(pause) * min(r.ExpFloat64(), 4))
		}
	}
	p.sort()
	return p
}

func (p *plan) sort() {
	slices.SortStableFunc(p.events, func(a, b event) int { return int(a.at - b.at) })
}

// String is the plan as a case file has it.
func (p plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d round %d length %v\n", p.seed, p.round, p.length)
	for _, e := range p.events {
		fmt.Fprintf(&b, "%v %s %d\n", e.at, e.fault.name, e.arg)
	}
	return b.String()
}

// readPlan reads what String wrote; empty lines and those that begin with # are comments.
func readPlan(src io.Reader) (plan, error) {
	var p plan
	lines := bufio.NewScanner(src)
	begun := false
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		var err error
		if !begun {
			begun = true
			err = p.readHead(text)
		} else {
			err = p.readEvent(text)
		}
		if err != nil {
			return p, fmt.Errorf("line %d: %q: %w", n, text, err)
		}
	}
	if err := lines.Err(); err != nil {
		return p, err
	}
	if !begun {
		return p, fmt.Errorf("the first line has to be: seed N round N length TIME")
	}
	p.sort()
	return p, nil
}

func (p *plan) readHead(text string) error {
	f := strings.Fields(text)
	if len(f) != 6 || f[0] != "seed" || f[2] != "round" || f[4] != "length" {
		return fmt.Errorf("want: seed N round N length TIME")
	}
	var err error
	if p.seed, err = strconv.ParseUint(f[1], 10, 64); err != nil {
		return err
	}
	if p.round, err = strconv.Atoi(f[3]); err != nil {
		return err
	}
	p.length, err = time.ParseDuration(f[5])
	return err
}

func (p *plan) readEvent(text string) error {
	f := strings.Fields(text)
	if len(f) != 3 {
		return fmt.Errorf("want: TIME DEED NUMBER")
	}
	at, err := time.ParseDuration(f[0])
	if err != nil {
		return err
	}
	arg, err := strconv.ParseUint(f[2], 10, 32)
	if err != nil {
		return err
	}
	for _, known := range faults {
		if known.name == f[1] {
			p.events = append(p.events, event{at, known, uint32(arg)})
			return nil
		}
	}
	return fmt.Errorf("there is no deed %q", f[1])
}
