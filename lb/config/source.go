package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// source reads ADDRESS[:PORT] [usesrc WHAT] [interface NAME].
func (c *call) source(to *ServerSocket, words []string) error {
	address := c.p.env.Expand(words[0])
	_, rest := family(address)
	host, port := hostPort(rest)
	if ip, err := netip.ParseAddr(rest); err == nil {
		host, port = ip.String(), ""
	}
	n, last := 0, 0
	if port != "" && port != "0" {
		from, to, isRange := cutRange(port)
		var err error
		if n, err = portNumber(c.name, from); err != nil {
			return err
		}
		if isRange {
			if last, err = number(c.name+" port", to, n, 65535); err != nil {
				return err
			}
		}
	}
	if host == "*" || host == "" {
		host = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("'%s' : '%s' is no IP address", c.name, host)
	}
	to.Source, to.SourceLast = netip.AddrPortFrom(ip, uint16(n)), uint16(last)
	for rest := words[1:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 {
			return fmt.Errorf("'%s' : '%s' expects a value", c.name, rest[0])
		}
		switch rest[0] {
		case "usesrc":
			if err := c.useSource(to, rest[1]); err != nil {
				return err
			}
		case "interface":
			to.Interface = rest[1]
		default:
			return oneOf(c.name, rest[0], "usesrc", "interface")
		}
	}
	return nil
}

// useSource reads what follows usesrc.
func (c *call) useSource(to *ServerSocket, word string) error {
	switch word {
	case "client", "clientip":
		to.UseSource = word
		return nil
	}
	if ip, err := netip.ParseAddr(word); err == nil {
		to.Source = netip.AddrPortFrom(ip, 0)
		return nil
	}
	return fmt.Errorf("'usesrc %s' is known to HAProxy, but not supported by lb yet: 'clientip' and 'client' are; option forwardfor and send-proxy tell servers the client's address without the kernel's help", word)
}

func cutRange(ports string) (first, last string, isRange bool) {
	for i := range ports {
		if ports[i] == '-' {
			return ports[:i], ports[i+1:], true
		}
	}
	return ports, "", false
}

// transparent gives a backend without servers the client's own destination, as
// option transparent says.
func (p *parser) transparent(d *draft) {
	if !d.Transparent || !d.Backend || len(d.Servers) > 0 {
		return
	}
	s := d.newServer("transparent", d.Pos)
	s.Network, s.Host, s.Addr = "tcp", "0.0.0.0", netip.IPv4Unspecified()
	p.report.Notef(d.Pos, "'option transparent' : %s '%s' is read as if it had 'server transparent 0.0.0.0:0'", d.section, d.Name)
	if err := d.addServer(s); err != nil {
		p.report.Errorf(d.Pos, "%v", err)
	}
}

// sendProxy applies send-proxy and its kin.
func sendProxy(version int, ssl bool) func(*call, *Server) error {
	return func(_ *call, s *Server) error {
		s.Proxy.Version = version
		s.Proxy.SSL = s.Proxy.SSL || ssl
		return nil
	}
}

// proxyOptions reads what a header of version 2 tells besides.
func (c *call) proxyOptions(s *Server) error {
	for option := range strings.SplitSeq(c.args[0], ",") {
		switch option {
		case "ssl":
			s.Proxy.SSL = true
		case "ssl-cipher":
			s.Proxy.SSL, s.Proxy.Cipher = true, true
		case "unique-id":
			s.Proxy.UniqueID = true
		case "authority":
			s.Proxy.Authority = true
		case "crc32c":
			s.Proxy.CRC32C = true
		case "cert-cn":
			s.Proxy.SSL, s.Proxy.CN = true, true
		case "cert-key":
			s.Proxy.SSL, s.Proxy.KeyAlg = true, true
		case "cert-sig":
			s.Proxy.SSL, s.Proxy.SigAlg = true, true
		default:
			return oneOf("proxy-v2-options", option, "ssl", "cert-cn", "ssl-cipher", "cert-sig", "cert-key", "unique-id", "authority", "crc32c")
		}
	}
	return nil
}
