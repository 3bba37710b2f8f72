package config

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"lbsyslogd/syslogd/route"
)

// lookupTime bounds how long a check waits for a name's address.
const lookupTime = 5 * time.Second

// mostReaders is how many readers a port may have.
const mostReaders = 16

// listen reads "udp://HOST:PORT" or the like, or a mapping with that under "address".
func (d *decoder) listen(n *yaml.Node, c *Config) {
	var text string
	var l Listener
	if n.Kind == yaml.MappingNode {
		before := len(d.errs)
		d.mapping(n, "listen", map[string]func(*yaml.Node){
			"address": d.text(&text),
			"readers": d.countBetween(&l.Readers, 1, mostReaders),
			"limit":   func(n *yaml.Node) { d.limit(n, &l.Limit) },
		})
		if text == "" && len(d.errs) == before {
			d.add(n, "listen has no address; want for example address: %s", DefaultListen)
		}
	} else {
		d.text(&text)(n)
	}
	if text == "" {
		return
	}
	place, err := parseListen(text)
	if err != nil {
		d.add(n, "%v", err)
		return
	}
	l.Listen = place
	if host, _, err := net.SplitHostPort(l.Address); err == nil && host != "" && (l.Scheme == "udp" || l.Stream()) {
		d.later = append(d.later, func() {
			ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
			defer cancel()
			if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
				d.add(n, "%s: %v; an address needs no look-up", l, err)
			}
		})
	}
	switch {
	case l.Readers == 0:
	case l.Scheme == "systemd":
		d.add(n, "%s has as many readers as its unit has sockets; give the unit ReusePort=yes and one ListenDatagram= line for each reader", l)
	case l.Scheme != "udp":
		d.add(n, "%s has one reader; several are for udp://HOST:PORT", l)
	}
	for _, other := range c.Listen {
		if other.Listen == l.Listen {
			d.add(n, "listens on %s twice", text)
		} else if other.Address == l.Address && l.Stream() && other.Stream() {
			d.add(n, "%s and %s are one place; give one of them another port", other, l)
		}
	}
	c.Listen = append(c.Listen, l)
}

// fastest is the largest limit: beyond it there is none.
const fastest = 10_000_000

// limit reads a number of messages a second, or a mapping with that under "rate".
func (d *decoder) limit(n *yaml.Node, r *route.Rate) {
	before := len(d.errs)
	if n.Kind == yaml.MappingNode {
		d.mapping(n, "limit", map[string]func(*yaml.Node){
			"rate":  d.countBetween(&r.PerSecond, 1, fastest),
			"burst": d.countBetween(&r.Burst, 1, fastest),
		})
		if r.PerSecond == 0 && len(d.errs) == before {
			d.add(n, "limit has no rate; want messages a second, for example rate: 1000")
		}
	} else {
		d.countBetween(&r.PerSecond, 1, fastest)(n)
	}
	if r.Burst == 0 {
		r.Burst = r.PerSecond
	}
}

func parseListen(text string) (Listen, error) {
	if name, ok := strings.CutPrefix(text, "systemd:"); ok && name != "" {
		return Listen{"systemd", name}, nil
	}
	scheme, address, ok := strings.Cut(text, "://")
	if !ok {
		return Listen{}, fmt.Errorf("listen %q: want udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, relp://HOST:PORT, relp+tls://HOST:PORT, unix:///PATH or systemd:NAME", text)
	}
	switch scheme {
	case "udp", "tcp", "tls", "relp", "relp+tls":
		if _, _, err := splitAddress(address); err != nil {
			return Listen{}, fmt.Errorf("listen %q: %w; want for example %s://127.0.0.1:514", text, err, scheme)
		}
	case "unix":
		if !filepath.IsAbs(address) {
			return Listen{}, fmt.Errorf("listen %q: want a whole path, as in unix:///run/syslogd/log", text)
		}
		if err := fitsSocket(address); err != nil {
			return Listen{}, fmt.Errorf("listen: %w", err)
		}
	default:
		return Listen{}, fmt.Errorf("listen %q: %q is not known; udp, tcp, tls, relp, relp+tls, unix and systemd are", text, scheme)
	}
	return Listen{scheme, address}, nil
}
