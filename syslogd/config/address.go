package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/syslogd/peers"
)

// srvSuffix ends the scheme of an address that is the name of a service, whose targets are in DNS.
const srvSuffix = "+srv"

// withSRV is schemes and those of services.
func withSRV(schemes ...string) (all []string) {
	for _, s := range schemes {
		all = append(all, s, s+srvSuffix)
	}
	return all
}

// addresses reads one address or a list of them.
func (d *decoder) addresses(f *Forward, schemes ...string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.add(n, "to is a list without an address; want for example to: tls://loghost:6514")
		}
		d.list(n, d.peerAddress(f, schemes...))
	}
}

// peerAddress reads an address of one of the schemes. Several addresses must have the same one, and the first is the one that is wanted most.
func (d *decoder) peerAddress(f *Forward, schemes ...string) func(*yaml.Node) {
	return d.scalar(func(text string) error {
		scheme, address, _ := strings.Cut(text, "://")
		base, srv := strings.CutSuffix(scheme, srvSuffix)
		var err error
		known := false
		for _, s := range schemes {
			known = known || s == base
		}
		host, port, splitErr := splitAddress(address)
		switch {
		case f.Scheme != "" && f.Scheme != base:
			err = fmt.Errorf("forward %q: the other address is one of %s; all of them must be of one kind", redact(text), f.Scheme)
		case !known:
			err = fmt.Errorf("forward %q: want tcp://HOST:PORT or tls://HOST:PORT for a syslog server, relp://HOST:PORT or relp+tls://HOST:PORT for one that "+
				"speaks RELP, or https://HOST[:PORT][/PATH] with an encoding, or kafka+tls://HOST[:PORT] with a topic", redact(text))
		case strings.Contains(address, "@"):
			err = fmt.Errorf("forward %q: %s has no users and passwords; take out what is before the @", redact(text), base)
		case srv && (strings.ContainsAny(address, ":/ ") || !strings.HasPrefix(address, "_")):
			err = fmt.Errorf("forward %q: want the name of a service, as in %s://_syslog._tcp.example.org; its ports are in DNS", redact(text), scheme)
		case srv:
		case splitErr != nil:
			err = fmt.Errorf("forward %q: want %s://HOST:PORT: %w", redact(text), scheme, splitErr)
		case host == "" || port == "" || port == "0":
			err = fmt.Errorf("forward %q: want %s://HOST:PORT", redact(text), scheme)
		}
		if err != nil {
			return err
		}
		if f.Scheme == "" {
			f.Scheme, f.Address = base, address
		}
		f.Peers = append(f.Peers, peers.Entry{Address: address, SRV: srv})
		return nil
	})
}

// relpKeys are the keys of a server that speaks RELP.
func (d *decoder) relpKeys(f *Forward) map[string]func(*yaml.Node) {
	return d.tlsKeys(f, d.batchKeys(f, map[string]func(*yaml.Node){
		"to": d.addresses(f, "relp", "relp+tls"),
	}))
}

func (d *decoder) checkRELP(n *yaml.Node, f *Forward) {
	if f.Address == "" {
		d.add(n, "forward has no peer; want for example to: relp+tls://loghost:2514")
		return
	}
	d.checkTLS(n, f, f.Scheme == "relp+tls", "relp+tls://"+f.Address)
	if f.Batch.Lines == 0 {
		f.Batch.Lines = relpLines
	}
	if f.Batch.Age == 0 {
		f.Batch.Age = relpAge
	}
}
