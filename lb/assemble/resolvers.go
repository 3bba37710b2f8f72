package assemble

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/backend"
	"lbsyslogd/lb/config"
	"lbsyslogd/lb/control"
	"lbsyslogd/lb/resolve"
	"lbsyslogd/lb/servercheck"
)

// resolved reports whether a server's name is resolved while the process
// serves.
func resolved(s *config.Server) bool {
	return s.Resolve.Section != "" && s.Network == "tcp" && !s.Addr.IsValid()
}

// first gives the address that a server whose address is a name begins with; it
// is false when there is none yet.
func (b *builder) first(s *config.Server) (netip.Addr, bool, error) {
	methods := s.InitAddr
	if methods == "" {
		if methods = "last,libc"; resolved(s) {
			methods += ",none" // its resolvers go on
		}
	}
	var failed error
	for method := range strings.SplitSeq(methods, ",") {
		switch method {
		case "none":
			if failed != nil {
				b.notes = append(b.notes, fmt.Sprintf("%s: server %s : could not resolve address '%s', disabling server", s.Pos, s.Name, s.Host))
			}
			return netip.Addr{}, false, nil
		case "last": // comes with the state of the worker before, or from a file
			if ip, have := b.saved.last(s); have {
				return ip, true, nil
			}
			if b.env.Former != nil && resolved(s) {
				return netip.Addr{}, false, nil // nobody waits for names at a reload
			}
		case "libc":
			if s.Resolve.Service {
				return netip.Addr{}, false, nil
			}
			ip, err := lookup(s.Host)
			if err == nil {
				return ip, true, nil
			}
			failed = fmt.Errorf("%w; with 'init-addr last,libc,none' and 'resolvers' it may be found later", err)
		default:
			ip, err := netip.ParseAddr(method)
			return ip, err == nil, err
		}
	}
	return netip.Addr{}, false, failed
}

// groups puts the servers of a backend together that share a name.
func (b *builder) groups(p *config.Proxy, list []*servercheck.Server) {
	if len(list) != len(p.Servers) {
		return // one was refused
	}
	type key struct {
		section, name string
		port          int
	}
	seen := map[key]*resolve.Group{}
	for i := range p.Servers {
		s := &p.Servers[i]
		if !resolved(s) {
			continue
		}
		k := key{s.Resolve.Section, s.Host, s.Port}
		g := seen[k]
		if g == nil {
			g = &resolve.Group{
				Resolver: b.resolver(s.Resolve.Section), Port: uint16(s.Port),
				Question: resolve.Question{Name: s.Host, Service: s.Resolve.Service, IPv4: s.Resolve.IPv4},
				Networks: s.Resolve.Networks, MayShare: s.Resolve.MayShare, NoWeight: s.Resolve.NoWeight,
			}
			seen[k] = g
			b.rt.names = append(b.rt.names, g)
		}
		g.Slots = append(g.Slots, list[i].Slot())
	}
}

// resolver makes a section's resolver, once.
func (b *builder) resolver(name string) *resolve.Resolver {
	for _, r := range b.rt.resolvers {
		if r.Name == name {
			return r
		}
	}
	r := &resolve.Resolver{Name: name}
	for _, c := range b.cfg.Resolvers {
		if c.Name != name {
			continue
		}
		r.Retries, r.Retry, r.Resolve, r.Payload, r.Hold = c.Retries, c.Retry, c.Resolve, uint16(c.Payload), resolve.Hold(c.Hold)
		for _, n := range c.Nameservers {
			r.Servers = append(r.Servers, &resolve.Nameserver{ID: n.ID, Network: n.Network, Address: n.Address})
		}
	}
	b.rt.resolvers = append(b.rt.resolvers, r)
	return r
}

// askedNames makes the resolvers that rules ask.
func (b *builder) askedNames() {
	for _, c := range b.cfg.Resolvers {
		if !c.Asked {
			continue
		}
		if b.eng.Resolvers == nil {
			b.eng.Resolvers = map[string]*resolve.Names{}
		}
		b.eng.Resolvers[c.Name] = &resolve.Names{Resolver: b.resolver(c.Name)}
	}
}

// nowhere is the administrative state of a server without an address.
func nowhere(s *backend.Server) backend.Admin {
	if a := s.Addr(); a.Path == "" && !a.IP.Addr().IsValid() {
		return backend.NoAddress
	}
	return 0
}

// where gives the address of a check while its server's may change.
func where(s *backend.Server, host string, port int) func() string {
	return func() string {
		at, h, p := s.Addr().IP, host, port
		if h == "" {
			h = at.Addr().String()
		}
		if p == 0 {
			p = int(at.Port())
		}
		return net.JoinHostPort(h, strconv.Itoa(p))
	}
}

// Nameservers gives the stats socket what name servers answered.
func (rt *Runtime) Nameservers() []control.Nameserver {
	var list []control.Nameserver
	for _, r := range rt.resolvers {
		for _, n := range r.Servers {
			list = append(list, control.Nameserver{
				Section: r.Name, ID: n.ID,
				Sent: n.Sent.Load(), Valid: n.Valid.Load(), NX: n.NX.Load(), Refused: n.Refused.Load(),
				Timeout: n.Timeout.Load(), Other: n.Other.Load(), Invalid: n.Invalid.Load(), TooBig: n.TooBig.Load(),
			})
		}
	}
	for _, c := range rt.cfg.Resolvers { // those that nothing asks
		if slices.ContainsFunc(rt.resolvers, func(r *resolve.Resolver) bool { return r.Name == c.Name }) {
			continue
		}
		for _, n := range c.Nameservers {
			list = append(list, control.Nameserver{Section: c.Name, ID: n.ID})
		}
	}
	return list
}

// lookupTime bounds the lookup of one server name at start.
const lookupTime = 10 * time.Second

// lookup resolves a server name, IPv4 first as HAProxy does by default.
func lookup(host string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("could not resolve address '%s': %w", host, err)
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			return ip, nil
		}
	}
	if len(ips) == 0 {
		return netip.Addr{}, fmt.Errorf("could not resolve address '%s': the name has no address", host)
	}
	return ips[0], nil
}
