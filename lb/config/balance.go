package config

import (
	"fmt"
	"strings"
)

// balanceTable holds how a server is chosen.
func balanceTable() []row[*draft] {
	return []row[*draft]{
		{name: "balance", args: "roundrobin|static-rr|leastconn|first|source|uri|random", max: many, in: back, apply: (*call).balance},
		{name: "hash-type", args: "map-based|consistent [sdbm]", min: 1, max: many, in: back, apply: (*call).hashType},
		{name: "hash-balance-factor", args: "<percent>", min: 1, max: 1, in: back, status: Refused, doc: "give servers a maxconn"},
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
	b := Balance{Algo: algo, Arg: arg, HashConsistent: d.Balance.HashConsistent}
	rest := c.args[1:]
	switch algo {
	case "uri":
		if err := b.uri(rest); err != nil {
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
	case "hdr", "url_param", "rdp-cookie":
		return fmt.Errorf("'balance %s' is known to HAProxy, but not supported by lb yet: use 'balance source', 'balance uri' or 'balance leastconn'", algo)
	default:
		return oneOf("balance", algo, "roundrobin", "static-rr", "leastconn", "first", "source", "uri", "random")
	}
	if arg != "" && algo != "random" {
		return fmt.Errorf("'balance %s' takes no argument in parentheses", algo)
	}
	if len(rest) > 0 {
		return fmt.Errorf("'balance %s' cannot handle unexpected argument '%s'", algo, rest[0])
	}
	d.Balance = b
	return nil
}

// uri reads the words behind balance uri.
func (b *Balance) uri(words []string) (err error) {
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
			if *field, err = number("balance uri "+words[0], words[1], 1, 65535); err != nil {
				return err
			}
			n = 2
		case "path-only":
			return fmt.Errorf("'balance uri path-only' is known to HAProxy, but not supported by lb yet: remove it, clients of a balancer send no host in the URI")
		default:
			return fmt.Errorf("'balance uri' only accepts parameters 'len', 'depth' and 'whole' (got '%s')", words[0])
		}
		words = words[n:]
	}
	return nil
}

func (c *call) hashType(d *draft) error {
	if err := oneOf("hash-type", c.args[0], "map-based", "consistent"); err != nil {
		return err
	}
	for _, word := range c.args[1:] {
		if word == "sdbm" && c.args[0] == "consistent" {
			return fmt.Errorf("'hash-type consistent sdbm' is known to HAProxy, but not supported by lb yet: write 'hash-type consistent', whose keys are spread (avalanche)")
		}
		if word != "sdbm" {
			return fmt.Errorf("'hash-type ... %s' is known to HAProxy, but not supported by lb yet: only the default function, sdbm, without modifier", word)
		}
	}
	d.Balance.HashConsistent = c.args[0] == "consistent"
	return nil
}
