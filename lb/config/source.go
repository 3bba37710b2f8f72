package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/logformat"
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
		to.UseSource = UseSource{Whose: word}
		return nil
	}
	if field, ok := strings.CutPrefix(word, "hdr_ip("); ok {
		field, _, _ = strings.Cut(field, ")")
		name, at, _ := strings.Cut(field, ",")
		name, at = strings.TrimSpace(name), cmp.Or(strings.TrimSpace(at), "-1")
		if n, err := number(c.name+" usesrc hdr_ip", at, -10, 1<<31-1); err != nil {
			return fmt.Errorf("'usesrc %s' : '%s' is no number of a value: 1 is the first, -1 the last one, -10 the least", word, at)
		} else if n == 0 { // as the manual says: no such value
			to.UseSource = UseSource{}
			return nil
		}
		if name == "" {
			return fmt.Errorf("'usesrc %s' : write the field's name, such as hdr_ip(x-forwarded-for)", word)
		}
		to.UseSource = UseSource{Whose: "field", Expr: "req.hdr_ip(" + name + "," + at + ")"}
		return nil
	}
	if at, err := netip.ParseAddrPort(word); err == nil {
		to.UseSource = UseSource{Whose: "address", Addr: at}
		return nil
	}
	if ip, err := netip.ParseAddr(word); err == nil {
		to.UseSource = UseSource{Whose: "address", Addr: netip.AddrPortFrom(ip, 0)}
		return nil
	}
	return fmt.Errorf("'usesrc' expects 'client', 'clientip', 'hdr_ip(<field>[,<number>])' or an address, not '%s'", word)
}

// checkUseSource compiles what usesrc says of a field.
func (p *parser) checkUseSource(d *draft, what string, pos cfgfile.Pos, u *UseSource) {
	if u.Expr == "" || u.Format != nil {
		return
	}
	f, err := logformat.ParseText("%["+u.Expr+"]", &d.acls.Uses)
	if err != nil {
		p.report.Errorf(pos, "'%s' : usesrc : %v", what, err)
		return
	}
	u.Format = f
}

// socks4 reads the address of a proxy that connects to the server.
func (c *call) socks4(s *Server) error {
	address := c.p.env.Expand(c.args[0])
	prefix, rest := family(address)
	if prefix == "unix" || prefix == "abns" {
		return fmt.Errorf("'%s' : '%s' is a unix socket: write <address>:<port>", c.name, address)
	}
	if prefix != "" && prefix != "ipv4" && prefix != "ipv6" {
		return foreignFamily(prefix, address)
	}
	host, port := hostPort(rest)
	if port == "" {
		return fmt.Errorf("'%s' : missing port specification in '%s'", c.name, address)
	}
	n, err := portNumber(c.name, port)
	if err != nil {
		return err
	}
	ip, err := c.p.bindHost(c.name, host, prefix, address)
	s.SOCKS4 = netip.AddrPortFrom(ip, uint16(n))
	return err
}

// checkSOCKS4 warns of servers that no proxy can be asked for, as HAProxy takes
// them and then serves nothing.
func (p *parser) checkSOCKS4(d *draft, s *Server) {
	if !s.SOCKS4.IsValid() {
		return
	}
	what := serverWords{d.Name, s.Name}
	if ip := s.Addr.Unmap(); s.Network != "tcp" || ip.IsValid() && !ip.Is4() {
		p.report.Advisef(s.Pos, "%sSOCKS4 has no way to write '%s', only IPv4 addresses: no connection to it is made, while checks without 'check-via-socks4' still find it up; remove 'socks4', or give the server's IPv4 address", what, s.Host)
	}
	if s.SOCKS4.Addr().IsUnspecified() {
		p.report.Advisef(s.Pos, "%s'socks4 %s' is no address of a proxy: one on this machine is asked; write 127.0.0.1 if that is meant", what, s.SOCKS4)
	}
}

func cutRange(ports string) (first, last string, isRange bool) {
	for i := range ports {
		if ports[i] == '-' {
			return ports[:i], ports[i+1:], true
		}
	}
	return ports, "", false
}

// dispatchName cannot be a server's.
const dispatchName = "<dispatch>"

// dispatch applies dispatch ADDRESS. The last line counts.
func (c *call) dispatch(d *draft) error {
	s := c.p.newServer(d, dispatchName, c.pos)
	s.Port = 0
	if err := c.p.serverAddress(s, c.portEnd(c.args[0])); err != nil {
		return fmt.Errorf("'dispatch' : %w", err)
	}
	switch {
	case s.Network != "tcp":
	case s.PortOffset != 0:
		return fmt.Errorf("'dispatch' : port offset not permitted here in '%s'", c.args[0])
	case s.Port == 0:
		return fmt.Errorf("'dispatch' : missing port specification in '%s'", c.args[0])
	}
	s.Unnamed, s.Check, s.Agent = true, false, false // what default-server says is about servers
	d.Servers = slices.DeleteFunc(d.Servers, func(s Server) bool { return s.Unnamed })
	delete(d.serverLines, dispatchName)
	return d.addServer(s)
}

// resolveDispatch drops the address of dispatch where there is a balance line.
func (p *parser) resolveDispatch(d *draft) {
	i := slices.IndexFunc(d.Servers, func(s Server) bool { return s.Unnamed })
	if i < 0 || d.Balance.Unsaid {
		return
	}
	p.report.Warnf(d.Servers[i].Pos, "dispatch address of %s '%s' will be ignored in balance mode", d.section, d.Name)
	d.Servers = slices.Delete(d.Servers, i, i+1)
}

// transparent gives a backend without servers the client's own destination, as
// option transparent says.
func (p *parser) transparent(d *draft) {
	if !d.Transparent || !d.Backend {
		return
	}
	if !d.Balance.Unsaid {
		p.report.Errorf(d.Pos, "%s '%s' cannot use both transparent and balance mode: remove 'option transparent' or 'balance' (it may be in its defaults section)", d.section, d.Name)
		return
	}
	if len(d.Servers) > 0 {
		return
	}
	s := p.newServer(d, "transparent", d.Pos)
	s.Check, s.Agent = false, false
	s.Network, s.Host, s.Addr, s.Unnamed = "tcp", "0.0.0.0", netip.IPv4Unspecified(), true
	if err := d.addServer(s); err != nil {
		p.report.Errorf(d.Pos, "%v", err)
	}
}

// sendProxy applies send-proxy and its kin: what they add.
func sendProxy(what SendProxy) func(*call, *Server) error {
	return func(_ *call, s *Server) error {
		s.proxyV1, s.proxyV2 = s.proxyV1 || what.Version == 1, s.proxyV2 || what.Version == 2
		s.Proxy.SSL, s.Proxy.CN = s.Proxy.SSL || what.SSL, s.Proxy.CN || what.CN
		s.Proxy.Version = s.proxyVersion()
		return nil
	}
}

// noSendProxy applies no-send-proxy and its kin: what they take away.
func noSendProxy(what SendProxy) func(*call, *Server) error {
	return func(_ *call, s *Server) error {
		s.proxyV1, s.proxyV2 = s.proxyV1 && what.Version != 1, s.proxyV2 && what.Version != 2
		s.Proxy.SSL, s.Proxy.CN = s.Proxy.SSL && !what.SSL, s.Proxy.CN && !what.CN
		s.Proxy.Version = s.proxyVersion()
		return nil
	}
}

// proxyVersion is the version of the header: where lines ask for both, it is 2.
func (s *ServerSocket) proxyVersion() int {
	switch {
	case s.proxyV2:
		return 2
	case s.proxyV1:
		return 1
	}
	return 0
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
