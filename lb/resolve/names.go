package resolve

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Names answers requests that ask for the address of a name. Valid answers are
// kept for `hold valid`; what goes wrong is asked again next time, as with
// HAProxy.
type Names struct {
	Resolver *Resolver

	// mu guards the fields below.
	mu    sync.Mutex
	kept  map[Question]*held
	asked map[Question][]func(netip.Addr) // whoever waits for an answer on its way
}

// maxKept bounds what clients can have kept by asking for many names.
const maxKept = 10000

// held is a valid answer.
type held struct {
	addrs []netip.Addr
	next  int // of addrs: they are given in turn
	until time.Time
}

// Name makes a question of what a request gave as a name: false means that no
// name server can be asked for it.
func Name(text string, ipv4 bool) (Question, bool) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' {
			return Question{}, false // it would have to be escaped, and is no host's
		}
	}
	_, ok := dns.IsDomainName(name)
	return Question{Name: name, IPv4: ipv4}, ok && name != "" && !strings.HasSuffix(name, ".")
}

// Literal is the address that a text is; brackets around it are as in URLs.
func Literal(text string) (netip.Addr, bool) {
	if inner, found := strings.CutPrefix(text, "["); found {
		text, found = strings.CutSuffix(inner, "]")
		if !found {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap(), err == nil && a.Zone() == ""
}

// Kept gives an address without asking, if an answer is kept.
func (n *Names) Kept(q Question) (netip.Addr, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.kept[q]
	if h == nil || !time.Now().Before(h.until) {
		return netip.Addr{}, false
	}
	return h.give(), true
}

func (h *held) give() netip.Addr {
	a := h.addrs[h.next]
	h.next = (h.next + 1) % len(h.addrs)
	return a
}

// Ask calls done with an address, or with an invalid one when there is none,
// from another goroutine and after `timeout retry` times `resolve_retries` at the
// latest. Those who ask for a name at the same time share the question.
func (n *Names) Ask(q Question, done func(netip.Addr)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	waiting, running := n.asked[q]
	if n.asked == nil {
		n.asked = map[Question][]func(netip.Addr){}
	}
	n.asked[q] = append(waiting, done)
	if !running {
		go n.ask(q) // ends with the attempts
	}
}

func (n *Names) ask(q Question) {
	r := n.Resolver
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(max(r.Retries, 1))*r.Retry)
	defer cancel()
	addrs, outcome := r.addresses(ctx, q.Name, q.IPv4)
	for _, done := range n.answered(q, addrs, outcome) {
		done()
	}
}

// answered keeps an answer, and gives the calls that it is waited for with.
func (n *Names) answered(q Question, addrs []netip.Addr, outcome Outcome) (calls []func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &held{addrs: addrs, until: time.Now().Add(n.Resolver.Hold.Valid)}
	if outcome != Valid || len(addrs) == 0 {
		h = &held{addrs: []netip.Addr{{}}}
	} else {
		n.keep(q, h)
	}
	for _, done := range n.asked[q] {
		a := h.give()
		calls = append(calls, func() { done(a) })
	}
	delete(n.asked, q)
	return calls
}

// keep makes room for an answer: what is over goes first, then any other.
func (n *Names) keep(q Question, h *held) {
	if n.kept == nil {
		n.kept = map[Question]*held{}
	}
	if n.kept[q] == nil && len(n.kept) >= maxKept {
		now := time.Now()
		for old, o := range n.kept {
			if !now.Before(o.until) {
				delete(n.kept, old)
			}
		}
		for old := range n.kept {
			if len(n.kept) < maxKept {
				break
			}
			delete(n.kept, old)
		}
	}
	n.kept[q] = h
}
