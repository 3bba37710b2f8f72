package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lbsyslogd/test/rig"
)

// options are the command line.
type options struct {
	programs rig.Programs
	other    string // another build of lb
	only     string // the deeds to draw from, separated by commas; "" for all
	seed     uint64
	length   time.Duration // of the whole
	round    time.Duration // of one round
	rate     int
	keep     string        // a directory for case files
	replay   string        // a case file
	bugs     string        // a directory of planted bugs that have to be found
	race     bool          // build the daemons with the race detector
	every    time.Duration // between deeds of the operator, on average; 0 for the usual
	goOn     bool          // after a round with differences
	more     int           // certificates besides the one that is used
	enough   int           // requests after which the soak ends before its time; 0 for no such end

	shrinking time.Duration // how long to look for a smaller plan that fails as well
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var opt options
	flag.StringVar(&opt.programs.LB, "lb", "", "lb's program; without it, both are built")
	flag.StringVar(&opt.other, "other", "", "another build of lb, for upgrades")
	flag.StringVar(&opt.programs.Syslogd, "syslogd", "", "syslogd's program")
	flag.Uint64Var(&opt.seed, "seed", 0, "of the schedules; 0 draws one")
	flag.DurationVar(&opt.length, "for", 2*time.Minute, "how long")
	flag.DurationVar(&opt.round, "round", 30*time.Second, "the length of a round: the books are compared after each")
	flag.IntVar(&opt.rate, "rate", 7000, "requests a second")
	flag.StringVar(&opt.keep, "keep", "soak-cases", "directory for what is found")
	flag.StringVar(&opt.replay, "case", "", "play the round in this case file")
	flag.StringVar(&opt.bugs, "bugs", "", "a directory of planted bugs: build each, and see after how many requests it is found")
	flag.BoolVar(&opt.race, "race", false, "build the daemons with the race detector")
	flag.DurationVar(&opt.every, "every", 0, "the time between deeds of the operator, on average; 0 for the usual")
	flag.BoolVar(&opt.goOn, "go-on", false, "keep the case of a round with differences, and go on with the next: without looking for a smaller plan")
	flag.IntVar(&opt.more, "certificates", 0, "how many certificates the HTTPS address has besides the one that clients ask for: each reload reads them all")
	flag.IntVar(&opt.enough, "enough", 0, "end after so many requests, whatever time is left; 0 for not before the time is over")
	flag.DurationVar(&opt.shrinking, "shrink", 5*time.Minute, "how long to look for a smaller plan that fails as well; 0 for not at all")
	flag.StringVar(&opt.only, "only", "", "draw from these deeds alone, separated by commas")
	flag.Parse()
	if err := opt.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func (opt options) run(ctx context.Context) error {
	if opt.seed == 0 {
		opt.seed = rand.Uint64() >> 32
	}
	if opt.bugs != "" {
		return opt.findBugs(ctx)
	}
	if opt.programs.LB == "" {
		dir, err := os.MkdirTemp("", "soak-bin-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := opt.build(dir, builder{race: opt.race}); err != nil {
			return err
		}
	}
	if opt.replay != "" {
		f, err := os.Open(opt.replay)
		if err != nil {
			return err
		}
		defer f.Close()
		p, err := readPlan(f)
		if err != nil {
			return fmt.Errorf("%s: %w", opt.replay, err)
		}
		return opt.again(ctx, p)
	}
	sum, err := opt.soak(ctx)
	fmt.Print(sum)
	return err
}

// build builds the daemons, and the other build of lb, which differs in its version alone.
func (opt *options) build(dir string, b builder) (err error) {
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		return err
	}
	if opt.programs, err = b.build(dir); err != nil {
		return err
	}
	b.version = "0.0.1-other"
	programs, err := b.build(other)
	opt.other = programs.LB
	return err
}

// allowed reports whether a deed may be drawn.
func (opt options) allowed(f *fault) bool {
	return opt.only == "" || slices.Contains(strings.Split(opt.only, ","), f.name)
}

// soak plays rounds until the time is over or one fails.
func (opt options) soak(ctx context.Context) (sum summary, err error) {
	fmt.Printf("seed %d\n", opt.seed)
	s := &site{programs: opt.programs, other: opt.other, more: opt.more}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	if err := s.open(ctx); err != nil {
		return sum, err
	}
	if s.noDisk != nil {
		fmt.Printf("no small disk, so it is not filled, and no power is cut: %v\n", s.noDisk)
	}
	begun, used := time.Now(), busy()
	var first []vitals
	for round := 1; round == 1 || time.Since(begun) < opt.length && (opt.enough == 0 || sum.total() < opt.enough); round++ {
		p := draw(opt.seed, round, opt.round, opt.every, opt.allowed)
		res, err := s.play(ctx, p, opt.rate)
		if err != nil && (sum.broken || !opt.goOn || ctx.Err() != nil) {
			sum.broken = true
			if err := s.keepSaid(filepath.Join(opt.keep, fmt.Sprintf("%d-%d.said", p.seed, p.round))); err != nil {
				return sum, err
			}
			return sum, fmt.Errorf("round %d: %w\n%s", round, err, s.voices())
		}
		if sum.broken = err != nil; sum.broken { // the next one may be played to its end
			res = result{plan: p, count: 1, problems: []problem{{text: "the round could not be judged: " + err.Error()}}}
		}
		if sum.until += res.total(); res.count > 0 {
			sum.until += res.first - res.total()
		}
		if first == nil {
			first = res.vitals
		}
		for i, v := range res.vitals {
			if text := grown(first[i], v); text != "" {
				res.count++
				res.problems = append(res.problems, problem{text: text})
			}
		}
		sum.add(res, first, time.Since(begun))
		sum.processor = busy() - used
		if text, err := os.ReadFile(s.said.Name()); err == nil {
			sum.told(string(text))
		}
		fmt.Println(res)
		if res.count == 0 {
			continue
		}
		if !opt.goOn {
			return sum, s.report(opt, res)
		}
		opt.shrinking = 0
		fmt.Println(s.report(opt, res))
	}
	if sum.differences > 0 {
		return sum, fmt.Errorf("%d differences; the cases are in %s", sum.differences, opt.keep)
	}
	return sum, nil
}

// report keeps what was found as a case file.
func (s *site) report(opt options, res result) error {
	if err := os.MkdirAll(opt.keep, 0o755); err != nil {
		return err
	}
	name := filepath.Join(opt.keep, fmt.Sprintf("%d-%d.case", res.plan.seed, res.plan.round))
	if err := s.keepSaid(strings.TrimSuffix(name, ".case") + ".said"); err != nil {
		return err
	}
	text := opt.shrink(context.Background(), res.plan).String()
	for _, p := range res.problems {
		text += "# " + p.String() + "\n"
	}
	for _, line := range res.evidence {
		text += "#   " + line + "\n"
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return err
	}
	if opt.goOn {
		return fmt.Errorf("%d differences in round %d; the case is in %s, and what lb said next to it\n%s", res.count, res.plan.round, name, text)
	}
	return fmt.Errorf("%d differences in round %d; the case is in %s\n%s\n%s", res.count, res.plan.round, name, text, s.voices())
}

// keepSaid keeps all that lb has printed.
func (s *site) keepSaid(name string) error {
	text, err := os.ReadFile(s.said.Name())
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// voices is the end of what the daemons have printed.
func (s *site) voices() string {
	const most = 6000
	text, _ := os.ReadFile(s.said.Name())
	log := s.log.Output()
	return fmt.Sprintf("lb said:\n%s\nsyslogd said:\n%s", text[max(0, len(text)-most):], log[max(0, len(log)-most):])
}
