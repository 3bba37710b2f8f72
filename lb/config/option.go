package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// httpOptions are the options of httpOnly that are on, a bit each.
type httpOptions uint16

// httpOnly are options that mean nothing in mode tcp, so that HAProxy warns of
// them there, and the proxies in which it does.
var httpOnly = [...]struct {
	name string
	in   sections
}{
	{"checkcache", back}, {"http-buffer-request", anywhere}, {"http-ignore-probes", front}, {"idle-close-on-response", front}, {"prefer-last-server", back},
	{"accept-invalid-http-request", front}, {"accept-invalid-http-response", back}, {"http-use-proxy-header", front}, {"http-pretend-keepalive", back},
	{"http-no-delay", anywhere}, {"disable-h2-upgrade", front},
}

// noteOption keeps whether an option of httpOnly is on.
func (d *draft) noteOption(name string, on bool) {
	i := slices.IndexFunc(httpOnly[:], func(o struct {
		name string
		in   sections
	}) bool {
		return o.name == name
	})
	switch {
	case i < 0:
	case on:
		d.options |= 1 << i
	default:
		d.options &^= 1 << i
	}
}

// optionTable holds the options that are not about logs or checks.
func optionTable() []row[*draft] {
	connMode := func(mode ConnMode) func(*call, *draft) error {
		return func(c *call, d *draft) error {
			switch {
			case !c.no:
				d.ConnMode = mode
			case d.ConnMode == mode:
				d.ConnMode = KeepAlive
			}
			return nil
		}
	}
	const splice = "bodies are moved as is cheapest for their size: long ones are spliced where nobody looks at them, unless `nosplice` stands in global"
	return []row[*draft]{
		{name: "option abortonclose", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.AbortOnClose })},
		{name: "option allbackups", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.AllBackups })},
		{name: "option clitcpka", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.KeepAlive.Client.On })},
		{name: "option srvtcpka", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.KeepAlive.Server.On })},
		{name: "option tcpka", in: anywhere, negate: true, apply: func(c *call, d *draft) error {
			d.KeepAlive.Client.On, d.KeepAlive.Server.On = !c.no, !c.no
			return nil
		}},
		{name: "clitcpka-cnt", args: "<count>", min: 1, max: 1, in: front, apply: probeCount(func(d *draft) *Probes { return &d.KeepAlive.Client })},
		{name: "clitcpka-idle", args: "<time>", min: 1, max: 1, in: front, apply: probeTime(func(d *draft) *time.Duration { return &d.KeepAlive.Client.Idle })},
		{name: "clitcpka-intvl", args: "<time>", min: 1, max: 1, in: front, apply: probeTime(func(d *draft) *time.Duration { return &d.KeepAlive.Client.Intvl })},
		{name: "srvtcpka-cnt", args: "<count>", min: 1, max: 1, in: back, apply: probeCount(func(d *draft) *Probes { return &d.KeepAlive.Server })},
		{name: "srvtcpka-idle", args: "<time>", min: 1, max: 1, in: back, apply: probeTime(func(d *draft) *time.Duration { return &d.KeepAlive.Server.Idle })},
		{name: "srvtcpka-intvl", args: "<time>", min: 1, max: 1, in: back, apply: probeTime(func(d *draft) *time.Duration { return &d.KeepAlive.Server.Intvl })},
		{name: "option disable-h2-upgrade", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.NoH2Upgrade })},
		{name: "option forwardfor", args: "[except <network>] [header <name>] [if-none]", max: many, in: anywhere, apply: (*call).forwardFor},
		{name: "option http-keep-alive", in: anywhere, negate: true, apply: connMode(KeepAlive)},
		{name: "option http-pretend-keepalive", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.HideClose })},
		{name: "option http-server-close", in: anywhere, negate: true, apply: connMode(ServerClose)},
		{name: "option httpclose", in: anywhere, negate: true, apply: connMode(Close)},
		{name: "option originalto", args: "[except <network>] [header <name>]", max: many, in: anywhere, apply: (*call).originalTo},
		{name: "option persist", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.Persist })},
		{name: "option redispatch", lax: true, args: "[<interval>]", max: 1, in: back, negate: true, apply: (*call).redispatch},

		{name: "option forceclose", in: anywhere, negate: true, status: Translated, doc: "it is read as 'option httpclose'", apply: connMode(Close)},
		{name: "redispatch", in: back, status: Translated, doc: "it is read as 'option redispatch'", apply: (*call).redispatch},

		{name: "option contstats", in: front, negate: true, status: Ignored, doc: "counters are always up to date"},
		{name: "option http-ignore-probes", in: front, negate: true, status: Ignored, doc: "connections without a request are closed; option dontlognull keeps them out of the log"},
		{name: "option http-no-delay", in: anywhere, negate: true, status: Ignored, doc: "nothing is ever delayed"},
		{name: "option idle-close-on-response", in: front, negate: true, status: Ignored, doc: "a reload never cuts an idle connection off: it closes when a request was answered, or is moved"},
		{name: "option nolinger", in: anywhere, negate: true, status: Ignored, doc: "connections are closed in order, the kernel keeps nothing of them for long"},
		{name: "option prefer-last-server", in: back, negate: true, status: Ignored, doc: "idle connections to servers are shared by all clients, so there is no last server"},
		{name: "option socket-stats", in: front, negate: true, status: Ignored, doc: "counters are kept for the frontend, not for each of its addresses"},
		{name: "option splice-auto", in: anywhere, negate: true, status: Ignored, doc: splice},
		{name: "option splice-request", in: anywhere, negate: true, status: Ignored, doc: splice},
		{name: "option splice-response", in: anywhere, negate: true, status: Ignored, doc: splice},
		{name: "option tcp-smart-accept", in: front, negate: true, status: Ignored, doc: "accept is always followed by a read"},
		{name: "option tcp-smart-connect", in: back, negate: true, status: Ignored, doc: "the first bytes leave as soon as they are there"},

		{name: "option accept-invalid-http-request", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.LaxRequests })},
		{name: "option accept-invalid-http-response", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.LaxResponses })},
		{name: "option checkcache", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.CheckCache })},
		{name: "option h1-case-adjust-bogus-client", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.ClientCase })},
		{name: "option h1-case-adjust-bogus-server", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.ServerCase })},
		{name: "option http-buffer-request", in: anywhere, negate: true, apply: onOff(func(d *draft) *bool { return &d.BufferRequest })},
		{name: "option http-restrict-req-hdr-names", args: "preserve|delete|reject", min: 1, max: 1, in: anywhere, apply: func(c *call, d *draft) error {
			d.RestrictNames = c.args[0]
			return oneOf(c.name, c.args[0], "preserve", "delete", "reject")
		}},
		{name: "option http-tunnel", in: anywhere, negate: true, status: Refused, doc: "it is gone since HAProxy 2.1; use option http-keep-alive"},
		{name: "option http-use-proxy-header", in: front, negate: true, status: Ignored, doc: "Connection decides, and Proxy-Connection means nothing"},
		{name: "option http_proxy", in: anywhere, negate: true, status: Refused, doc: "it is gone since HAProxy 2.5; lb is no forward proxy"},
		{name: "option independent-streams", in: anywhere, negate: true, loud: true, status: Ignored, doc: "traffic in either direction keeps a connection alive"},
		{name: "option transparent", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.Transparent })},
		{name: "transparent", in: back, status: Translated, doc: "it is read as 'option transparent'", apply: onOff(func(d *draft) *bool { return &d.Transparent })},
	}
}

// probeCount and probeTime apply the words of keep-alive probes.
func probeCount(field func(d *draft) *Probes) func(*call, *draft) error {
	return func(c *call, d *draft) (err error) {
		field(d).Count, err = number(c.name, c.args[0], 0, 127)
		return err
	}
}

func probeTime(field func(d *draft) *time.Duration) func(*call, *draft) error {
	return func(c *call, d *draft) error {
		v, err := duration(c.name, c.args[0], time.Second)
		if err == nil && (v < time.Second || v > 32767*time.Second) {
			err = fmt.Errorf("'%s' must be between 1s and 32767s, not %s", c.name, c.args[0])
		}
		*field(d) = v
		return err
	}
}

// forwardFor applies option forwardfor [except NET] [header NAME] [if-none].
func (c *call) forwardFor(d *draft) (err error) {
	d.ForwardFor, err = c.addressField("X-Forwarded-For", "except", "header", "if-none")
	return err
}

// originalTo applies option originalto [except NET] [header NAME].
func (c *call) originalTo(d *draft) (err error) {
	d.OriginalTo, err = c.addressField("X-Original-To", "except", "header")
	return err
}

// addressField reads the words of both: those that may follow are given.
func (c *call) addressField(header string, may ...string) (*AddressField, error) {
	f := &AddressField{Header: header}
	words := c.args
	for len(words) > 0 {
		n := 2
		switch {
		case !slices.Contains(may, words[0]):
			return nil, fmt.Errorf("'%s' only supports optional values: '%s' (got '%s')", c.name, strings.Join(may, "', '"), words[0])
		case words[0] == "if-none":
			f.IfNone, n = true, 1
		case len(words) < 2:
			return nil, fmt.Errorf("'%s %s' expects a value", c.name, words[0])
		case words[0] == "header":
			f.Header = words[1]
		default:
			network, err := prefix(words[1])
			if err != nil {
				ip, numeric := parseIP(words[1])
				switch {
				case numeric == nil:
				case !isHostName(words[1]):
					return nil, fmt.Errorf("'%s except' expects <address>[/mask]: %w", c.name, err)
				default:
					if ip, err = c.p.bindHost(c.name, words[1], "ipv4", words[1]); err != nil {
						return nil, err
					}
				}
				network = netip.PrefixFrom(ip, ip.BitLen())
			}
			f.Except = network
		}
		words = words[n:]
	}
	return f, nil
}

// prefix reads ADDRESS or ADDRESS/BITS or, for IPv4, ADDRESS/DOTTED-MASK.
func prefix(word string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(word); err == nil {
		return p.Masked(), nil
	}
	address, mask, masked := strings.Cut(word, "/")
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("'%s' is no address", word)
	}
	if !masked {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	bits, err := maskBits(mask)
	if err != nil || !ip.Is4() {
		return netip.Prefix{}, fmt.Errorf("'%s' has no mask such as /8 or /255.0.0.0", word)
	}
	return netip.PrefixFrom(ip, bits).Masked(), nil
}

// maskBits counts the bits of a dotted mask, which must be contiguous.
func maskBits(mask string) (int, error) {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return 0, fmt.Errorf("'%s' is no mask", mask)
	}
	b := m.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	bits := 0
	for ; v&(1<<31) != 0; v <<= 1 {
		bits++
	}
	if v != 0 {
		return 0, fmt.Errorf("'%s' is no mask", mask)
	}
	return bits, nil
}

// redispatch applies option redispatch [N]: a request may go to another
// server at each N-th retry, or N-th before the last if N is negative.
func (c *call) redispatch(d *draft) error {
	d.Redispatch = 0
	if c.no {
		return nil
	}
	d.Redispatch = -1
	if len(c.args) == 0 {
		return nil
	}
	n, err := number(c.name, c.args[0], -1<<31, 1<<31-1)
	if err != nil { // HAProxy reads a word as 0
		c.p.report.Advisef(c.pos, "'%s' : '%s' is read as 0, as in HAProxy: no request goes to another server; write '%s' alone", c.name, c.args[0], c.name)
	}
	d.Redispatch = n
	return nil
}
