// Package resolve asks name servers for the addresses of servers, again and
// again while the process serves, and of names in requests.
//
//	Resolver.lookup    one question, to all name servers of a section at once   resolver.go
//	  -> Group.take    the answer is shared out among the servers of a name     group.go
//	  -> Group.fail    or it is not to be had: addresses are held for a while
//	Names.Ask          a request wants the address of a name                   names.go
//
// No server waits for it: one without an address is in maintenance until there
// is one. Only requests wait, whose rules say do-resolve.
package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Resolver is one resolvers section. Immutable but for its counters.
type Resolver struct {
	Name    string
	Servers []*Nameserver
	Retries int           // attempts beyond the first
	Retry   time.Duration // for one attempt
	Resolve time.Duration // between attempts to get a first, or another valid answer
	Hold    Hold
	Payload uint16 // of UDP answers
}

// Hold says how long what is known is used when the answers say something
// else, or nothing.
type Hold struct {
	Valid, NX, Refused, Timeout, Other, Obsolete time.Duration
}

// Nameserver is one name server, with what it answered so far.
type Nameserver struct {
	ID, Network, Address string // "udp" or "tcp"

	Sent, Valid, NX, Refused, Timeout, Other, Invalid, TooBig atomic.Uint64
}

// Outcome is what became of a question.
type Outcome uint8

// Outcomes.
const (
	Valid Outcome = iota
	NX
	Refused
	Timeout
	Other
)

func (h *Hold) of(o Outcome) time.Duration {
	return [...]time.Duration{Valid: h.Valid, NX: h.NX, Refused: h.Refused, Timeout: h.Timeout, Other: h.Other}[o]
}

// Record is one place where a service is.
type Record struct {
	Addr   netip.Addr
	Port   uint16 // of an SRV record; 0: none is given
	Weight int    // of an SRV record, as a server's weight; -1: none is given
}

// Question is what a group of servers wants to know.
type Question struct {
	Name    string
	Service bool // SRV records, and the addresses of their targets
	IPv4    bool // is preferred to IPv6
}

// lookup asks for the places of a name.
func (r *Resolver) lookup(ctx context.Context, q Question) ([]Record, Outcome) {
	if !q.Service {
		addrs, o := r.addresses(ctx, q.Name, q.IPv4)
		return records(addrs, 0, -1), o
	}
	answer, o := r.ask(ctx, q.Name, dns.TypeSRV)
	if o != Valid {
		return nil, o
	}
	extra := map[string][]netip.Addr{}
	for _, rr := range answer.Extra {
		if a := address(rr); a.IsValid() {
			name := dns.CanonicalName(rr.Header().Name)
			extra[name] = append(extra[name], a)
		}
	}
	var list []Record
	without := NX // what became of the targets
	for _, rr := range answer.Answer {
		srv, ok := rr.(*dns.SRV)
		if !ok {
			continue
		}
		target := dns.CanonicalName(srv.Target)
		if _, known := extra[target]; !known {
			if extra[target], o = r.addresses(ctx, target, q.IPv4); o != Valid {
				without = o
			}
		}
		// HAProxy's way from 0-65535 to 0-256: only 0 stays 0.
		list = append(list, records(extra[target][:min(1, len(extra[target]))], srv.Port, (int(srv.Weight)+255)/256)...)
	}
	if len(list) == 0 {
		return nil, without
	}
	return list, Valid
}

func records(addrs []netip.Addr, port uint16, weight int) (list []Record) {
	for _, a := range addrs {
		list = append(list, Record{Addr: a, Port: port, Weight: weight})
	}
	return list
}

// addresses asks for the preferred family, and for the other one if there is
// nothing of it.
func (r *Resolver) addresses(ctx context.Context, name string, ipv4 bool) ([]netip.Addr, Outcome) {
	kinds := [...]uint16{dns.TypeAAAA, dns.TypeA}
	if ipv4 {
		kinds = [...]uint16{dns.TypeA, dns.TypeAAAA}
	}
	worst := NX
	for _, kind := range kinds {
		answer, o := r.ask(ctx, name, kind)
		if o != Valid {
			worst = o
			continue
		}
		var list []netip.Addr
		for _, rr := range answer.Answer {
			if a := address(rr); a.IsValid() {
				list = append(list, a)
			}
		}
		if len(list) > 0 {
			return list, Valid
		}
	}
	return nil, worst
}

func address(rr dns.RR) netip.Addr {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	}
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// reply is one name server's.
type reply struct {
	msg     *dns.Msg
	outcome Outcome
}

// ask puts a question to all name servers; the first valid answer counts.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, Outcome) {
	last := Timeout
	for range 1 + r.Retries {
		attempt, cancel := context.WithTimeout(ctx, r.Retry)
		replies := make(chan reply, len(r.Servers))
		for _, s := range r.Servers {
			go func() { replies <- s.ask(attempt, r.question(name, kind)) }()
		}
		for range r.Servers {
			got := <-replies
			if got.outcome == Valid {
				cancel()
				return got.msg, Valid
			}
			last = got.outcome
		}
		cancel()
		if last != Timeout && last != Other || ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func (r *Resolver) question(name string, kind uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(max(r.Payload, dns.MinMsgSize), false)
	return m
}

// ask puts a question to one name server, over TCP too when its answer does
// not fit a datagram.
func (s *Nameserver) ask(ctx context.Context, m *dns.Msg) reply {
	s.Sent.Add(1)
	client := dns.Client{Net: s.Network, UDPSize: m.IsEdns0().UDPSize()}
	if until, ok := ctx.Deadline(); ok {
		client.Timeout = time.Until(until) // its own would be 2 s
	}
	answer, _, err := client.ExchangeContext(ctx, m, s.Address)
	if err == nil && answer.Truncated && s.Network == "udp" {
		s.TooBig.Add(1)
		client.Net = "tcp"
		if whole, _, tcpErr := client.ExchangeContext(ctx, m, s.Address); tcpErr == nil {
			answer = whole // else: some of the addresses are better than none
		}
	}
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		s.Timeout.Add(1)
		return reply{outcome: Timeout}
	case err != nil:
		s.Other.Add(1)
		return reply{outcome: Other}
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
		s.Valid.Add(1)
		return reply{answer, Valid}
	case dns.RcodeNameError:
		s.NX.Add(1)
		return reply{outcome: NX}
	case dns.RcodeRefused:
		s.Refused.Add(1)
		return reply{outcome: Refused}
	}
	s.Other.Add(1)
	return reply{outcome: Other}
}
