package certs

import (
	"crypto/tls"
	"slices"
	"strings"
)

// set is the certificates of a bind line by the names they are good for.
// Immutable after build.
type set struct {
	certs []*tls.Certificate
	// exact and wild hold, for each name, the certificates to try in turn. A
	// wildcard stands under what follows its "*".
	exact    map[string][]*tls.Certificate
	wild     map[string][]*tls.Certificate
	fallback []*tls.Certificate // the first certificate, and those for the same names
}

func (s *set) add(c *tls.Certificate) { s.certs = append(s.certs, c) }

func (s *set) build() {
	s.exact, s.wild = map[string][]*tls.Certificate{}, map[string][]*tls.Certificate{}
	first := names(s.certs[0].Leaf)
	for _, c := range s.certs {
		own := names(c.Leaf)
		for _, n := range own {
			if suffix, ok := strings.CutPrefix(n, "*"); ok {
				s.wild[suffix] = append(s.wild[suffix], c)
			} else {
				s.exact[n] = append(s.exact[n], c)
			}
		}
		// The default certificate may come with a second one of another key
		// type for the same names.
		if c == s.certs[0] || sameNames(own, first) {
			s.fallback = append(s.fallback, c)
		}
	}
	for _, m := range []map[string][]*tls.Certificate{s.exact, s.wild} {
		for _, list := range m {
			ecdsaFirst(list)
		}
	}
	ecdsaFirst(s.fallback)
}

func sameNames(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, n := range a {
		if !slices.Contains(b, n) {
			return false
		}
	}
	return true
}

// ecdsaFirst sorts ECDSA before the rest, which costs the server a tenth per
// handshake, and leaves the order of the configuration otherwise.
func ecdsaFirst(list []*tls.Certificate) {
	slices.SortStableFunc(list, func(a, b *tls.Certificate) int {
		switch x, y := ecdsaKey(a), ecdsaKey(b); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
}

// chooser gives the function for tls.Config.GetCertificate.
func (s *set) chooser(strict bool) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		// The name is matched here, by HAProxy's rules; crypto/tls would refuse
		// certificates with a common name only.
		able := *hello
		able.ServerName = ""
		name := strings.ToLower(hello.ServerName)
		exact := s.exact[name]
		var wild []*tls.Certificate
		if i := strings.IndexByte(name, '.'); i > 0 {
			wild = s.wild[name[i:]]
		}
		for _, list := range [][]*tls.Certificate{exact, wild} {
			if c := usable(&able, list); c != nil {
				return c, nil
			}
		}
		if strict && len(exact) == 0 && len(wild) == 0 {
			// Neither certificate nor error: crypto/tls answers with the alert
			// unrecognized_name.
			return nil, nil
		}
		// Nothing the client can use: the handshake fails on what was asked
		// for, with a reason that says so.
		for _, list := range [][]*tls.Certificate{exact, wild} {
			if len(list) > 0 {
				return list[0], nil
			}
		}
		if c := usable(&able, s.fallback); c != nil {
			return c, nil
		}
		return s.fallback[0], nil
	}
}

func usable(hello *tls.ClientHelloInfo, list []*tls.Certificate) *tls.Certificate {
	for _, c := range list {
		if hello.SupportsCertificate(c) == nil {
			return c
		}
	}
	return nil
}

// Knows reports whether a configuration that Load gave has a certificate for
// name, by HAProxy's rules.
func Knows(cfg *tls.Config, name string) bool {
	c, err := cfg.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil || c == nil {
		return false
	}
	name = strings.ToLower(name)
	for _, n := range names(c.Leaf) {
		suffix, wild := strings.CutPrefix(n, "*")
		i := strings.IndexByte(name, '.')
		if n == name || wild && i > 0 && name[i:] == suffix {
			return true
		}
	}
	return false
}
