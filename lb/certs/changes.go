package certs

import (
	"bytes"
	"fmt"
	"slices"
)

// added is the base of what commands made and no file has.
const added = "added at run time"

// Change is what an operator made of a file, for the next worker. It may hold
// private keys: it goes through memory and private sockets only.
type Change struct {
	Kind  string     `json:"kind"` // "cert", "ca-file", "crl-file", "crt-list" or "tls-keys"
	Name  string     `json:"name"`
	Base  string     `json:"base"` // a sum of what the file had, or added
	Data  [5][]byte  `json:"data"`
	Lines []ListLine `json:"lines,omitempty"`
	Keys  [][]byte   `json:"keys,omitempty"`
}

// Changes gives what is other than the files have it.
func (s *Store) Changes() []Change {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Change
	for _, name := range sortedKeys(s.pairs) {
		p := s.pairs[name]
		if p.sum == p.base {
			continue
		}
		c := Change{Kind: "cert", Name: name, Base: p.base}
		if p.cert != nil {
			q := p.parts()
			c.Data = [5][]byte{q.pem, q.key, q.issuer, q.ocsp, q.sctl}
		}
		list = append(list, c)
	}
	for _, name := range sortedKeys(s.cas) {
		if a := s.cas[name]; a.sum != a.base {
			list = append(list, Change{Kind: "ca-file", Name: name, Base: a.base, Data: [5][]byte{a.data}})
		}
	}
	for _, name := range sortedKeys(s.crls) {
		if r := s.crls[name]; r.sum != r.base {
			list = append(list, Change{Kind: "crl-file", Name: name, Base: r.base, Data: [5][]byte{r.data}})
		}
	}
	for _, name := range sortedKeys(s.lists) {
		if base, lines := s.listBase[name], s.lists[name]; !slices.EqualFunc(lines, base, ListLine.same) {
			list = append(list, Change{Kind: "crt-list", Name: name, Base: listSum(base), Lines: lines})
		}
	}
	for _, k := range s.keys {
		if k.changed {
			list = append(list, Change{Kind: "tls-keys", Name: k.file, Base: keySum(k.base), Keys: k.keys})
		}
	}
	return list
}

func (l ListLine) same(o ListLine) bool {
	return l.Number == o.Number && l.File == o.File && slices.Equal(l.Options, o.Options) && slices.Equal(l.Filters, o.Filters)
}

func listSum(lines []ListLine) string {
	p := parts{}
	for _, l := range lines {
		p.pem = fmt.Appendf(p.pem, "%d %q %q %q\n", l.Number, l.File, l.Options, l.Filters)
	}
	return p.sum()
}

func keySum(keys [][]byte) string {
	p := parts{pem: bytes.Join(keys, []byte{'\n'})}
	return p.sum()
}

// Restore makes the changes of the worker before, but for files that have
// changed since: they count. It gives what is to be said about those.
func (s *Store) Restore(list []Change) (notes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return []string{err.Error()}
	}
	gone := func(c *Change) {
		notes = append(notes, c.Name+" has changed: it counts, and what was changed in it at run time is gone")
	}
	for i := range list {
		c := &list[i]
		done, err := s.restore(c)
		switch {
		case err != nil:
			notes = append(notes, fmt.Sprintf("keep what was changed in %s at run time: %v", c.Name, err))
		case !done:
			gone(c)
		}
	}
	if err := s.rebuild(); err != nil {
		notes = append(notes, "keep what was changed of certificates at run time: "+err.Error())
	}
	return notes
}

// restore makes one change; false: the file has changed, or nothing names it any
// more.
func (s *Store) restore(c *Change) (bool, error) {
	switch c.Kind {
	case "cert":
		old := s.pairs[c.Name]
		if old == nil && c.Base != added || old != nil && old.base != c.Base {
			return false, nil
		}
		p := &pair{file: c.Name}
		if len(c.Data[0]) > 0 {
			var err error
			if p, _, err = s.make(c.Name, parts{c.Data[0], c.Data[1], c.Data[2], c.Data[3], c.Data[4]}); err != nil {
				return true, err
			}
		}
		p.base = c.Base
		s.pairs[c.Name] = p
	case "ca-file", "crl-file":
		return s.restoreFile(c)
	case "crt-list":
		if lines, ok := s.lists[c.Name]; !ok || listSum(lines) != c.Base {
			return false, nil
		}
		before := s.lists[c.Name]
		s.lists[c.Name] = c.Lines
		if err := s.rebuild(); err != nil {
			s.lists[c.Name] = before
			return true, err
		}
	case "tls-keys":
		for _, k := range s.keys {
			if k.file == c.Name && keySum(k.keys) == c.Base && len(c.Keys) == TicketKeysNeeded {
				k.use(s, c.Keys)
				return true, nil
			}
		}
		return false, nil
	}
	return true, nil
}

func (s *Store) restoreFile(c *Change) (bool, error) {
	k, base, known := caKind, "", false
	if c.Kind == "crl-file" {
		k = crlKind
		if r := s.crls[c.Name]; r != nil {
			base, known = r.base, true
		}
	} else if a := s.cas[c.Name]; a != nil {
		base, known = a.base, true
	}
	if known != (c.Base != added) || known && base != c.Base {
		return false, nil
	}
	if !known {
		s.fileCommand(k, "new", c.Name, nil)
	}
	if len(c.Data[0]) == 0 {
		return true, nil
	}
	return true, k.change(s, &transaction{name: c.Name, data: c.Data[0]})
}

// Reset undoes what commands changed.
func (s *Store) Reset() error {
	changes := s.Changes()
	if len(changes) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = transactions{}
	var again []string
	for _, c := range changes {
		switch c.Kind {
		case "cert":
			delete(s.pairs, c.Name)
			if s.clientsOf(c.Name) > 0 {
				again = append(again, c.Name)
			}
		case "ca-file":
			delete(s.cas, c.Name)
			if s.clientsOf(c.Name) > 0 {
				if _, err := s.ca(c.Name); err != nil {
					return err
				}
			}
		case "crl-file":
			delete(s.crls, c.Name)
			if s.clientsOf(c.Name) > 0 {
				if _, err := s.crl(c.Name); err != nil {
					return err
				}
			}
		case "crt-list":
			s.lists[c.Name] = s.listBase[c.Name]
		case "tls-keys":
			for _, k := range s.keys {
				if k.file == c.Name {
					k.use(s, k.base)
					k.changed = false
				}
			}
		}
	}
	s.fetch(again)
	for _, c := range changes {
		s.forget(c.Name)
	}
	return s.rebuild()
}
