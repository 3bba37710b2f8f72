package post

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// targets are the receivers that are known, and which of them is asked first: the one that answered last, so that lines stay in order, and the
// preferred one again after a while.
type targets struct {
	known   []*url.URL
	current int       // index of the one that is asked first
	since   time.Time // when that became another than the first
	until   time.Time // when names are looked up again

	lookup func(ctx context.Context, name string) ([]*net.SRV, error) // nil: DNS

	// mu guards the fields below.
	mu    sync.Mutex
	asked string            // where the last request went, if there are several
	names map[string]string // what the certificates of targets from DNS are to say, by HOST:PORT
}

const (
	returnTime  = 5 * time.Minute // after which the preferred receiver is asked again
	lookupTime  = time.Minute     // for which the answer to a name is believed
	lookupLimit = 10 * time.Second
)

// list returns the receivers in the order in which they are to be asked.
func (t *targets) list(ctx context.Context, urls []*url.URL, path string) ([]*url.URL, error) {
	now := time.Now()
	if t.known == nil || !t.until.IsZero() && now.After(t.until) {
		if err := t.resolve(ctx, urls, path, now); err != nil && t.known == nil {
			return nil, err
		}
	}
	if t.current > 0 && now.Sub(t.since) > returnTime {
		t.current = 0
	}
	return slices.Concat(t.known[t.current:], t.known[:t.current]), nil
}

// resolve makes targets of URLs, which those with "+srv" are as many as there are records of their name.
func (t *targets) resolve(ctx context.Context, urls []*url.URL, path string, now time.Time) error {
	var all []*url.URL
	var problems []error
	t.until = time.Time{}
	for _, u := range urls {
		u := *u
		if u.Path == "" {
			var query string
			u.Path, query, _ = strings.Cut(path, "?")
			if u.RawQuery == "" {
				u.RawQuery = query
			}
		}
		scheme, srv := strings.CutSuffix(u.Scheme, "+srv")
		if u.Scheme = scheme; !srv {
			all = append(all, &u)
			continue
		}
		t.until = now.Add(lookupTime)
		limited, cancel := context.WithTimeout(ctx, lookupLimit)
		records, err := t.records(limited, u.Host)
		cancel()
		if err != nil {
			problems = append(problems, fmt.Errorf("SRV records of %s: %w", u.Host, err))
			continue
		}
		for _, r := range records { // by priority, and shuffled by weight
			one := u
			one.Host = net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
			t.called(one.Host, domain(u.Host))
			all = append(all, &one)
		}
	}
	if len(all) == 0 {
		return errors.Join(problems...)
	}
	// The one that answered last stays first, if it is still there.
	t.current = max(t.indexIn(all), 0)
	t.known = all
	return nil
}

// called notes what the certificate of a target is to say.
func (t *targets) called(host, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = make(map[string]string)
	}
	t.names[host] = name
}

// name is what the certificate at an address is to say: its host, or for a target from DNS the domain that was asked. Whoever can forge the answer could
// name any host.
func (t *targets) name(address string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if name, srv := t.names[address]; srv {
		return name, nil
	}
	host, _, err := net.SplitHostPort(address)
	return host, err
}

// domain is the name of a service without "_service._protocol".
func domain(name string) string {
	for rest := name; strings.HasPrefix(rest, "_"); {
		_, after, found := strings.Cut(rest, ".")
		if !found {
			break
		}
		if rest = after; !strings.HasPrefix(rest, "_") {
			return rest
		}
	}
	return name
}

// ask notes where a request goes.
func (t *targets) ask(u *url.URL) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked = ""; len(t.known) > 1 {
		t.asked = u.Scheme + "://" + u.Host
	}
}

// Current is the receiver that the last request went to; empty when there is only one.
func (s *Sink) Current() string {
	s.targets.mu.Lock()
	defer s.targets.mu.Unlock()
	return s.targets.asked
}

// indexIn is where the current target is in all, -1 when it is not.
func (t *targets) indexIn(all []*url.URL) int {
	if t.current >= len(t.known) {
		return -1
	}
	host := t.known[t.current].Host
	return slices.IndexFunc(all, func(u *url.URL) bool { return u.Host == host })
}

func (t *targets) records(ctx context.Context, name string) ([]*net.SRV, error) {
	if t.lookup != nil {
		return t.lookup(ctx, name)
	}
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
	if err == nil && len(records) == 0 {
		err = errors.New("there are none")
	}
	return records, err
}

// answered notes which receiver has answered. The next one is asked first after one that works badly.
func (t *targets) answered(u *url.URL, well bool) {
	i := slices.Index(t.known, u)
	if i < 0 {
		return
	}
	if !well {
		i = (i + 1) % len(t.known)
	}
	if i != t.current {
		t.current, t.since = i, time.Now()
	}
}

// forget has names looked up again, because nobody answers.
func (t *targets) forget() {
	if !t.until.IsZero() {
		t.until = time.Now()
	}
}

// newTransport makes connections that read the files of TLS again.
func (s *Sink) newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return connection{raw}, nil
		},
		IdleConnTimeout: idleTime, MaxIdleConnsPerHost: 1, DisableCompression: true,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			name, err := s.targets.name(address)
			if err != nil {
				return nil, err
			}
			settings, err := s.TLS.Config(name)
			if err != nil {
				return nil, err
			}
			raw, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(raw, settings)
			if err := secure.HandshakeContext(ctx); err != nil {
				return nil, errors.Join(fmt.Errorf("TLS: %w", err), raw.Close())
			}
			return secure, nil
		},
	}
}
