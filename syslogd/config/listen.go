package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) listen(n *yaml.Node, c *Config) {
	var text string
	d.text(&text)(n)
	if text == "" {
		return
	}
	l, err := parseListen(text)
	if err != nil {
		d.add(n, "%v", err)
		return
	}
	for _, other := range c.Listen {
		if other == l {
			d.add(n, "listens on %s twice", text)
		} else if other.Address == l.Address && l.Stream() && other.Stream() {
			d.add(n, "%s and %s are one place; give one of them another port", other, l)
		}
	}
	c.Listen = append(c.Listen, l)
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
