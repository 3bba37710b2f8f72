package config

import (
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/certs"
)

// Words of HAProxy 2.7 to 3.4: those that have an effect stand with their kin in
// the other tables, those that have none or are refused stand here.

// Ways out and reasons that several of them share.
const (
	noReverse   = "connections are opened to servers, not by them; a VPN or an SSH tunnel reaches servers that accept none"
	oneLine     = "one line is logged for each request: put what is missing into log-format, with set-var where rules know it"
	ownFiles    = "name the files with crt or crt-list"
	ownSockets  = "the kernel chooses it for all of them: sysctl net.ipv4.tcp_congestion_control"
	noSignature = "its packets are not signed (RFC 2385)"
	noECH       = "no encrypted hello is offered or taken"
	noSigAlgs   = "Go chooses the signature by the keys of both sides"
	noRecords   = "records of TLS are encrypted by lb, not by the kernel"
	noPing      = "an idle connection that has died is noticed when it is next used"
	justQUIC    = "QUIC is not spoken"
)

// newerSections are refused, with the way out.
func newerSections() map[string]string {
	return map[string]string{
		"acme":        "run an ACME client (lego, certbot, acme.sh) that writes the files that crt names; `lb reload` or `set ssl cert` on the stats socket has them served",
		"crt-store":   ownFiles,
		"log-profile": oneLine,
	}
}

// newerGlobals holds words of the global section.
func newerGlobals() []row[*Global] {
	const limits = "the limits of HTTP/1 and HTTP/2 connections are fixed, docs/http2.md has them"
	var table []row[*Global]
	for _, group := range []struct{ reason, names string }{
		{limits, "tune.h1.be.glitches-threshold tune.h1.fe.glitches-threshold tune.h2.be.max-frames-at-once tune.h2.fe.max-frames-at-once tune.h2.fe.max-rst-at-once"},
		{"what ended a connection is in its log line", "tune.h2.log-errors"},
		{justQUIC, "tune.quic.listen tune.quic.be.cc.cubic-min-losses tune.quic.be.cc.hystart tune.quic.be.cc.max-frame-loss tune.quic.be.cc.max-win-size tune.quic.be.cc.reorder-ratio tune.quic.be.max-idle-timeout tune.quic.be.sec.glitches-threshold tune.quic.be.stream.data-ratio tune.quic.be.stream.max-concurrent tune.quic.be.stream.rxbuf tune.quic.be.tx.pacing tune.quic.be.tx.udp-gso tune.quic.cc-hystart tune.quic.cc.cubic.min-losses tune.quic.fe.cc.cubic-min-losses tune.quic.fe.cc.hystart tune.quic.fe.cc.max-frame-loss tune.quic.fe.cc.max-win-size tune.quic.fe.cc.reorder-ratio tune.quic.fe.max-idle-timeout tune.quic.fe.sec.glitches-threshold tune.quic.fe.sec.retry-threshold tune.quic.fe.sock-per-conn tune.quic.fe.stream.data-ratio tune.quic.fe.stream.max-concurrent tune.quic.fe.stream.rxbuf tune.quic.fe.tx.pacing tune.quic.fe.tx.udp-gso tune.quic.frontend.glitches-threshold tune.quic.frontend.max-window-size tune.quic.frontend.stream-data-ratio tune.quic.mem.tx-max"},
		{"memory is taken as needed", "tune.defaults.purge tune.cli.max-payload-size tune.buffers.small"},
		{"events come from epoll", "tune.epoll.mask-events"},
		{"configurations are read in milliseconds", "force-cfg-parser-pause"},
		{"it is for those who work on HAProxy", "stress-level"},
		{"`set profiling memory on` on the stats socket does it", "profiling.memory"},
		{"answers to commands are shown as they are", "anonkey"},
		{"loops are spread over the CPUs by the kernel", "cpu-affinity max-threads-per-group"},
	} {
		for name := range strings.FieldsSeq(group.names) {
			table = append(table, row[*Global]{name: name, args: "...", max: many, in: inGlobal, status: Ignored, doc: group.reason, negate: true})
		}
	}
	for _, r := range []row[*Global]{
		{name: "acme.scheduler", doc: "run an ACME client (lego, certbot, acme.sh) that writes the files that crt names"},
		{name: "dns-accept-family", doc: "write resolve-prefer ipv4 or ipv6 on server lines"},
		{name: "h1-do-not-close-on-insecure-transfer-encoding", doc: "a request with both a length and a coding is answered with 400, as two servers could read it in two ways; remove the line"},
		{name: "setcap", doc: "give the unit AmbientCapabilities=, such as CAP_NET_ADMIN for transparent binding, and start lb with its User= instead of the line user"},
		{name: "tune.stick-counters", doc: "there are three (track-sc0 to track-sc2); a rule can track in another table later, and a table can store more (gpc, gpt)"},
		{name: "ssl-passphrase-cmd", doc: "store keys without a passphrase, readable for root alone"},
	} {
		r.args, r.max, r.in, r.status = "...", many, inGlobal, Refused
		table = append(table, r)
	}
	return table
}

// newerProxyWords holds words of proxies.
func newerProxyWords() []row[*draft] {
	table := []row[*draft]{
		{name: "option accept-unsafe-violations-in-http-request", in: front, negate: true, apply: onOff(func(d *draft) *bool { return &d.LaxRequests }), doc: "the same as option accept-invalid-http-request"},
		{name: "option accept-unsafe-violations-in-http-response", in: back, negate: true, apply: onOff(func(d *draft) *bool { return &d.LaxResponses }), doc: "the same as option accept-invalid-http-response"},
		{name: "option use-small-buffers", args: "...", max: many, in: anywhere, negate: true, status: Ignored, doc: "memory is taken as needed"},
		{name: "force-be-switch", args: "if|unless <condition>", min: 2, max: many, in: ownFront, status: Ignored, doc: "no command unpublishes a backend: rules choose any of them"},
		{name: "hash-preserve-affinity", args: "always|maxconn|maxqueue", min: 1, max: 1, in: back, apply: func(c *call, _ *draft) error {
			if err := oneOf(c.name, c.args[0], "always", "maxconn", "maxqueue"); err != nil || c.args[0] == "always" {
				return err
			}
			return fmt.Errorf("'%s %s' is known to HAProxy, but not supported by lb yet: a request whose server is full waits for it; 'hash-balance-factor' sends what is too much to others", c.name, c.args[0])
		}, doc: "always is how it is; the others are refused"},
	}
	for _, r := range []row[*draft]{
		{name: "option http-drop-request-trailers", doc: "trailers that could change what a message means (a length, a coding, a host) are refused or left out; others pass"},
		{name: "option http-drop-response-trailers", doc: "trailers that could change what a message means (a length, a coding, a host) are refused or left out; others pass"},
		{name: "option assume-rfc6587-ntf", doc: "it belongs to log-forward: syslogd recognizes both framings by themselves"},
		{name: "option dont-parse-log", doc: "it belongs to log-forward: syslogd receives and writes logs"},
		{name: "log-steps", doc: oneLine},
		{name: "quic-initial", doc: justQUIC + "; remove the line"},
		{name: "ssl-f-use", doc: "write crt or crt-list on the bind lines"},
		{name: "filter-sequence", doc: "filters run in an order of their own: caches keep what the server sent, before it is compressed; remove the line"},
		{name: "filter opentelemetry", doc: "let applications report traces; unique-id-format and unique-id-header give them and the log one id"},
		{name: "filter comp-req", doc: "requests are sent as they come; remove the line"},
		{name: "filter comp-res", doc: "write filter compression"},
	} {
		r.args, r.max, r.in, r.status = "...", many, anywhere, Refused
		table = append(table, r)
	}
	return table
}

// newerBindWords holds words of bind lines.
func newerBindWords() []row[*bindDraft] {
	secure := func(set func(t *BindTLS)) func(*call, *bindDraft) error {
		return func(_ *call, b *bindDraft) error { set(b.secure()); return nil }
	}
	table := []row[*bindDraft]{
		{name: "default-crt", args: "<file>", min: 1, apply: func(c *call, b *bindDraft) error {
			t := b.secure()
			t.Sources = slices.Insert(t.Sources, b.fallbacks, certs.Source{Path: c.p.under(c.p.cfg.Global.CrtBase, c.args[0])})
			b.fallbacks++
			return nil
		}, doc: "it comes before those of crt, as the first is shown to clients that ask for no name that another one has"},
		{name: "no-alpn", apply: secure(func(t *BindTLS) { t.ALPN = nil })},
		{name: "no-strict-sni", apply: func(_ *call, b *bindDraft) error { b.secure().StrictSNI, b.lax = false, true; return nil }},
		{name: "tls-tickets", apply: func(_ *call, b *bindDraft) error { b.secure().NoTickets, b.tickets = false, true; return nil }},

		{name: "client-sigalgs", args: "<list>", min: 1, status: Ignored, doc: noSigAlgs},
		{name: "idle-ping", args: "<time>", min: 1, status: Ignored, doc: "timeout http-keep-alive and timeout client end idle connections"},
		{name: "ktls", args: "on|off", min: 1, status: Ignored, doc: noRecords},
		{name: "label", args: "<text>", min: 1, status: Ignored, doc: "no rule or log shows it; name does the same"},
		{name: "ocsp-update", args: "on|off", min: 1, status: Ignored, doc: "OCSP answers are not fetched; a FILE.ocsp next to the certificate is stapled"},
		{name: "quic-cc-algo", args: "<name>", min: 1, status: Ignored, doc: justQUIC},
		{name: "quic-force-retry", status: Ignored, doc: justQUIC},
		{name: "quic-socket", args: "<mode>", min: 1, status: Ignored, doc: justQUIC},
		{name: "sigalgs", args: "<list>", min: 1, status: Ignored, doc: noSigAlgs},

		{name: "cc", args: "<name>", min: 1, status: Refused, doc: ownSockets},
		{name: "ech", args: "<directory>", min: 1, status: Refused, doc: noECH + "; remove the word"},
		{name: "nbconn", args: "<number>", min: 1, status: Refused, doc: noReverse},
		{name: "tcp-md5sig", args: "<password>", min: 1, status: Refused, doc: noSignature + "; IPsec or WireGuard protects the path"},
	}
	for i := range table {
		table[i].in, table[i].max = onBind, table[i].min
	}
	return table
}

// autoSNI is what the word sni-auto stands for.
const autoSNI = "req.hdr(host),host_only"

// newerServerWords holds words of server lines.
func newerServerWords() []row[*Server] {
	table := []row[*Server]{
		{name: "sni-auto", apply: func(_ *call, s *Server) error {
			if s.TLS.Ask == "" {
				s.TLS.Ask = autoSNI
			}
			return nil
		}, doc: "the same as 'sni " + autoSNI + "'"},
		{name: "no-sni-auto", apply: func(_ *call, s *Server) error {
			if s.TLS.Ask == autoSNI {
				s.TLS.Ask = ""
			}
			return nil
		}},
		{name: "no-renegotiate", doc: "no server is let do it"},

		{name: "check-pool-conn-name", args: "<expression>", min: 1, status: Ignored, doc: "checks open connections of their own"},
		{name: "check-reuse-pool", status: Ignored, doc: "checks open connections of their own"},
		{name: "check-sni-auto", status: Ignored, doc: "checks ask for the name that check-sni gives"},
		{name: "no-check-reuse-pool", status: Ignored, doc: "checks open connections of their own"},
		{name: "no-check-sni-auto", status: Ignored, doc: "checks ask for the name that check-sni gives"},
		{name: "client-sigalgs", args: "<list>", min: 1, status: Ignored, doc: noSigAlgs},
		{name: "idle-ping", args: "<time>", min: 1, status: Ignored, doc: noPing},
		{name: "ktls", args: "on|off", min: 1, status: Ignored, doc: noRecords},
		{name: "sigalgs", args: "<list>", min: 1, status: Ignored, doc: noSigAlgs},

		{name: "cc", args: "<name>", min: 1, status: Refused, doc: ownSockets},
		{name: "curves", args: "<list>", min: 1, status: Refused, doc: "servers are offered all groups that Go has; remove the word"},
		{name: "ech", args: "<directory>", min: 1, status: Refused, doc: noECH + "; remove the word"},
		{name: "hash-key", args: "id|addr|addr-port", min: 1, apply: func(c *call, _ *Server) error {
			if err := oneOf(c.name, c.args[0], "id", "addr", "addr-port"); err != nil || c.args[0] == "id" {
				return err
			}
			return fmt.Errorf("'hash-key %s' is known to HAProxy, but not supported by lb yet: places in the hash go by the server's id, which 'id <number>' sets", c.args[0])
		}, doc: "id is how it is; the others are refused"},
		{name: "init-state", args: "fully-up|up|down|fully-down", min: 1, apply: func(c *call, _ *Server) error {
			if err := oneOf(c.name, c.args[0], "fully-up", "up", "down", "fully-down"); err != nil || c.args[0] == "up" {
				return err
			}
			return fmt.Errorf("'init-state %s' is known to HAProxy, but not supported by lb yet: a server begins up, and its first check decides; a reload keeps what checks found", c.args[0])
		}, doc: "up is how it is; the others are refused"},
		{name: "log-bufsize", args: "<bytes>", min: 1, status: Refused, doc: "servers receive no logs; write log lines"},
		{name: "pool-conn-name", args: "<expression>", min: 1, status: Refused, doc: "idle connections over TLS are kept by the name in sni, others are alike"},
		{name: "renegotiate", status: Refused, doc: "a server that wants it is cut off, as TLS 1.3 knows no renegotiation; remove the word"},
		{name: "set-proxy-v2-tlv-fmt", paren: true, args: "(<id>) <format>", min: 1, status: Refused, doc: "proxy-v2-options has unique-id and authority; http-request set-header sends the rest to HTTP servers"},
		{name: "shard", args: "<number>", min: 1, status: Refused, doc: "each peer has whole tables; remove the word"},
		{name: "strict-maxconn", status: Refused, doc: "maxconn counts what a server works on; pool-max-conn bounds the idle connections besides it"},
		{name: "tcp-md5sig", args: "<password>", min: 1, status: Refused, doc: noSignature + "; IPsec or WireGuard protects the path"},
	}
	for i := range table {
		table[i].in, table[i].max = onServer, table[i].min
	}
	return table
}
