package master

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/handoff"
)

// Canary says how a new configuration is tried: on which share of the new
// connections, for how long, and what ends it early.
type Canary struct {
	Share   int // of 10,000 new connections
	For     time.Duration
	AbortIf []Condition
}

// Condition is one of --abort-if: a figure of the new generation that is over a
// limit, and clearly worse than the old generation's in the same time.
type Condition struct {
	text  string
	kind  byte    // '5': answers 5xx, '4': answers 4xx, 'e': errors of all kinds, 'p': a percentile
	limit float64 // a share, or ms
	of    float64 // of a percentile: 0.99
}

func (c Condition) String() string { return c.text }

// defaultFor is how long a trial takes.
const defaultFor = time.Minute

// DefaultCondition is what ends a trial early where nothing is said.
const DefaultCondition = "errors > 1%"

// ParseCanary reads the words after `reload canary`: a share, and after it, in any
// order, `for` a duration and `abort-if` a condition.
func ParseCanary(words []string) (*Canary, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("which share of the new connections? 5%%, for example")
	}
	share, err := percent(words[0])
	c := &Canary{Share: int(math.Round(share * 100)), For: defaultFor}
	if err != nil || c.Share < 1 || c.Share > 5000 {
		return nil, fmt.Errorf("%q is not a share between 0.01%% and 50%%", words[0])
	}
	for words = words[1:]; len(words) > 0; words = words[2:] {
		if len(words) < 2 {
			return nil, fmt.Errorf("%q needs a value", words[0])
		}
		switch words[0] {
		case "for":
			if c.For, err = time.ParseDuration(words[1]); err != nil || c.For < time.Second || c.For > 24*time.Hour {
				return nil, fmt.Errorf("%q is not a duration between 1s and 24h", words[1])
			}
		case "abort-if":
			cond, err := parseCondition(words[1])
			if err != nil {
				return nil, err
			}
			c.AbortIf = append(c.AbortIf, cond)
		default:
			return nil, fmt.Errorf("%q is neither `for` nor `abort-if`", words[0])
		}
	}
	if len(c.AbortIf) == 0 {
		cond, err := parseCondition(DefaultCondition)
		if err != nil {
			return nil, err
		}
		c.AbortIf = []Condition{cond}
	}
	return c, nil
}

// Words are what ParseCanary reads.
func (c *Canary) Words() []string {
	list := []string{strconv.FormatFloat(float64(c.Share)/100, 'f', -1, 64) + "%", "for", c.For.String()}
	for _, cond := range c.AbortIf {
		list = append(list, "abort-if", strings.ReplaceAll(cond.text, " ", ""))
	}
	return list
}

func percent(text string) (float64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("%q is not a percentage like 5%%", text)
	}
	return n, nil
}

// parseCondition reads `5xx > 1%`, `4xx > 10%`, `errors > 1%`, `p99 > 500ms`.
func parseCondition(text string) (c Condition, err error) {
	what, limit, ok := strings.Cut(text, ">")
	what, limit = strings.TrimSpace(what), strings.TrimSpace(limit)
	c = Condition{text: what + " > " + limit}
	bad := fmt.Errorf("%q is not a condition: 5xx > 1%%, 4xx > 10%%, errors > 1%%, or p99 > 500ms", text)
	if !ok {
		return c, bad
	}
	switch what {
	case "5xx", "4xx", "errors":
		c.kind = what[0]
		if c.limit, err = percent(limit); err != nil {
			return c, bad
		}
		c.limit /= 100
		return c, nil
	}
	digits, ok := strings.CutPrefix(what, "p")
	n, err := strconv.ParseFloat(digits, 64)
	d, err2 := time.ParseDuration(limit)
	if !ok || err != nil || err2 != nil || !(n >= 1 && n < 100) || d < time.Millisecond || d > time.Minute {
		return c, bad
	}
	c.kind, c.of, c.limit = 'p', n/100, float64(d)/float64(time.Millisecond)
	return c, nil
}

// figures is what one of the two generations has counted since the trial began.
type figures struct{ handoff.Figures }

// since is what was counted after before. Where an operator has cleared the counters
// it is what was counted since then.
func since(now, before *handoff.Figures) (f figures) {
	less := func(n, m uint64) uint64 {
		if n < m {
			return n
		}
		return n - m
	}
	f.Bounds = now.Bounds
	for i := range f.Answers {
		f.Answers[i] = less(now.Answers[i], before.Answers[i])
	}
	f.Sessions, f.Unserved = less(now.Sessions, before.Sessions), less(now.Unserved, before.Unserved)
	f.Handshakes = less(now.Handshakes, before.Handshakes)
	f.Upto = slices.Clone(now.Upto)
	if n := len(f.Upto); n == len(before.Upto) && n > 0 && now.Upto[n-1] >= before.Upto[n-1] {
		for i := range f.Upto {
			f.Upto[i] = less(now.Upto[i], before.Upto[i])
		}
	}
	return f
}

// share gives how many of how many exchanges are what kind means.
func (f *figures) share(kind byte) (bad, all uint64) {
	for _, n := range f.Answers {
		all += n
	}
	switch kind {
	case '5':
		return f.Answers[4], all
	case '4':
		return f.Answers[3], all
	}
	return f.Answers[4] + f.Unserved + f.Handshakes, all + f.Sessions + f.Handshakes
}

// quantile is the upper bound, in ms, of the bucket in which the share q of the
// exchanges ends; all is how many there are.
func (f *figures) quantile(q float64) (ms float64, all uint64) {
	if len(f.Upto) == 0 || len(f.Upto) != len(f.Bounds)+1 {
		return 0, 0
	}
	all = f.Upto[len(f.Upto)-1]
	for i, bound := range f.Bounds {
		if float64(f.Upto[i]) >= q*float64(all) {
			return float64(bound), all
		}
	}
	return math.Inf(1), all
}

// What a few exchanges say is chance: so many have to be bad, and the difference has
// to be so many standard deviations, before a trial is ended.
const (
	fewestBad  = 3
	deviations = 4
	// slower is how much slower the new generation has to be than the old one: two
	// buckets of a histogram, which grow by the root of two.
	slower = 2
)

// holds reports whether the trial is to end: the new generation is over the limit,
// and clearly worse than the old one.
func (c *Condition) holds(fresh, old *figures) bool {
	if c.kind == 'p' {
		ms, all := fresh.quantile(c.of)
		was, before := old.quantile(c.of)
		return float64(all) >= max(20, 1/(1-c.of)) && ms > c.limit && (before == 0 || ms >= slower*was)
	}
	bad, all := fresh.share(c.kind)
	if bad < fewestBad || float64(bad) <= c.limit*float64(all) {
		return false
	}
	wasBad, wasAll := old.share(c.kind)
	if wasAll == 0 {
		return true
	}
	now, was := float64(bad)/float64(all), float64(wasBad)/float64(wasAll)
	both := float64(bad+wasBad) / float64(all+wasAll)
	spread := math.Sqrt(both * (1 - both) * (1/float64(all) + 1/float64(wasAll)))
	return now > was && now-was >= deviations*spread
}

// say puts the figure that the condition is about into words.
func (c *Condition) say(f *figures) string {
	if c.kind == 'p' {
		ms, all := f.quantile(c.of)
		name, _, _ := strings.Cut(c.text, " ")
		if all == 0 {
			return name + " unknown"
		}
		return fmt.Sprintf("%s %v", name, time.Duration(min(ms, 1e6)*float64(time.Millisecond)))
	}
	bad, all := f.share(c.kind)
	what := map[byte]string{'5': "answers are 5xx", '4': "answers are 4xx", 'e': "exchanges failed"}[c.kind]
	return fmt.Sprintf("%s of %d %s", inPercent(bad, all), all, what)
}

// inPercent is a share with two digits that count.
func inPercent(n, of uint64) string {
	if of == 0 {
		return "0%"
	}
	return strconv.FormatFloat(float64(n)*100/float64(of), 'g', 2, 64) + "%"
}

// String sums up what one generation has done.
func (f *figures) String() string {
	bad, all := f.share('e')
	text := fmt.Sprintf("%d exchanges, %s failed", all, inPercent(bad, all))
	if ms, n := f.quantile(0.99); n > 0 {
		text += fmt.Sprintf(", p99 below %v", time.Duration(min(ms, 1e6)*float64(time.Millisecond)))
	}
	return text
}
