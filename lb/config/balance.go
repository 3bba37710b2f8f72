package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lbsyslogd/lb/rule"
)

// balanceTable holds how a server is chosen.
func balanceTable() []row[*draft] {
	return []row[*draft]{
		{name: "balance", args: "<algorithm> [<arguments>]", doc: "roundrobin, static-rr, leastconn, first, source, uri, random, hdr, url_param, rdp-cookie, hash", max: many, in: back, apply: (*call).balance},
		{name: "persist rdp-cookie", in: back, apply: func(_ *call, d *draft) error { d.RDPCookie = "msts"; return nil }},
		{name: "persist", args: "rdp-cookie[(<name>)]", min: 1, max: 1, in: back, apply: func(c *call, d *draft) error {
			name, ok := strings.CutPrefix(c.args[0], "rdp-cookie(")
			name, closed := strings.CutSuffix(name, ")")
			if !ok || !closed || name == "" {
				return oneOf(c.name, c.args[0], "rdp-cookie", "rdp-cookie(<name>)")
			}
			d.RDPCookie = name
			return nil
		}},
		{name: "hash-type", lax: true, args: "map-based|consistent [sdbm|djb2|wt6|crc32 [avalanche]]", min: 1, max: 3, in: back, apply: (*call).hashType, doc: "with map-based, too, a redispatch goes to another server; HAProxy asks the dead one again"},
		{name: "hash-balance-factor", loose: cutsTail | wordIsZero, args: "<percent>", min: 1, max: 1, in: back, apply: (*call).hashFactor},
	}
}

func (c *call) balance(d *draft) error {
	if len(c.args) == 0 {
		c.args = []string{"roundrobin"}
	}
	algo, arg := c.args[0], ""
	if open := strings.IndexByte(algo, '('); open > 0 && strings.HasSuffix(algo, ")") {
		algo, arg = algo[:open], algo[open+1:len(algo)-1]
	}
	b := d.Balance // hash-type and hash-balance-factor stay
	b.Algo, b.Arg, b.Key, b.DomainOnly = algo, arg, nil, false
	b.URILen, b.URIDepth, b.URIWhole, b.URIPathOnly = 0, 0, false, false
	rest := c.args[1:]
	switch algo {
	case "uri":
		if err := b.uri(c, rest); err != nil {
			return err
		}
		rest = nil
	case "random":
		draws := 2
		if arg != "" {
			n, err := number("balance random", arg, 1, 1000)
			if err != nil {
				return err
			}
			draws = n
		}
		b.Arg = fmt.Sprint(draws)
	case "roundrobin", "static-rr", "leastconn", "first", "source":
	case "hdr", "url_param", "rdp-cookie", "hash":
		var err error
		if rest, err = b.key(algo, arg, rest, d); err != nil {
			return err
		}
		b.Algo, arg = "hash", ""
	default:
		return oneOf("balance", algo, "roundrobin", "static-rr", "leastconn", "first", "source", "uri", "random", "hdr", "url_param", "rdp-cookie", "hash")
	}
	if arg != "" && algo != "random" {
		return fmt.Errorf("'balance %s' takes no argument in parentheses", algo)
	}
	if len(rest) > 0 {
		c.p.report.Advisef(c.pos, "'balance %s' : '%s' is not read", algo, strings.Join(rest, " "))
	}
	d.layer7 = ""
	if slices.Contains([]string{"uri", "hdr", "url_param"}, algo) {
		d.layer7 = algo
	}
	b.Unsaid = false
	d.Balance = b
	return nil
}

// key reads what the hash is made of: the words after the algorithm, of which
// those that are left are returned.
func (b *Balance) key(algo, arg string, words []string, d *draft) (rest []string, err error) {
	var expr string
	switch algo {
	case "hdr":
		if arg == "" {
			return nil, fmt.Errorf("'balance hdr' expects a header's name in parentheses: 'balance hdr(host)'")
		}
		if len(words) > 0 && words[0] == "use_domain_only" {
			b.DomainOnly, words = true, words[1:]
		}
		expr = "req.hdr(" + arg + ",1)"
	case "url_param":
		if len(words) == 0 {
			return nil, fmt.Errorf("'balance url_param' expects the name of a parameter")
		}
		expr, words = words[0], words[1:]
		if len(words) > 0 { // since HAProxy 1.5 a POST's body is looked into in any case
			if words[0] != "check_post" {
				return nil, fmt.Errorf("'balance url_param' only accepts 'check_post' after the parameter (got '%s')", words[0])
			}
			words = nil
		}
	case "rdp-cookie":
		expr = "req.rdp_cookie(" + cmp.Or(arg, "mstshash") + ")"
	case "hash":
		if len(words) == 0 {
			return nil, fmt.Errorf("'balance hash' expects a sample expression")
		}
		expr, words = words[0], words[1:]
	}
	parse := rule.ParseHashKey
	if algo == "url_param" {
		parse = rule.ParseHashParam
	}
	if b.Key, err = parse(expr, d.acls); err != nil {
		return nil, fmt.Errorf("'balance %s' : %w", algo, err)
	}
	return words, nil
}

// hashFactor applies hash-balance-factor.
func (c *call) hashFactor(d *draft) error {
	n, err := number(c.name, c.args[0], 0, 65535)
	if err != nil {
		return err
	}
	if n != 0 && n <= 100 {
		return fmt.Errorf("'%s' expects 0, or more than 100 percent", c.name)
	}
	d.Balance.Factor = n
	return nil
}

// uri reads the words after balance uri.
func (b *Balance) uri(c *call, words []string) (err error) {
	for len(words) > 0 {
		n := 1
		switch words[0] {
		case "whole":
			b.URIWhole = true
		case "len", "depth":
			if len(words) < 2 {
				return fmt.Errorf("'balance uri %s' expects a number", words[0])
			}
			field := &b.URILen
			if words[0] == "depth" {
				field = &b.URIDepth
			}
			if *field, err = number("balance uri "+words[0], c.numeral("balance uri "+words[0], words[1], cutsTail), 1, 65535); err != nil {
				return err
			}
			n = 2
		case "path-only":
			b.URIPathOnly = true
		default:
			return fmt.Errorf("'balance uri' only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '%s')", words[0])
		}
		words = words[n:]
	}
	return nil
}

func (c *call) hashType(d *draft) error {
	if err := oneOf("hash-type", c.args[0], "map-based", "consistent"); err != nil {
		return err
	}
	b := &d.Balance
	b.HashConsistent = c.args[0] == "consistent"
	b.HashFunc, b.Avalanche = "", b.HashConsistent
	if len(c.args) == 1 {
		return nil
	}
	if err := oneOf("hash-type "+c.args[0], c.args[1], "sdbm", "djb2", "wt6", "crc32"); err != nil {
		return err
	}
	b.HashFunc, b.Avalanche = c.args[1], false
	if len(c.args) > 2 {
		b.Avalanche = true
		return oneOf("hash-type "+c.args[0]+" "+c.args[1], c.args[2], "avalanche")
	}
	return nil
}
