package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/syslogd/peers"
)

// A destination is what a forward can go to. Its keys are those of the mapping, and check says what is wrong with their values together.
type destination struct {
	schemes []string
	keys    func(d *decoder, f *Forward) map[string]func(*yaml.Node)
	check   func(d *decoder, n *yaml.Node, f *Forward)
}

func destinations() []destination {
	return []destination{
		{withSRV("tcp", "tls"), (*decoder).serverKeys, (*decoder).checkServer},
		{withSRV("relp", "relp+tls"), (*decoder).relpKeys, (*decoder).checkRELP},
		{httpSchemes, (*decoder).httpKeys, (*decoder).checkHTTP},
		{kafkaSchemes, (*decoder).kafkaKeys, (*decoder).checkKafka},
	}
}

// forward reads "SCHEME://ADDRESS", or a mapping with that under "to".
func (d *decoder) forward(n *yaml.Node, o *Output) {
	before := len(d.errs)
	f := &Forward{}
	o.Rotate.Hold = defaultHold
	to := destinationOf(n)
	keys := to.keys(d, f)
	maps.Copy(keys, map[string]func(*yaml.Node){"hold": d.bytes(&o.Rotate.Hold)})
	if n.Kind == yaml.ScalarNode {
		keys["to"](n)
	} else {
		d.mapping(n, "forward", keys)
	}
	if len(d.errs) > before {
		return
	}
	if o.Rotate.Hold == 0 && f.Address != "" {
		d.add(n, "hold is 0, so that nothing could wait for the peer; want for example 10GB")
	}
	to.check(d, n, f)
	o.Forward = f
}

// destinationOf is what the address of a forward is an address of, by its scheme.
func destinationOf(n *yaml.Node) destination {
	address := n
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "to" {
			address = resolve(n.Content[i+1])
		}
	}
	if address.Kind == yaml.SequenceNode && len(address.Content) > 0 {
		address = resolve(address.Content[0])
	}
	all := destinations()
	scheme, _, _ := strings.Cut(address.Value, "://")
	if i := slices.IndexFunc(all, func(to destination) bool { return slices.Contains(to.schemes, scheme) }); i >= 0 {
		return all[i]
	}
	return destination{nil, (*decoder).anyKeys, (*decoder).checkServer}
}

// anyKeys are those of all destinations, for an address that is none of theirs: the address is what is wrong then, and not a key that its right
// spelling would have.
func (d *decoder) anyKeys(f *Forward) map[string]func(*yaml.Node) {
	keys := make(map[string]func(*yaml.Node))
	for _, to := range destinations() {
		for key := range to.keys(d, &Forward{}) {
			keys[key] = func(*yaml.Node) {}
		}
	}
	keys["to"] = d.addresses(f)
	return keys
}

// tlsKeys are the keys of those that are reached over TLS.
func (d *decoder) tlsKeys(f *Forward, keys map[string]func(*yaml.Node)) map[string]func(*yaml.Node) {
	maps.Copy(keys, map[string]func(*yaml.Node){
		"ca": d.peersFile(&f.CA), "name": d.text(&f.Name), "cert": d.peersFile(&f.Cert), "key": d.peersFile(&f.Key),
	})
	return keys
}

// checkTLS says what is wrong with those. secure says that the address is one of TLS, and instead is such an address.
func (d *decoder) checkTLS(n *yaml.Node, f *Forward, secure bool, instead string) {
	if f.Key == "" {
		f.Key = f.Cert // one file may hold both
	}
	switch {
	case f.Cert == "" && f.Key != "":
		d.add(n, "forward has a key and no cert")
	case !secure && (f.CA != "" || f.Name != "" || f.Cert != ""):
		d.add(n, "ca, name, cert and key mean nothing for %s; want %s", f, instead)
	}
	d.peers = append(d.peers, func() {
		if text, err := os.ReadFile(f.CA); err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			d.add(n, "ca: %s has no certificate", f.CA)
		}
		if f.Cert != "" {
			_, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			if unread := new(fs.PathError); err != nil && !errors.As(err, &unread) { // peersFile has said that
				d.add(n, "certificate %s with key %s: %v", f.Cert, f.Key, err)
			}
		}
	})
}

// serverKeys are the keys of a syslog server.
func (d *decoder) serverKeys(f *Forward) map[string]func(*yaml.Node) {
	return d.tlsKeys(f, map[string]func(*yaml.Node){
		"to":      d.addresses(f, "tcp", "tls"),
		"confirm": func(n *yaml.Node) { f.Confirm = d.choice(n, "close", "close_notify", "acknowledged") },
	})
}

func (d *decoder) checkServer(n *yaml.Node, f *Forward) {
	if f.Address == "" {
		d.add(n, "forward has no peer; want for example to: tls://loghost:6514")
		return
	}
	d.checkTLS(n, f, f.Scheme == "tls", "tls://"+f.Address)
	if f.Scheme == "tcp" && f.Confirm == "close_notify" {
		d.add(n, "confirm: close_notify needs TLS; want tls://%s", f.Address)
	}
}

// toItself says when a peer is this very daemon: every line would be sent and received for ever. Names are looked up where that needs no network.
func (d *decoder) toItself(n *yaml.Node, c *Config) {
	for _, o := range c.Outputs {
		if o.Forward == nil {
			continue
		}
		for _, l := range c.Listen {
			same := func(p peers.Entry) bool { return !p.SRV && samePlace(p.Address, l.Address) }
			if l.Stream() && l.RELP() == o.Forward.RELP() && slices.ContainsFunc(o.Forward.Peers, same) {
				d.add(n, "output %s forwards to %s, where this syslogd listens (%s): each line would come back for ever; give it another peer", o.Name, o.Forward, l)
			}
		}
	}
}

// samePlace says whether a connection to one address is taken by who listens on the other.
func samePlace(to, at string) bool {
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		return false
	}
	here, herePort, err := net.SplitHostPort(at)
	if err != nil || port != herePort {
		return false
	}
	if host == "localhost" {
		return samePlace(net.JoinHostPort("127.0.0.1", port), at) || samePlace(net.JoinHostPort("::1", port), at)
	}
	if name, err := os.Hostname(); err == nil && host == name && here != "127.0.0.1" && here != "::1" {
		return true
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return host == here
	}
	peer = peer.Unmap()
	if peer.IsUnspecified() { // the kernel takes it for this host's own
		peer = netip.IPv6Loopback()
		if host == "0.0.0.0" {
			peer = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	listens, err := netip.ParseAddr(here)
	if err == nil && !listens.IsUnspecified() {
		return peer == listens.Unmap()
	}
	if peer.IsLoopback() {
		return true
	}
	mine, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(mine, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == peer
	})
}

// forwardable says what else a forwarded output needs. Called when forward itself is right.
func (d *decoder) forwardable(n *yaml.Node, o Output) {
	if o.Files != nil {
		d.add(n, "forward cannot follow several files; send to the peer from an output with one")
	}
	if o.Rule.Format != "rfc5424" {
		d.add(n, "forward sends what the file holds, and that must be RFC 5424; add format: rfc5424, to an output of its own if this file is to stay as it is")
	}
	if r := o.Rotate; r.Size == 0 && r.Schedule == nil {
		d.add(n, "forward with rotate: never; logrotate would take files away that are not sent yet, so give rotate a size or a schedule")
	}
}
