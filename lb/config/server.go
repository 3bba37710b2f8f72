package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"lbsyslogd/lb/cfgfile"
)

// server applies a server line.
func (c *call) server(d *draft) error {
	name := c.args[0]
	if err := serverName(name); err != nil {
		return err
	}
	s := c.p.newServer(d, name, c.pos)
	if err := c.p.serverAddress(s, c.portEnd(c.args[1])); err != nil {
		return fmt.Errorf("'server %s/%s' : %w", d.Name, name, err)
	}
	if err := c.serverOptions(s, c.args[2:], "server "+d.Name+"/"+name); err != nil {
		return err
	}
	return d.addServer(s)
}

// serverMemory is what server lines are read with: there may be thousands.
type serverMemory struct {
	plain    *Server  // what a line begins with where nothing says anything else. Immutable.
	scratch  Server   // of the line being read
	gathered []Server // of the section being read
}

// newServer begins with default-server. It is valid until the next one.
func (p *parser) newServer(d *draft, name string, pos cfgfile.Pos) *Server {
	s := &p.scratch
	*s = *d.template
	s.Name, s.Pos = name, pos
	return s
}

func serverName(name string) error {
	if i := strings.IndexFunc(name, func(c rune) bool { return !nameRune(c) }); i >= 0 {
		return fmt.Errorf("character '%c' is not permitted in server name '%s': letters, digits and _ - . : are", name[i], name)
	}
	return nil
}

func (d *draft) addServer(s *Server) error {
	if line := d.serverLine(s.Name); line != 0 {
		return fmt.Errorf("%s '%s', another server named '%s' was already defined at line %d, please use distinct names", d.section, d.Name, s.Name, line)
	}
	if s.ID != 0 {
		if other := d.sids[s.ID]; other != "" {
			return fmt.Errorf("'server %s/%s' : id %d is taken by server '%s'", d.Name, s.Name, s.ID, other)
		}
		if d.sids == nil {
			d.sids = map[int]string{}
		}
		d.sids[s.ID] = s.Name
	}
	d.Servers = append(d.Servers, *s)
	if d.serverLines != nil {
		d.serverLines[s.Name] = s.Pos.Line
	}
	return nil
}

// fewServers are found by looking at each.
const fewServers = 8

// serverLine is the line of the server of that name; 0 if there is none.
func (d *draft) serverLine(name string) int {
	if d.serverLines == nil && len(d.Servers) > fewServers {
		d.serverLines = make(map[string]int, 2*len(d.Servers))
		for i := range d.Servers {
			d.serverLines[d.Servers[i].Name] = d.Servers[i].Pos.Line
		}
	}
	if d.serverLines != nil {
		return d.serverLines[name]
	}
	for i := range d.Servers {
		if d.Servers[i].Name == name {
			return d.Servers[i].Pos.Line
		}
	}
	return 0
}

// serverNames are the servers' names in byte order.
func (d *draft) serverNames() []string {
	var names []string
	for i := range d.Servers {
		names = append(names, d.Servers[i].Name)
	}
	slices.Sort(names)
	return names
}

// serverTemplate applies server-template: PREFIX N|A-B HOST[:PORT] ...
func (c *call) serverTemplate(d *draft) error {
	prefix := c.args[0]
	if err := serverName(prefix); err != nil {
		return err
	}
	low, high, err := c.templateRange(c.args[1])
	if err != nil {
		return err
	}
	for i := low; i <= high; i++ {
		s := c.p.newServer(d, prefix+strconv.Itoa(i), c.pos)
		what := "server-template " + d.Name + "/" + prefix
		if err := c.p.serverAddress(s, c.args[2]); err != nil {
			return fmt.Errorf("'%s' : %w", what, err)
		}
		if err := c.serverOptions(s, c.args[3:], what); err != nil {
			return err
		}
		if err := d.addServer(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) templateRange(word string) (low, high int, err error) {
	const most = 1000
	first, last, isRange := strings.Cut(word, "-")
	if isRange {
		last = c.numeral(c.name, last, cutsTail)
	} else {
		first = c.numeral(c.name, first, cutsTail)
	}
	if low, err = number("server-template", first, 1, 1<<30); err != nil {
		return 0, 0, err
	}
	if !isRange {
		low, high = 1, low
	} else if high, err = number("server-template", last, low, 1<<30); err != nil {
		return 0, 0, err
	}
	if high-low >= most {
		return 0, 0, fmt.Errorf("'server-template' : '%s' makes more than %d servers", word, most)
	}
	return low, high, nil
}

// defaultServer applies a default-server line.
func (c *call) defaultServer(d *draft) error {
	if !d.ownTemplate {
		d.template, d.ownTemplate = new(*d.template), true
	}
	return c.serverOptions(d.template, c.args, "default-server")
}

// serverOptions applies the words after a server's address. A word that is
// refused does not hide the ones after it.
func (c *call) serverOptions(s *Server, words []string, what string) error {
	var first error
	one := &call{p: c.p, pos: c.pos}
	for len(words) > 0 {
		r, n := c.p.servers.find(words[:1])
		if name, _, found := strings.Cut(words[0], "("); r == nil && found {
			if r, n = c.p.servers.find([]string{name}); r != nil && !r.paren {
				r = nil
			}
		}
		if r == nil {
			return fmt.Errorf("'%s' : unknown keyword '%s'%s", what, words[0], didYouMean(cfgfile.Suggest(words[0], c.p.servers.names)))
		}
		if len(words)-n < r.min {
			return fmt.Errorf("'%s' : '%s' expects %s", what, r.name, r.args)
		}
		one.name, one.args = r.name, words[n:n+r.min]
		if err := r.run(one, s); err != nil {
			if first != nil {
				c.p.report.Errorf(c.pos, "'%s' : %v", what, err)
			} else {
				first = fmt.Errorf("'%s' : %w", what, err)
			}
		}
		words = words[n+r.min:]
	}
	return first
}

// serverTable holds the words of server and default-server lines. Each takes
// exactly min arguments.
func serverTable() []row[*Server] {
	flag := func(set func(s *Server)) func(*call, *Server) error {
		return func(_ *call, s *Server) error { set(s); return nil }
	}
	text := func(set func(s *Server, word string)) func(*call, *Server) error {
		return func(c *call, s *Server) error { set(s, c.args[0]); return nil }
	}
	count := func(low, high int, set func(s *Server, n int)) func(*call, *Server) error {
		return func(c *call, s *Server) error {
			n, err := number(c.name, c.args[0], low, high)
			set(s, n)
			return err
		}
	}
	span := func(set func(s *Server, d time.Duration)) func(*call, *Server) error {
		return func(c *call, s *Server) error {
			d, err := duration(c.name, c.args[0], time.Millisecond)
			if err == nil && d == 0 {
				err = fmt.Errorf("'%s' must be more than 0", c.name)
			}
			set(s, d)
			return err
		}
	}
	const big = 1<<31 - 1
	table := []row[*Server]{
		{name: "addr", args: "<address>", min: 1, apply: func(c *call, s *Server) error {
			host, port, err := c.p.probeAddress(c.name, c.args[0])
			s.CheckAddr = host
			if s.CheckPort == 0 {
				s.CheckPort = port
			}
			return err
		}},
		{name: "backup", apply: flag(func(s *Server) { s.Backup = true })},
		{name: "check", apply: flag(func(s *Server) { s.Check = true })},
		{name: "cookie", args: "<value>", min: 1, apply: text(func(s *Server, w string) { s.Cookie = w })},
		{name: "disabled", apply: flag(func(s *Server) { s.Disabled = true })},
		{name: "downinter", args: "<time>", min: 1, apply: span(func(s *Server, d time.Duration) { s.DownInter = d })},
		{name: "enabled", apply: flag(func(s *Server) { s.Disabled = false })},
		{name: "fall", loose: cutsTail, args: "<count>", min: 1, apply: count(1, big, func(s *Server, n int) { s.Fall = n })},
		{name: "fastinter", args: "<time>", min: 1, apply: span(func(s *Server, d time.Duration) { s.FastInter = d })},
		{name: "id", loose: cutsTail, args: "<number>", min: 1, apply: count(1, big, func(s *Server, n int) { s.ID = n })},
		{name: "init-addr", args: "last|libc|none|<address>,...", min: 1, apply: (*call).initAddr},
		{name: "inter", args: "<time>", min: 1, apply: span(func(s *Server, d time.Duration) { s.Inter = d })},
		{name: "maxconn", loose: likeC, args: "<number>", min: 1, apply: count(0, big, func(s *Server, n int) { s.MaxConn = n })},
		{name: "maxqueue", loose: likeC, args: "<number>", min: 1, apply: count(0, big, func(s *Server, n int) { s.MaxQueue = n })},
		{name: "no-backup", apply: flag(func(s *Server) { s.Backup = false })},
		{name: "no-check", apply: flag(func(s *Server) { s.Check = false })},
		{name: "non-stick", apply: flag(func(s *Server) { s.NonStick = true })},
		{name: "port", loose: cutsTail | wordIsZero, args: "<port>", min: 1, apply: func(c *call, s *Server) (err error) {
			if s.CheckPort = 0; c.args[0] != "0" { // which is the server's own
				s.CheckPort, err = portNumber("port", c.args[0])
			}
			return err
		}},
		{name: "redir", args: "<prefix>", min: 1, apply: func(c *call, s *Server) error {
			if strings.ContainsAny(c.args[0], "\r\n\x00") {
				return fmt.Errorf("'redir' : %q has a line break or a NUL, which a header cannot carry", c.args[0])
			}
			s.Redir = c.args[0]
			return nil
		}},
		{name: "rise", loose: cutsTail, args: "<count>", min: 1, apply: count(1, big, func(s *Server, n int) { s.Rise = n })},
		{name: "stick", apply: flag(func(s *Server) { s.NonStick = false })},
		{name: "weight", loose: cutsTail | wordIsZero, args: "<0-256>", min: 1, apply: func(c *call, s *Server) (err error) {
			if s.Weight, err = strconv.Atoi(c.args[0]); err == nil && (s.Weight < 0 || s.Weight > 256) {
				return outOfWeight(s.Weight)
			}
			s.Weight, err = number(c.name, c.args[0], 0, 256)
			return err
		}},

		{name: "no-tfo", doc: "connections are opened without TFO"},

		{name: "max-reuse", loose: cutsTail | wordIsZero, args: "<count>", min: 1, doc: "over HTTP/1.1, too; a reload counts anew", apply: count(-1, big, func(s *Server, n int) { s.MaxReuse = n })},
		{name: "pool-low-conn", args: "<number>", min: 1, status: Ignored, doc: "each loop keeps its own idle connections"},
		{name: "pool-max-conn", loose: cutsTail | wordIsZero, args: "<number>", min: 1, doc: "of all loops; a client's own connections ('http-reuse never') do not count", apply: count(-1, big, func(s *Server, n int) { s.PoolMaxConn = n })},
		{name: "pool-purge-delay", args: "<time>", min: 1, status: Ignored, apply: func(c *call, _ *Server) error {
			_, err := duration(c.name, c.args[0], time.Millisecond)
			return err
		}, doc: "connections that are not needed are closed within five to ten seconds"},
		{name: "tfo", status: Ignored, doc: "connections are opened without TFO"},

		{name: "check-proto", args: "h1|h2", min: 1, apply: func(c *call, s *Server) error {
			s.CheckProto = c.args[0]
			return oneOf(c.name, c.args[0], "h1", "h2")
		}, doc: "of HTTP checks; without it they speak what proto says"},
		{name: "check-via-socks4", apply: flag(func(s *Server) { s.CheckViaSOCKS4 = true })},
		{name: "log-proto", args: "legacy|octet-count", min: 1, status: Ignored, apply: func(c *call, _ *Server) error { return oneOf(c.name, c.args[0], "legacy", "octet-count") }, doc: "only servers of a ring receive logs"},
		{name: "namespace", args: "<name>", min: 1, apply: func(c *call, s *Server) error {
			if s.Namespace = c.args[0]; s.Namespace == "*" {
				return errors.New("'namespace *' is known to HAProxy, but not supported by lb yet: PROXY headers choose no namespace here; write its name")
			}
			return namespaceExists(s.Namespace)
		}, doc: "of requests and checks; the worker needs CAP_SYS_ADMIN for it, so lb runs as root without 'user'"},
		{name: "proto", args: "h1|h2", min: 1, apply: (*call).serverProto, doc: "h2: in HTTP/2 from the first byte; h1: in HTTP/1.1 even where alpn offers h2"},
		{name: "socks4", args: "<address>:<port>", min: 1, apply: (*call).socks4, doc: "SOCKS4 knows IPv4 addresses of servers alone; checks go straight to the server without check-via-socks4"},
		{name: "send-proxy", negate: true, apply: sendProxy(SendProxy{Version: 1})},
		{name: "send-proxy-v2", negate: true, apply: sendProxy(SendProxy{Version: 2})},
		{name: "send-proxy-v2-ssl", negate: true, apply: sendProxy(SendProxy{Version: 2, SSL: true})},
		{name: "send-proxy-v2-ssl-cn", negate: true, apply: sendProxy(SendProxy{Version: 2, SSL: true, CN: true})},
		{name: "guid", args: "<text>", min: 1, status: Ignored, doc: "names and ids keep counters apart already"},
		{name: "no-send-proxy", apply: noSendProxy(SendProxy{Version: 1})},
		{name: "no-send-proxy-v2", apply: noSendProxy(SendProxy{Version: 2})},
		{name: "no-send-proxy-v2-ssl", apply: noSendProxy(SendProxy{Version: 2, SSL: true})},
		{name: "no-send-proxy-v2-ssl-cn", apply: noSendProxy(SendProxy{Version: 2, SSL: true, CN: true})},
		{name: "proxy-v2-options", args: "ssl|ssl-cipher|unique-id|authority|crc32c,...", min: 1, apply: (*call).proxyOptions},
		{name: "resolve-net", args: "<network>,...", min: 1, apply: func(c *call, s *Server) error {
			s.Resolve.Networks = nil
			for one := range strings.SplitSeq(c.args[0], ",") {
				network, err := prefix(one)
				if err != nil {
					return fmt.Errorf("'resolve-net' : %w", err)
				}
				s.Resolve.Networks = append(s.Resolve.Networks, network)
			}
			return nil
		}},
		{name: "resolve-opts", args: "allow-dup-ip|prevent-dup-ip|ignore-weight,...", min: 1, apply: func(c *call, s *Server) error {
			for option := range strings.SplitSeq(c.args[0], ",") {
				switch option {
				case "allow-dup-ip":
					s.Resolve.MayShare = true
				case "prevent-dup-ip":
					s.Resolve.MayShare = false
				case "ignore-weight":
					s.Resolve.NoWeight = true
				default:
					return oneOf("resolve-opts", option, "allow-dup-ip", "prevent-dup-ip", "ignore-weight")
				}
			}
			return nil
		}},
		{name: "resolve-prefer", args: "ipv4|ipv6", min: 1, apply: func(c *call, s *Server) error {
			s.Resolve.IPv4 = c.args[0] == "ipv4"
			return oneOf(c.name, c.args[0], "ipv4", "ipv6")
		}},
		{name: "resolvers", args: "<section>", min: 1, apply: text(func(s *Server, w string) { s.Resolve.Section = w })},
		{name: "source", args: "<address>[:<port>]", min: 1, apply: func(c *call, s *Server) error { return c.source(&s.ServerSocket, c.args) }},
		{name: "interface", args: "<name>", min: 1, apply: text(func(s *Server, w string) { s.Interface = w })},
		{name: "tcp-ut", args: "<time>", min: 1, apply: func(c *call, s *Server) (err error) {
			s.UserTimeout, err = duration(c.name, c.args[0], time.Millisecond)
			return err
		}},
		{name: "usesrc", args: "clientip|client|hdr_ip(<field>[,<number>])|<address>", min: 1, apply: func(c *call, s *Server) error { return c.useSource(&s.ServerSocket, c.args[0]) }},
		{name: "ws", args: "auto|h1|h2", min: 1, apply: func(c *call, s *Server) error {
			s.WebSocket = c.args[0]
			return oneOf(c.name, c.args[0], "auto", "h1", "h2")
		}},
	}
	table = append(table, serverTLSTable()...)
	table = append(table, serverCheckTable()...)
	for i := range table {
		table[i].in, table[i].max = onServer, table[i].min
	}
	return table
}

// initAddr reads where a server's first address comes from: the worker before
// (last), the system's resolver (libc), an address, or nowhere (none).
func (c *call) initAddr(s *Server) error {
	for method := range strings.SplitSeq(c.args[0], ",") {
		if _, err := netip.ParseAddr(method); err == nil {
			continue
		}
		if err := oneOf("init-addr", method, "last", "libc", "none"); err != nil {
			return fmt.Errorf("%w, or an address", err)
		}
	}
	s.InitAddr = c.args[0]
	return nil
}
