package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"lbsyslogd/lb/cfgfile"
)

// Resolvers is a resolvers section: name servers, and how long their answers
// are good.
type Resolvers struct {
	Name        string
	Nameservers []Nameserver
	Retries     int
	Payload     int
	Retry       time.Duration
	Resolve     time.Duration
	Hold        Hold
	Asked       bool // do-resolve rules ask it
}

// Nameserver is one name server of a resolvers section.
type Nameserver struct {
	ID, Network, Address string // "udp" or "tcp", HOST:PORT
}

// Hold says how long what is known is used when name servers say something
// else, or nothing.
type Hold struct {
	Valid, NX, Refused, Timeout, Other, Obsolete time.Duration
}

// Resolve is how a server's name is resolved while the process serves.
type Resolve struct {
	Section  string // "" : not at all
	Service  bool   // the name is of SRV records
	IPv4     bool   // is preferred
	MayShare bool   // two servers may have one address
	NoWeight bool   // weights of SRV records say nothing
	Networks []netip.Prefix
}

// beginResolvers opens a resolvers section.
func (p *parser) beginResolvers(args []string) error {
	p.skip = len(args) != 1
	if p.skip {
		return fmt.Errorf("'resolvers' expects a name")
	}
	if p.resolversNamed(args[0]) != nil {
		p.skip = true
		return fmt.Errorf("resolvers section '%s' was declared before: give it another name", args[0])
	}
	p.atResolvers = &Resolvers{
		Name: args[0], Retries: 3, Payload: 512, Retry: time.Second, Resolve: time.Second,
		Hold: Hold{Valid: 10 * time.Second, NX: 30 * time.Second, Refused: 30 * time.Second, Timeout: 30 * time.Second, Other: 30 * time.Second},
	}
	p.cfg.Resolvers = append(p.cfg.Resolvers, p.atResolvers)
	return nil
}

func (p *parser) resolversNamed(name string) *Resolvers {
	i := slices.IndexFunc(p.cfg.Resolvers, func(r *Resolvers) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return p.cfg.Resolvers[i]
}

// resolversLine applies a line of a resolvers section.
func (p *parser) resolversLine(c *call, words []string) (err error) {
	r := p.atResolvers
	c.name = words[0]
	need := func(n int, form string) error {
		if len(words) != n {
			return fmt.Errorf("'%s' expects: %s", words[0], form)
		}
		return nil
	}
	switch words[0] {
	case "nameserver":
		if err := need(3, "nameserver <name> <address>:<port>"); err != nil {
			return err
		}
		return p.nameserver(r, words[1], c.portEnd(words[2]))
	case "parse-resolv-conf":
		return r.systems()
	case "resolve_retries":
		if err := need(2, "resolve_retries <number>"); err != nil {
			return err
		}
		r.Retries, err = number(words[0], c.numeral(words[0], words[1], cutsTail|wordIsZero), 0, 1000)
	case "accepted_payload_size":
		if err := need(2, "accepted_payload_size <bytes>"); err != nil {
			return err
		}
		r.Payload, err = number(words[0], c.numeral(words[0], words[1], cutsTail), 512, 65535)
	case "timeout":
		if err := need(3, "timeout resolve|retry <time>"); err != nil {
			return err
		}
		fields := map[string]*time.Duration{"resolve": &r.Resolve, "retry": &r.Retry}
		return c.resolversTime(words, fields)
	case "hold":
		if err := need(3, "hold nx|obsolete|other|refused|timeout|valid <time>"); err != nil {
			return err
		}
		h := &r.Hold
		return c.resolversTime(words, map[string]*time.Duration{
			"nx": &h.NX, "obsolete": &h.Obsolete, "other": &h.Other, "refused": &h.Refused, "timeout": &h.Timeout, "valid": &h.Valid,
		})
	default:
		return oneOf("resolvers", words[0], "nameserver", "parse-resolv-conf", "hold", "resolve_retries", "timeout", "accepted_payload_size")
	}
	return err
}

func (c *call) resolversTime(words []string, fields map[string]*time.Duration) error {
	field := fields[words[1]]
	if field == nil {
		return oneOf(words[0], words[1], sortedNames(fields)...)
	}
	v, err := duration(words[0]+" "+words[1], c.timed(words[0]+" "+words[1], words[2]), time.Millisecond)
	if err == nil && v == 0 && words[0] == "timeout" {
		err = fmt.Errorf("'%s %s' must be more than 0", words[0], words[1])
	}
	*field = v
	return err
}

// nameserver adds a name server, which is an address: somebody has to be known
// without names.
func (p *parser) nameserver(r *Resolvers, id, word string) error {
	address := p.env.Expand(word)
	network := "udp"
	for _, known := range []string{"tcp", "tcp4", "tcp6"} {
		if strings.HasPrefix(address, known+"@") {
			network = "tcp"
		}
	}
	prefix, rest := family(address)
	switch prefix {
	case "", "ipv4", "ipv6", "udp", "udp4", "udp6", "dgram", "stream":
	default:
		return fmt.Errorf("'nameserver %s' : '%s@' is not supported by lb yet: write an IP address and a port", id, prefix)
	}
	if prefix == "stream" {
		network = "tcp"
	}
	host, port := hostPort(rest)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("'nameserver %s' : '%s' is no IP address", id, host)
	}
	n, err := portNumber("nameserver "+id, port)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(r.Nameservers, func(s Nameserver) bool { return s.ID == id }) {
		return fmt.Errorf("'nameserver %s' was declared before: give it another name", id)
	}
	r.Nameservers = append(r.Nameservers, Nameserver{ID: id, Network: network, Address: joinPort(ip.String(), n)})
	return nil
}

// systems adds the name servers of the system.
func (r *Resolvers) systems() error {
	const path = "/etc/resolv.conf"
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("'parse-resolv-conf' : %w", plainError(err))
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if _, err := netip.ParseAddr(words[1]); err == nil {
			r.Nameservers = append(r.Nameservers, Nameserver{ID: words[1], Network: "udp", Address: net.JoinHostPort(words[1], "53")})
		}
	}
	return nil
}

// checkResolvers looks at the section that a server names.
func (p *parser) checkResolvers(d *draft, s *Server) {
	if s.Resolve.Section == "" {
		return
	}
	if p.resolversNamed(s.Resolve.Section) == nil {
		p.report.Errorf(s.Pos, "'server %s/%s' : unable to find required resolvers '%s'%s", d.Name, s.Name, s.Resolve.Section, p.resolversLike(s.Resolve.Section))
	}
}

// resolversLike suggests a section whose name is like one that there is not.
func (p *parser) resolversLike(name string) string {
	var names []string
	for _, one := range p.cfg.Resolvers {
		names = append(names, one.Name)
	}
	return didYouMean(cfgfile.Suggest(name, names))
}

// resolversUse is a do-resolve rule.
type resolversUse struct {
	name string
	from *draft
	pos  cfgfile.Pos
}

// checkResolversUses finds the sections that rules name.
func (p *parser) checkResolversUses() {
	for _, use := range p.resolversUses {
		if r := p.resolversNamed(use.name); r != nil {
			r.Asked = true
			continue
		}
		p.report.Errorf(use.pos, "'do-resolve' : unable to find resolvers '%s'%s", use.name, p.resolversLike(use.name))
	}
}
