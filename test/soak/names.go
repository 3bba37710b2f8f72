package main

import (
	"encoding/csv"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// A third kind of requests, "named", goes to a server that the configuration knows by name alone. The name changes its address; what is sent after lb has
// followed has to come to the new address.

const (
	named    = "named"
	namedFor = "site.test."
)

// The two addresses that the name has in turns, each with a server, and the bit of the first in the servers' book.
var nameAddresses = map[string]string{"a": "127.83.61.8", "b": "127.83.61.9"}

const nameBit = 6

// names is a name server with one name.
type names struct {
	addr    string // of the name server
	port    int    // of the web servers
	servers []*server
	current atomic.Pointer[net.IP]
	udp     *dns.Server
	route   *route
}

// openNames starts the name server, and a web server at each address.
func openNames(b *books, ports []int) (*names, error) {
	n := &names{addr: fmt.Sprintf("%s:%d", host, ports[0]), port: ports[1], route: &route{name: named, changes: []change{{to: "a", file: "a"}}}}
	n.point("a")
	pc, err := net.ListenPacket("udp", n.addr)
	if err != nil {
		return nil, err
	}
	n.udp = &dns.Server{PacketConn: pc, Handler: n}
	go n.udp.ActivateAndServe()
	for i, name := range []string{"a", "b"} {
		w := &server{name: name, addr: fmt.Sprintf("%s:%d", nameAddresses[name], n.port), index: nameBit + i, books: b}
		if err := w.start(); err != nil {
			return n, err
		}
		n.servers = append(n.servers, w)
	}
	return n, nil
}

func (n *names) close() error {
	for _, w := range n.servers {
		w.close()
	}
	return n.udp.Shutdown()
}

// point has the name mean a server.
func (n *names) point(to string) {
	ip := net.ParseIP(nameAddresses[to]).To4()
	n.current.Store(&ip)
}

// ServeDNS answers with the address of the moment.
func (n *names) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	if len(q.Question) == 1 && strings.EqualFold(q.Question[0].Name, namedFor) {
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: *n.current.Load()})
		}
	} else {
		m.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(m)
}

// config is what the balancer has to know.
func (n *names) config() string {
	return fmt.Sprintf(`
resolvers soak
    nameserver soak %s
    hold valid 200ms
    timeout resolve 200ms
    timeout retry 200ms

backend named
    server dns1 %s:%d resolvers soak resolve-prefer ipv4 init-addr none
`, n.addr, strings.TrimSuffix(namedFor, "."), n.port)
}

// follows reports whether the balancer knows the address of a server.
func (s *site) follows(to string) bool {
	text, err := s.lb.Command("show stat")
	if err != nil {
		return false
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return false
	}
	column := slices.Index(rows[0], "addr")
	row := slices.IndexFunc(rows, func(r []string) bool { return r[0] == named && r[1] == "dns1" })
	return column >= 0 && row >= 0 && strings.HasPrefix(rows[row][column], nameAddresses[to]+":")
}

// rename gives the name its other address.
func (h *doer) rename(uint32) error {
	r := h.names.route
	to := "a"
	if r.last().to == "a" {
		to = "b"
	}
	r.mu.Lock()
	r.changes = append(r.changes, change{begin: time.Since(h.epoch), end: 1<<63 - 1, to: to, file: to})
	r.mu.Unlock()
	h.names.point(to)
	err := h.until("lb to follow the name's new address", func() bool { return h.follows(to) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes[len(r.changes)-1].end = time.Since(h.epoch)
	return err
}

// wentTo is where a request went, as its route names it; "" if that cannot be told.
func wentTo(r *run, s served, l logged) string {
	if r.kind != named {
		return l.backend
	}
	switch s.servers >> nameBit {
	case 1:
		return "a"
	case 2:
		return "b"
	}
	return ""
}
