package config

import (
	"fmt"
	"os"

	"lbsyslogd/lb/cfgfile"
	"lbsyslogd/lb/stick"
)

// Peers is a peers section that has this node and others.
type Peers struct {
	Name   string
	Pos    cfgfile.Pos
	Self   string   // this node's name
	Binds  []Bind   // where it listens
	Nodes  []Server // the others: name, address, TLS, source
	Logs   []Log
	Tables []PeerTable
}

// PeerTable is a table of a peers section.
type PeerTable struct {
	Name string // as peers know it
	Spec *stick.Spec
}

// peersSection is a peers section while it is read. With its own name alone in it,
// it is how tables are kept over a reload in HAProxy; here they are kept anyway.
// Its own tables are called SECTION/TABLE.
type peersSection struct {
	name     string
	pos      cfgfile.Pos
	nodes    []peerLine
	bind     *bindLine // bind line
	defaults []string  // default-bind
	template Server
	logs     []logLine
	tables   []PeerTable
	disabled bool
}

// peersSections are those of a configuration.
type peersSections struct {
	peers     map[string]*peersSection
	atPeers   *peersSection // being read
	usedPeers []peersUse
	localPeer string // localpeer
}

// peerLine is a peer or server line. Which of them is this node is known at the end.
type peerLine struct {
	Server
	keyword string
	address string // "" has none
}

// bindLine is a bind line whose words are read at the end.
type bindLine struct {
	pos   cfgfile.Pos
	words []string
}

// peersUse is `stick-table ... peers NAME`.
type peersUse struct {
	name string
	pos  cfgfile.Pos
	spec *stick.Spec
}

// beginPeers opens a peers section.
func (p *parser) beginPeers(pos cfgfile.Pos, args []string) error {
	p.skip = len(args) != 1
	if p.skip {
		return fmt.Errorf("'peers' expects a name")
	}
	p.atPeers = p.peers[args[0]] // a section may go on
	if p.atPeers == nil {
		p.atPeers = &peersSection{name: args[0], pos: pos, template: plainServer()}
		p.peers[args[0]] = p.atPeers
	}
	return nil
}

// peersLine applies a line of a peers section.
func (p *parser) peersLine(c *call, words []string) error {
	s := p.atPeers
	c.name, c.args = words[0], words[1:]
	switch words[0] {
	case "peer", "server":
		return c.peer(s)
	case "table":
		return p.peersTable(c, words[1:])
	case "bind":
		if s.bind != nil || len(c.args) == 0 {
			return fmt.Errorf("'bind' expects <address>:<port> [options], once in a peers section")
		}
		s.bind = &bindLine{c.pos, c.args}
	case "default-bind":
		s.defaults = append(s.defaults, c.args...)
	case "default-server":
		return c.serverOptions(&s.template, c.args, "default-server")
	case "disabled", "enabled":
		s.disabled = words[0] == "disabled"
	case "log":
		return c.peersLog(s)
	case "shards":
		p.report.Notef(c.pos, "'shards' is ignored: every peer gets all entries")
	default:
		return oneOf("peers", words[0], "peer", "server", "bind", "default-bind", "default-server", "disabled", "enabled", "log", "shards", "table")
	}
	return nil
}

// peersLog applies a log line.
func (c *call) peersLog(s *peersSection) error {
	if len(c.args) == 1 && c.args[0] == "global" {
		s.logs = append(s.logs, logLine{global: true, Log: Log{Pos: c.pos}})
		return nil
	}
	l, err := c.logTarget()
	if err == nil {
		s.logs = append(s.logs, logLine{Log: l})
	}
	return err
}

// peer applies a peer or server line: NAME [ADDRESS] [options].
func (c *call) peer(s *peersSection) error {
	if len(c.args) == 0 {
		return fmt.Errorf("'%s' expects a name and an address", c.name)
	}
	name := c.args[0]
	for _, n := range s.nodes {
		if n.Name == name {
			return fmt.Errorf("'%s %s/%s' : another peer of this name was defined at %s", c.name, s.name, name, n.Pos)
		}
	}
	line := peerLine{Server: s.template, keyword: c.name}
	line.Name, line.Pos = name, c.pos
	what := c.name + " " + s.name + "/" + name
	rest := c.args[1:]
	if len(rest) > 0 {
		line.address, rest = rest[0], rest[1:]
		if err := c.p.serverAddress(&line.Server, line.address); err != nil {
			return fmt.Errorf("'%s' : %w", what, err)
		}
		if line.Network == "tcp" && line.Port == 0 {
			return fmt.Errorf("'%s' : missing port in '%s'", what, line.address)
		}
	}
	shard := ""
	if len(rest) >= 2 && rest[0] == "shard" {
		shard, rest = rest[1], rest[2:]
	}
	if err := c.serverOptions(&line.Server, rest, what); err != nil {
		return err
	}
	if shard != "" {
		c.p.report.Notef(c.pos, "'%s' : 'shard' is ignored: every peer gets all entries", what)
	}
	switch sv := &line.Server; {
	case sv.Proxy.Version != 0:
		return fmt.Errorf("'%s' : 'send-proxy' is known to HAProxy, but not supported by lb yet for a peer: it is known by its name, not by its address; remove the word", what)
	case sv.UseSource.Whose != "":
		return fmt.Errorf("'%s' : 'usesrc' has no client to take the address of here; write 'source <address>' alone", what)
	case sv.SOCKS4.IsValid():
		return fmt.Errorf("'%s' : 'socks4' is known to HAProxy, but not supported by lb yet for a peer; write the address of a tunnel or relay that leads to the peer, and remove the word", what)
	case sv.Namespace != "":
		return fmt.Errorf("'%s' : 'namespace' is not supported for a peer; start lb in the namespace, or remove the word", what)
	case sv.Check || sv.CheckViaSOCKS4 || sv.Agent || sv.Cookie != "" || sv.Track != "" || sv.Resolve.Section != "":
		c.p.report.Advisef(c.pos, "'%s' : checks, cookies, tracking and resolvers have no effect on a peer", what)
	}
	s.nodes = append(s.nodes, line)
	return nil
}

// peersTable applies a table line of a peers section: NAME type ... size ...
func (p *parser) peersTable(c *call, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("'table' expects <name> type <type> size <entries> [expire <time>] [nopurge] [store <data>,...]")
	}
	t := &stick.Spec{Name: p.atPeers.name + "/" + words[0]}
	for _, other := range p.cfg.PeerTables {
		if other.Name == t.Name {
			return fmt.Errorf("'table %s' : peers section '%s' has a table of that name already", words[0], p.atPeers.name)
		}
	}
	if err := c.tableSpec(t, words[1:]); err != nil {
		return fmt.Errorf("'table %s' : %w", words[0], err)
	}
	p.cfg.PeerTables = append(p.cfg.PeerTables, t)
	p.atPeers.tables = append(p.atPeers.tables, PeerTable{"/" + words[0], t})
	return nil
}

// resolvePeers finds this node in each section, and the tables that name it.
func (p *parser) resolvePeers() {
	for _, u := range p.usedPeers {
		s := p.peers[u.name]
		if s == nil {
			p.report.Errorf(u.pos, "unable to find sync peers '%s'%s", u.name, didYouMean(cfgfile.Suggest(u.name, sortedNames(p.peers))))
			continue
		}
		s.tables = append(s.tables, PeerTable{u.spec.Name, u.spec})
	}
	for _, name := range sortedNames(p.peers) {
		p.resolvePeersSection(p.peers[name])
	}
}

func (p *parser) resolvePeersSection(s *peersSection) {
	self := p.selfName()
	out := &Peers{Name: s.name, Pos: s.pos, Self: self, Tables: s.tables}
	var own *peerLine
	for i := range s.nodes {
		if n := &s.nodes[i]; n.Name == self {
			own = n
		} else {
			out.Nodes = append(out.Nodes, n.Server)
		}
	}
	switch {
	case s.disabled:
		p.report.Notef(s.pos, "section 'peers %s' is disabled: its tables are kept over a reload, and are not sent anywhere", s.name)
		return
	case len(s.nodes) == 0, own != nil && len(out.Nodes) == 0:
		p.report.Notef(s.pos, "section 'peers %s' has no other peer and is ignored: stick tables move to the next worker by themselves", s.name)
		return
	case own == nil:
		p.report.Warnf(s.pos, "Removing incomplete section 'peers %s' (no peer named '%s'): name this node with 'localpeer' in the global section, or with -L", s.name, self)
		return
	}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		if n.Network == "" {
			p.report.Errorf(n.Pos, "'%s/%s' : missing address: where this peer listens", s.name, n.Name)
		}
		p.checkServerTLS(&draft{Proxy: &Proxy{Name: s.name}}, n)
		if n.TLS.Ask != "" {
			p.report.Errorf(n.Pos, "'%s/%s' : 'sni' has no request to take a name from here; 'verifyhost <name>' says what the peer's certificate must be for", s.name, n.Name)
		}
	}
	if err := p.peersBind(s, own, out); err != nil {
		p.report.Errorf(s.pos, "section 'peers %s' : %v", s.name, err)
		return
	}
	out.Logs = p.peersLogs(s)
	for _, t := range out.Tables {
		t.Spec.Shared = true
		if !t.Spec.Cluster {
			continue
		}
		if len(out.Nodes) > stick.MaxNodes() {
			p.report.Errorf(s.pos, "section 'peers %s' : table '%s' has 'store cluster', which is for %d other peers at most", s.name, t.Spec.Name, stick.MaxNodes())
			continue
		}
		for i := range out.Nodes {
			t.Spec.Nodes = append(t.Spec.Nodes, out.Nodes[i].Name)
		}
	}
	p.cfg.Peers = append(p.cfg.Peers, out)
}

// selfName is this node's name among peers.
func (p *parser) selfName() string {
	if p.opt.LocalPeer != "" {
		return p.opt.LocalPeer
	}
	if p.localPeer != "" {
		return p.localPeer
	}
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// peersBind says where this node listens.
func (p *parser) peersBind(s *peersSection, own *peerLine, out *Peers) error {
	line := bindLine{own.Pos, nil}
	switch {
	case s.bind != nil && own.address != "":
		return fmt.Errorf("this node's address stands both at %s and at %s; remove one of them", s.bind.pos, own.Pos)
	case s.bind != nil:
		line = *s.bind
	case own.address != "":
		line.words = []string{own.address}
	default:
		p.report.Advisef(own.Pos, "'%s %s/%s' : this node has no address to listen on: the other peers cannot connect to it", own.keyword, s.name, own.Name)
		return nil
	}
	binds, err := p.bindAddresses("bind", line.words[0])
	if err != nil {
		return err
	}
	model := bindDraft{Bind: Bind{Pos: line.pos, UID: -1, GID: -1}}
	c := &call{p: p, pos: line.pos, name: "bind"}
	if err := c.bindOptions(&model, append(append([]string{}, s.defaults...), line.words[1:]...), "bind"); err != nil {
		return err
	}
	if err := p.finishTLS(&model); err != nil {
		return fmt.Errorf("'bind %s' : %w", line.words[0], err)
	}
	for _, b := range binds {
		one := model.Bind
		one.Network, one.Address = b.Network, b.Address
		p.unix.owned(&one)
		out.Binds = append(out.Binds, one)
	}
	return nil
}

// peersLogs gives the targets of a section's log lines.
func (p *parser) peersLogs(s *peersSection) (list []Log) {
	for _, l := range s.logs {
		if l.global {
			list = append(list, p.cfg.Global.Logs...)
		} else {
			list = append(list, l.Log)
		}
	}
	return p.resolveRings(list)
}

// Address is where a peer listens, for people.
func (s *Server) Address() string {
	switch s.Network {
	case "unix":
		return s.Host
	case "abns":
		return "abns@" + s.Host
	}
	return joinPort(s.Host, s.Port)
}

// localPeerLine applies localpeer.
func (c *call) localPeerLine(*Global) error {
	if len(c.p.peers) > 0 {
		c.p.report.Warnf(c.pos, "'localpeer' ignored since it is used after 'peers' section: move the global section before it")
		return nil
	}
	c.p.localPeer = c.args[0]
	if c.p.opt.LocalPeer == "" { // -L goes first
		c.p.env.Set(peerVariable, c.args[0])
	}
	return nil
}
