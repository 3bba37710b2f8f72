package config

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Addresses as bind, server and log lines write them (configuration manual
// 11, and str2sa_range's habits): an optional family prefix, then a path, a
// name, or HOST[:PORT].

// families are what an address may begin with, before an @.
var families = []string{"unix", "abns", "fd", "ipv4", "ipv6", "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "quic4", "quic6", "sockpair", "ring", "uxst", "uxdg", "stream", "dgram", "mptcp", "mptcp4", "mptcp6", "rhttp", "abnsz"}

// family splits "ipv4@...", "unix@..." off; a path without prefix is unix.
func family(address string) (prefix, rest string) {
	if known, after, found := strings.Cut(address, "@"); found && slices.Contains(families, known) {
		switch known {
		case "tcp4":
			known = "ipv4"
		case "tcp6":
			known = "ipv6"
		case "tcp":
			known = ""
		case "uxst":
			known = "unix"
		}
		return known, after
	}
	if strings.HasPrefix(address, "/") {
		return "unix", address
	}
	return "", address
}

// hostPort splits at the last colon, so ::1:80 works as it does in HAProxy;
// brackets protect a v6 address without a port.
func hostPort(address string) (host, port string) {
	if strings.HasPrefix(address, "[") {
		if end := strings.IndexByte(address, ']'); end > 0 {
			return address[1:end], strings.TrimPrefix(address[end+1:], ":")
		}
	}
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return address, ""
	}
	return address[:i], address[i+1:]
}

// portNumber reads one port.
func portNumber(what, word string) (int, error) {
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("'%s' : invalid port '%s' (1 to 65535)", what, word)
	}
	return int(n), nil
}

// portEnd drops a semicolon after an address, which HAProxy passes over.
func (c *call) portEnd(address string) string {
	whole := strings.TrimRight(address, ";")
	if whole != address {
		c.passedOver(c.name, whole, address)
	}
	return whole
}

// bindAddresses reads the first argument of a bind line: addresses separated
// by commas, each possibly with a range of ports.
func (p *parser) bindAddresses(what, list string) ([]Bind, error) {
	var binds []Bind
	for one := range strings.SplitSeq(strings.TrimSuffix(list, ","), ",") { // :80, is :80, as in HAProxy
		more, err := p.bindAddress(what, p.env.Expand(one))
		if err != nil {
			return nil, err
		}
		binds = append(binds, more...)
	}
	return binds, nil
}

func (p *parser) bindAddress(what, address string) ([]Bind, error) {
	prefix, rest := family(address)
	if rest == "" {
		return nil, fmt.Errorf("'%s' : address '%s' is empty", what, address)
	}
	switch prefix {
	case "unix", "abns":
		if prefix == "unix" {
			rest = p.unix.prefix + rest
		}
		if prefix == "unix" && len(rest) > 100 {
			return nil, fmt.Errorf("'%s' : socket path '%s' is too long (100 bytes at most)", what, rest)
		}
		return []Bind{{Network: prefix, Address: rest}}, nil
	case "fd":
		n, err := strconv.ParseUint(rest, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("'%s' : 'fd@' expects the number of an inherited file descriptor, not '%s'", what, rest)
		}
		return []Bind{{Network: "fd", Address: strconv.FormatUint(n, 10)}}, nil
	case "", "ipv4", "ipv6":
	default:
		return nil, fmt.Errorf("'%s' : %w", what, foreignFamily(prefix, address))
	}
	host, ports := hostPort(rest)
	if ports == "" {
		return nil, fmt.Errorf("'%s' : missing port specification in '%s'", what, address)
	}
	low, high, err := portRange(what, ports)
	if err != nil {
		return nil, err
	}
	ip, err := p.bindHost(what, host, prefix, address)
	if err != nil {
		return nil, err
	}
	// A v6 address is "tcp": the wildcard serves v4 too unless v6only says no.
	network := "tcp"
	if ip.Is4() {
		network = "tcp4"
	}
	binds := make([]Bind, 0, high-low+1)
	for port := low; port <= high; port++ {
		binds = append(binds, Bind{Network: network, Address: netip.AddrPortFrom(ip, uint16(port)).String()})
	}
	return binds, nil
}

// foreignFamily refuses a prefix that neither listeners nor servers can have.
func foreignFamily(prefix, address string) error {
	way := "write an IP address and a port, or a socket's path"
	switch prefix {
	case "quic4", "quic6":
		_, rest := family(address)
		way = "QUIC is not spoken, and HTTP/2 over TCP serves the same clients: remove the line if another one has the port, or else write 'ipv" + prefix[4:] + "@" + rest + "' with 'ssl' and 'alpn h2,http/1.1'; remove the alt-svc header that offers h3, too"
	case "mptcp", "mptcp4", "mptcp6":
		_, rest := family(address)
		way = "connections take one path; clients that offer several fall back to it: write '" + rest + "'"
	case "rhttp":
		way = noReverse
	case "abnsz":
		way = "write abns@NAME, on both sides"
	case "sockpair":
		way = "workers inherit no socket pairs; write the path of a unix socket, or abns@NAME, on both sides"
	}
	return fmt.Errorf("address family '%s@' is not supported by lb yet in '%s': %s", prefix, address, way)
}

func portRange(what, ports string) (low, high int, err error) {
	first, last, isRange := strings.Cut(ports, "-")
	if low, err = portNumber(what, first); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return low, low, nil
	}
	if high, err = portNumber(what, last); err != nil {
		return 0, 0, err
	}
	if high < low {
		return 0, 0, fmt.Errorf("'%s' : invalid port range '%s': it ends before it begins", what, ports)
	}
	return low, high, nil
}

// bindHost gives the IP address to listen on. Names are resolved here, since
// a listener has to be known by its address to be handed over.
func (p *parser) bindHost(what, host, prefix, address string) (netip.Addr, error) {
	if host == "" || host == "*" {
		if prefix == "ipv6" {
			return netip.IPv6Unspecified(), nil
		}
		return netip.IPv4Unspecified(), nil
	}
	if ip, err := parseIP(host); err == nil {
		if prefix == "ipv4" && !ip.Is4() || prefix == "ipv6" && ip.Is4() {
			return netip.Addr{}, fmt.Errorf("'%s' : invalid address: '%s' in '%s' is not of that family", what, host, address)
		}
		return ip, nil
	}
	if !isHostName(host) {
		return netip.Addr{}, fmt.Errorf("'%s' : invalid address: '%s' in '%s'", what, host, address)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ips, err := p.opt.LookupIP(ctx, host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("'%s' : invalid address: '%s' in '%s' (%w)", what, host, address, err)
	}
	best := netip.Addr{}
	for _, ip := range ips {
		ip = ip.Unmap()
		if prefix == "ipv4" && !ip.Is4() || prefix == "ipv6" && ip.Is4() {
			continue
		}
		if !best.IsValid() || ip.Is4() && !best.Is4() {
			best = ip
		}
	}
	if !best.IsValid() {
		return best, fmt.Errorf("'%s' : '%s' has no address of the family wanted in '%s'", what, host, address)
	}
	return best, nil
}

// serverAddress fills in where a server is.
func (p *parser) serverAddress(s *Server, address string) error {
	address = p.env.Expand(address)
	prefix, rest := family(address)
	switch prefix {
	case "unix":
		if rest == "" {
			return fmt.Errorf("the path of the socket is missing in '%s'", address)
		}
		s.Network, s.Host = "unix", rest
		return nil
	case "abns":
		if rest == "" || len(rest) > 107 {
			return fmt.Errorf("an abstract socket's name has 1 to 107 bytes, '%s' has %d", address, len(rest))
		}
		s.Network, s.Host = "abns", rest
		return nil
	case "", "ipv4", "ipv6":
	default:
		return foreignFamily(prefix, address)
	}
	s.Network = "tcp"
	host, port := hostPort(rest)
	s.PortOffset = 0
	if strings.HasPrefix(port, "+") || strings.HasPrefix(port, "-") {
		n, err := number("server port", port, -65535, 65535)
		if err != nil {
			return err
		}
		s.PortOffset, port = n, ""
	}
	if port != "" && port != "0" {
		n, err := portNumber("server", port)
		if err != nil {
			return err
		}
		s.Port = n
	}
	if host == "*" || host == "" {
		host = "0.0.0.0"
		if prefix == "ipv6" {
			host = "::"
		}
	}
	s.Host = host
	if ip, err := parseIP(host); err == nil {
		if prefix == "ipv4" && !ip.Is4() || prefix == "ipv6" && ip.Is4() {
			return fmt.Errorf("invalid address: '%s' in '%s' is not of that family", host, address)
		}
		s.Addr = ip
		return nil
	}
	if !isHostName(host) {
		return fmt.Errorf("invalid address: '%s' in '%s'", host, address)
	}
	s.Resolve.Service = strings.HasPrefix(host, "_")
	return nil
}

// probeAddress reads where checks connect to, or an agent is asked: an address or
// a name, and a port or 0. A name is looked up for each connection.
func (p *parser) probeAddress(what, word string) (host string, port int, err error) {
	address := p.env.Expand(word)
	prefix, host := family(address)
	switch prefix {
	case "", "ipv4", "ipv6":
	case "unix", "abns":
		return "", 0, fmt.Errorf("'%s' : '%s' is a unix socket: checks that go elsewhere than requests need an IP address or a name", what, address)
	default:
		return "", 0, foreignFamily(prefix, address)
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip, ipErr := netip.ParseAddr(bare)
	if ipErr != nil {
		if h, digits := hostPort(host); digits != "" {
			if port, err = portNumber(what, digits); err != nil {
				return "", 0, err
			}
			host = h
		}
		bare = host
		ip, ipErr = netip.ParseAddr(bare)
	}
	switch {
	case address == "":
		return "", 0, fmt.Errorf("'%s' : '%s' is an empty address (is an environment variable missing?)", what, word)
	case ipErr != nil && !isHostName(bare):
		return "", 0, fmt.Errorf("'%s' : invalid address: '%s' in '%s'", what, bare, address)
	case ipErr == nil && (prefix == "ipv4" && !ip.Is4() || prefix == "ipv6" && ip.Is4()):
		return "", 0, fmt.Errorf("'%s' : invalid address: '%s' in '%s' is not of that family", what, bare, address)
	}
	return bare, port, nil
}

// parseIP reads an address. As in inet_aton(3), the last number of an IPv4
// address with fewer than four has the bits that are left: 127.1 is 127.0.0.1,
// and 0 is 0.0.0.0.
func parseIP(host string) (netip.Addr, error) {
	if strings.Count(host, ".") > 2 || strings.Trim(host, "0123456789.") != "" {
		return netip.ParseAddr(host)
	}
	parts := strings.Split(host, ".")
	var v uint32
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (4 - i)
		}
		n, err := strconv.ParseUint(part, 10, bits)
		if err != nil || len(part) > 1 && part[0] == '0' {
			return netip.ParseAddr(host)
		}
		v = uint32(uint64(v)<<bits | n)
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), nil
}

// isHostName says whether host could be a name in the DNS or in /etc/hosts.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 || strings.Trim(host, "0123456789.") == "" {
		return false
	}
	for _, c := range host {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.", c)) {
			return false
		}
	}
	return true
}

// logAddress gives the network and address of a log line's target: "fd" and a
// number, "tcp" and "unix" for connections, "ring" and a name, or "udp" and
// "unixgram".
func (p *parser) logAddress(address string) (network, target string, err error) {
	address = p.env.Expand(address)
	switch address {
	case "stdout":
		return "fd", "1", nil
	case "stderr":
		return "fd", "2", nil
	}
	if fd, ok := strings.CutPrefix(address, "fd@"); ok {
		if fd != "1" && fd != "2" {
			return "", "", fmt.Errorf("log : target '%s' is not supported by lb yet: workers inherit only 1 and 2; write 'stdout' or 'stderr', or log to a socket", address)
		}
		return "fd", fd, nil
	}
	if path, ok := strings.CutPrefix(address, "uxst@"); ok && path != "" {
		return "unix", path, nil
	}
	stream := false
	for _, prefix := range []string{"tcp@", "tcp4@", "tcp6@"} {
		stream = stream || strings.HasPrefix(address, prefix)
	}
	prefix, rest := family(address)
	switch prefix {
	case "ring":
		return "ring", rest, nil
	case "unix", "uxdg":
		return "unixgram", rest, nil
	case "", "ipv4", "ipv6", "udp", "udp4", "udp6", "dgram":
	default:
		return "", "", fmt.Errorf("log : target '%s@' is not supported by lb yet: log to an address (UDP, or tcp@), to a socket's path, or to stdout", prefix)
	}
	host, port := rest, "514"
	if _, parseErr := netip.ParseAddr(rest); parseErr != nil {
		var own string
		if host, own = hostPort(rest); own != "" {
			port = own
		}
	}
	if _, err := portNumber("log", port); err != nil {
		return "", "", err
	}
	if rest != "" && (host == "" || host == "*") { // what is sent to no address stays here
		host = "127.0.0.1"
	}
	if _, parseErr := netip.ParseAddr(host); parseErr != nil && !isHostName(host) {
		return "", "", fmt.Errorf("log : invalid address: '%s' in '%s'", host, address)
	}
	network = "udp"
	if stream {
		network = "tcp"
	}
	return network, net.JoinHostPort(host, port), nil
}

func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
