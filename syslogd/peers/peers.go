// Package peers chooses which of several addresses to send to.
//
//  1. A List has entries in the order in which they are wanted; an entry that is the name of a service stands for the targets that DNS has for it
//     (SRV, RFC 2782), by priority and weight,
//  2. Order says in which order to try them: one that has failed lately comes after the others,
//  3. Watch looks now and then whether one that is wanted more than the current one can be reached again.
package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Entry is one address of a List.
type Entry struct {
	Address string // HOST:PORT, or with SRV the name of a service: _syslog._tcp.example.org
	SRV     bool
}

// A Target is what to connect to.
type Target struct {
	Address string // HOST:PORT
	// Name is what the target's certificate is to say when nothing else is configured. Of a service it is the domain, and not what DNS calls the
	// target: whoever can forge an answer could forge that.
	Name string
	// Rank says how much it is wanted: 0 is the most. Targets of the same priority have the same.
	Rank int
}

// A List is the addresses of a peer. Its fields are set before it is used; its methods may be called by several goroutines.
type List struct {
	Entries []Entry
	// LookupSRV asks DNS; nil: the system's resolver.
	LookupSRV func(ctx context.Context, name string) ([]*net.SRV, error)
	// Retry is how long one that has failed comes after the others, and how often Watch looks; 0: 30 s.
	Retry time.Duration

	// mu guards the fields below.
	mu      sync.Mutex
	failed  map[string]time.Time // addresses that could not be used, and when
	answers map[string]answer    // of DNS
}

// An answer is what DNS said of a service last.
type answer struct {
	records []*net.SRV
	at      time.Time
}

const (
	defaultRetry = 30 * time.Second
	lookupTime   = 10 * time.Second
	probeTime    = 5 * time.Second
)

func (l *List) retry() time.Duration { return cmp.Or(l.Retry, defaultRetry) }

// Single says whether there is nothing to choose.
func (l *List) Single() bool { return len(l.Entries) == 1 && !l.Entries[0].SRV }

// Order is all targets, in the order in which to try them. The error says which services are not known; it comes with the targets that are.
func (l *List) Order(ctx context.Context) ([]Target, error) {
	all, err := l.targets(ctx)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(all, func(a, b Target) int { return cmp.Compare(l.lately(a, now), l.lately(b, now)) })
	if len(all) == 0 {
		if err == nil {
			err = errors.New("there is no address to send to")
		}
		return nil, err
	}
	return all, err
}

// lately is 1 for a target that has failed lately, and else 0. Called with mu held.
func (l *List) lately(t Target, now time.Time) int {
	if at, ok := l.failed[t.Address]; ok && now.Sub(at) < l.retry() {
		return 1
	}
	return 0
}

// Failed notes that a target could not be used.
func (l *List) Failed(t Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil || len(l.failed) > maxFailed {
		l.failed = make(map[string]time.Time)
	}
	l.failed[t.Address] = time.Now()
}

// maxFailed bounds what a service whose targets change all the time leaves behind.
const maxFailed = 1000

// Works notes that a target can be used.
func (l *List) Works(t Target) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, t.Address)
}

// targets is all targets by rank.
func (l *List) targets(ctx context.Context) (all []Target, err error) {
	rank := 0
	for _, e := range l.Entries {
		if !e.SRV {
			host, _, splitErr := net.SplitHostPort(e.Address)
			err = Join(err, splitErr)
			all = append(all, Target{e.Address, host, rank})
			rank++
			continue
		}
		records, lookupErr := l.service(ctx, e.Address)
		err = Join(err, lookupErr)
		for i, r := range records {
			if i > 0 && r.Priority != records[i-1].Priority {
				rank++
			}
			address := net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
			all = append(all, Target{address, domain(e.Address), rank})
		}
		rank++
	}
	return all, err
}

// domain is the domain of a service: what follows "_syslog._tcp.".
func domain(service string) string {
	rest := strings.TrimSuffix(service, ".")
	for strings.HasPrefix(rest, "_") {
		_, after, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		rest = after
	}
	return rest
}

// service is what DNS has for a service. An answer is good for as long as a failure is, and for longer when there is no other.
func (l *List) service(ctx context.Context, name string) ([]*net.SRV, error) {
	l.mu.Lock()
	known := l.answers[name]
	l.mu.Unlock()
	if known.records != nil && time.Since(known.at) < l.retry() {
		return known.records, nil
	}
	lookup := l.LookupSRV
	if lookup == nil {
		lookup = func(ctx context.Context, name string) ([]*net.SRV, error) {
			_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
			return records, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	records, err := lookup(limited, name)
	records = slices.DeleteFunc(records, func(r *net.SRV) bool { return r.Target == "." || r.Target == "" }) // RFC 2782: there is none
	if len(records) == 0 {
		if err == nil {
			err = errors.New("it has no targets")
		}
		err = fmt.Errorf("the service %s: %w", name, err)
		if known.records != nil {
			return known.records, nil
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers == nil {
		l.answers = make(map[string]answer)
	}
	l.answers[name] = answer{records, time.Now()}
	return records, nil
}

// Watch looks whether a target that is wanted more than t can be reached again, or t is none any more, until ctx is done. The channel is closed when
// that is so: then Order has the better one in front.
func (l *List) Watch(ctx context.Context, t Target) (better <-chan struct{}) {
	found := make(chan struct{})
	if l.Single() {
		return found
	}
	go func() {
		ticker := time.NewTicker(l.retry())
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if l.better(ctx, t) {
				close(found)
				return
			}
		}
	}()
	return found
}

// better says whether to leave t.
func (l *List) better(ctx context.Context, t Target) bool {
	all, err := l.targets(ctx)
	current := slices.IndexFunc(all, func(o Target) bool { return o.Address == t.Address })
	if current < 0 {
		return err == nil && len(all) > 0
	}
	for _, o := range all {
		if o.Rank >= all[current].Rank {
			break
		}
		probe, cancel := context.WithTimeout(ctx, probeTime)
		c, err := new(net.Dialer).DialContext(probe, "tcp", o.Address)
		cancel()
		if err == nil {
			c.Close()
			l.Works(o)
			return true
		}
	}
	return false
}
