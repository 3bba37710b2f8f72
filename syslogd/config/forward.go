package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// forward reads "tcp://HOST:PORT", or a mapping with that under "to".
func (d *decoder) forward(n *yaml.Node, o *Output) {
	before := len(d.errs)
	f := &Forward{}
	o.Rotate.Hold = defaultHold
	if n.Kind == yaml.ScalarNode {
		d.peer(f)(n)
	} else {
		d.mapping(n, "forward", map[string]func(*yaml.Node){
			"to":      d.peer(f),
			"hold":    d.bytes(&o.Rotate.Hold),
			"ca":      d.text(&f.CA),
			"name":    d.text(&f.Name),
			"cert":    d.text(&f.Cert),
			"key":     d.text(&f.Key),
			"confirm": func(n *yaml.Node) { f.Confirm = d.choice(n, "close", "close_notify", "acknowledged") },
		})
	}
	if len(d.errs) > before {
		return
	}
	if f.Key == "" {
		f.Key = f.Cert // one file may hold both
	}
	switch {
	case f.Address == "":
		d.add(n, "forward has no peer; want for example to: tls://loghost:6514")
	case o.Rotate.Hold == 0:
		d.add(n, "hold is 0, so that nothing could wait for the peer; want for example 10GB")
	case f.Cert == "" && f.Key != "":
		d.add(n, "forward has a key and no cert")
	case f.Scheme == "tcp" && (f.CA != "" || f.Name != "" || f.Cert != ""):
		d.add(n, "ca, name, cert and key mean nothing for %s; want tls://%s", f, f.Address)
	case f.Scheme == "tcp" && f.Confirm == "close_notify":
		d.add(n, "confirm: close_notify needs TLS; want tls://%s", f.Address)
	}
	o.Forward = f
}

// toItself says when a peer is this very daemon: every line would be sent and received for ever. Names are looked up where that needs no network.
func (d *decoder) toItself(n *yaml.Node, c *Config) {
	for _, o := range c.Outputs {
		if o.Forward == nil {
			continue
		}
		for _, l := range c.Listen {
			if (l.Scheme == "tcp" || l.Scheme == "tls") && samePlace(o.Forward.Address, l.Address) {
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
		host = "127.0.0.1"
	}
	if name, err := os.Hostname(); err == nil && host == name && here != "127.0.0.1" && here != "::1" {
		return true
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return host == here
	}
	peer = peer.Unmap()
	listens, err := netip.ParseAddr(here)
	if err == nil && !listens.IsUnspecified() {
		return peer == listens.Unmap()
	}
	if peer.IsLoopback() || peer.IsUnspecified() {
		return true
	}
	mine, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(mine, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == peer
	})
}

func (d *decoder) peer(f *Forward) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		scheme, address, _ := strings.Cut(text, "://")
		host, port, err := splitAddress(address)
		if scheme != "tcp" && scheme != "tls" || err != nil || host == "" || port == "" || port == "0" {
			return fmt.Errorf("forward %q: want tcp://HOST:PORT or tls://HOST:PORT", text)
		}
		f.Scheme, f.Address = scheme, address
		return nil
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
