package config

import (
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/compress"
)

// compressionTable holds what proxies say about the compression of responses.
func compressionTable() []row[*draft] {
	return []row[*draft]{
		{name: "compression algo", args: "<algorithm> ...", min: 1, max: many, in: anywhere, apply: (*call).compressionAlgo},
		{name: "compression algo-res", args: "<algorithm>", min: 1, max: 1, in: anywhere, apply: (*call).compressionAlgo}, // 2.8
		{name: "compression type", args: "<mime type> ...", min: 1, max: many, in: anywhere, apply: (*call).compressionType},
		{name: "compression type-res", args: "<mime type> ...", min: 1, max: many, in: anywhere, apply: (*call).compressionType}, // 2.8
		{name: "compression offload", lax: true, in: anywhere, apply: func(c *call, d *draft) error {
			if d.kind == inDefaults {
				c.p.report.Warnf(c.pos, "'compression offload' has no effect in a defaults section; write it in the proxies")
				return nil
			}
			d.compression().Offload = true
			return nil
		}},
		{name: "compression direction", args: "response", min: 1, max: 1, in: anywhere, apply: func(c *call, _ *draft) error { // 2.8
			if slices.Contains([]string{"request", "both"}, c.args[0]) {
				return fmt.Errorf("'compression direction %s' is known to HAProxy, but not supported by lb yet: requests are sent as they come; write 'compression direction response'", c.args[0])
			}
			return oneOf(c.name, c.args[0], "response")
		}},
		{name: "compression minsize-res", args: "<size>", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) error { // 3.2
			n, err := size(c.name, c.args[0])
			d.compression().MinSize = int64(n)
			return err
		}},
		{name: "compression algo-req", in: anywhere, status: Refused, args: "...", max: many, doc: "requests are sent as they come"},
		{name: "compression type-req", in: anywhere, status: Refused, args: "...", max: many, doc: "requests are sent as they come"},
		{name: "compression minsize-req", in: anywhere, status: Refused, args: "...", max: many, doc: "requests are sent as they come"},

		{name: "filter compression", in: ownAnywhere, apply: func(_ *call, d *draft) error {
			d.compresses = true
			return nil
		}},
		{name: "filter spoe", args: "[engine <name>] config <file>", min: 2, max: 4, in: ownAnywhere, apply: (*call).filterSpoe},
		{name: "filter cache", args: "<name>", min: 1, max: 1, in: ownAnywhere, doc: "accepted: what is kept is what the server sent, before it is compressed", apply: (*call).filterCache},
		{name: "filter trace", args: "...", max: many, in: ownAnywhere, status: Ignored, doc: "it prints what HAProxy's own filters are called for, and changes no traffic"},
		{name: "filter fcgi-app", args: "...", max: many, in: ownAnywhere, status: Refused, doc: "servers speak HTTP/1 or HTTP/2: let a web server beside the application (nginx, Caddy, Apache) speak FastCGI, and name it in the server line"},
		{name: "filter opentracing", args: "...", max: many, in: ownAnywhere, status: Refused, doc: "let applications report traces; unique-id-format and unique-id-header give them and the log one id"},
		{name: "filter bwlim-in", args: "...", max: many, in: ownAnywhere, status: Refused, doc: "bandwidth is not limited; tc(8) can do it for an address or a mark (set-mark)"},
		{name: "filter bwlim-out", args: "...", max: many, in: ownAnywhere, status: Refused, doc: "bandwidth is not limited; tc(8) can do it for an address or a mark (set-mark)"},
	}
}

// compression is what the proxy says of it so far, in memory of its own: what
// defaults say is shared.
func (d *draft) compression() *compress.Settings {
	own := &compress.Settings{}
	if d.Compression != nil {
		*own = *d.Compression
		own.Algorithms, own.Types = slices.Clone(own.Algorithms), slices.Clone(own.Types)
	}
	d.Compression = own
	return own
}

func (c *call) compressionAlgo(d *draft) error {
	s := d.compression()
	for _, name := range c.args {
		a, ok := compress.Named(name)
		if !ok {
			return fmt.Errorf("'%s' : '%s' is not a supported algorithm; there are '%s'", c.name, name, strings.Join(compress.Names(), "', '"))
		}
		s.Algorithms = append(s.Algorithms, a)
	}
	return nil
}

func (c *call) compressionType(d *draft) error {
	s := d.compression()
	s.Types = append(s.Types, c.args...)
	return nil
}
