package certs

import (
	"crypto/ecdsa"
	"crypto/tls"
	"slices"
	"strings"
)

// instance is one use of a certificate: by a crt word, or a line of a crt-list.
type instance struct {
	pair    *pair
	filters []string // of a line; nil: the certificate's own names
	exclude []string // names that a wildcard of the line is not for
	*terms
}

// set is the certificates of a bind line by the names they are good for.
// Immutable after build.
type set struct {
	all []*instance
	// exact and wild hold, for each name, the certificates to try in turn. A
	// wildcard stands under what follows its "*".
	exact    map[string][]*instance
	wild     map[string][]*instance
	fallback []*instance // the first certificate, and those for the same names
}

func (s *set) build() {
	s.exact, s.wild = map[string][]*instance{}, map[string][]*instance{}
	for _, c := range s.all {
		for _, n := range c.wanted() {
			if suffix, ok := strings.CutPrefix(n, "*"); ok {
				s.wild[suffix] = append(s.wild[suffix], c)
			} else {
				s.exact[n] = append(s.exact[n], c)
			}
		}
	}
	for _, m := range []map[string][]*instance{s.exact, s.wild} {
		for _, list := range m {
			ecdsaFirst(list)
		}
	}
	if len(s.all) == 0 {
		return
	}
	// The default certificate may come with a second one of another key type
	// for the same names.
	first := s.all[0].pair.names
	for i, c := range s.all {
		if i == 0 || sameNames(c.pair.names, first) {
			s.fallback = append(s.fallback, c)
		}
	}
	ecdsaFirst(s.fallback)
}

// wanted gives the names that lead to the certificate, and sorts out those that
// do not. As with HAProxy a line with filters has no other names, "!*" is none
// itself, and so is a "*" alone.
func (c *instance) wanted() []string {
	if c.filters == nil {
		return c.pair.names
	}
	var list []string
	for _, f := range c.filters {
		f = strings.ToLower(f)
		name, not := strings.CutPrefix(f, "!")
		switch {
		case name == "" || name == "*":
		case not && name[0] == '*':
		case not:
			c.exclude = append(c.exclude, name)
		default:
			list = append(list, name)
		}
	}
	return list
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
func ecdsaFirst(list []*instance) {
	if len(list) < 2 {
		return
	}
	slices.SortStableFunc(list, func(a, b *instance) int {
		switch x, y := ecdsaKey(a.pair.cert), ecdsaKey(b.pair.cert); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
}

// ecdsaKey reports whether the certificate's key is the cheaper kind.
func ecdsaKey(c *tls.Certificate) bool {
	_, ok := c.Leaf.PublicKey.(*ecdsa.PublicKey)
	return ok
}

// named gives the certificates for a name, those for the name itself first.
func (s *set) named(name string) (exact, wild []*instance) {
	name = strings.ToLower(name)
	exact = s.exact[name]
	i := strings.IndexByte(name, '.')
	if i <= 0 {
		return exact, nil
	}
	wild = s.wild[name[i:]]
	for k, c := range wild {
		if slices.Contains(c.exclude, name) {
			some := slices.Clone(wild[:k])
			for _, c := range wild[k+1:] {
				if !slices.Contains(c.exclude, name) {
					some = append(some, c)
				}
			}
			return exact, some
		}
	}
	return exact, wild
}

// choose finds the certificate for a client; nil if strict and none has the name
// that it asks for.
func (s *set) choose(hello *tls.ClientHelloInfo, strict bool) *instance {
	// The name is matched here, by HAProxy's rules; crypto/tls would refuse
	// certificates with a common name only.
	able := *hello
	able.ServerName = ""
	exact, wild := s.named(hello.ServerName)
	if c := usable(&able, exact); c != nil {
		return c
	}
	if c := usable(&able, wild); c != nil {
		return c
	}
	if strict && len(exact) == 0 && len(wild) == 0 || len(s.all) == 0 {
		return nil
	}
	// Nothing the client can use: the handshake fails on what was asked for,
	// with a reason that says so.
	if len(exact) > 0 {
		return exact[0]
	}
	if len(wild) > 0 {
		return wild[0]
	}
	if c := usable(&able, s.fallback); c != nil {
		return c
	}
	return s.fallback[0]
}

func usable(hello *tls.ClientHelloInfo, list []*instance) *instance {
	for _, c := range list {
		if hello.SupportsCertificate(c.pair.cert) == nil {
			return c
		}
	}
	return nil
}

// first is the certificate that clients which ask for a name meet, whatever they
// can do; nil: none has the name.
func (s *set) first(name string) *instance {
	exact, wild := s.named(name)
	switch {
	case len(exact) > 0:
		return exact[0]
	case len(wild) > 0:
		return wild[0]
	}
	return nil
}
