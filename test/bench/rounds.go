package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// costs measures what a request of a case costs each subject: one row of the table.
func (b *bench) costs(ctx context.Context, c benchCase) ([]row, error) {
	if most := b.crowd(c.conns); c.conns > most {
		c.conns = most
		c.what += fmt.Sprintf(" (%d, as the limit of open files wants it)", most)
	}
	subjects, stop, err := b.start(ctx, c)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	rounds, err := b.rounds(ctx, c, subjects)
	r := row{Name: c.name, What: c.what, Unit: "us", Goal: c.goal}
	memory := row{Name: c.name, What: "memory after " + c.name, Unit: "MB"}
	for i, s := range subjects {
		f := figure{Label: s.label}
		if err == nil {
			f.RSS, err = s.memory()
		}
		if err == nil && c.pipeline != "" {
			f.Lines, err = s.logged()
		}
		for _, one := range rounds[i] {
			f.Rounds = append(f.Rounds, one.cpu)
			f.Rate = append(f.Rate, one.rate)
			f.served += one.served
		}
		r.Figures = append(r.Figures, f)
		memory.Figures = append(memory.Figures, figure{Label: s.label, Rounds: []float64{float64(f.RSS) / 1e6}})
	}
	r.compare()
	memory.compare()
	rows := []row{r}
	if c.weighed {
		rows = append(rows, memory)
	}
	return rows, errors.Join(err, stop())
}

// crowd is how many of n connections the limit of open files allows: a subject has one to a server for each.
func (b *bench) crowd(n int) int { return min(n, (b.files-800)/2) }

// start starts a case's subjects and their loads. The caller must call stop, whatever start returns.
func (b *bench) start(ctx context.Context, c benchCase) (subjects []*subject, stop func() error, err error) {
	var loops []*loop
	stop = func() (err error) {
		for _, s := range slices.Backward(subjects) {
			if again := s.stop(); again != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", s.label, again))
			}
		}
		for _, l := range loops {
			err = errors.Join(err, l.gate.end())
			l.close()
		}
		return err
	}
	for _, who := range b.candidates {
		if !c.can(who.kind) {
			continue
		}
		s := &subject{candidate: who, dir: fmt.Sprintf("%s/%s-%s", b.dir, c.name, who.label)}
		subjects = append(subjects, s)
		backend, log := b.server.addr, ""
		if c.toHTTP2 {
			backend = b.server.http2
		}
		l, err := newLoop(c)
		if err != nil {
			return subjects, stop, err
		}
		loops = append(loops, l)
		l.start(b.loadCore)
		if c.log {
			log = l.logAddr()
		}
		if b.cheap && !c.toHTTP2 && !c.upload || c.client == byTest {
			backend = l.backendAddr()
		}
		if err := s.start(ctx, c, backend, log, b.subjectCore, b.loadCore); err != nil {
			return subjects, stop, fmt.Errorf("%s: %w", s.label, err)
		}
		if err := b.attach(ctx, c, s, l, backend); err != nil {
			return subjects, stop, fmt.Errorf("%s: %w", s.label, err)
		}
	}
	return subjects, stop, nil
}

// attach gives a subject its load, and what counts its requests.
func (b *bench) attach(ctx context.Context, c benchCase, s *subject, l *loop, backend string) error {
	if err := l.resume(); err != nil { // it may be the server
		return err
	}
	if c.client != byHandshakes || c.resumed {
		if err := c.try(ctx, s.addr.String()); err != nil {
			return err
		}
	}
	if c.client == byTest {
		return nil
	}
	if err := l.pause(); err != nil {
		return err
	}
	s.count = b.server
	if backend == l.backendAddr() {
		s.count = l
	}
	switch {
	case c.client == byHandshakes:
		h := startHandshakes(c, s.addr.String(), b.loadCore)
		s.load, s.count = h, h
	case b.cheap && c.client == byHTTP1 && !c.tls && !c.upload:
		l.aim(s.addr)
		s.load, s.count = nopStop{l}, l
		return nil
	default:
		p, err := startProgram(c, s.addr, s.dir, b.loadCore)
		if err != nil {
			return err
		}
		s.load = p
	}
	s.load = both{s.load, l}
	return s.load.pause()
}

// both is a program's load, and the loop that plays its server or the receiver of its log.
type both struct {
	load
	l *loop
}

func (b both) resume() error { return errors.Join(b.l.resume(), b.load.resume()) }
func (b both) pause() error  { return errors.Join(b.load.pause(), b.l.pause()) }

// nopStop leaves stopping the loop to whoever made it.
type nopStop struct{ *loop }

func (nopStop) stop() error { return nil }

// one is what a subject did in a round.
type one struct {
	cpu    float64 // us per request
	rate   float64 // requests per second
	served int64
}

const (
	leadIn = 25 * time.Millisecond // how long a load runs before a round begins
	fewest = 20                    // requests of a round
)

// rounds measures the subjects in turn.
func (b *bench) rounds(ctx context.Context, c benchCase, subjects []*subject) ([][]one, error) {
	rounds := make([][]one, len(subjects))
	for _, s := range subjects {
		if _, err := s.measure(ctx, 0, 4*b.lasting); err != nil { // which warms it up
			return rounds, fmt.Errorf("%s: %w", s.label, err)
		}
	}
	lasting := b.lasting
	if c.slow {
		lasting *= 4
	}
	for round := range b.count {
		for _, i := range order(len(subjects), round) {
			got, err := subjects[i].measure(ctx, leadIn, lasting)
			if err != nil {
				return rounds, fmt.Errorf("%s: %w", subjects[i].label, err)
			}
			rounds[i] = append(rounds[i], got)
		}
		if b.verbose {
			var text []string
			for i, s := range subjects {
				text = append(text, fmt.Sprintf("%s %.2f", s.label, rounds[i][round].cpu))
			}
			fmt.Fprintf(os.Stderr, "  %s round %d: %s\n", c.name, round+1, strings.Join(text, "  "))
		}
	}
	return rounds, nil
}

// measure lets the subject's load run and measures it meanwhile, from one moment at full speed to another.
func (s *subject) measure(ctx context.Context, lead, lasting time.Duration) (got one, err error) {
	if err := s.load.resume(); err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, s.load.pause()) }()
	if err := sleep(ctx, lead); err != nil {
		return got, err
	}
	n, used, begin, err := s.look(ctx)
	if err != nil {
		return got, err
	}
	var n2 int64
	var used2 time.Duration
	var end time.Time
	for more := 0; n2-n < fewest; more++ { // a busy machine has longer rounds
		if more == 100 {
			return got, fmt.Errorf("only %d requests were served in %v", n2-n, end.Sub(begin))
		}
		if err := sleep(ctx, lasting); err != nil {
			return got, err
		}
		if n2, used2, end, err = s.look(ctx); err != nil {
			return got, err
		}
	}
	got.served = n2 - n
	got.cpu = (used2 - used).Seconds() * 1e6 / float64(got.served)
	got.rate = float64(got.served) / end.Sub(begin).Seconds()
	return got, nil
}

func (s *subject) look(ctx context.Context) (served int64, used time.Duration, at time.Time, err error) {
	if served, err = s.count.count(ctx); err == nil {
		used, err = s.cpu()
	}
	return served, used, time.Now(), err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
