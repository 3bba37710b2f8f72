package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// once plays one round on a site of its own.
func (opt options) once(ctx context.Context, p plan) (res result, err error) {
	s := &site{programs: opt.programs, other: opt.other, more: opt.more}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	if err := s.open(ctx); err != nil {
		return res, err
	}
	return s.play(ctx, p, opt.rate)
}

// shrink leaves out of a plan that failed what it fails without: first halves, then smaller parts, until the time is up. What depends on the moment may
// not fail again at all; then the plan stays as it is.
func (opt options) shrink(ctx context.Context, p plan) plan {
	end := time.Now().Add(opt.shrinking)
	if opt.shrinking > 0 {
		fmt.Printf("looking for a smaller plan that fails, for up to %v\n", opt.shrinking)
	}
	for part := (len(p.events) + 1) / 2; part > 0; part /= 2 {
		for at := 0; at < len(p.events); {
			if time.Now().After(end) || ctx.Err() != nil {
				return p
			}
			q := p
			q.events = slices.Delete(slices.Clone(p.events), at, min(at+part, len(p.events)))
			res, err := opt.once(ctx, q)
			if err == nil && res.count == 0 {
				at += part
				continue
			}
			fmt.Printf("fails with %d deeds as well\n", len(q.events))
			p = q
		}
	}
	return p
}

// again plays the round of a case file three times.
func (opt options) again(ctx context.Context, p plan) error {
	for try := range 3 {
		res, err := opt.once(ctx, p)
		if err != nil {
			return err
		}
		fmt.Printf("try %d: %v\n", try+1, res)
		for _, p := range res.problems {
			fmt.Println(" ", p)
		}
		for _, line := range res.evidence {
			fmt.Println("   ", line)
		}
		if res.count > 0 {
			return fmt.Errorf("%d differences", res.count)
		}
	}
	return nil
}
